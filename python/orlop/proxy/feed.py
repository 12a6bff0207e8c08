"""One kind's watch, handed to the table as bytes."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

from prometheus_client import Counter, Gauge

from orlop import logging
from orlop.client import Event, Head
from orlop.client.watcher import Changes, Restarted, Synced, Told

_log = logging.get("proxy")


class Watching(Protocol):
    """What is used of a Watcher."""

    def run(self) -> AsyncGenerator[Told, None]:
        """What happens, until the iterator is closed."""
        ...


class Feed:
    """Keeps the table at what the API server says of one kind."""

    def __init__(
        self,
        watcher: Watching,
        kind: str,
        apply: Callable[[bytes], list[str]],
        delete: Callable[[str, str], None],
        changed: Callable[[], None],
        counter: Counter | None = None,
        pending: Gauge | None = None,
    ) -> None:
        """`kind` is for the log; `counter` counts, and so does `pending` until somebody sets it to 0. `changed` is told
        after each batch, and when all are there."""
        self._counter = counter
        self._pending = pending
        self._watcher = watcher
        self._kind = kind
        self._apply = apply
        self._delete = delete
        self._changed = changed
        self._known: set[tuple[str, str]] = set()
        self._before: set[tuple[str, str]] = set()
        self.synced = False

    async def run(self) -> None:
        """Follows until cancelled."""
        async with aclosing(self._watcher.run()) as told:
            async for what in told:
                match what:
                    case Restarted():
                        self._before |= self._known
                        self._known = set()
                    case Changes(events):
                        for event in events:
                            self._take(event)
                    case Synced():
                        # What the new set no longer has was deleted while nobody watched.
                        for namespace, name in self._before - self._known:
                            self._delete(namespace, name)
                        self._before = set()
                        self.synced = True
                    case _:
                        continue
                self._changed()

    def _take(self, event: Event) -> None:
        if self._counter is not None:
            self._counter.inc()
        if self._pending is not None:
            self._pending.inc()
        meta = event.decode(Head).metadata
        key = (meta.namespace, meta.name)
        if event.type == "DELETED":
            self._known.discard(key)
            self._delete(*key)
            return
        self._known.add(key)
        try:
            warnings = self._apply(event.object)
        except ValueError as error:
            warnings = [str(error)]
        for warning in warnings:
            _log.warning("%s: %s", self._kind, warning, extra={"object": f"{meta.namespace}/{meta.name}"})
