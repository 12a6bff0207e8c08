"""What others may ask the server: does it live, is it ready, what are its figures (CoreDNS's paths)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orlop import logging
from orlop.clock import Clock
from orlop.metrics import CONTENT_TYPE, REGISTRY, render

if TYPE_CHECKING:
    from aiohttp import web

    from orlop.dns.server import DnsServer

RETRY = 5.0
"""Seconds until an address that is taken is tried again: it costs nobody an answer."""

_log = logging.get("dns")


async def serve(server: DnsServer, address: str, paths: Sequence[str], clock: Clock) -> None:
    """Serves the paths until cancelled."""
    from aiohttp import web

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/metrics":
            return web.Response(body=render(REGISTRY), headers={"Content-Type": CONTENT_TYPE})
        if request.path == "/ready" and not server.ready.is_set():
            return web.Response(status=503, text="kubernetes")
        return web.Response(text="OK")

    app = web.Application()
    for path in paths:
        app.router.add_get(path, handle)
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


def host_port(text: str) -> tuple[str, int]:
    """`IP:port` or `[IP]:port` taken apart. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be IP:port")
    ipaddress.ip_address(host)
    return host, int(port)
