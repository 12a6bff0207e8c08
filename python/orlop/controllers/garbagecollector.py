"""Objects whose owners are gone go too. Upstream: pkg/controller/garbagecollector.

Upstream keeps a graph beside its caches; here the caches are the graph: each has an index of its objects by uid and by
their owners' uids, so the dependents of an object are a look-up in every cache. What the caches say is only a reason
to look: before anything is deleted the object and its owners are read from the server.

A key names one object of any kind: `Key(namespace, "apps/replicasets/web-1")`, or, without a name, a kind whose cache
has just begun to fill: `Key("", "example.com/widgets/")`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.client import Informer
from orlop.control import Builder, Controller, Key, Result
from orlop.controllers.customkinds import FILLING_SECONDS, CustomKinds
from orlop.controllers.views import Owned, owned

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
IGNORED = frozenset({"events", "events.k8s.io/events"})
"""Resources that own nothing and are not worth watching."""
WORKERS = 20
MAX_ABSENT = 500
"""Owners known to be gone: their many dependents need not each ask. A uid never comes back."""
LOOK_AGAIN = 0.5
"""Seconds between two looks at whether a cache is filled."""
_NEEDED_VERBS = {"delete", "list", "watch", "get", "patch"}
_BY_UID = "uid"
_BY_OWNER = "owner-uid"


class _Node(NamedTuple):
    """An object and the kind it is of."""

    kind: Kind
    meta: Any

    @property
    def key(self) -> Key:
        return Key(self.meta.namespace, f"{self.kind.resource}/{self.meta.name}")

    @property
    def waits_for_dependents(self) -> bool:
        return _waits(self.meta)


class GarbageCollector(Controller):
    """Deletes what nobody owns any more, and does what a deletion's propagation policy asks."""

    name = "garbage-collector-controller"
    account = "generic-garbage-collector"

    def setup(self, builder: Builder) -> None:
        self._caches: list[tuple[Kind, Informer[Any]]] = []
        self._cache_of: dict[str, Informer[Any]] = {}
        self._absent: dict[str, None] = {}
        self._prepared = False
        builder.workers(WORKERS)
        for kind in scheme.KINDS:
            if kind.resource in IGNORED or not set(kind.verbs) >= _NEEDED_VERBS or kind.storage:
                continue
            self._follow(kind, builder.share(owned(kind)))
        self._filling: dict[str, float] = {}
        """Custom resources whose cache is not filled, and until when (monotonic) that is waited for."""
        self._past: dict[str, Kind] = {}
        """Custom resources whose definition has gone, and they with it: what names one as its owner has none."""
        self._custom = CustomKinds(builder, added=self._added, dropped=self._dropped)

    def _follow(self, kind: Kind, cache: Informer[Any]) -> None:
        cache.add_indexer(_BY_UID, _uid)
        cache.add_indexer(_BY_OWNER, _owners)
        self._caches.append((kind, cache))
        self._cache_of[kind.resource] = cache
        cache.on_change(lambda old, new: self._changed(kind, old, new))

    def _added(self, kind: Kind, cache: Informer[Any]) -> None:
        self._follow(kind, cache)
        self._filling[kind.resource] = self.context.clock.monotonic() + FILLING_SECONDS
        self.context.enqueue(Key("", f"{kind.resource}/"), 0)

    def _dropped(self, kind: Kind, gone: bool) -> None:
        self._caches = [(known, cache) for known, cache in self._caches if known != kind]
        self._cache_of.pop(kind.resource, None)
        self._filling.pop(kind.resource, None)
        if gone:
            self._past[kind.resource] = kind
            if len(self._past) > MAX_ABSENT:
                del self._past[next(iter(self._past))]
            self._look_at_owned_by(kind)

    async def prepare(self) -> None:
        """All caches are filled: whatever they show that is not in order is looked at."""
        self._prepared = True
        for kind, cache in self._caches:
            for obj in cache.items():
                self._appeared(_Node(kind, obj.metadata))

    def _filled(self, kind: Kind) -> Result | None:
        """Of a kind that was not known before, owners may be gone: what names one that is not there is looked at."""
        if not self._cache_of[kind.resource].has_synced:
            return Result(requeue_after=LOOK_AGAIN)
        self._filling.pop(kind.resource, None)
        self._look_at_owned_by(kind)
        return None

    def _look_at_owned_by(self, kind: Kind) -> None:
        for other, cache in self._caches:
            for obj in cache.items():
                if any(self._kind_of(ref) == kind for ref in obj.metadata.owner_references):
                    self._appeared(_Node(other, obj.metadata))

    # --- what the caches tell

    def _changed(self, kind: Kind, old: Any, new: Any) -> None:
        if not self._prepared:
            return
        if new is None:
            self._gone(_Node(kind, old.metadata))
        elif old is None:
            self._appeared(_Node(kind, new.metadata))
        else:
            self._moved(_Node(kind, old.metadata), _Node(kind, new.metadata))

    def _appeared(self, node: _Node) -> None:
        if node.meta.deletion_timestamp is not None:
            self._moved(None, node)
        elif any(self._cached_owner(node, ref) is None for ref in node.meta.owner_references):
            self._look_at(node)

    def _gone(self, node: _Node) -> None:
        for dependent in self._dependents(node.meta.uid):
            self._look_at(dependent)
        self._look_at_waiting_owners(node, node.meta.owner_references)

    def _moved(self, old: _Node | None, new: _Node) -> None:
        if _has_policy(new.meta) and (old is None or not _has_policy(old.meta)):
            self._look_at(new)
            if new.waits_for_dependents:
                for dependent in self._dependents(new.meta.uid):
                    self._look_at(dependent)
        if old is not None and old.meta.owner_references != new.meta.owner_references:
            blocking = {ref.uid for ref in new.meta.owner_references if ref.block_owner_deletion}
            self._look_at_waiting_owners(new, [ref for ref in old.meta.owner_references if ref.uid not in blocking])
            self._appeared(new)

    def _look_at_waiting_owners(self, node: _Node, refs: list[meta_v1.OwnerReference]) -> None:
        for ref in refs:
            owner = self._cached_owner(node, ref)
            if owner is not None and owner.waits_for_dependents:
                self._look_at(owner)

    def _look_at(self, node: _Node) -> None:
        self.context.enqueue(node.key, 0)

    def _cached_owner(self, node: _Node, ref: meta_v1.OwnerReference) -> _Node | None:
        """The owner, if the cache of its kind has it where the reference says."""
        kind = self._kind_of(ref)
        cache = self._cache_of.get(kind.resource) if kind is not None else None
        if kind is None or cache is None:
            return None
        owner = cache.get(node.meta.namespace if kind.namespaced else "", ref.name)
        return _Node(kind, owner.metadata) if owner is not None and owner.metadata.uid == ref.uid else None

    def _kind_of(self, ref: meta_v1.OwnerReference) -> Kind | None:
        """The kind that a reference names, by whichever version."""
        if (kind := scheme.by_kind(ref.api_version, ref.kind)) is not None:
            return kind
        group = ref.api_version.rpartition("/")[0]
        known = (*scheme.KINDS, *self._custom, *self._past.values())
        return next((kind for kind in known if kind.group == group and kind.kind == ref.kind), None)

    def _find(self, uid: str) -> _Node | None:
        for kind, cache in self._caches:
            for obj in cache.by_index(_BY_UID, uid):
                return _Node(kind, obj.metadata)
        return None

    def _dependents(self, uid: str) -> Iterator[_Node]:
        for kind, cache in self._caches:
            for obj in cache.by_index(_BY_OWNER, uid):
                yield _Node(kind, obj.metadata)

    # --- one object

    async def reconcile(self, key: Key) -> Result | None:
        resource, _, name = key.name.rpartition("/")
        kind = next((k for k, _ in self._caches if k.resource == resource), None)
        if kind is None:
            return None
        if not name:
            return self._filled(kind)
        if any(until > self.context.clock.monotonic() for until in self._filling.values()):
            return Result(requeue_after=LOOK_AGAIN)  # dependents are missing
        try:
            obj = await self.context.client.get(owned(kind), name, key.namespace or None)
        except errors.NotFound:
            return None
        node = _Node(kind, obj.metadata)
        if node.meta.deletion_timestamp is not None:
            if ORPHAN in node.meta.finalizers:
                await self._orphan(node)
            elif node.waits_for_dependents:
                await self._delete_dependents(node)
        elif node.meta.owner_references:
            await self._judge(node)
        return None

    async def _judge(self, node: _Node) -> None:
        """Deletes the object unless an owner keeps it; takes off references to owners that do not."""
        solid, absent, waiting = [], [], []
        for ref in node.meta.owner_references:
            owner = await self._owner(node, ref)
            if owner is None:
                absent.append(ref)
            elif _waits(owner.metadata):
                waiting.append(ref)
            else:
                solid.append(ref)
        if solid:
            if absent or waiting:
                await self._drop_references(node, absent + waiting)
            return
        dependents = list(self._dependents(node.meta.uid))
        if waiting and dependents:
            if any(dependent.waits_for_dependents for dependent in dependents):
                # A circle: if this object blocked its owner as well, neither would ever go.
                await self._unblock(node)
            await self._delete(node, "Foreground")
        elif ORPHAN in node.meta.finalizers:
            await self._delete(node, "Orphan")
        elif FOREGROUND in node.meta.finalizers:
            await self._delete(node, "Foreground")
        else:
            await self._delete(node, "Background")

    async def _owner(self, node: _Node, ref: meta_v1.OwnerReference) -> Any:
        """The owner as the server has it; None if it is gone. One of a kind that is not known here counts as there."""
        kind = self._kind_of(ref)
        if kind is None:
            self.context.log.debug("owner of an unknown kind", extra={"key": str(node.key), "kind": ref.kind})
            return _UNKNOWN
        if kind.namespaced and not node.meta.namespace:
            message = f'ownerRef {_shown(ref, node.meta.namespace)} does not exist in namespace "{node.meta.namespace}"'
            self._event(node, "OwnerRefInvalidNamespace", message)
            return _UNKNOWN  # a cluster-scoped object cannot be owned by one in a namespace: leave it alone
        if ref.uid in self._absent:
            return None
        try:
            owner = await self.context.client.get(
                owned(kind), ref.name, node.meta.namespace if kind.namespaced else None
            )
        except errors.NotFound:
            owner = None
        if owner is not None and owner.metadata.uid == ref.uid:
            return owner
        self._absent[ref.uid] = None
        if len(self._absent) > MAX_ABSENT:
            del self._absent[next(iter(self._absent))]
        elsewhere = self._find(ref.uid)
        if elsewhere is not None and elsewhere.meta.namespace not in ("", node.meta.namespace):
            message = f'ownerRef {_shown(ref, node.meta.namespace)} does not exist in namespace "{node.meta.namespace}"'
            self._event(node, "OwnerRefInvalidNamespace", message)
        return None

    async def _delete(self, node: _Node, propagation: Any) -> None:
        meta = node.meta
        self.context.log.debug("deleting", extra={"key": str(node.key), "propagation": propagation})
        try:
            await self.context.client.delete(
                node.kind,
                meta.name,
                meta.namespace or None,
                uid=meta.uid,
                resource_version=meta.resource_version,
                propagation=propagation,
            )
        except errors.NotFound:
            return

    async def _delete_dependents(self, node: _Node) -> None:
        """Foreground: when no dependent blocks any more the finalizer comes off, and the object goes."""
        blocking = [
            dependent
            for dependent in self._dependents(node.meta.uid)
            if any(ref.uid == node.meta.uid and ref.block_owner_deletion for ref in dependent.meta.owner_references)
        ]
        if not blocking:
            await self._remove_finalizer(node, FOREGROUND)
        for dependent in blocking:
            if not dependent.waits_for_dependents:
                self._look_at(dependent)

    async def _orphan(self, node: _Node) -> None:
        """Orphan: the dependents forget their owner, then the finalizer comes off."""
        for dependent in list(self._dependents(node.meta.uid)):
            gone = [ref for ref in dependent.meta.owner_references if ref.uid == node.meta.uid]
            await self._drop_references(dependent, gone)
        await self._remove_finalizer(node, ORPHAN)

    # --- patches, each only of the object that was looked at

    async def _drop_references(self, node: _Node, refs: list[meta_v1.OwnerReference]) -> None:
        doomed = {ref.uid for ref in refs}
        kept = [ref for ref in node.meta.owner_references if ref.uid not in doomed]
        await self._patch(node, {"ownerReferences": kept})

    async def _unblock(self, node: _Node) -> None:
        refs = [msgspec.structs.replace(ref, block_owner_deletion=False) for ref in node.meta.owner_references]
        patched = await self._patch(node, {"ownerReferences": refs})
        if patched is not None:
            node.meta.resource_version = patched.metadata.resource_version

    async def _remove_finalizer(self, node: _Node, finalizer: str) -> None:
        await self._patch(node, {"finalizers": [name for name in node.meta.finalizers if name != finalizer]})

    async def _patch(self, node: _Node, change: dict[str, Any]) -> Owned | None:
        """Conflict (raised, and tried again) if the object is no longer what was looked at."""
        meta = node.meta
        patch = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resource_version, **change}}
        try:
            return await self.context.client.patch(owned(node.kind), meta.name, meta.namespace or None, patch)
        except errors.NotFound:
            return None

    def _event(self, node: _Node, reason: str, message: str) -> None:
        self.context.recorder.event(owned(node.kind)(metadata=node.meta), "Warning", reason, message)


_UNKNOWN = Owned()
"""Stands for an owner that cannot be judged, and so keeps what it owns."""


def _has_policy(meta: Any) -> bool:
    """Whether the object is being deleted in a way that concerns its dependents."""
    return meta.deletion_timestamp is not None and (FOREGROUND in meta.finalizers or ORPHAN in meta.finalizers)


def _waits(meta: Any) -> bool:
    """Whether a foreground deletion waits for the dependents to go."""
    return meta.deletion_timestamp is not None and FOREGROUND in meta.finalizers


def _uid(obj: Any) -> list[str]:
    return [obj.metadata.uid]


def _owners(obj: Any) -> list[str]:
    return [ref.uid for ref in obj.metadata.owner_references]


def _shown(ref: meta_v1.OwnerReference, namespace: str) -> str:
    return f"[{ref.api_version}/{ref.kind}, namespace: {namespace}, name: {ref.name}, uid: {ref.uid}]"
