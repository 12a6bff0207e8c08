"""Events about objects: `Recorder` writes them, `Correlator` keeps them few.

The rules are client-go's tools/record: the same event again raises its count; ten different messages for one reason
within ten minutes become one "(combined from similar events)"; a source may tell 25 events about an object at once and
then one in five minutes.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from orlop import logging
from orlop.api import errors, scheme
from orlop.api.types import core_v1, meta_v1
from orlop.client.client import Client
from orlop.client.transport import Unreachable
from orlop.clock import Clock, rfc3339

MAX_QUEUED = 1000
"""Events that wait to be written; further ones are dropped, as upstream's broadcaster does."""
MAX_CACHED = 4096
"""Entries of each of the correlator's memories."""
MAX_SIMILAR = 10
SIMILAR_INTERVAL = 600.0
SPAM_BURST = 25
SPAM_QPS = 1.0 / 300.0
MAX_TRIES = 12
RETRY_INTERVAL = 10.0
"""How often an event is tried when the server cannot be reached, and the seconds between."""
CLOSED_SECONDS = 1.0
"""How long nothing is told of a namespace whose server has just said that it is being deleted."""
MAX_MESSAGE = 1024
"""Longest note of an event (core validation)."""

EventType = Literal["Normal", "Warning"]
V = TypeVar("V")

_log = logging.get("events")


class Recorder:
    """Writes events as one component. `event` only queues; `run` writes."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        component: str,
        *,
        host: str = "",
        turn: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`turn` is awaited before each write: for a component that has more urgent things to say."""
        self._client = client
        self._turn = turn
        self._clock = clock
        self._source = core_v1.EventSource(component=component, host=host)
        self._correlator = Correlator(clock)
        self._queue: deque[core_v1.Event] = deque()
        self._news = asyncio.Event()
        self._writing = False
        self._dropped = 0
        self._last = 0
        self._closed: dict[str, float] = {}
        """Namespaces that are being deleted, and until when (monotonic) nothing is sent there."""

    def event(
        self,
        obj: Any,
        type: EventType,
        reason: str,
        message: str,
        *,
        field_path: str = "",
        related: Any = None,
        action: str = "",
        annotations: dict[str, str] | None = None,
    ) -> None:
        """Tells of `obj` (an API object or a core_v1.ObjectReference). Never blocks and never raises for the server.

        An event that is told again has the annotations of the last time.
        """
        if len(self._queue) >= MAX_QUEUED:
            if self._dropped == 0:
                _log.warning("event queue is full, dropping events", extra={"reason": reason})
            self._dropped += 1
            return
        regarding = reference(obj, field_path)
        now = self._clock.now()
        nanos = self._last = max(int(now * 1e9), self._last + 1)
        stamp = rfc3339(now)
        self._queue.append(
            core_v1.Event(
                metadata=meta_v1.ObjectMeta(
                    name=f"{regarding.name}.{nanos:x}",
                    namespace=regarding.namespace or "default",
                    annotations=annotations or {},
                ),
                involved_object=regarding,
                reason=reason,
                message=message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 3] + "...",
                source=self._source,
                first_timestamp=stamp,
                last_timestamp=stamp,
                count=1,
                type=type,
                action=action,
                related=reference(related) if related is not None else None,
                reporting_component=self._source.component,
                reporting_instance=self._source.host,
            )
        )
        self._news.set()

    @property
    def idle(self) -> bool:
        """Everything told has been written."""
        return not self._queue and not self._writing

    async def run(self) -> None:
        """Writes what is queued, until cancelled."""
        while True:
            while self._queue:
                self._writing = True
                try:
                    if self._turn is not None:
                        await self._turn()
                    await self._write(self._queue.popleft())
                except Exception:
                    _log.exception("unable to record event")
                finally:
                    self._writing = False
            self._dropped = 0
            self._news.clear()
            await self._news.wait()

    async def _write(self, event: core_v1.Event) -> None:
        if self._clock.monotonic() < self._closed.get(event.metadata.namespace, 0.0):
            return
        found = self._correlator.correlate(event)
        if found is None:
            return
        event, known = found
        for attempt in range(MAX_TRIES):
            if attempt:
                await self._clock.sleep(RETRY_INTERVAL * (self._clock.random.random() if attempt == 1 else 1.0))
            try:
                if known:
                    patch: dict[str, Any] = {
                        "count": event.count,
                        "lastTimestamp": event.last_timestamp,
                        "message": event.message,
                    }
                    if event.metadata.annotations:
                        patch["metadata"] = {"annotations": event.metadata.annotations}
                    try:
                        await self._client.patch(
                            core_v1.Event, event.metadata.name, event.metadata.namespace, patch, type="strategic"
                        )
                        return
                    except errors.NotFound:
                        known = False  # it has expired meanwhile: make it anew
                await self._client.create(event)
                return
            except Unreachable as error:
                _log.info("unable to write event (may retry after sleeping)", extra={"error": str(error)})
            except errors.AlreadyExists:
                return
            except errors.ApiError as error:
                if _says_terminating(error):
                    self._forget(event.metadata.namespace)
                else:
                    _log.warning("server rejected event (will not retry!)", extra={"error": str(error)})
                return
        _log.error("unable to write event (retry limit exceeded!)", extra={"event": event.metadata.name})

    def _forget(self, namespace: str) -> None:
        """The namespace is being deleted: what is queued for it, or told in a moment, would be refused too."""
        now = self._clock.monotonic()
        self._closed = {name: until for name, until in self._closed.items() if until > now}
        self._closed[namespace] = now + CLOSED_SECONDS
        self._queue = deque(event for event in self._queue if event.metadata.namespace != namespace)


def _says_terminating(error: errors.ApiError) -> bool:
    details = error.status.details
    return details is not None and any(cause.reason == "NamespaceTerminating" for cause in details.causes)


def reference(obj: Any, field_path: str = "") -> core_v1.ObjectReference:
    """What an event says of the object it is about."""
    if isinstance(obj, core_v1.ObjectReference):
        return obj
    meta = obj.metadata
    kind = scheme.of(type(obj))
    return core_v1.ObjectReference(
        kind=kind.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        api_version=kind.api_version,
        resource_version=meta.resource_version,
        field_path=field_path,
    )


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class _Similar:
    at: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Known:
    name: str
    first: str | None
    count: int


class Correlator:
    """Decides what becomes of an event: nothing, a new one, or a higher count of one that is there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: _Recent[_Bucket] = _Recent()
        self._similar: _Recent[_Similar] = _Recent()
        self._known: _Recent[_Known] = _Recent()

    def correlate(self, event: core_v1.Event) -> tuple[core_v1.Event, bool] | None:
        """The event to write and whether it is there already (to be patched); None to drop it as spam."""
        event, key = self._aggregate(event)
        known = self._known.get(key)
        if known is not None:
            event.metadata.name, event.first_timestamp, event.count = known.name, known.first, known.count + 1
        self._known.put(key, _Known(event.metadata.name, event.first_timestamp, event.count))
        if self._is_spam(event):
            return None
        return event, known is not None

    def _aggregate(self, event: core_v1.Event) -> tuple[core_v1.Event, tuple[str, ...]]:
        now = self._clock.now()
        group = (*_subject(event), event.type, event.reason, event.reporting_component, event.reporting_instance)
        similar = self._similar.get(group)
        if similar is None or now - similar.at > SIMILAR_INTERVAL:
            similar = _Similar(now)
        similar.messages.add(event.message)
        similar.at = now
        self._similar.put(group, similar)
        if len(similar.messages) < MAX_SIMILAR:
            path = event.involved_object.field_path
            return event, (*_subject(event), path, event.type, event.reason, event.message)
        similar.messages.pop()  # no more than are needed
        event.message = "(combined from similar events): " + event.message
        return event, group

    def _is_spam(self, event: core_v1.Event) -> bool:
        now = self._clock.monotonic()
        key = _subject(event)
        bucket = self._buckets.get(key) or _Bucket(float(SPAM_BURST), now)
        bucket.tokens = min(float(SPAM_BURST), bucket.tokens + (now - bucket.at) * SPAM_QPS)
        bucket.at = now
        self._buckets.put(key, bucket)
        if bucket.tokens < 1.0:
            return True
        bucket.tokens -= 1.0
        return False


def _subject(event: core_v1.Event) -> tuple[str, ...]:
    about = event.involved_object
    source = event.source
    return (source.component, source.host, about.kind, about.namespace, about.name, about.uid, about.api_version)


class _Recent(Generic[V]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, ...], V] = OrderedDict()

    def get(self, key: tuple[str, ...]) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: tuple[str, ...], value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > MAX_CACHED:
            self._entries.popitem(last=False)
