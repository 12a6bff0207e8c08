"""A cache of one kind that follows the API server.

What is promised, as by client-go's shared informers:

* After `synced` the cache holds every object that matches, as of some moment not long ago; it never goes back in time.
* Handlers are told of each difference in the order in which the cache takes it, from the informer's own task, one at a
  time. Several changes to one object may come as one. A handler only notes what to do (enqueues a key): it must not
  block, and if it raises that is logged and the others go on.
* What the cache hands out is shared: it is to be read only. `decode.copy` makes a copy to change.
* `seen(revision)` is how a writer waits until the cache knows of its write.

What is not promised: that the cache is up to date with what another client was told.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from functools import cache
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec

from orlop import logging
from orlop.api import scheme
from orlop.api.selectors import LabelSelector
from orlop.client.client import Client, Event
from orlop.client.decode import Head, decode, encode
from orlop.client.watcher import Bookmark, Changes, Restarted, Synced, Watcher
from orlop.tasks import Group

_log = logging.get("client")


class Object(Protocol):
    """What a cache needs of a struct: metadata with name, namespace, uid and resource_version (`decode.Meta`)."""

    @property
    def metadata(self) -> Any: ...


T = TypeVar("T", bound=Object)
_List = list  # the name, where a class has a method `list`
Indexer = Callable[[T], Iterable[str]]
Change = Callable[[T | None, T | None], None]
RawHandler = Callable[[str, str, str, bytes], None]


class Handler(Generic[T]):
    """Told of each difference in the cache. Override what is needed."""

    def on_add(self, obj: T) -> None: ...

    def on_update(self, old: T, new: T) -> None: ...

    def on_delete(self, obj: T) -> None:
        """`obj` is the last state known, which may be older than the one that was deleted."""


class Informer(Generic[T]):
    """The cache of one kind, of what matches the selectors.

    `kind` is a struct or a projection: a struct with `__kind__` and fewer fields, which is what is then cached.
    """

    def __init__(
        self,
        client: Client,
        kind: type[T],
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        indexers: dict[str, Indexer[T]] | None = None,
    ) -> None:
        self.kind = kind
        self.resource = scheme.of(kind).resource
        self._watcher = Watcher(client, kind, namespace, labels=labels, fields=fields)
        self._selection = client, labels, fields
        self._items: dict[str, dict[str, T]] = {}
        self._count = 0
        self._indexes: dict[str, _Index[T]] = {}
        self._changes: list[Change[T]] = []
        self._raw: list[RawHandler] = []
        self._revision = 0
        self._sync = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._touched: dict[tuple[str, str], list[asyncio.Future[None]]] = {}
        self._found: set[tuple[str, str]] | None = None
        for name, indexer in (indexers or {}).items():
            self.add_indexer(name, indexer)

    # --- reading

    def get(self, namespace: str, name: str) -> T | None:
        """The object, if the cache has it. Cluster-scoped kinds have the namespace ""."""
        return self._items.get(namespace, {}).get(name)

    def list(self, namespace: str | None = None, selector: LabelSelector | None = None) -> list[T]:
        """The objects of one namespace (None: of all) whose labels match."""
        return list(self.items(namespace, selector))

    def items(self, namespace: str | None = None, selector: LabelSelector | None = None) -> Iterator[T]:
        """As `list`, without making one. The cache must not change meanwhile: no await between."""
        groups = self._items.values() if namespace is None else (self._items.get(namespace, {}),)
        for group in groups:
            if selector is None or selector.empty:
                yield from group.values()
            else:
                yield from (obj for obj in group.values() if selector.matches(obj.metadata.labels))

    def by_index(self, index: str, value: str) -> "_List[T]":
        """The objects for which the indexer gave `value`."""
        return list(self._indexes[index].of(value))

    def __len__(self) -> int:
        return self._count

    @property
    def revision(self) -> int:
        """The newest revision of the resource that the cache has taken in; 0 before the first sync."""
        return self._revision

    @property
    def resource_version(self) -> str:
        """`revision` as the API writes it."""
        return str(self._revision)

    @property
    def has_synced(self) -> bool:
        return self._sync.is_set()

    async def synced(self) -> None:
        """Returns when the cache has been filled once."""
        await self._sync.wait()

    async def seen(self, revision: int) -> None:
        """Returns when the cache has that revision of its resource or a newer one (read your own writes).

        Only for revisions that concern what the informer selects: of others it learns by bookmark, a minute later.
        """
        if self._revision >= revision:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (revision, future)
        self._waiting.append(entry)
        try:
            await future
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    async def behind(self, namespace: str) -> tuple[int, _List[T]]:
        """What the cache has to learn to be as new as the server is now: a revision to wait for (`seen`), and what it
        has of objects that are gone (`deleted`). Raises ApiError."""
        client, labels, fields = self._selection
        kind = scheme.of(self.kind)
        scope = namespace if kind.namespaced else None
        there = await client.list(_head(kind), scope, labels=labels, fields=fields)
        newest = max((int(item.metadata.resource_version) for item in there.items), default=0)
        known, at = {item.metadata.uid for item in there.items}, int(there.resource_version or 0)
        mine = self.items(scope)
        return newest, [o for o in mine if o.metadata.uid not in known and int(o.metadata.resource_version) <= at]

    async def deleted(self, namespace: str, name: str, uid: str) -> None:
        """Returns when the cache no longer has that object, or has it as being deleted."""
        while True:
            obj = self.get(namespace, name)
            if obj is None or obj.metadata.uid != uid or getattr(obj.metadata, "deletion_timestamp", "") is not None:
                return
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            waiting = self._touched.setdefault((namespace, name), [])
            waiting.append(future)
            try:
                await future
            finally:
                if future in waiting:
                    waiting.remove(future)

    # --- being told

    def add_handler(self, handler: Handler[T]) -> None:
        """Tells `handler` of what is there now (as added), then of each difference."""

        def change(old: T | None, new: T | None) -> None:
            if new is None:
                if old is not None:
                    handler.on_delete(old)
            elif old is None:
                handler.on_add(new)
            else:
                handler.on_update(old, new)

        self.on_change(change)

    def on_change(self, change: Change[T]) -> None:
        """As `add_handler`, one function of (old, new): (None, obj) for added, (obj, None) for deleted."""
        self._changes.append(change)
        for obj in self.list():
            self._call(change, None, obj)

    def add_raw_handler(self, handler: RawHandler) -> None:
        """`handler(type, namespace, name, json)` gets the objects' bytes, for the Rust cores. Add it before `run`.

        When an object is found gone after a disconnect its DELETED carries only what the cache held of it.
        """
        self._raw.append(handler)

    def add_indexer(self, name: str, indexer: Indexer[T]) -> None:
        """Adds an index; the same name again changes nothing."""
        if name not in self._indexes:
            index = self._indexes[name] = _Index(indexer)
            for obj in self.items():
                index.replace(None, obj)

    # --- following

    async def run(self) -> None:
        """Follows the server until cancelled."""
        async with aclosing(self._watcher.run()) as told:
            async for what in told:
                match what:
                    case Changes(events):
                        for event in events:
                            self._take(event)
                        if self._found is None:
                            self._reached(self._revision)
                    case Restarted():
                        self._found = set()
                    case Synced(revision):
                        self._sweep()
                        if revision < self._revision:  # the world went back: nothing waited for will come
                            self._reached(max((r for r, _ in self._waiting), default=0))
                        self._revision = revision
                        self._sync.set()
                        self._reached(revision)
                    case Bookmark(revision):
                        self._revision = max(self._revision, revision)
                        self._reached(self._revision)

    def _take(self, event: Event) -> None:
        obj = decode(self.kind, event.object)
        meta = obj.metadata
        revision = int(meta.resource_version)
        group = self._items.get(meta.namespace)
        old = group.get(meta.name) if group is not None else None
        if self._found is not None:
            self._found.add((meta.namespace, meta.name))
            if old is not None and old.metadata.resource_version == meta.resource_version:
                return
        else:
            if old is not None and int(old.metadata.resource_version) > revision:
                return
            self._revision = max(self._revision, revision)
        if event.type == "DELETED":
            if old is not None:
                self._remove(old, obj, event.object)
            return
        if old is not None and old.metadata.uid != meta.uid:  # deleted and made again while we did not look
            self._remove(old, old, None)
            old = None
        if group is None or not group:
            group = self._items.setdefault(meta.namespace, {})
        group[meta.name] = obj
        self._count += old is None
        self._tell(old, obj, event.object)

    def _remove(self, old: T, last: T, value: bytes | None) -> None:
        meta = old.metadata
        group = self._items[meta.namespace]
        del group[meta.name]
        if not group:
            del self._items[meta.namespace]
        self._count -= 1
        for index in self._indexes.values():
            index.replace(old, None)
        for raw in self._raw:
            self._call(raw, "DELETED", meta.namespace, meta.name, encode(old) if value is None else value)
        for change in self._changes:
            self._call(change, last, None)
        self._touch(meta)

    def _tell(self, old: T | None, new: T, value: bytes) -> None:
        for index in self._indexes.values():
            index.replace(old, new)
        meta = new.metadata
        for raw in self._raw:
            self._call(raw, "ADDED" if old is None else "MODIFIED", meta.namespace, meta.name, value)
        for change in self._changes:
            try:
                change(old, new)
            except Exception:
                _log.exception("a handler failed", extra={"resource": self.resource})
        self._touch(meta)

    def _touch(self, meta: Any) -> None:
        if self._touched:
            for future in self._touched.pop((meta.namespace, meta.name), ()):
                if not future.done():
                    future.set_result(None)

    def _sweep(self) -> None:
        """After a restart: what was not told of again is gone."""
        found, self._found = self._found or set(), None
        for obj in self.list():
            if (obj.metadata.namespace, obj.metadata.name) not in found:
                self._remove(obj, obj, None)

    def _reached(self, revision: int) -> None:
        if not self._waiting:
            return
        for wanted, future in self._waiting:
            if wanted <= revision and not future.done():
                future.set_result(None)
        self._waiting = [entry for entry in self._waiting if entry[0] > revision]

    def _call(self, handler: Callable[..., None], *args: object) -> None:
        try:
            handler(*args)
        except Exception:
            _log.exception("a handler failed", extra={"resource": self.resource})


@cache
def _head(kind: scheme.Kind) -> type[Head]:
    """The smallest projection of a kind."""
    return cast("type[Head]", msgspec.defstruct("Head", [], bases=(Head,), namespace={"__kind__": kind}))


class _Group(dict[tuple[str, str], T]):
    """Several objects of one value."""


class _Index(Generic[T]):
    """Objects by the values that a function gives for them. Most values have one object: it then stands for itself."""

    def __init__(self, indexer: Indexer[T]) -> None:
        self._indexer = indexer
        self._values: dict[str, T | _Group[T]] = {}

    def of(self, value: str) -> Iterable[T]:
        found = self._values.get(value)
        if found is None:
            return ()
        return found.values() if isinstance(found, _Group) else (found,)

    def replace(self, old: T | None, new: T | None) -> None:
        before = tuple(self._indexer(old)) if old is not None else ()
        after = tuple(self._indexer(new)) if new is not None else ()
        for value in before:
            if value not in after:
                self._take(value, cast(T, old))
        if new is not None:
            for value in after:
                self._put(value, new)

    def _put(self, value: str, obj: T) -> None:
        found = self._values.get(value)
        if found is None:
            self._values[value] = obj
        elif isinstance(found, _Group):
            found[_place(obj)] = obj
        elif _place(found) == _place(obj):
            self._values[value] = obj
        else:
            self._values[value] = _Group({_place(found): found, _place(obj): obj})

    def _take(self, value: str, obj: T) -> None:
        found = self._values.get(value)
        if isinstance(found, _Group):
            found.pop(_place(obj), None)
            if not found:
                del self._values[value]
        elif found is not None and _place(found) == _place(obj):
            del self._values[value]


def _place(obj: Object) -> tuple[str, str]:
    return obj.metadata.namespace, obj.metadata.name


class Informers:
    """One informer for each kind (or projection) and selection, shared by all who ask."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._informers: dict[tuple[Any, ...], Informer[Any]] = {}
        self._group: Group | None = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        """By the informer's id."""
        self._failed: asyncio.Future[None] | None = None

    def of(
        self,
        kind: type[T],
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        indexers: dict[str, Indexer[T]] | None = None,
    ) -> Informer[T]:
        """The informer; a new one is started at once when the factory runs. Indexers are added to a present one."""
        key = (kind, namespace, labels, fields)
        informer = self._informers.get(key)
        if informer is None:
            informer = Informer(self._client, kind, namespace=namespace, labels=labels, fields=fields)
            self._informers[key] = informer
            if self._group is not None:
                self._start(self._group, informer)
        for name, indexer in (indexers or {}).items():
            informer.add_indexer(name, indexer)
        return informer

    def any_of(self, kind: type[T]) -> Informer[T]:
        """A cache of everything of the kind: one that is there, whatever its projection, else one of this projection.

        For readers who ask no more than what `kind` has of what every projection has.
        """
        resource = scheme.of(kind).resource
        for (_, *selection), informer in self._informers.items():
            if informer.resource == resource and selection == [None, "", ""]:
                return informer
        return self.of(kind)

    def _start(self, group: Group, informer: Informer[Any]) -> None:
        self._tasks[id(informer)] = group.start(f"informer {informer.resource}", informer.run())

    def drop(self, kind: type[Any]) -> list[Informer[Any]]:
        """Ends all informers of the kind, which is served no more; gives them. Whoever asks later gets new ones."""
        resource = scheme.of(kind).resource
        ended = {key: informer for key, informer in self._informers.items() if informer.resource == resource}
        for key, informer in ended.items():
            del self._informers[key]
            if (task := self._tasks.pop(id(informer), None)) is not None:
                task.cancel()
        return list(ended.values())

    async def synced(self) -> None:
        """Returns when each informer asked for so far has been filled."""
        for informer in list(self._informers.values()):
            await informer.synced()

    async def run(self) -> None:
        """Runs them all until cancelled. Raises if one fails, which is a defect."""
        self._failed = asyncio.get_running_loop().create_future()
        async with Group(self._error) as group:
            self._group = group
            try:
                for informer in self._informers.values():
                    self._start(group, informer)
                await self._failed
            finally:
                self._group = None

    def _error(self, name: str, error: BaseException) -> None:
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)
