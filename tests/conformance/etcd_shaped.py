"""A store with what etcd has and without what it has not, to hold the protocol against: if this passes, etcd can.

The revision is known when the commit is answered, and is one for all of a transaction. Values are kept without it and
get it on the way out. Others write too. Followers hear of a commit after its writer does, and of progress without
changes. There is one history, so compaction is of all resources; nothing is kept about who wrote; times are those at
which this process heard of a commit.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from orlop.clock import Clock
from orlop.store.base import (
    NOBODY,
    Batch,
    Change,
    ChangeType,
    Compacted,
    Conflict,
    Counts,
    FutureRevision,
    Gauges,
    Key,
    Parts,
    Record,
    Stats,
    StoreClosed,
    Write,
)
from orlop.store.broadcast import Broadcast
from orlop.store.keys import check, check_transaction

START = 0
"""(etcd's own is 1; nothing depends on it.)"""


class Kept(NamedTuple):
    revision: int
    key: Key
    type: ChangeType
    bare: bytes
    """Without the revision."""
    place: int
    """Where it is put in."""
    previous: int
    time: float


class EtcdShapedStore:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uid = clock.uuid()
        self._log: list[Kept] = []
        self._revision = START
        self._known = START
        """What this process knows of: its own commits, and what it has heard."""
        self._heard = START
        self._compacted = 0
        self._is_open = False
        self._broadcast = Broadcast(self._after)

    async def open(self) -> None:
        self._is_open = True

    async def close(self) -> None:
        if self._is_open:
            self._tell()
            self._is_open = False
            self._broadcast.end(StoreClosed("the store is closed"))

    @property
    def uid(self) -> str:
        return self._uid

    @property
    def revision(self) -> int:
        return self._known

    @property
    def compacted(self) -> int:
        return self._compacted

    def compacted_of(self, resource: str) -> int:
        return self._compacted

    @property
    def failure(self) -> str:
        return ""

    @property
    def resources(self) -> list[str]:
        return list({kept.key.resource for kept in self._log})

    async def commit(self, write: Write) -> int:
        return (await self.commit_all([write]))[0]

    async def commit_all(self, writes: Sequence[Write]) -> list[int]:
        self._check_open()
        check_transaction(writes)
        await asyncio.sleep(0)  # over the network and back
        revision = self._put(writes) if writes else self._revision
        self._known = max(self._known, revision)
        return [revision] * len(writes)

    def elsewhere(self, write: Write) -> int:
        """A write of another API server."""
        return self._put([write])

    def _put(self, writes: Sequence[Write]) -> int:
        fresh = []
        time = max(self._clock.now(), self._log[-1].time if self._log else 0.0)
        for write in writes:
            check(write.key)
            now = self._at(write.key, self._revision)
            actual = now.revision if now else 0
            if (write.expected is not None and write.expected != actual) or (write.delete and not actual):
                raise Conflict(write.key, actual)
            kind: ChangeType = "DELETED" if write.delete else "MODIFIED" if actual else "ADDED"
            head, tail = write.parts
            fresh.append(Kept(self._revision + 1, write.key, kind, head + tail, len(head), actual, time))
        self._revision += 1
        self._log += fresh
        asyncio.get_running_loop().call_later(0.002, self._tell)
        return self._revision

    def _tell(self) -> None:
        """etcd's watch: what was committed since it last spoke, and how far that goes."""
        if self._is_open:
            changes = [self._change(kept) for kept in self._log if kept.revision > self._heard]
            self._heard = self._known = self._revision
            self._broadcast.publish(Batch(self._revision, changes))

    def progress(self) -> None:
        """etcd's progress notification: it goes on although nothing here was written."""
        self._revision += 1
        self._tell()

    @staticmethod
    def _change(kept: Kept) -> Change:
        value = Parts(kept.bare[: kept.place], kept.bare[kept.place :]).at(kept.revision)
        return Change(kept.revision, kept.key, kept.type, value, kept.previous, kept.time, NOBODY)

    def _at(self, key: Key, revision: int) -> Kept | None:
        found = next((one for one in reversed(self._log) if one.key == key and one.revision <= revision), None)
        return None if found is None or found.type == "DELETED" else found

    def _record(self, kept: Kept) -> Record:
        change = self._change(kept)
        return Record(kept.revision, kept.key, change.value, kept.time, NOBODY)

    def _snapshot(self, revision: int | None) -> int:
        self._check_open()
        if revision is None:
            return self._revision
        if revision > self._revision:
            raise FutureRevision(revision, self._revision)
        if revision < self._compacted:
            raise Compacted(revision, self._compacted)
        return revision

    async def get(self, key: Key, revision: int | None = None) -> Record | None:
        found = self._at(key, self._snapshot(revision))
        return self._record(found) if found else None

    async def range(
        self,
        resource: str | None,
        namespace: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        revision: int | None = None,
    ) -> tuple[list[Record], bool]:
        revision = self._snapshot(revision)
        keys = sorted(
            key
            for key in {kept.key for kept in self._log}
            if resource in (None, key.resource)
            and namespace in (None, key.namespace)
            and (after is None or key > after)
        )
        found = [self._record(kept) for key in keys if (kept := self._at(key, revision))]
        return found[:limit], limit is not None and len(found) > limit

    def changes(self, since: int) -> AsyncIterator[Batch]:
        return self._broadcast.follow(since)

    async def _after(self, since: int) -> Batch | None:
        self._check_open()
        if since >= self._known:
            return None
        self._snapshot(since)
        return Batch(self._known, [self._change(one) for one in self._log if since < one.revision <= self._known])

    async def compact(self, revision: int, resource: str | None = None) -> None:
        await self.compact_each(dict.fromkeys(self.resources if resource is None else [resource], revision))

    async def compact_each(self, targets: Mapping[str, int]) -> None:
        self._check_open()
        if max(targets.values(), default=0) > self._revision:
            raise FutureRevision(max(targets.values()), self._revision)
        if not set(self.resources) <= set(targets):
            return  # there is one history: it is kept as long as any resource needs it
        target = min(targets.values(), default=0)
        if target > self._compacted:
            there = {kept for key in {one.key for one in self._log} if (kept := self._at(key, target))}
            self._log = [one for one in self._log if one.revision > target or one in there]
            self._compacted = target

    async def revision_at(self, time: float) -> int:
        return max((one.revision for one in self._log if one.time <= time), default=0)

    async def revision_back(self, resource: str, changes: int, size: int | None = None) -> int:
        mine = [one for one in self._log if one.key.resource == resource and one.revision > self._compacted]
        left = len(mine) - changes
        while size is not None and left < len(mine) and sum(len(one.bare) for one in mine[max(left, 0) :]) > size:
            left = max(left, 0) + 1
        return mine[left - 1].revision if left > 0 else 0

    async def snapshot(self, path: str) -> None:
        raise NotImplementedError("etcd has its own")

    async def stats(self) -> Stats:
        objects: dict[str, int] = {}
        records: dict[str, int] = {}
        for one in self._log:
            records[one.key.resource] = records.get(one.key.resource, 0) + 1
            if self._at(one.key, self._revision) is one:
                objects[one.key.resource] = objects.get(one.key.resource, 0) + 1
        return Stats(self._revision, self._compacted, objects, records, 0, 0)

    def gauges(self) -> Gauges:
        return Gauges(self._known, self._compacted, len(self._log), 0, 0, 0, 0, 0, Counts())

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreClosed("the store is closed")
