"""How a controller says what it reconciles: `for_`, `owns` and `watches` read as a sentence.

Each gives the informer, to read from in `reconcile`; handlers only enqueue keys.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from orlop.api import scheme
from orlop.client.informer import Indexer, Informer, Informers, Object
from orlop.control.controller import Key, key_of
from orlop.control.owners import controller_of

T = TypeVar("T", bound=Object)
Changed = Callable[[T, T], bool]
Map = Callable[[T], Iterable[Key]]

WORKERS = 5
"""Keys in work at a time, upstream's --concurrent-*-syncs."""


class Builder:
    """Collects what one controller asks for."""

    def __init__(self, informers: Informers, enqueue: Callable[[Key, bool], None]) -> None:
        self._informers = informers
        self._enqueue = enqueue
        self._for: Any = None
        self.asked: list[Informer[Any]] = []
        """Every informer asked for: the controller starts when these are filled."""
        self.concurrency = WORKERS

    def for_(self, kind: type[T], *, changed: Changed[T] | None = None, **options: Any) -> Informer[T]:
        """The kind that is reconciled: each event enqueues the object's own key.

        `changed(old, new)` false leaves an update out. `options` are `informer`'s.
        """
        self._for = scheme.of(kind)
        return self.watches(kind, lambda obj: (key_of(obj),), changed=changed, **options)

    def owns(self, kind: type[T], *, changed: Changed[T] | None = None, **options: Any) -> Informer[T]:
        """A kind whose objects are controlled by the kind of `for_`: each event enqueues the controller's key.

        Short for `watches` with a map from the controller reference.
        """
        if self._for is None:
            raise TypeError("owns() follows for_(): it needs the owner's kind")
        owner = self._for

        def to_owner(obj: T) -> Iterable[Key]:
            ref = controller_of(obj)
            if ref is not None and ref.kind == owner.kind and ref.api_version.rpartition("/")[0] == owner.group:
                yield Key(obj.metadata.namespace if owner.namespaced else "", ref.name)

        return self.watches(kind, to_owner, changed=changed, **options)

    def watches(self, kind: type[T], map_: Map[T], *, changed: Changed[T] | None = None, **options: Any) -> Informer[T]:
        """A kind whose events enqueue the keys that `map_` gives; an update those of the old and of the new state."""
        informer = self.informer(kind, **options)

        def change(old: T | None, new: T | None) -> None:
            if old is not None and new is not None and changed is not None and not changed(old, new):
                return
            keys = tuple(map_(new)) if new is not None else ()
            if old is not None and (before := tuple(map_(old))) != keys:
                keys = (*dict.fromkeys((*before, *keys)),)
            if keys:
                patient = not informer.has_synced  # found there, not changed
                for key in keys:
                    self._enqueue(key, patient)

        informer.on_change(change)
        return informer

    def informer(
        self,
        kind: type[T],
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
        indexers: dict[str, Indexer[T]] | None = None,
    ) -> Informer[T]:
        """A kind that is only read."""
        informer = self._informers.of(kind, namespace=namespace, labels=labels, fields=fields, indexers=indexers)
        if informer not in self.asked:
            self.asked.append(informer)
        return informer

    def share(self, kind: type[T], *, indexers: dict[str, Indexer[T]] | None = None) -> Informer[T]:
        """A kind that is only read, from any cache of all of it that there is (`Informers.any_of`)."""
        informer = self._informers.any_of(kind)
        for name, indexer in (indexers or {}).items():
            informer.add_indexer(name, indexer)
        if informer not in self.asked:
            self.asked.append(informer)
        return informer

    def drop(self, kind: type[Any]) -> None:
        """A kind that is served no more: its cache ends, for all who share it."""
        for informer in self._informers.drop(kind):
            if informer in self.asked:
                self.asked.remove(informer)

    def workers(self, count: int) -> "Builder":
        """How many keys may be in work at a time."""
        self.concurrency = count
        return self
