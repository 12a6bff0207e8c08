"""A cache that never goes back: what it was told, or what its owner has written since."""

from typing import Generic, TypeVar

from orlop.client import Informer
from orlop.client.informer import Object

T = TypeVar("T", bound=Object)


class Newest(Generic[T]):
    """An informer and the answers to one's own writes that it does not show yet.

    A binding is written in four steps over two objects, and reconciles of claims and volumes cross: each must see what
    the other has written a moment ago, or it tries to repair what is only half done.
    """

    def __init__(self, informer: Informer[T]) -> None:
        self._informer = informer
        self._written: dict[tuple[str, str], T] = {}
        informer.on_change(self._changed)

    def _changed(self, old: T | None, new: T | None) -> None:
        obj = new if new is not None else old
        if obj is None:
            return
        key = (obj.metadata.namespace, obj.metadata.name)
        written = self._written.get(key)
        if written is not None and (new is None or not _is_newer(written, new)):
            del self._written[key]

    def wrote(self, obj: T) -> T:
        """Remembers what a write answered."""
        self._written[obj.metadata.namespace, obj.metadata.name] = obj
        return obj

    def get(self, namespace: str, name: str) -> T | None:
        """The object as it was last seen or written."""
        cached = self._informer.get(namespace, name)
        written = self._written.get((namespace, name))
        if written is not None and (cached is None or _is_newer(written, cached)):
            return written
        return cached


def _is_newer(a: Object, b: Object) -> bool:
    return int(a.metadata.resource_version or 0) > int(b.metadata.resource_version or 0)
