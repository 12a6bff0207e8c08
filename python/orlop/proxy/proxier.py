"""Watch → wanted table → backend.

Two feeds keep the table; one loop programs what changed: at once when it has been quiet, else `min_sync_period` after
the last time. Nothing is programmed before both feeds know their whole set, so a restart takes nothing away that is
only not known yet. What the kernel refuses is followed by a comparison of everything, with back-off.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from orlop import logging
from orlop.client import Client
from orlop.client.watcher import Watcher
from orlop.clock import Clock, parse_time, timeout
from orlop.native import ForwardTable
from orlop.proxy.backends import MODES, Backend, ProgramError, Unsupported, make
from orlop.proxy.config import ProxyConfig
from orlop.proxy.healthcheck import HealthChecks
from orlop.proxy.metrics import Metrics, process_metrics
from orlop.proxy.server import serve_health, serve_metrics
from orlop.proxy.wanted import Wanted, Watch
from orlop.tasks import in_thread, run_all

RETRY_BASE, RETRY_MAX = 1.0, 30.0
"""Seconds before a failed sync is tried again: doubled each time up to the second (upstream's retry is 30 s)."""
HEALTH_TIMEOUT = 60.0
"""Seconds for which changes may wait before the proxy calls itself unhealthy (upstream: twice its 30 s sync period)."""

_log = logging.get("proxy")


class Proxier:
    """The proxy of one node."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        config: ProxyConfig,
        *,
        prefix: Sequence[str] = (),
        backend: Backend | None = None,
        metrics: Metrics | None = None,
        watch: Watch | None = None,
    ) -> None:
        """`prefix` comes before every program that is run, as `("ip", "netns", "exec", NAME)`. Raises ValueError for
        an unknown `--proxy-mode`."""
        self.config = config
        self._clock = clock
        # Those that may be used, in this order.
        self._backends = (
            [backend] if backend else [make(replace(config, proxy_mode=m), prefix) for m in config.proxy_modes]
        )
        self.backend = self._backends[0]
        # Another mode may have been chosen before.
        self._others = [] if backend else [(m, make(replace(config, proxy_mode=m), prefix)) for m in MODES]
        self.metrics = metrics or process_metrics()
        self._wake = asyncio.Event()
        self.wanted = Wanted(watch or partial(Watcher, client), config.hostname_override, self.metrics, self._note)
        self._programmed: ForwardTable | None = None
        """The table whose changes are followed; None when everything is to be compared."""
        self._waiting_since: float | None = None
        """When the oldest change came that is not programmed."""
        self._came_while_busy: float | None = None
        self._busy = False
        self._started_at = clock.now()
        self.last_updated = self._started_at
        """When everything that was wanted was last programmed, in seconds since 1970."""
        self._health = HealthChecks(config, lambda: self.healthy, clock, prefix=prefix)
        self.synced = asyncio.Event()
        """Set once everything that was wanted at the start is programmed."""

    async def run(self) -> None:
        """Works until cancelled. Raises Unsupported where this machine cannot run the backend."""
        await self._choose()
        _log.info("using the %s proxy", self.backend.name)
        work = [self.wanted.run(), self._program(), self._tidy(), self._health.run(), self.backend.tend(self._clock)]
        if address := self.config.healthz_bind_address:
            work.append(serve_health(self, address, self._clock))
        if address := self.config.metrics_bind_address:
            work.append(serve_metrics(self, address, self._clock))
        await run_all(*work)

    async def _choose(self) -> None:
        *others, last = self._backends
        for self.backend in others:
            try:
                await self.backend.check()
                return
            except Unsupported as error:
                _log.warning("cannot use the %s proxy, trying the next", self.backend.name, extra={"error": str(error)})
        self.backend = last
        await last.check()

    async def _tidy(self) -> None:
        """What another mode has left goes when this one serves: two would translate the same packets."""
        await self.synced.wait()
        for mode, other in self._others:
            if mode != self.backend.name:
                with suppress(Unsupported):  # nothing that could have left anything
                    try:
                        await other.cleanup()
                    except ProgramError as error:
                        _log.warning("cannot tidy up after the %s proxy", mode, extra={"error": str(error)})

    async def cleanup(self) -> None:
        """Takes away everything that a proxy of this mode has programmed on this node, now or earlier."""
        await self.backend.cleanup()

    @property
    def healthy(self) -> bool:
        """Whether no change has been waiting longer than `HEALTH_TIMEOUT`."""
        return self._waiting_since is None or self._clock.monotonic() - self._waiting_since < HEALTH_TIMEOUT

    def _note(self) -> None:
        table = self.wanted.table
        if self._programmed is not table or table.has_changes():
            now = self._clock.monotonic()
            if self._busy:
                self._came_while_busy = now if self._came_while_busy is None else self._came_while_busy
            elif self._waiting_since is None:
                self._waiting_since = now
            self.metrics.queued(self._clock.now())
            self._wake.set()

    # --- programming

    async def _program(self) -> None:
        retry = RETRY_BASE
        while True:
            try:
                async with timeout(self._clock, self.config.sync_period if self._programmed is not None else None):
                    await self._wake.wait()
            except TimeoutError:
                self._programmed = None
            self._wake.clear()
            if not self.wanted.whole:
                continue  # it will be told again
            try:
                await self._once()
            except ProgramError as error:
                self.metrics.failed(self.backend.name)
                _log.error("cannot program the service rules", extra={"error": str(error), "retry_in": retry})
                self._programmed = None
                self._wake.set()
                await self._clock.sleep(retry)
                retry = min(retry * 2, RETRY_MAX)
            else:
                retry = RETRY_BASE
                await self._clock.sleep(self.config.min_sync_period)

    async def _once(self) -> None:
        started = self._clock.monotonic()
        table = self.wanted.table
        full = table is not self._programmed
        self._waiting_since = started if self._waiting_since is None else self._waiting_since
        self._busy = True
        try:
            if full:
                changes = await in_thread(None, table.difference, [])
                touched = await self.backend.sync(changes.set)
                if touched:
                    _log.info("compared all service rules and changed some", extra={"ports": len(changes.set)})
            else:
                changes = table.drain_changes()
                if changes:
                    await self.backend.apply(changes)
            self._waiting_since, self._came_while_busy = self._came_while_busy, None
            if full:
                self._health.replace(changes.set)
                self.metrics.replace(changes.set)
            else:
                self._health.take(changes)
                self.metrics.take(changes)
        finally:
            self._busy = False
        self._programmed = table
        if not full and not changes:
            return  # it went there and back
        now = self._clock.now()
        self.last_updated = now
        self.metrics.programmed(self._clock.monotonic() - started, now, None if full else changes)
        self._time(changes.triggered, now)
        self.synced.set()

    def _time(self, triggered: list[str], now: float) -> None:
        """The network programming latency; changes from before the start are not this proxy's delay."""
        for text in triggered:
            try:
                at = parse_time(text)
            except ValueError:
                continue
            if at >= self._started_at:
                self.metrics.took(max(0.0, now - at))
