"""The store's databases in LMDB, and what is done to them inside one transaction. No thread, no waiting.

| database | key | value |
| --- | --- | --- |
| meta | `format`, `uid`; of the newest commit `revision`, `time`; `compacted.<history>`, `swept.<history>` | |
| resources | a resource's name | its number |
| current | index key of each object there is | its revision |
| history | index key, revision | nothing; `D` for a deletion |
| log.main, log.leases, log.events | revision | record |
| times | commit time, microseconds since 1970; some, `TIMES_APART` | the newest revision then |

Everything is big-endian, so that it orders as numbers do. `keys` has the index keys, `record` the records.
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
from orlop.store.histories import HISTORIES, MAIN, histories_of, history_of
from orlop.store.keys import REVISION, SHARED, index_key, namespace_prefix, resource_prefix

if TYPE_CHECKING:
    Transaction = lmdb.Transaction
    Cursor = lmdb.Cursor

FORMAT = 1
"""Of the store as a whole. A newer one is refused."""

TIMES_APART = 1_000_000
"""Microseconds between entries in `times`, so that a store that is written all the time does not keep one for each
commit; from an entry on, the records' own times lead to the exact revision."""

DATABASES = 5 + len(HISTORIES)

_DELETION = b"D"
_AFTER_REVISIONS = b"\x01"
"""Behind an index key: after all its revisions, whose first byte is 0, and before any longer key."""


class Prepared(NamedTuple):
    """A change as it will be stored."""

    change: Change
    place: bytes
    """Its index key."""
    at: bytes
    """Its revision."""
    record: bytes


class Layout:
    """The open databases, and the numbers of resources."""

    def __init__(self, env: "lmdb.Environment", txn: "Transaction", new_uid: str, where: str) -> None:
        """Opens the databases inside a write transaction, making them where the environment is empty.

        Raises StoreFormat.
        """
        self._meta = _database(env, txn, b"meta", where)
        found = txn.get(b"format", db=self._meta)
        if found is not None and int(found) > FORMAT:
            raise StoreFormat(
                f"the store in {where} has format {int(found)}, and this version of orlop knows formats up to "
                f"{FORMAT}: use the version of orlop that wrote it, or a newer one"
            )
        if found is None:
            txn.put(b"format", str(FORMAT).encode(), db=self._meta)
            txn.put(b"uid", new_uid.encode(), db=self._meta)
        self._resources = _database(env, txn, b"resources", where)
        self._current = _database(env, txn, b"current", where)
        self._history = _database(env, txn, b"history", where)
        self._times = _database(env, txn, b"times", where)
        self._logs = {name: _database(env, txn, b"log." + name.encode(), where) for name in HISTORIES}
        self.uid = bytes(txn.get(b"uid", db=self._meta) or b"").decode()
        self.resources: list[str] = []
        """Names by number."""
        numbered = {int.from_bytes(number): bytes(name).decode() for name, number in txn.cursor(db=self._resources)}
        self.resources = [numbered[number] for number in range(len(numbered))]
        self._numbers = {name: number for number, name in enumerate(self.resources)}

    # --- meta ---

    def revision(self, txn: "Transaction") -> int:
        """The newest."""
        return self._number(txn, b"revision")

    def compacted(self, txn: "Transaction", history: str) -> int:
        """The oldest revision at which the history can be read."""
        return self._number(txn, b"compacted." + history.encode())

    def last_time(self, txn: "Transaction") -> int:
        """Of the newest commit, microseconds since 1970."""
        return self._number(txn, b"time")

    def _number(self, txn: "Transaction", name: bytes) -> int:
        return int.from_bytes(txn.get(name, db=self._meta) or b"")

    # --- writing ---

    def actual(self, txn: "Transaction", key: Key) -> int:
        """The revision the object is at; 0 when there is none."""
        number = self._numbers.get(key.resource)
        if number is None:
            return 0
        return int.from_bytes(txn.get(index_key(number, key), db=self._current) or b"")

    def prepare(self, txn: "Transaction", change: Change) -> "Prepared":
        """All of a change that can be worked out before it is stored, and all that can be wrong with it."""
        number = self._intern(txn, change.key.resource)
        index = index_key(number, change.key)
        return Prepared(change, index, change.revision.to_bytes(REVISION), records.encode(change, number))

    def put(self, txn: "Transaction", prepared: "Prepared") -> None:
        """Stores a change. An error is LMDB's, and ends the transaction."""
        change, index, at, record = prepared
        txn.put(at, record, db=self._logs[history_of(change.key.resource)], append=True)
        if change.type == "DELETED":
            txn.delete(index, db=self._current)
            txn.put(index + at, _DELETION, db=self._history)
        else:
            txn.put(index, at, db=self._current)
            txn.put(index + at, b"", db=self._history)

    def finish(self, txn: "Transaction", revision: int, time: int) -> None:
        """Ends a transaction's writes: notes the newest revision and when it was."""
        at = revision.to_bytes(REVISION)
        txn.put(b"revision", at, db=self._meta)
        txn.put(b"time", time.to_bytes(8), db=self._meta)
        with txn.cursor(db=self._times) as cursor:
            if not cursor.last() or time >= int.from_bytes(cursor.key()) + TIMES_APART:
                txn.put(time.to_bytes(8), at, db=self._times)

    def restore_compacted(self, txn: "Transaction", history: str, revision: int) -> None:
        """Notes that a history restored here begins at `revision`."""
        for name in (b"compacted.", b"swept."):
            txn.put(name + history.encode(), revision.to_bytes(REVISION), db=self._meta)

    def _intern(self, txn: "Transaction", resource: str) -> int:
        number = self._numbers.get(resource)
        if number is None:
            number = len(self.resources)
            txn.put(resource.encode(), number.to_bytes(4), db=self._resources)
            self.resources.append(resource)
            self._numbers[resource] = number
        return number

    def forget_resources(self, kept: int) -> None:
        """Takes back the numbers from `kept` on, which a transaction that failed had given out."""
        for name in self.resources[kept:]:
            del self._numbers[name]
        del self.resources[kept:]

    # --- compaction ---

    def sweep(self, txn: "Transaction", history: str, target: int, limit: int) -> bool:
        """One slice of compacting a history to `target`: looks at up to `limit` records. True when it is done.

        From the first slice on, reads before `target` are refused, so what a slice leaves behind is never seen.
        Each record names its predecessor: a record at or before the target makes its predecessor unreadable, and a
        deletion itself too. So every record is looked at once, and a store that was stopped goes on where it was.
        """
        compacted = self.compacted(txn, history)
        target = max(target, compacted)
        if target > compacted:
            txn.put(b"compacted." + history.encode(), target.to_bytes(REVISION), db=self._meta)
        swept = self._number(txn, b"swept." + history.encode())
        log = self._logs[history]
        done = True
        with txn.cursor(db=log) as cursor:
            found = cursor.set_range((swept + 1).to_bytes(REVISION))
            while found:
                revision = int.from_bytes(cursor.key())
                if revision > target:
                    break
                if limit == 0:
                    done = False
                    break
                limit -= 1
                header = records.header(revision, bytes(cursor.value()))
                index = index_key(header.resource, Key(self.resources[header.resource], header.namespace, header.name))
                if header.previous:
                    at = header.previous.to_bytes(REVISION)
                    txn.delete(at, db=log)
                    txn.delete(index + at, db=self._history)
                if header.type == records.DELETED:
                    at = revision.to_bytes(REVISION)
                    txn.delete(at, db=log)
                    txn.delete(index + at, db=self._history)
                swept = revision
                found = cursor.set_range((swept + 1).to_bytes(REVISION))
        if done:
            swept = target
        txn.put(b"swept." + history.encode(), swept.to_bytes(REVISION), db=self._meta)
        return (not self._sweep_times(txn, target, limit) if history == MAIN else True) and done

    def _sweep_times(self, txn: "Transaction", target: int, limit: int) -> bool:
        """Forgets times of revisions before the target. True when more are left."""
        with txn.cursor(db=self._times) as cursor:
            # The last one before the target stays: what came soon after it is found from there.
            while cursor.first() and cursor.next() and int.from_bytes(cursor.value()) <= target:
                if limit <= 0:
                    return True
                limit -= 1
                cursor.first()
                cursor.delete()
        return False

    # --- reading ---

    def snapshot(self, txn: "Transaction", resource: str | None, revision: int | None) -> int | None:
        """The revision to read at; None for the newest, which is read faster. Raises Compacted, FutureRevision."""
        if revision is None:
            return None
        current = self.revision(txn)
        if revision > current:
            raise FutureRevision(revision, current)
        oldest = max(self.compacted(txn, history) for history in histories_of(resource))
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
            at = txn.get(index, db=self._current)
        else:
            with txn.cursor(db=self._history) as cursor:
                at = self._seek(cursor, index, revision)
        return None if at is None else self._load(txn, key.resource, bytes(at))

    def _load(self, txn: "Transaction", resource: str, at: bytes) -> Record:
        found = txn.get(at, db=self._logs[history_of(resource)])
        revision = int.from_bytes(at)
        if found is None:
            raise StoreCorrupt(f"the record of revision {revision} is missing")
        return records.decode_record(revision, bytes(found), self.resources)

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
            for record in self._in_order(txn, name, places):
                if not after or record.key > after:
                    yield record

    def _places(
        self, txn: "Transaction", prefix: bytes, start: bytes, revision: int | None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Index keys of the objects there are, each with its revision's bytes."""
        if revision is None:
            with txn.cursor(db=self._current) as cursor:
                if cursor.set_range(start):
                    for index, at in cursor:
                        if index[: len(prefix)] != prefix:
                            return
                        yield bytes(index), bytes(at)
            return
        with txn.cursor(db=self._history) as cursor, txn.cursor(db=self._history) as seeker:
            found = cursor.set_range(start)
            while found:
                place = bytes(cursor.key()[:-REVISION])
                if not place.startswith(prefix):
                    return
                if version := self._seek(seeker, place, revision):
                    yield place, version
                found = cursor.set_range(place + _AFTER_REVISIONS)

    def _in_order(self, txn: "Transaction", resource: str, places: Iterator[tuple[bytes, bytes]]) -> Iterator[Record]:
        """The records at `places`; those with keys long enough to be cut are put in order (see `keys.SHARED`)."""
        shared: bytes | None = None
        together: list[Record] = []
        for index, at in places:
            record = self._load(txn, resource, at)
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
        """The records of all histories after a revision, in the order of revisions."""
        return heapq.merge(*(self._log_after(txn, log, since) for log in self._logs.values()))

    def _log_after(self, txn: "Transaction", log: Any, since: int) -> Iterator[tuple[int, bytes]]:
        with txn.cursor(db=log) as cursor:
            if cursor.set_range((since + 1).to_bytes(REVISION)):
                for at, found in cursor:
                    yield int.from_bytes(at), bytes(found)

    def revision_at(self, txn: "Transaction", time: int) -> int:
        """The newest revision at or before a time in microseconds; 0 when none is known."""
        with txn.cursor(db=self._times) as cursor:
            found = cursor.prev() if cursor.set_range((time + 1).to_bytes(8)) else cursor.last()
            if not found:
                return 0
            newest = int.from_bytes(cursor.value())
        for revision, record in self._logs_after(txn, newest):
            if records.time(record) > time:
                break
            newest = revision
        return newest

    def revision_back(self, txn: "Transaction", history: str, changes: int) -> int:
        """The revision after which the history has so many changes; 0 where it has no more records than that."""
        log = self._logs[history]
        if txn.stat(log)["entries"] <= changes:
            return 0
        with txn.cursor(db=log) as cursor:
            cursor.last()
            for _ in range(changes):
                cursor.prev()
            return int.from_bytes(cursor.key())

    # --- figures ---

    def objects(self, txn: "Transaction") -> dict[str, int]:
        """How many there are of each resource."""
        counts: dict[int, int] = {}
        with txn.cursor(db=self._current) as cursor:
            for index in cursor.iternext(keys=True, values=False):
                number = int.from_bytes(index[:4])
                counts[number] = counts.get(number, 0) + 1
        return {self.resources[number]: count for number, count in counts.items()}

    def records(self, txn: "Transaction") -> dict[str, int]:
        """How many records each history has."""
        return {name: txn.stat(log)["entries"] for name, log in self._logs.items()}

    def used(self, txn: "Transaction") -> int:
        """Bytes of pages in use."""
        databases = [self._meta, self._resources, self._current, self._history, self._times, *self._logs.values()]
        total = 0
        for stat in (txn.stat(database) for database in databases):
            total += stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])
        return total


def _database(env: "lmdb.Environment", txn: "Transaction", name: bytes, where: str) -> Any:
    try:
        return env.open_db(name, txn=txn)
    except lmdb.IncompatibleError as error:
        raise StoreFormat(f"{where} holds an LMDB environment that is not orlop's: {error}") from error


def _key_of(record: Record) -> Key:
    return record.key
