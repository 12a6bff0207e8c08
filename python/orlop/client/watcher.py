"""List and watch as a state machine that survives disconnects.

```text
            ┌────────────────────── 410, or the first time ──────────────────────┐
            ▼                                                                     │
 Start ─► Initial (WatchList) ──initial-events-end──► Watching ──stream ends──► Resume
   │                                                     ▲ ▲                      │
   └────► Listing (servers without WatchList) ───────────┘ └──────────────────────┘
 any failure ─► Waiting (back-off, then the state to go on with)
```
`Watcher.step` takes a state and gives (what to tell, next state); `Watcher.run` drives it. What it promises:

* After `Restarted` come `Changes` that are ADDED, the whole matching set, then `Synced`; a reader swaps its set there.
* After `Synced` the changes follow in revision order, none lost and none twice, across any number of disconnects.
* A revision is never handed out after a higher one, unless a restart says that the world itself went back.
* A server that neither sends nor ends is left at `timeoutSeconds` plus a grace.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from logging import DEBUG, WARNING
from typing import Any

from orlop import logging
from orlop.api import errors, scheme
from orlop.client.client import Client, Event, frames, watch_query
from orlop.client.decode import Head, RawList, decode, error_of
from orlop.client.transport import Stream, Unreachable

MIN_TIMEOUT = 300
"""Least seconds asked of a watch; up to twice that, so that watches do not all end together (client-go's)."""
HANG_GRACE = 30.0
"""Seconds past `timeoutSeconds` after which a watch that has not ended is taken for hung."""
BACKOFF_BASE = 0.8
BACKOFF_MAX = 30.0
BACKOFF_RESET = 120.0
"""Back-off of client-go's reflector: doubled with each failure, with jitter, forgotten after two quiet minutes. Other
than there it is also forgotten once a watch has worked: a server that was restarted a few times is back at once."""
SHORT_WATCH = 1.0
"""A watch that ends sooner and brought nothing counts as a failure, or a bad proxy would be asked without pause."""
INITIAL_EVENTS_END = b"k8s.io/initial-events-end"

_log = logging.get("client")


# --- what a watcher tells


@dataclass(frozen=True, slots=True)
class Restarted:
    """What was known is void: the whole set follows."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Events that arrived together: ADDED, MODIFIED, DELETED."""

    events: list[Event]


@dataclass(frozen=True, slots=True)
class Synced:
    """The whole set has been told; it is the state at `revision`."""

    revision: int


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything up to `revision` has been told."""

    revision: int


Told = Restarted | Changes | Synced | Bookmark


# --- where a watcher is


@dataclass(frozen=True, slots=True)
class Start:
    """Nothing is known, or what was known is void. `at_least` is the revision already handed out."""

    at_least: int = 0


@dataclass(frozen=True, slots=True)
class Initial:
    """A WatchList stream is open and still sends the present objects."""

    stream: "_Open"
    at_least: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Pages of a list are being read."""

    at_least: int
    continue_: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """Everything up to `revision` is told; a watch from there is to be opened."""

    revision: int


@dataclass(frozen=True, slots=True)
class Watching:
    """A watch is open; `revision` is the newest told; `fresh` until it has brought something."""

    stream: "_Open"
    revision: int
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something failed; `then` is where to go on after the back-off."""

    error: Exception
    then: "State"


State = Start | Initial | Listing | Resume | Watching | Waiting


class Watcher:
    """Lists and watches one kind, for ever."""

    def __init__(
        self,
        client: Client,
        kind: type[Any],
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        watch_list: bool = True,
        page: int = 500,
    ) -> None:
        """`watch_list=False` always lists, `page` items at a time; otherwise only where the server cannot WatchList."""
        self._client = client
        self._clock = client.clock
        self._kind = scheme.of(kind)
        self._path = self._kind.path(namespace)
        self._labels = labels
        self._fields = fields
        self._watch_list = watch_list
        self._page = page
        self._failures = 0
        self._failed_at = 0.0

    async def run(self) -> AsyncGenerator[Told, None]:
        """What happens, until the iterator is closed. Never ends and raises nothing of its own."""
        state: State = Start()
        try:
            while True:
                told, state = await self.step(state)
                for what in told:
                    yield what
        finally:
            await _close(state)

    async def step(self, state: State) -> tuple[list[Told], State]:
        """One transition. What goes wrong becomes a state, so this raises only when cancelled."""
        try:
            match state:
                case Start(at_least):
                    return await self._start(at_least)
                case Initial():
                    return await self._initial(state)
                case Listing():
                    return await self._list(state)
                case Resume(revision):
                    return [], Watching(await self._open(str(revision), initial=False), revision)
                case Watching():
                    return await self._watch(state)
                case Waiting():
                    await self._clock.sleep(self._backoff(state.error))
                    return [], state.then
        except Exception as error:
            await _close(state)
            return [], self._after(state, error)

    # --- transitions

    async def _start(self, at_least: int) -> tuple[list[Told], State]:
        if not self._watch_list:
            return [Restarted()], Listing(at_least)
        stream = await self._open(str(at_least) if at_least else "", initial=True)
        return [Restarted()], Initial(stream, at_least)

    async def _initial(self, state: Initial) -> tuple[list[Told], State]:
        events = await state.stream.next()
        if events is None:
            # It ended without the bookmark: a server that knows no sendInitialEvents and ignored it.
            await state.stream.close()
            self._watch_list = False
            return [], Start(state.at_least)
        end = next((i for i, e in enumerate(events) if e.type == "BOOKMARK" and INITIAL_EVENTS_END in e.object), None)
        if end is None:
            return [Changes(_objects(events))], state
        synced = Synced(revision_of(events[end]))
        told: list[Told] = [Changes(_objects(events[:end])), synced]
        later, watching = self._told(Watching(state.stream, synced.revision, fresh=False), events[end + 1 :])
        return told + later, watching

    async def _list(self, state: Listing) -> tuple[list[Told], State]:
        query = {
            "labelSelector": self._labels or None,
            "fieldSelector": self._fields or None,
            "limit": self._page,
            "continue": state.continue_ or None,
            "resourceVersion": str(state.at_least) if state.at_least and not state.continue_ else None,
        }
        response = await self._client.request("GET", self._path, query=query)
        if response.status >= 400:
            raise error_of(response)
        page = decode(RawList, response.body)
        told: list[Told] = [Changes([Event("ADDED", bytes(item)) for item in page.items or ()])]
        if page.metadata.continue_:
            return told, Listing(state.at_least, page.metadata.continue_)
        revision = int(page.metadata.resource_version)
        return [*told, Synced(revision)], Resume(revision)

    async def _watch(self, state: Watching) -> tuple[list[Told], State]:
        events = await state.stream.next()
        if events is not None:
            return self._told(state, events)
        await state.stream.close()
        if state.fresh and self._clock.monotonic() - state.stream.opened_at < SHORT_WATCH:
            short = Unreachable("very short watch: it closed with no items received", sent=True)
            return [], Waiting(short, Resume(state.revision))
        return [], Resume(state.revision)

    def _told(self, state: Watching, events: list[Event]) -> tuple[list[Told], Watching]:
        if not events:
            return [], state
        last = events[-1]
        revision = max(state.revision, revision_of(last))
        objects = _objects(events)
        told: list[Told] = [Changes(objects)] if objects else []
        if last.type == "BOOKMARK":
            told.append(Bookmark(revision))
        return told, Watching(state.stream, revision, fresh=False)

    # --- failures

    def _after(self, state: State, error: Exception) -> State:
        match state:
            case Start() if isinstance(error, errors.Invalid | errors.BadRequest) and self._watch_list:
                self._watch_list = False  # it says so: it cannot do WatchList
                return state
            case Start() | Listing() if isinstance(error, errors.Gone | errors.Timeout):
                # The revision asked for is gone, or ahead of the server (restored from a backup): take what is there.
                return Waiting(error, Start(0))
            case Start(at_least) | Initial(at_least=at_least) | Listing(at_least=at_least):
                return Waiting(error, Start(at_least))
            case Resume(revision) | Watching(revision=revision):
                if isinstance(state, Watching) and self._clock.monotonic() - state.stream.opened_at >= SHORT_WATCH:
                    self._failures = 0
                if isinstance(error, errors.Gone):
                    _log.debug("relisting", extra={"resource": self._kind.plural, "reason": str(error)})
                    return Start(revision)
                return Waiting(error, Resume(revision))
            case Waiting():
                return state

    def _backoff(self, error: Exception) -> float:
        now = self._clock.monotonic()
        if now - self._failed_at > BACKOFF_RESET:
            self._failures = 0
        self._failed_at = now
        wait = min(BACKOFF_MAX, BACKOFF_BASE * 2.0**self._failures) * (1 + self._clock.random.random())
        self._failures += 1
        if isinstance(error, errors.ApiError) and error.status.details is not None:
            wait = max(wait, float(error.status.details.retry_after_seconds))
        # Said once, and not for the short absence of a server that is being restarted: a process has dozens of watches.
        level = WARNING if self._failures == 2 else DEBUG
        extra = {"resource": self._kind.plural, "error": str(error) or repr(error), "retry_in": round(wait, 1)}
        _log.log(level, "watch failed", extra=extra)
        return wait

    async def _open(self, revision: str, *, initial: bool) -> "_Open":
        timeout = MIN_TIMEOUT + int(MIN_TIMEOUT * self._clock.random.random())
        query = watch_query(self._labels, self._fields, revision, True, initial, timeout)
        opened = _Open(self._client, timeout + HANG_GRACE)
        await opened.open(self._path, query)
        return opened


class _Open:
    """An open watch and the watchdog that ends it when it hangs."""

    def __init__(self, client: Client, limit: float) -> None:
        self._client = client
        self._limit = limit
        self._stack = AsyncExitStack()
        self.opened_at = client.clock.monotonic()

    async def open(self, path: str, query: dict[str, str | int | None]) -> None:
        self._stream = await self._stack.enter_async_context(self._client.stream("GET", path, query=query))
        self._frames = frames(self._stream)
        self._watchdog = asyncio.get_running_loop().create_task(self._watch(self._stream), name=f"watchdog {path}")

    async def next(self) -> list[Event] | None:
        """The events that came together; None at the end."""
        return await anext(self._frames, None)

    async def close(self) -> None:
        self._watchdog.cancel()
        await asyncio.wait({self._watchdog})
        await self._frames.aclose()
        await self._stack.aclose()

    async def _watch(self, stream: Stream) -> None:
        await self._client.clock.sleep(self._limit)
        stream.abort("the server neither sent nor ended the watch in time")


async def _close(state: State) -> None:
    if isinstance(state, Initial | Watching):
        await state.stream.close()


def _objects(events: list[Event]) -> list[Event]:
    return [event for event in events if event.type != "BOOKMARK"]


def revision_of(event: Event) -> int:
    """The resourceVersion of an event's object."""
    return int(event.decode(Head).metadata.resource_version)
