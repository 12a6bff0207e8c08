"""What happens to an event between a request and the file or server that it is for: gathered, or waited for."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import msgspec

from orlop import logging
from orlop.apiserver.audit import metrics
from orlop.apiserver.audit.event import Event, as_json, as_text
from orlop.apiserver.audit.policy import LEVELS, REQUEST
from orlop.apiserver.audit.settings import BatchSettings, Format, TruncateSettings
from orlop.clock import Clock
from orlop.tasks import first

TRUNCATED = "audit.k8s.io/truncated"
Start = Callable[[str, Coroutine[Any, Any, None]], "asyncio.Task[Any]"]

log = logging.get("audit")


class Backend(Protocol):
    """Where events end up."""

    name: str
    """As metrics name it: `log`, `webhook`."""

    async def write(self, events: Sequence[bytes]) -> None:
        """Writes or sends them. Raises OSError, or what else hinders it."""

    async def close(self) -> None:
        """Ends what is open."""


class Sink(Protocol):
    """Takes events in the order in which they come about."""

    def take(self, event: Event) -> None:
        """Takes an event as it is now."""

    async def settled(self) -> bool:
        """Waits until what was taken is written, where requests wait for that; False where they are to fail."""

    async def close(self) -> None:
        """Writes what is left."""


class Form:
    """How an event is written; None for one that is too large."""

    def __init__(self, format_: Format, truncate: TruncateSettings) -> None:
        self._write = as_json if format_ == "json" else as_text
        self._limit = truncate.max_event_size if truncate.enabled else 0

    def __call__(self, event: Event) -> bytes | None:
        line = self._write(event)
        if not self._limit or len(line) <= self._limit:
            return line
        if LEVELS.index(event.level) >= REQUEST:
            noted = {**event.annotations, TRUNCATED: "true"}
            less = msgspec.structs.replace(event, request_object=None, response_object=None, annotations=noted)
            line = self._write(less)
        if len(line) <= self._limit:
            return line
        metrics.ERRORS.labels("truncate").inc()
        log.error("an event is too large even without its objects: %d bytes", len(line), extra={"id": event.audit_id})
        return None


async def _write(backend: Backend, events: Sequence[bytes]) -> bool:
    try:
        await backend.write(events)
    except Exception as error:
        metrics.ERRORS.labels(backend.name).inc(len(events))
        log.error("%d events were not written: %s", len(events), error, extra={"to": backend.name})
        return False
    return True


class Blocking:
    """A request is answered when its events are written; those that come together are written together."""

    def __init__(self, backend: Backend, form: Form, start: Start, *, strict: bool) -> None:
        self._backend = backend
        self._form = form
        self._start = start
        self._strict = strict
        self._waiting: list[bytes] = []
        self._next: asyncio.Future[bool] | None = None
        """Of those that wait."""
        self._under_way: asyncio.Future[bool] | None = None
        self._task: asyncio.Task[Any] | None = None

    def take(self, event: Event) -> None:
        line = self._form(event)
        if line is None:
            return
        self._waiting.append(line)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        if self._under_way is None:
            self._under_way = self._next
            self._task = self._start("audit", self._run())

    async def _run(self) -> None:
        while self._next is not None:
            self._under_way, lines = self._next, self._waiting
            self._next, self._waiting = None, []
            written = False
            try:
                written = await _write(self._backend, lines)
            finally:
                if not self._under_way.done():
                    self._under_way.set_result(written)
        self._under_way = None

    async def settled(self) -> bool:
        # What was taken last is in the batch that waits, or in the one under way.
        last = self._next or self._under_way
        if last is None:
            return True
        return await asyncio.shield(last) or not self._strict

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self._backend.close()


class Batch:
    """Events are gathered and written by the batch; no request waits, and what finds no room is lost."""

    def __init__(
        self, backend: Backend, form: Form, start: Start, clock: Clock, settings: BatchSettings, batch_bytes: int
    ) -> None:
        """`batch_bytes`: how large a batch may be; 0: as large as it comes."""
        self._backend = backend
        self._form = form
        self._clock = clock
        self._settings = settings
        self._batch_bytes = batch_bytes
        self._waiting: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._tokens, self._filled = float(settings.burst), clock.monotonic()
        self._task = start("audit batches", self._run())

    def take(self, event: Event) -> None:
        line = self._form(event)
        if line is None:
            return
        if len(self._waiting) >= self._settings.buffer_size:
            metrics.ERRORS.labels("buffered").inc()
            return
        self._waiting.append(line)
        self._news.set()

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            until = self._clock.monotonic() + self._settings.max_wait
            while len(self._waiting) < self._settings.max_size and (left := until - self._clock.monotonic()) > 0:
                self._news.clear()
                await self._sleep_or_news(left)
            await self._turn()
            await _write(self._backend, self._batch())
            if not self._waiting:
                self._news.clear()

    async def _sleep_or_news(self, seconds: float) -> None:
        """Until there is another event, or the time is over."""

        async def news() -> None:
            await self._news.wait()

        await first(news(), self._clock.sleep(seconds))

    async def _turn(self) -> None:
        """Waits until another batch may go: a bucket that fills by `qps` and holds `burst`."""
        settings = self._settings
        if not settings.throttle:
            return
        while True:
            now = self._clock.monotonic()
            self._tokens = min(float(settings.burst), self._tokens + (now - self._filled) * settings.qps)
            self._filled = now
            if self._tokens >= 1:
                self._tokens -= 1
                return
            await self._clock.sleep((1 - self._tokens) / settings.qps)

    def _batch(self) -> list[bytes]:
        found: list[bytes] = []
        size = 0
        while self._waiting and len(found) < self._settings.max_size:
            size += len(self._waiting[0])
            if found and self._batch_bytes and size > self._batch_bytes:
                break
            found.append(self._waiting.popleft())
        return found

    async def settled(self) -> bool:
        return True

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        while self._waiting:
            await _write(self._backend, self._batch())
        await self._backend.close()
