"""Reading one's own writes.

A controller that acts on a cache which does not yet show what it did last time does it again: it makes the same pods
twice. Upstream guards the controllers that suffer most with hand-kept expectations; here the frame does it for all. A
client that knows which key is being reconciled notes what each write answered, and before that key is worked on again
the frame waits until the caches show it. Of a write whose answer got lost nobody knows whether it was done: there the
frame asks the server what there is, and waits for that.
"""

from contextvars import ContextVar
from typing import Any

import msgspec

from orlop import logging
from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer, Unreachable
from orlop.client.client import Query
from orlop.client.decode import Meta, decoder
from orlop.clock import Clock, timeout
from orlop.control.controller import Key

REPORT_EVERY = 30.0
"""Seconds of waiting for a cache to show a write after which the log says so: the watch may be stuck. Nothing is done
for the key meanwhile. A cache whose selectors leave the write out learns of its revision by the next bookmark."""

ASK_AGAIN = 1.0
"""Seconds until a server that did not say what is newest is asked again."""

_log = logging.get("control")


class Pending:
    """What was written for one key and is not known to be in the caches."""

    __slots__ = ("deleted", "revisions", "unsure")

    def __init__(self) -> None:
        self.revisions: dict[str, int] = {}
        self.unsure: set[tuple[str, str]] = set()
        """Resources, and namespaces in them, with writes that may or may not have been done."""
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
        if not (pending.revisions or pending.deleted or pending.unsure):
            del self._pending[key]

    def own(self, key: Key, obj: Any) -> None:
        """Remembers a write by the object that it answered."""
        self._pending.setdefault(key, Pending()).wrote(scheme.of(type(obj)).resource, obj.metadata.resource_version)

    async def seen(self, key: Key) -> None:
        """Returns when the caches show every write of the key."""
        pending = self._pending.get(key)
        if pending is None:
            return
        for informer in self._informers:
            await self._ask(informer, pending)
            await self._patiently(key, informer, pending)
        self._pending.pop(key, None)

    async def _ask(self, informer: "Informer[Any]", pending: Pending) -> None:
        """Finds out up to where this cache must have got for writes without an answer to be in it."""
        for resource, namespace in pending.unsure:
            while resource == informer.resource:
                try:
                    newest, gone = await informer.behind(namespace)
                    break
                except errors.ApiError as error:
                    _log.debug("cannot ask what is newest", extra={"resource": resource, "error": str(error)})
                await self._clock.sleep(ASK_AGAIN)
            else:
                continue
            pending.wrote(resource, str(newest))
            pending.deleted.update((resource, o.metadata.namespace, o.metadata.name, o.metadata.uid) for o in gone)

    async def _patiently(self, key: Key, informer: "Informer[Any]", pending: Pending) -> None:
        """Returns when this cache shows the writes, however long it takes."""
        while True:
            try:
                async with timeout(self._clock, REPORT_EVERY):
                    if informer.revision < (revision := pending.revisions.get(informer.resource, 0)):
                        await informer.seen(revision)
                    for resource, namespace, name, uid in pending.deleted:
                        if informer.resource == resource and informer.get(namespace, name) is not None:
                            await informer.deleted(namespace, name, uid)
                return
            except TimeoutError:
                words = "a cache does not show what was written"
                extra = {"key": str(key), "resource": informer.resource, "seconds": REPORT_EVERY}
                _log.warning(words, extra=extra)


class _Answer(ApiStruct):
    """What there is to know of a deletion's answer, a Status or the object."""

    kind: str = ""
    metadata: Meta = msgspec.field(default_factory=Meta)
    details: meta_v1.StatusDetails | None = None


def _resource(path: str) -> tuple[str, str]:
    """The resource and the namespace of an object's path."""
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return (f"{group}/{rest[0]}" if group else rest[0]), namespace


class TrackingClient(Client):
    """A client that notes its writes for the key being reconciled."""

    async def _body(
        self, method: str, path: str, query: Query | None, body: bytes = b"", media: str | None = None
    ) -> bytes:
        try:
            return await super()._body(method, path, query, body, media)
        except Unreachable as error:
            pending = _current.get()
            if method != "GET" and error.sent and pending is not None:
                pending.unsure.add(_resource(path))
            raise

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
