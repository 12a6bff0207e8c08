"""What the server keeps right among its own objects: told by the hub, and tried again where the store refuses."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from orlop import logging
from orlop.api import errors
from orlop.apiserver.core import Core
from orlop.store.base import StoreFull
from orlop.tasks import run_all

RETRY = 1.0
"""Seconds until what the store refused is tried again."""
CHUNK = 1 << 16
"""Bytes of events taken at a time; what they say is looked up, not read."""

log = logging.get("apiserver")


class Follower:
    """Calls `reconcile` whenever one of the resources has news, until cancelled."""

    def __init__(
        self,
        core: Core,
        what: str,
        resources: Iterable[str],
        reconcile: Callable[[], Awaitable[None]],
        *,
        namespace: str | None = None,
        fields: str = "",
    ) -> None:
        """`what` is not as it should be when the store refuses, for the log; `namespace` and `fields` select objects.
        Those that are there count as news."""
        self._core = core
        self._what = what
        self._resources = list(resources)
        self._reconcile = reconcile
        self._select = namespace, fields
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is other news."""
        self._wake.set()

    async def run(self) -> None:
        """Follows until cancelled."""
        await run_all(*(self._follow(resource) for resource in self._resources), self._act())

    async def _follow(self, resource: str) -> None:
        core = self._core
        namespace, fields = self._select
        while True:
            watcher = core.hub.watch(resource, namespace, "", fields, None, True, False, False)
            try:
                while watcher.state == "live":
                    if watcher.take(CHUNK):
                        self._wake.set()
                    else:
                        await core.waker.wait(watcher.id)
            finally:
                watcher.close()
                core.waker.forget(watcher.id)
            self._wake.set()  # it was too slow: something may have been missed

    async def _act(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._reconcile()
            except (errors.ApiError, StoreFull) as error:
                log.warning("%s could not be set right, will try again: %s", self._what, error)
                await self._core.clock.sleep(RETRY)
                self._wake.set()
