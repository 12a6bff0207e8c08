"""What there really is in a simulated world: read from the store itself, past the server and all that befalls it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import msgspec

from orlop.api import scheme
from orlop.store.base import Change, StoreClosed
from orlop.testing.server import Server

T = TypeVar("T")


class Kept(Generic[T]):
    """All objects of a kind, as they are now."""

    def __init__(self, kind: type[T]) -> None:
        self.resource = scheme.of(kind).resource
        self._decoder = msgspec.json.Decoder(kind)
        self._items: dict[str, dict[str, T]] = {}
        self._listeners: list[Callable[[T | None, T | None], None]] = []

    def on_change(self, listener: Callable[[T | None, T | None], None]) -> None:
        """`listener(old, new)` is told of each change, in order."""
        self._listeners.append(listener)

    def get(self, namespace: str, name: str) -> T | None:
        return self._items.get(namespace, {}).get(name)

    def items(self, namespace: str | None = None) -> Iterator[T]:
        """Of one namespace, or of all."""
        groups = self._items.values() if namespace is None else (self._items.get(namespace, {}),)
        for group in groups:
            yield from group.values()

    def take(self, change: Change) -> None:
        group = self._items.setdefault(change.key.namespace, {})
        old, new = group.pop(change.key.name, None), None
        if change.type != "DELETED":
            new = group[change.key.name] = self._decoder.decode(change.value)
        for listener in self._listeners:
            listener(old, new)


class Truth:
    """The kinds that are looked at."""

    def __init__(self, server: Server, *kinds: type[Any]) -> None:
        self._server = server
        self._kept: dict[str, Kept[Any]] = {kept.resource: kept for kept in map(Kept, kinds)}
        self.news = asyncio.Event()

    def of(self, kind: type[T]) -> Kept[T]:
        return self._kept[scheme.of(kind).resource]

    async def run(self) -> None:
        """Follows the store through all lives of the server."""
        revision = 0
        while True:
            await self._server.running()
            try:
                async for batch in self._server.store.changes(revision):
                    revision = batch.revision
                    for change in batch.changes:
                        if (kept := self._kept.get(change.key.resource)) is not None:
                            kept.take(change)
                            self.news.set()
            except StoreClosed:
                await asyncio.sleep(0)  # noqa: TID251  # a turn: the server is being ended
