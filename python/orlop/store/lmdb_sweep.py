"""Compaction: what only reads before a target would see is forgotten, a slice at a time.

From the first slice on, reads before the targets are refused, so what a slice leaves behind is never seen. Each record
names its predecessor: a record at or before the target makes its predecessor unreadable, and a deletion itself too. So
every record is looked at once, and a store that was stopped goes on where it was.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orlop.store import record as records
from orlop.store.base import Key, StoreCorrupt
from orlop.store.keys import RESOURCE, REVISION, index_key, resource_prefix
from orlop.store.lmdb_layout import Layout, Mark

if TYPE_CHECKING:
    import lmdb


def sweep(layout: Layout, txn: "lmdb.Transaction", targets: Mapping[str, int], limit: int) -> tuple[int, bool]:
    """One slice: looks at up to `limit` records of the resources in `targets`. How many, and whether all is done.

    A damaged record stops the compaction of its resource: StoreCorrupt, raised when the others are done. What the
    transaction did before may be kept.
    """
    marks = {resource: layout.mark(txn, resource) for resource in targets if _written(layout, txn, resource)}
    for resource, mark in marks.items():
        if targets[resource] > mark.oldest:
            marks[resource] = mark = Mark(targets[resource], mark.swept)
            layout.set_mark(txn, resource, mark)
    looked = 0
    damage: StoreCorrupt | None = None
    for resource, mark in marks.items():
        if mark.swept < mark.oldest:
            try:
                looked += _sweep_one(layout, txn, resource, mark, limit - looked)
            except StoreCorrupt as error:
                damage = damage or error
            if looked >= limit:
                return looked, False
    if damage is not None:
        raise damage
    return looked, _sweep_times(layout, txn, limit)


def _written(layout: Layout, txn: "lmdb.Transaction", resource: str) -> bool:
    """Whether there ever was one. A resource has a number also when its only writes were refused: it has no past."""
    number = layout.number_of(resource)
    if number is None:
        return False
    if layout.mark(txn, resource).oldest:
        return True
    prefix = resource_prefix(number)
    with txn.cursor(db=layout.log) as cursor:
        return cursor.set_range(prefix) and cursor.key()[:RESOURCE] == prefix


def _sweep_one(layout: Layout, txn: "lmdb.Transaction", resource: str, mark: Mark, limit: int) -> int:
    number = layout.number_of(resource)
    assert number is not None
    prefix = resource_prefix(number)
    swept, target = mark.swept, mark.oldest
    looked = 0
    try:
        with txn.cursor(db=layout.log) as cursor:
            while looked < limit:
                found = cursor.set_range(prefix + (swept + 1).to_bytes(REVISION))
                revision = int.from_bytes(cursor.key()[RESOURCE:]) if found else target + 1
                if revision > target or cursor.key()[:RESOURCE] != prefix:
                    swept = target
                    break
                looked += 1
                header = records.header(revision, bytes(cursor.value()))
                index = index_key(number, Key(resource, header.namespace, header.name))
                if header.previous:
                    _forget(layout, txn, prefix, index, header.previous)
                if header.type == records.DELETED:
                    _forget(layout, txn, prefix, index, revision)
                swept = revision
    finally:
        layout.set_mark(txn, resource, Mark(target, swept))
    return looked


def _forget(layout: Layout, txn: "lmdb.Transaction", prefix: bytes, index: bytes, revision: int) -> None:
    at = revision.to_bytes(REVISION)
    txn.delete(prefix + at, db=layout.log)
    txn.delete(index + at, db=layout.history)


def _sweep_times(layout: Layout, txn: "lmdb.Transaction", limit: int) -> bool:
    """Forgets times before everything that can be read. True when none are left."""
    compacted = layout.compacted(txn)
    oldest = min((compacted.get(resource, 0) for resource in layout.resources), default=0)
    with txn.cursor(db=layout.times) as cursor:
        # The last one before it stays: what came soon after it is found from there.
        while cursor.first() and cursor.next() and int.from_bytes(cursor.value()) <= oldest:
            if limit <= 0:
                return False
            limit -= 1
            cursor.first()
            cursor.delete()
    return True
