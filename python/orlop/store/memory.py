"""A store in memory: the same promises but durability, no thread. For tests, and for clusters that last a moment."""

import asyncio
from bisect import bisect_right, insort
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from orlop.clock import Clock
from orlop.store.base import (
    Batch,
    Change,
    ChangeType,
    Compacted,
    Conflict,
    Counts,
    FutureRevision,
    Gauges,
    Key,
    Record,
    Stats,
    StoreClosed,
    Write,
)
from orlop.store.broadcast import Broadcast
from orlop.store.keys import check_transaction
from orlop.store.snapshot import write_snapshot

READ_SLICE = 1000
"""Changes that one step of a lagging follower takes from the log."""


class MemoryStore:
    """Every version in plain dictionaries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uid = clock.uuid()
        self._revision = 0
        self._time = 0.0
        self._log: dict[int, Change] = {}
        self._history: dict[Key, list[int]] = {}
        self._keys: dict[str, list[Key]] = {}
        self._times: list[tuple[float, int]] = []
        self._compacted: dict[str, int] = {}
        self._counts = Counts()
        self._open = False
        self._answers: list[tuple[asyncio.Future[list[int]], list[Change]]] = []
        self._broadcast = Broadcast(self._changes_after)

    async def open(self) -> None:
        """Again after `close` too: it has what it had."""
        if not self._open:
            self._broadcast = Broadcast(self._changes_after)
        self._open = True

    async def close(self) -> None:
        self._answer()
        self._open = False
        self._broadcast.end(StoreClosed("the store is closed"))

    @property
    def uid(self) -> str:
        return self._uid

    @property
    def revision(self) -> int:
        return self._revision

    @property
    def compacted(self) -> int:
        return max(self._compacted.values(), default=0)

    def compacted_of(self, resource: str) -> int:
        return self._compacted.get(resource, 0)

    @property
    def failure(self) -> str:
        return ""

    @property
    def resources(self) -> list[str]:
        return list(self._keys)

    async def commit(self, write: Write) -> int:
        return (await self.commit_all((write,)))[0]

    async def commit_all(self, writes: Sequence[Write]) -> list[int]:
        self._check_open()
        check_transaction(writes)
        try:
            previous = [self._expect(write) for write in writes]
        except Conflict:
            # A refusal comes on the loop's next turn too, as from any other store: who tries again until the hub
            # shows what came between must not keep the feed from showing it.
            await self._clock.sleep(0)
            raise
        self._time = max(self._time, self._clock.now())
        batch = [
            self._change(self._revision + n, write, was)
            for n, (write, was) in enumerate(zip(writes, previous, strict=True), start=1)
        ]
        for change in batch:
            self._put(change)
        if batch:
            self._times.append((self._time, self._revision))
        # Answered on the loop's next turn, all that came in this one together: the group commit of a store
        # without a disk, and followers see a batch before its writers go on.
        if not self._answers:
            asyncio.get_running_loop().call_soon(self._answer)
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._answers.append((future, batch))
        return await future

    def _expect(self, write: Write) -> int:
        current = self._at(write.key, self._revision)
        actual = current.revision if current else 0
        if (write.expected is not None and write.expected != actual) or (write.delete and not actual):
            raise Conflict(write.key, actual)
        return actual

    def _change(self, revision: int, write: Write, previous: int) -> Change:
        kind: ChangeType = "DELETED" if write.delete else "MODIFIED" if previous else "ADDED"
        return Change(revision, write.key, kind, write.parts.at(revision), previous, self._time, write.by)

    def _put(self, change: Change) -> None:
        self._revision = change.revision
        self._log[change.revision] = change
        if change.key not in self._history:
            insort(self._keys.setdefault(change.key.resource, []), change.key)
        self._counts.writes += 1
        self._history.setdefault(change.key, []).append(change.revision)

    def _answer(self) -> None:
        answers, self._answers = self._answers, []
        if batch := [change for _, changes in answers for change in changes]:
            self._counts.transactions += 1
            self._broadcast.publish(Batch(batch[-1].revision, batch))
        for future, changes in answers:
            if not future.done():
                future.set_result([change.revision for change in changes])

    async def get(self, key: Key, revision: int | None = None) -> Record | None:
        change = self._at(key, self._snapshot(key.resource, revision))
        return _record(change) if change else None

    async def range(
        self,
        resource: str | None,
        namespace: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        revision: int | None = None,
    ) -> tuple[list[Record], bool]:
        revision = self._snapshot(resource, revision)
        found: list[Record] = []
        for key in self._scan(resource, namespace, after):
            if change := self._at(key, revision):
                if limit is not None and len(found) >= limit:
                    return found, True
                found.append(_record(change))
        return found, False

    def _scan(self, resource: str | None, namespace: str | None, after: Key | None) -> Iterator[Key]:
        for name in sorted(self._keys) if resource is None else [resource]:
            keys = self._keys.get(name, [])
            for key in keys[bisect_right(keys, after) if after else 0 :]:
                if namespace is None or key.namespace == namespace:
                    yield key

    def _at(self, key: Key, revision: int) -> Change | None:
        revisions = self._history.get(key, [])
        if (index := bisect_right(revisions, revision)) == 0:
            return None
        change = self._log[revisions[index - 1]]
        return None if change.type == "DELETED" else change

    def _snapshot(self, resource: str | None, revision: int | None) -> int:
        self._check_open()
        if revision is None:
            return self._revision
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        oldest = self.compacted if resource is None else self.compacted_of(resource)
        if revision < oldest:
            raise Compacted(revision, oldest)
        return revision

    def changes(self, since: int) -> AsyncIterator[Batch]:
        return self._broadcast.follow(since)

    async def _changes_after(self, since: int) -> Batch | None:
        self._check_open()
        if since >= self._revision:
            return None
        self._snapshot(None, since)
        found = [self._log[n] for n in range(since + 1, min(self._revision, since + READ_SLICE) + 1)]
        return Batch(found[-1].revision, found)

    async def compact(self, revision: int, resource: str | None = None) -> None:
        await self.compact_each(dict.fromkeys(self.resources if resource is None else [resource], revision))

    async def compact_each(self, targets: Mapping[str, int]) -> None:
        self._check_open()
        newest = max(targets.values(), default=0)
        if newest > self._revision:
            raise FutureRevision(newest, self._revision)
        for resource, target in targets.items():
            if resource in self._keys:
                self._compact(resource, target)
        oldest = min((self.compacted_of(resource) for resource in self._keys), default=0)
        self._times = [pair for pair in self._times if pair[1] >= oldest]

    def _compact(self, resource: str, revision: int) -> None:
        if revision <= self.compacted_of(resource):
            return
        self._compacted[resource] = revision
        for key in [key for key in self._history if key.resource == resource]:
            revisions = self._history[key]
            keep = max(bisect_right(revisions, revision) - 1, 0)
            if revisions[keep] <= revision and self._log[revisions[keep]].type == "DELETED":
                keep += 1
            for old in revisions[:keep]:
                del self._log[old]
            del revisions[:keep]
            if not revisions:
                del self._history[key]
                self._keys[key.resource].remove(key)

    async def revision_at(self, time: float) -> int:
        index = bisect_right(self._times, (time, self._revision))
        return self._times[index - 1][1] if index else 0

    async def revision_back(self, resource: str, changes: int, size: int | None = None) -> int:
        for revision in sorted(self._log, reverse=True):
            change = self._log[revision]
            if change.key.resource != resource:
                continue
            if revision <= self.compacted_of(resource):
                return 0
            if changes <= 0 or (size is not None and len(change.value) > size):
                return revision
            changes -= 1
            size = size - len(change.value) if size is not None else None
        return 0

    async def snapshot(self, path: str) -> None:
        self._check_open()
        write_snapshot(path, self._uid, [self._log[revision] for revision in sorted(self._log)], self._compacted)

    async def stats(self) -> Stats:
        objects: dict[str, int] = {}
        records: dict[str, int] = {}
        for change in self._log.values():
            records[change.key.resource] = records.get(change.key.resource, 0) + 1
        for resource, keys in self._keys.items():
            if live := sum(self._at(key, self._revision) is not None for key in keys):
                objects[resource] = live
        return Stats(self._revision, self.compacted, objects, records, self._size(), 0)

    def gauges(self) -> Gauges:
        return Gauges(self._revision, self.compacted, len(self._log), self._size(), 0, 0, 0, 0, self._counts)

    def _size(self) -> int:
        return sum(len(change.value) for change in self._log.values())

    def _check_open(self) -> None:
        if not self._open:
            raise StoreClosed("the store is closed")


def _record(change: Change) -> Record:
    return Record(change.revision, change.key, change.value, change.time, change.by)
