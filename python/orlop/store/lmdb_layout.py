"""The store's databases in LMDB, and what is done to them inside one transaction. No thread, no waiting.

| database | key | value |
| --- | --- | --- |
| meta | `format`, `uid`; of the newest commit `revision`, `time` | |
| resources | a resource's name | its number |
| current | index key of each object there is | its revision |
| history | index key, revision | nothing; `D` for a deletion |
| log | resource's number, revision | record |
| marks | resource's number | the oldest revision it can be read at, and how far it has been swept |
| times | commit time, microseconds since 1970; some, `TIMES_APART` | the newest revision then |

Everything is big-endian, so that it orders as numbers do. `keys` has the index keys, `record` the records,
`lmdb_sweep` the compaction, `lmdb_upgrade` the way here from older formats.
"""

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import lmdb

from orlop.store import record as records
from orlop.store.base import (
    Change,
    Compacted,
    FutureRevision,
    Key,
    Record,
    StoreCorrupt,
    StoreFormat,
)
from orlop.store.keys import RESOURCE, REVISION, SHARED, index_key, namespace_prefix, resource_prefix
from orlop.store.lmdb_upgrade import FORMAT, upgrade

if TYPE_CHECKING:
    Transaction = lmdb.Transaction
    Cursor = lmdb.Cursor

TIMES_APART = 1_000_000
"""Microseconds between entries in `times`, so that a store that is written all the time does not keep one for each
commit; from an entry on, the records' own times lead to the exact revision."""

DATABASES = 16
"""Of these and of older formats, some to spare."""

_DELETION = b"D"
_AFTER_REVISIONS = b"\x01"
"""Behind an index key: after all its revisions, whose first byte is 0, and before any longer key."""


class Prepared(NamedTuple):
    """A change as it will be stored."""

    change: Change
    number: bytes
    """Its resource's."""
    place: bytes
    """Its index key."""
    at: bytes
    """Its revision."""
    record: bytes


class Mark(NamedTuple):
    """How far a resource's history has been compacted: `oldest` can be read, up to `swept` nothing is left to do."""

    oldest: int
    swept: int


class Layout:
    """The open databases, and the numbers of resources."""

    def __init__(self, env: "lmdb.Environment", txn: "Transaction", where: str, new_uid: str | None = None) -> None:
        """Opens the databases. With `new_uid`, inside a write transaction: makes them where the environment is empty,
        and brings an older format up to date. Raises StoreFormat.
        """
        create = new_uid is not None
        if not create and not txn.stat()["entries"]:
            raise StoreFormat(f"{where} holds no store: it is empty")
        self.meta = _database(env, txn, b"meta", where, create)
        found = txn.get(b"format", db=self.meta)
        if found is not None:
            upgrade(env, txn, self.meta, int(bytes(found)), where, may=create)
        elif new_uid is not None:
            txn.put(b"format", str(FORMAT).encode(), db=self.meta)
            txn.put(b"uid", new_uid.encode(), db=self.meta)
        else:
            raise StoreFormat(f"{where} holds an LMDB environment that is not orlop's: it has no format")
        self.numbers = _database(env, txn, b"resources", where, create)
        self.current = _database(env, txn, b"current", where, create)
        self.history = _database(env, txn, b"history", where, create)
        self.log = _database(env, txn, b"log", where, create)
        self.marks = _database(env, txn, b"marks", where, create)
        self.times = _database(env, txn, b"times", where, create)
        self.databases = [self.meta, self.numbers, self.current, self.history, self.log, self.marks, self.times]
        self.uid = bytes(txn.get(b"uid", db=self.meta) or b"").decode()
        self.resources: list[str] = []
        """Names by number."""
        numbered = {int.from_bytes(number): bytes(name).decode() for name, number in txn.cursor(db=self.numbers)}
        if sorted(numbered) != list(range(len(numbered))):
            raise StoreCorrupt(f"the store in {where} is damaged: its resources are numbered {sorted(numbered)}")
        self.resources = [numbered[number] for number in range(len(numbered))]
        self._numbers = {name: number for number, name in enumerate(self.resources)}
        self._noted = 0
        """The newest of `times`, once it has been looked at."""

    # --- meta ---

    def revision(self, txn: "Transaction") -> int:
        """The newest."""
        return self._number(txn, b"revision")

    def last_time(self, txn: "Transaction") -> int:
        """Of the newest commit, microseconds since 1970."""
        return self._number(txn, b"time")

    def mark(self, txn: "Transaction", resource: str) -> Mark:
        """How far a resource's history has been compacted."""
        number = self._numbers.get(resource)
        found = txn.get(resource_prefix(number), db=self.marks) if number is not None else None
        return _mark(found) if found is not None else Mark(0, 0)

    def compacted(self, txn: "Transaction") -> dict[str, int]:
        """The oldest revision at which each resource can be read; 0 where it is not here."""
        with txn.cursor(db=self.marks) as cursor:
            return {self.resources[int.from_bytes(number)]: _mark(mark).oldest for number, mark in cursor}

    def set_mark(self, txn: "Transaction", resource: str, mark: Mark) -> None:
        """Notes how far a resource's history has been compacted."""
        value = mark.oldest.to_bytes(REVISION) + mark.swept.to_bytes(REVISION)
        txn.put(resource_prefix(self._numbers[resource]), value, db=self.marks)

    def number_of(self, resource: str) -> int | None:
        """A resource's number, if it has one."""
        return self._numbers.get(resource)

    def _number(self, txn: "Transaction", name: bytes) -> int:
        return int.from_bytes(txn.get(name, db=self.meta) or b"")

    # --- writing ---

    def locate(self, key: Key) -> bytes:
        """The key's place in the indexes; empty while its resource has no number."""
        number = self._numbers.get(key.resource)
        return index_key(number, key) if number is not None else b""

    def actual(self, txn: "Transaction", index: bytes) -> int:
        """The revision of the object at this place; 0 when there is none."""
        return int.from_bytes(txn.get(index, db=self.current) or b"") if index else 0

    def prepare(self, txn: "Transaction", change: Change, index: bytes) -> "Prepared":
        """All of a change that can be worked out before it is stored, and all that can be wrong with it."""
        number = self.intern(txn, change.key.resource)
        index = index or index_key(number, change.key)
        record = records.encode(change, number)
        return Prepared(change, index[:RESOURCE], index, change.revision.to_bytes(REVISION), record)

    def put(self, txn: "Transaction", prepared: "Prepared") -> None:
        """Stores a change. An error is LMDB's, and ends the transaction."""
        change, number, index, at, record = prepared
        txn.put(number + at, record, db=self.log)
        if change.type == "DELETED":
            txn.delete(index, db=self.current)
            txn.put(index + at, _DELETION, db=self.history)
        else:
            txn.put(index, at, db=self.current)
            txn.put(index + at, b"", db=self.history)

    def finish(self, txn: "Transaction", revision: int, time: int) -> None:
        """Ends a transaction's writes: notes the newest revision and when it was."""
        at = revision.to_bytes(REVISION)
        txn.put(b"revision", at, db=self.meta)
        txn.put(b"time", time.to_bytes(8), db=self.meta)
        if time < self._noted + TIMES_APART:
            return
        with txn.cursor(db=self.times) as cursor:
            self._noted = int.from_bytes(cursor.key()) if cursor.last() else 0
        if not self._noted or time >= self._noted + TIMES_APART:
            txn.put(time.to_bytes(8), at, db=self.times)
            self._noted = time

    def intern(self, txn: "Transaction", resource: str) -> int:
        """A resource's number, given out here where it has none."""
        number = self._numbers.get(resource)
        if number is None:
            number = len(self.resources)
            txn.put(resource.encode(), number.to_bytes(4), db=self.numbers)
            self.resources.append(resource)
            self._numbers[resource] = number
        return number

    def forget_resources(self, kept: int) -> None:
        """Takes back the numbers from `kept` on, which a transaction that failed had given out, and its time."""
        self._noted = 0
        for name in self.resources[kept:]:
            del self._numbers[name]
        del self.resources[kept:]

    # --- reading ---

    def snapshot(self, txn: "Transaction", resource: str | None, revision: int | None) -> int | None:
        """The revision to read at; None for the newest, which is read faster. Raises Compacted, FutureRevision."""
        if revision is None:
            return None
        current = self.revision(txn)
        if revision > current:
            raise FutureRevision(revision, current)
        oldest = max(self.compacted(txn).values(), default=0) if resource is None else self.mark(txn, resource).oldest
        if revision < oldest:
            raise Compacted(revision, oldest)
        return None if revision == current else revision

    def get(self, txn: "Transaction", key: Key, revision: int | None) -> Record | None:
        """The object at a revision that `snapshot` gave."""
        number = self._numbers.get(key.resource)
        if number is None:
            return None
        index = index_key(number, key)
        if revision is None:
            at = txn.get(index, db=self.current)
        else:
            with txn.cursor(db=self.history) as cursor:
                at = self._seek(cursor, index, revision)
        return None if at is None else self._load(txn, index, bytes(at))

    def _load(self, txn: "Transaction", index: bytes, at: bytes) -> Record:
        """The record that the index leads to. Raises StoreCorrupt."""
        found = txn.get(index[:RESOURCE] + at, db=self.log)
        revision = int.from_bytes(at)
        if found is None:
            raise StoreCorrupt(f"the record of revision {revision} is missing: it is that of {self.place(index)}")
        try:
            record = records.decode_record(revision, bytes(found), self.resources)
        except StoreCorrupt as error:
            raise StoreCorrupt(f"{error}: it is that of {self.place(index)}") from error
        if index_key(self._numbers[record.key.resource], record.key) != index:
            name = "/".join(record.key)
            raise StoreCorrupt(f"the index leads from {self.place(index)} to the record of {name}, revision {revision}")
        return record

    def places(
        self, txn: "Transaction", resource: str, namespace: str | None, revision: int | None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Index keys of a resource's objects at a revision that `snapshot` gave, each with its revision's bytes."""
        number = self._numbers.get(resource)
        if number is not None:
            prefix = resource_prefix(number) if namespace is None else namespace_prefix(number, namespace)
            yield from self._places(txn, prefix, prefix, revision)

    def load(self, txn: "Transaction", index: bytes, revision: int) -> Record:
        """The version of the object at an index key. Raises StoreCorrupt."""
        return self._load(txn, index, revision.to_bytes(REVISION))

    def all_versions(self, txn: "Transaction") -> Iterator[tuple[bytes, list[tuple[int, bool]]]]:
        """Every index key there is or was, with its revisions, oldest first, and whether each is a deletion."""
        place, versions = b"", list[tuple[int, bool]]()
        with txn.cursor(db=self.history) as cursor:
            for at, what in cursor:
                if at[:-REVISION] != place:
                    if versions:
                        yield place, versions
                    place, versions = bytes(at[:-REVISION]), []
                versions.append((int.from_bytes(at[-REVISION:]), what == _DELETION))
        if versions:
            yield place, versions

    def place(self, index: bytes) -> str:
        """An index key for people."""
        number = int.from_bytes(index[:RESOURCE])
        resource = self.resources[number] if number < len(self.resources) else f"resource {number}"
        namespace, _, name = index[RESOURCE:].partition(b"/")
        text = f"{namespace.decode(errors='replace')}/{name.split(bytes(1))[0].decode(errors='replace')}"
        return f"{resource} {text.removeprefix('/')}"

    def _seek(self, cursor: "Cursor", index: bytes, revision: int) -> bytes | None:
        """The object's newest version at or before a revision; None where it was deleted or not yet made."""
        found = cursor.prev() if cursor.set_range(index + (revision + 1).to_bytes(REVISION)) else cursor.last()
        if not found or cursor.key()[:-REVISION] != index or cursor.value() == _DELETION:
            return None
        return bytes(cursor.key()[-REVISION:])

    def range(
        self, txn: "Transaction", resource: str | None, namespace: str | None, after: Key | None, revision: int | None
    ) -> Iterator[Record]:
        """Objects in the order of keys, at a revision that `snapshot` gave."""
        for name in sorted(self.resources[:]) if resource is None else [resource]:
            number = self._numbers.get(name)
            if number is None or (after and name < after.resource):
                continue
            prefix = resource_prefix(number) if namespace is None else namespace_prefix(number, namespace)
            start = prefix
            if after and name == after.resource:
                start = max(start, index_key(number, after)[:SHARED])
            places = self._places(txn, prefix, start, revision)
            for record in self._in_order(txn, places):
                if not after or record.key > after:
                    yield record

    def _places(
        self, txn: "Transaction", prefix: bytes, start: bytes, revision: int | None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Index keys of the objects there are, each with its revision's bytes."""
        if revision is None:
            with txn.cursor(db=self.current) as cursor:
                if cursor.set_range(start):
                    for index, at in cursor:
                        if index[: len(prefix)] != prefix:
                            return
                        yield bytes(index), bytes(at)
            return
        with txn.cursor(db=self.history) as cursor, txn.cursor(db=self.history) as seeker:
            found = cursor.set_range(start)
            while found:
                place = bytes(cursor.key()[:-REVISION])
                if not place.startswith(prefix):
                    return
                if version := self._seek(seeker, place, revision):
                    yield place, version
                found = cursor.set_range(place + _AFTER_REVISIONS)

    def _in_order(self, txn: "Transaction", places: Iterator[tuple[bytes, bytes]]) -> Iterator[Record]:
        """The records at `places`; those with keys long enough to be cut are put in order (see `keys.SHARED`)."""
        shared: bytes | None = None
        together: list[Record] = []
        for index, at in places:
            record = self._load(txn, index, at)
            if index[:SHARED] != shared:
                yield from sorted(together, key=_key_of)
                together.clear()
                shared = index[:SHARED] if len(index) >= SHARED else None
            if shared is None:
                yield record
            else:
                together.append(record)
        yield from sorted(together, key=_key_of)

    def changes(self, txn: "Transaction", since: int, limit: int) -> list[Change]:
        """Up to `limit` changes after a revision. Raises Compacted."""
        if since >= self.revision(txn):
            return []
        self.snapshot(txn, None, since)
        found = islice(self._logs_after(txn, since), limit)
        return [records.decode_change(revision, record, self.resources) for revision, record in found]

    def _logs_after(self, txn: "Transaction", since: int) -> Iterator[tuple[int, bytes]]:
        """The records of all resources after a revision, in the order of revisions."""
        return heapq.merge(*(self.log_after(txn, number, since) for number in range(len(self.resources))))

    def log_after(self, txn: "Transaction", number: int, since: int) -> Iterator[tuple[int, bytes]]:
        """The records of one resource after a revision."""
        prefix = resource_prefix(number)
        with txn.cursor(db=self.log) as cursor:
            if cursor.set_range(prefix + (since + 1).to_bytes(REVISION)):
                for at, found in cursor:
                    if at[:RESOURCE] != prefix:
                        return
                    yield int.from_bytes(at[RESOURCE:]), bytes(found)

    def revision_at(self, txn: "Transaction", time: int) -> int:
        """The newest revision at or before a time in microseconds; 0 when none is known."""
        with txn.cursor(db=self.times) as cursor:
            found = cursor.prev() if cursor.set_range((time + 1).to_bytes(8)) else cursor.last()
            if not found:
                return 0
            newest = int.from_bytes(cursor.value())
        for revision, record in self._logs_after(txn, newest):
            if records.time(record) > time:
                break
            newest = revision
        return newest

    def revision_back(self, txn: "Transaction", resource: str, changes: int, size: int | None) -> int:
        """See `Store.revision_back`. Cheapest in a transaction with buffers: the records are not read."""
        number = self._numbers.get(resource)
        if number is None:
            return 0
        compacted = self.mark(txn, resource).oldest
        prefix = resource_prefix(number)
        with txn.cursor(db=self.log) as cursor:
            found = cursor.prev() if cursor.set_range(resource_prefix(number + 1)) else cursor.last()
            while found and cursor.key()[:RESOURCE] == prefix:
                revision = int.from_bytes(cursor.key()[RESOURCE:])
                if revision <= compacted:
                    return 0
                bulk = len(cursor.value())
                if changes <= 0 or (size is not None and bulk > size):
                    return revision
                changes -= 1
                size = size - bulk if size is not None else None
                found = cursor.prev()
        return 0


def _mark(value: "bytes | memoryview") -> Mark:
    return Mark(int.from_bytes(value[:REVISION]), int.from_bytes(value[REVISION:]))


def _database(env: "lmdb.Environment", txn: "Transaction", name: bytes, where: str, create: bool) -> Any:
    try:
        return env.open_db(name, txn=txn, create=create)
    except (lmdb.IncompatibleError, lmdb.NotFoundError) as error:
        raise StoreFormat(f"{where} holds an LMDB environment that is not orlop's: {error}") from error


def _key_of(record: Record) -> Key:
    return record.key
