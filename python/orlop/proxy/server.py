"""What others may ask a proxy: is it healthy, what are its figures, which mode does it run (upstream's paths)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from orlop import logging
from orlop.clock import Clock, rfc3339
from orlop.metrics import CONTENT_TYPE, REGISTRY, render
from orlop.proxy.config import host_port

if TYPE_CHECKING:
    from aiohttp import web

    from orlop.proxy.proxier import Proxier

RETRY = 5.0
"""Seconds until an address that is taken is tried again, as upstream does: it costs no Service its traffic."""
Page = Callable[[], "web.Response"]

_log = logging.get("proxy")


async def serve_health(proxier: Proxier, address: str, clock: Clock) -> None:
    """Serves /healthz and /livez until cancelled: 200, or 503 while changes have been waiting too long. /healthz, which
    load balancers ask, says 503 also while the node is about to go."""
    from aiohttp import web

    def health(eligible: bool) -> web.Response:
        body = {
            "lastUpdated": rfc3339(proxier.last_updated),
            "currentTime": rfc3339(clock.now()),
            "nodeEligible": proxier.wanted.node_eligible,
        }
        status = 200 if proxier.healthy and (proxier.wanted.node_eligible or not eligible) else 503
        (proxier.metrics.healthz if eligible else proxier.metrics.livez).labels(str(status)).inc()
        return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")

    await _serve(address, {"/healthz": partial(health, True), "/livez": partial(health, False)}, clock)


async def serve_metrics(proxier: Proxier, address: str, clock: Clock) -> None:
    """Serves /metrics and /proxyMode until cancelled."""
    from aiohttp import web

    def metrics() -> web.Response:
        return web.Response(body=render(REGISTRY), headers={"Content-Type": CONTENT_TYPE})

    def mode() -> web.Response:
        return web.Response(text=proxier.backend.name)

    await _serve(address, {"/metrics": metrics, "/proxyMode": mode}, clock)


async def _serve(address: str, pages: dict[str, Page], clock: Clock) -> None:
    from aiohttp import web

    app = web.Application()
    for path, page in pages.items():
        app.router.add_get(path, _handler(page))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, port = host_port(address)
    try:
        while True:
            try:
                await web.TCPSite(runner, host, port).start()
                await asyncio.Event().wait()
            except OSError as error:
                _log.error("cannot listen", extra={"address": address, "error": error.strerror or str(error)})
            await clock.sleep(RETRY)
    finally:
        await runner.cleanup()


def _handler(page: Page) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(_: web.Request) -> web.StreamResponse:
        return page()

    return handle
