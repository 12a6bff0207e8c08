"""Asks the kubelets what is used, for as long as somebody wants to know."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from orlop import logging
from orlop.api import errors
from orlop.apiserver.core import Core
from orlop.apiserver.resourcemetrics.samples import Point, Sample, Usage, parse, usage
from orlop.apiserver.subresources.kubelet import kubelets_of, locate

RESOLUTION = 15.0
"""Seconds between two readings (metrics-server's --metric-resolution)."""
FIRST_WINDOW = 1.0
"""Seconds between the first two: who asks first shall not wait for long. Control groups count CPU time exactly."""
KEPT_UP = 60.0
"""Seconds after the last question until the readings stop: an idle cluster is not measured."""
ANSWER_SECONDS = 5.0
"""How long a kubelet may take."""

log = logging.get("apiserver")


class Scraper:
    """The last two readings of every node."""

    def __init__(self, core: Core, start: Callable[[str, Coroutine[Any, Any, None]], Any]) -> None:
        self._core = core
        self._start = start
        self._asked = 0.0
        self._ready: asyncio.Event | None = None
        """Set once there are two readings; None while nobody wants to know."""
        self._before: dict[str, Sample] = {}
        self._after: dict[str, Sample] = {}

    async def wanted(self) -> None:
        """Returns when there are readings not much older than RESOLUTION. Every question begins with this."""
        self._asked = self._core.clock.monotonic()
        if self._ready is None:
            self._ready = asyncio.Event()
            self._start("resource metrics", self._run(self._ready))
        await self._ready.wait()

    def node(self, name: str) -> Usage | None:
        """A node's use; None where it is not known (yet)."""
        before, after = self._before.get(name), self._after.get(name)
        return usage(before.node, after.node) if before is not None and after is not None else None

    def pod(self, node: str, namespace: str, name: str) -> dict[str, Usage]:
        """The use of a pod's containers, those that are known."""
        before, after = (
            self._points(self._before, node, namespace, name),
            self._points(self._after, node, namespace, name),
        )
        found = {container: usage(before.get(container), point) for container, point in after.items()}
        return {container: one for container, one in found.items() if one is not None}

    @staticmethod
    def _points(samples: dict[str, Sample], node: str, namespace: str, name: str) -> dict[str, Point]:
        sample = samples.get(node)
        return sample.pods.get((namespace, name), {}) if sample is not None else {}

    async def _run(self, ready: asyncio.Event) -> None:
        clock = self._core.clock
        try:
            await self._scrape()
            await clock.sleep(FIRST_WINDOW)
            await self._scrape()
            ready.set()
            while clock.monotonic() - self._asked < KEPT_UP:
                await clock.sleep(RESOLUTION)
                await self._scrape()
        finally:
            ready.set()
            self._ready = None
            self._before, self._after = {}, {}

    async def _scrape(self) -> None:
        names = [name for _, name in self._core.hub.list("nodes", None, "", "", 0, None).keys]
        samples = await asyncio.gather(*(self._read(name) for name in names))
        self._before = self._after
        self._after = {name: sample for name, sample in zip(names, samples, strict=True) if sample is not None}

    async def _read(self, node: str) -> Sample | None:
        import aiohttp

        try:
            where = locate(self._core, node)
            session = kubelets_of(self._core).session()
            timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
            async with session.get(where.url("/metrics/resource", []), timeout=timeout) as answer:
                answer.raise_for_status()
                return parse(await answer.text(), self._core.clock.now())
        except (errors.ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
            log.info("a node's metrics cannot be read", extra={"node": node, "err": repr(error)})
            return None
