"""Holds a whole store against itself: records against checksums, indexes against history, times, counts, revisions.

What is found is named by the object's key, with what can be done about it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import lmdb

from orlop.store import record as records
from orlop.store.base import Key, StoreCorrupt
from orlop.store.findings import INDEX, PAST, PRESENT, WHOLE, Counted, Finding
from orlop.store.keys import RESOURCE, REVISION, index_key
from orlop.store.lmdb_layout import Layout
from orlop.store.lmdb_look import look

if TYPE_CHECKING:
    from orlop.store.record import Header


def check(path: str) -> Iterator[Finding | Counted]:
    """Everything that is wrong with the store in a folder, and last what was looked at. Raises StoreError where it
    cannot be looked at."""
    try:
        with look(path) as (_, layout, txn):
            yield from _Check(layout, txn).run()
    except (StoreCorrupt, lmdb.Error) as error:
        yield Finding("the file", 0, str(error), WHOLE)


class _Check:
    def __init__(self, layout: Layout, txn: Any) -> None:
        self.layout = layout
        self.txn = txn
        self.counted = Counted(revision=layout.revision(txn))
        with txn.cursor(db=layout.times) as cursor:
            self.noted = [(int.from_bytes(at), int.from_bytes(time)) for time, at in cursor]
        self.times = dict(self.noted)
        self.marks = [layout.mark(txn, resource) for resource in layout.resources]

    def run(self) -> Iterator[Finding | Counted]:
        yield from self._marks()
        yield from self._log()
        yield from self._indexes()
        yield from self._times()
        yield self.counted

    def _marks(self) -> Iterator[Finding]:
        for resource, mark in zip(self.layout.resources, self.marks, strict=True):
            if not mark.swept <= mark.oldest <= self.counted.revision:
                yield Finding(f"the marks of {resource}", mark.oldest, f"{mark} of {self.counted.revision}", WHOLE)

    def _log(self) -> Iterator[Finding]:
        """Every record, resource by resource."""
        revisions: list[int] = []
        newest = 0
        with self.txn.cursor(db=self.layout.log) as cursor:
            for at, found in cursor:
                number, revision = int.from_bytes(at[:RESOURCE]), int.from_bytes(at[RESOURCE:])
                self.counted.versions += 1
                if number >= len(self.marks):
                    yield Finding(f"resource {number}", revision, "there is no resource of this number", WHOLE)
                    continue
                if revision > self.marks[number].swept:
                    revisions.append(revision)
                try:
                    header = records.header(revision, found)
                except StoreCorrupt as error:
                    where, present = self._owner(number, revision)
                    yield Finding(where, revision, str(error), PRESENT if present else PAST)
                    continue
                newest = max(newest, header.time)
                yield from self._record(number, revision, header)
        yield from self._numbers(revisions)
        if newest > self.layout.last_time(self.txn):
            yield Finding("the newest time", self.counted.revision, "a record is newer than the store says", WHOLE)

    def _record(self, number: int, revision: int, header: "Header") -> Iterator[Finding]:
        layout, txn = self.layout, self.txn
        index = index_key(number, Key(layout.resources[number], header.namespace, header.name))
        where = layout.place(index)
        if header.resource != number:
            yield Finding(where, revision, f"the record says it is of resource {header.resource}", PRESENT)
            return
        if self.times.get(revision, header.time) != header.time:
            yield Finding(where, revision, "the index of times has another time than the record", INDEX)
        at = revision.to_bytes(REVISION)
        with txn.cursor(db=layout.history) as cursor:
            if not cursor.set_key(index + at):
                yield Finding(where, revision, "the record is not in the index of its history", INDEX)
                return
            if (cursor.value() == b"D") != (header.type == records.DELETED):
                yield Finding(where, revision, "the index of its history has another kind of change", INDEX)
            before = 0
            if cursor.prev() and cursor.key()[:-REVISION] == index and cursor.value() != b"D":
                before = int.from_bytes(cursor.key()[-REVISION:])
        forgotten = header.previous and revision <= self.marks[number].swept
        if before != header.previous and not (before == 0 and forgotten):
            what = f"it follows revision {header.previous}, and the index has revision {before} before it"
            yield Finding(where, revision, what, INDEX)
        elif (header.type == 1) != (header.previous == 0):
            yield Finding(where, revision, f"{records.TYPES[header.type - 1]} after revision {header.previous}", PAST)

    def _owner(self, number: int, revision: int) -> tuple[str, bool]:
        """Whose record a damaged one is, by the indexes, and whether it is the present state."""
        at = revision.to_bytes(REVISION)
        prefix = number.to_bytes(RESOURCE)
        with self.txn.cursor(db=self.layout.history) as cursor:
            found = cursor.set_range(prefix)
            while found and cursor.key().startswith(prefix):
                index = bytes(cursor.key()[:-REVISION])
                if cursor.key()[-REVISION:] == at:
                    return self.layout.place(index), self.txn.get(index, db=self.layout.current) == at
                found = cursor.next()
        return f"an object of {self.layout.resources[number]}", False

    def _numbers(self, revisions: list[int]) -> Iterator[Finding]:
        """Since all sweeps there is one record for each revision."""
        start = max((mark.swept for mark in self.marks), default=0)
        expected = start + 1
        for revision in sorted(revision for revision in revisions if revision > start):
            if revision < expected:
                yield Finding("the log", revision, "two records have this revision", WHOLE)
                continue
            if revision > expected:
                missing = f"{expected} to {revision - 1}" if revision - 1 > expected else str(expected)
                yield Finding("the log", expected, f"the record of revision {missing} is missing", WHOLE)
            expected = revision + 1
        if expected <= self.counted.revision and revisions:
            what = f"the newest revision is {self.counted.revision}, and the records end at {expected - 1}"
            yield Finding("the log", expected, what, WHOLE)
        elif expected > self.counted.revision + 1:
            what = f"a record is newer than the newest revision, {self.counted.revision}"
            yield Finding("the log", expected - 1, what, WHOLE)

    def _indexes(self) -> Iterator[Finding]:
        """The index of histories against the log, and what its newest versions say against the index of objects."""
        layout, txn = self.layout, self.txn
        with txn.cursor(db=layout.history) as versions, txn.cursor(db=layout.current) as objects:
            there = objects.first()
            found = versions.first()
            while found:
                index = bytes(versions.key()[:-REVISION])
                newest = b""
                while found and versions.key()[:-REVISION] == index:
                    newest, deleted = bytes(versions.key()[-REVISION:]), versions.value() == b"D"
                    if txn.get(index[:RESOURCE] + newest, db=layout.log) is None:
                        present = txn.get(index, db=layout.current) == newest
                        what, advice = "the record is missing", PRESENT if present else PAST
                        yield Finding(layout.place(index), int.from_bytes(newest), what, advice)
                    found = versions.next()
                while there and objects.key() < index:
                    yield self._extra(objects)
                    there = objects.next()
                if there and objects.key() == index:
                    at = bytes(objects.value())
                    self.counted.objects += 1
                    if deleted:
                        what = f"the object was deleted at revision {int.from_bytes(newest)}, and the index has it"
                        yield Finding(layout.place(index), int.from_bytes(at), what, INDEX)
                    elif at != newest:
                        what = f"the index has this revision, and {int.from_bytes(newest)} is newer"
                        yield Finding(layout.place(index), int.from_bytes(at), what, INDEX)
                    there = objects.next()
                elif not deleted:
                    yield Finding(layout.place(index), int.from_bytes(newest), "the object is in no index", INDEX)
            while there:
                yield self._extra(objects)
                there = objects.next()

    def _extra(self, objects: Any) -> Finding:
        self.counted.objects += 1
        what = "the index of objects has it, and its history does not"
        return Finding(self.layout.place(bytes(objects.key())), int.from_bytes(objects.value()), what, INDEX)

    def _times(self) -> Iterator[Finding]:
        last = 0
        for revision, _ in self.noted:
            self.counted.times += 1
            if not last < revision <= self.counted.revision:
                yield Finding("the index of times", revision, "it is out of order", INDEX)
            last = revision
