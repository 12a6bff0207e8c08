"""The one door from the store to the hub: every event anyone sees has come through here."""

import asyncio
import heapq
from collections.abc import Sequence
from itertools import groupby

from orlop.native import Hub
from orlop.store.base import Key, Store, StoreClosed, StoreError, Write

LOAD_SLICE = 1000
"""Objects read from the store at a time at the start: some milliseconds of a thread, a few megabytes."""

_TYPES = {"ADDED": 1, "MODIFIED": 2, "DELETED": 3}


class Feed:
    """Loads the hub from the store, then carries every committed batch over.

    Writes go through the feed's `commit`: it answers when the hub has the write, so that whoever has been answered
    finds it in every list and watch, whichever store there is.
    """

    def __init__(self, store: Store, hub: Hub) -> None:
        self._store = store
        self._hub = hub
        self._loaded: int | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._ended = False
        self.broken = asyncio.Event()
        """Set when a write was refused because the store takes no more until it is opened again."""

    async def load(self) -> None:
        """Gives the hub every object as of now. Once, before `run`."""
        revision = self._store.revision
        after: Key | None = None
        more = True
        while more:
            records, more = await self._store.range(None, after=after, limit=LOAD_SLICE, revision=revision)
            for resource, found in groupby(records, key=lambda record: record.key.resource):
                items = [(r.key.namespace, r.key.name, r.revision, r.value) for r in found]
                self._hub.load(resource, items)
            after = records[-1].key if records else None
        self._hub.start(revision)
        self._loaded = revision

    async def run(self) -> None:
        """Carries batches until it is cancelled or the store closes (StoreClosed)."""
        if self._loaded is None:
            raise RuntimeError("load the feed before it runs")
        try:
            async for batch in self._store.changes(self._loaded):
                if batch.changes:
                    self._hub.apply([(*c.key, c.revision, _TYPES[c.type], c.value) for c in batch.changes])
                self._loaded = batch.revision
                while self._waiting and self._waiting[0][0] <= self._loaded:
                    future = heapq.heappop(self._waiting)[2]
                    if not future.done():
                        future.set_result(None)
        finally:
            self._ended = True
            for _, _, future in self._waiting:
                if not future.done():
                    future.set_exception(StoreClosed("the write is stored, but the feed to the watches has ended"))
            self._waiting.clear()

    async def commit(self, write: Write) -> int:
        """As `Store.commit`, and the hub has it."""
        try:
            revision = await self._store.commit(write)
        except StoreError:
            self._look()
            raise
        if self._loaded is None or self._loaded < revision:  # mostly the hub has it: followers are handed batches first
            await self.reached(revision)
        return revision

    async def commit_all(self, writes: Sequence[Write]) -> list[int]:
        """As `Store.commit_all`, and the hub has them."""
        try:
            revisions = await self._store.commit_all(writes)
        except StoreError:
            self._look()
            raise
        if revisions:
            await self.reached(revisions[-1])
        return revisions

    def _look(self) -> None:
        if self._store.failure:
            self.broken.set()

    async def reached(self, revision: int) -> None:
        """Returns when the hub has everything up to `revision`. Raises StoreClosed if that will not be."""
        if self._loaded is not None and self._loaded >= revision:
            return
        if self._ended:
            raise StoreClosed("the feed to the watches has ended")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (revision, self._count, future))
        await future


class Waker:
    """Wakes the tasks whose watchers have something, on the event loop it is made on."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._bells: dict[int, asyncio.Event] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(hub.fileno(), self._ring)

    def _ring(self) -> None:
        for watcher in self._hub.ready():
            if bell := self._bells.get(watcher):
                bell.set()

    async def wait(self, watcher: int) -> None:
        """Returns when the watcher of this id has something to take, and the first time at once.

        There may turn out to be nothing. Pair it with `forget`.
        """
        bell = self._bells.get(watcher)
        if bell is None:
            # What rang before it was known here would be missed: let the caller look.
            self._bells[watcher] = asyncio.Event()
            return
        await bell.wait()
        bell.clear()

    def ring(self, watcher: int) -> None:
        """Wakes the watcher's task for another reason: its watch is to end."""
        if bell := self._bells.get(watcher):
            bell.set()

    def ring_all(self) -> None:
        """Wakes every watcher's task: the server stops."""
        for bell in self._bells.values():
            bell.set()

    def forget(self, watcher: int) -> None:
        """The watcher is gone."""
        self._bells.pop(watcher, None)

    def close(self) -> None:
        """Wakes nobody any more."""
        self._loop.remove_reader(self._hub.fileno())
        self._bells.clear()
