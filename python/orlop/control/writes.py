"""Reading one's own writes.

A controller that acts on a cache which does not yet show what it did last time does it again: it makes the same pods
twice. Upstream guards the controllers that suffer most with hand-kept expectations; here the frame does it for all. A
client that knows which key is being reconciled notes what each write answered, and before that key is worked on again
the frame waits until the caches show it.
"""

from contextvars import ContextVar
from typing import Any

import msgspec

from orlop import logging
from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer
from orlop.client.decode import Meta, decoder
from orlop.clock import Clock, timeout
from orlop.control.controller import Key

WAIT_LIMIT = 30.0
"""Seconds to wait for a cache to show a write. A cache so far behind is reported, and work goes on by what it shows."""

_log = logging.get("control")


class Pending:
    """What was written for one key and is not known to be in the caches."""

    __slots__ = ("deleted", "revisions")

    def __init__(self) -> None:
        self.revisions: dict[str, int] = {}
        self.deleted: set[tuple[str, str, str, str]] = set()

    def wrote(self, resource: str, resource_version: str) -> None:
        if resource_version.isdecimal():
            self.revisions[resource] = max(self.revisions.get(resource, 0), int(resource_version))


_current: ContextVar[Pending | None] = ContextVar("orlop_pending_writes", default=None)


class OwnWrites:
    """The writes of one controller, by key."""

    def __init__(self, clock: Clock, informers: "list[Informer[Any]]") -> None:
        """`informers` are the caches that the controller reads; it may still grow."""
        self._clock = clock
        self._informers = informers
        self._pending: dict[Key, Pending] = {}

    def begin(self, key: Key) -> None:
        """Writes of this task, and of tasks it starts, now count for the key."""
        _current.set(self._pending.setdefault(key, Pending()))

    def end(self, key: Key) -> None:
        """The key's reconcile has ended."""
        _current.set(None)
        pending = self._pending[key]
        if not pending.revisions and not pending.deleted:
            del self._pending[key]

    def own(self, key: Key, obj: Any) -> None:
        """Remembers a write by the object that it answered."""
        self._pending.setdefault(key, Pending()).wrote(scheme.of(type(obj)).resource, obj.metadata.resource_version)

    async def seen(self, key: Key) -> None:
        """Returns when the caches show every write of the key."""
        pending = self._pending.get(key)
        if pending is None:
            return
        try:
            for informer in self._informers:
                if informer.revision < pending.revisions.get(informer.resource, 0):
                    async with timeout(self._clock, WAIT_LIMIT):
                        await informer.seen(pending.revisions[informer.resource])
                for resource, namespace, name, uid in pending.deleted:
                    if informer.resource == resource and informer.get(namespace, name) is not None:
                        async with timeout(self._clock, WAIT_LIMIT):
                            await informer.deleted(namespace, name, uid)
        except TimeoutError:
            _log.warning("a cache does not show what was written", extra={"key": str(key), "seconds": WAIT_LIMIT})
        self._pending.pop(key, None)


class _Answer(ApiStruct):
    """What there is to know of a deletion's answer, a Status or the object."""

    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)
    details: meta_v1.StatusDetails | None = None


class TrackingClient(Client):
    """A client that notes its writes for the key being reconciled."""

    def _wrote(self, kind: Kind, obj: Any) -> Any:
        pending = _current.get()
        if pending is not None:
            pending.wrote(kind.resource, obj.metadata.resource_version)
        return obj

    def _deleted(self, kind: Kind, namespace: str, name: str, body: bytes) -> None:
        pending = _current.get()
        if pending is None:
            return
        try:
            answer: _Answer = decoder(_Answer).decode(body)
        except msgspec.MsgspecError:
            return
        if answer.kind == "Status":
            uid = answer.details.uid if answer.details is not None else ""
        else:
            uid = answer.metadata.uid
            pending.wrote(kind.resource, answer.metadata.resource_version)
        if uid:
            pending.deleted.add((kind.resource, namespace, name, uid))
