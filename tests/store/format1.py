"""A writer of store format 1, as it was before each resource had a history of its own: what upgrades start from."""

from pathlib import Path

import lmdb

from orlop.store.base import NOBODY, Change, Key
from orlop.store.keys import RESOURCE, index_key
from orlop.store.record import encode, microseconds

APART = {"coordination.k8s.io/leases": b"leases", "events": b"events"}


def write_format1(path: Path, uid: str, changes: list[Change], compacted: dict[bytes, int]) -> None:
    """`changes` from revision 1 on. What `compacted` (by history: main, leases, events) makes unreadable is swept."""
    numbers: dict[str, int] = {}
    with lmdb.open(str(path), max_dbs=16, map_size=1 << 30) as env, env.begin(write=True) as txn:
        meta, resources, current, history, times = (
            env.open_db(name, txn=txn) for name in (b"meta", b"resources", b"current", b"history", b"times")
        )
        logs = {name: env.open_db(b"log." + name, txn=txn) for name in (b"main", b"leases", b"events")}
        txn.put(b"format", b"1", db=meta)
        txn.put(b"uid", uid.encode(), db=meta)
        for change in changes:
            resource = change.key.resource
            if resource not in numbers:
                numbers[resource] = len(numbers)
                txn.put(resource.encode(), numbers[resource].to_bytes(4), db=resources)
            at, index = change.revision.to_bytes(8), old_index(index_key(numbers[resource], change.key))
            log = APART.get(resource, b"main")
            txn.put(at, encode(change, numbers[resource]), db=logs[log], append=True)
            txn.put(index + at, b"D" if change.type == "DELETED" else b"", db=history)
            if change.type == "DELETED":
                txn.delete(index, db=current)
            else:
                txn.put(index, at, db=current)
            txn.put(microseconds(change.time).to_bytes(8), at, db=times)
            txn.put(b"revision", at, db=meta)
            txn.put(b"time", microseconds(change.time).to_bytes(8), db=meta)
            if change.revision <= compacted.get(log, 0):
                gone = [change.previous_revision] * bool(change.previous_revision)
                for revision in [*gone, *[change.revision] * (change.type == "DELETED")]:
                    txn.delete(revision.to_bytes(8), db=logs[log])
                    txn.delete(index + revision.to_bytes(8), db=history)
        for log, revision in compacted.items():
            txn.put(b"compacted." + log, revision.to_bytes(8), db=meta)
            txn.put(b"swept." + log, revision.to_bytes(8), db=meta)


def old_index(place: bytes) -> bytes:
    """An index key as it was up to format 2, with a NUL behind the namespace."""
    return place[:RESOURCE] + place[RESOURCE:].replace(b"/", b"\0", 1)


def write_format2(path: Path) -> None:
    """Turns a closed store of this format into one of format 2."""
    with lmdb.open(str(path), max_dbs=16, map_size=1 << 30) as env, env.begin(write=True) as txn:
        for name in (b"current", b"history"):
            index = env.open_db(name, txn=txn)
            places = [(old_index(bytes(place)), bytes(value)) for place, value in txn.cursor(db=index)]
            txn.drop(index, delete=False)
            for place, value in places:
                txn.put(place, value, db=index)
        txn.put(b"format", b"2", db=env.open_db(b"meta", txn=txn))


def some_changes(count: int) -> list[Change]:
    """Creates, updates and deletes of pods, leases and configmaps, a second apart."""
    changes: list[Change] = []
    there: dict[Key, int] = {}
    for revision in range(1, count + 1):
        resource = ("pods", "coordination.k8s.io/leases", "configmaps")[revision % 3]
        key = Key(resource, "default", f"n{revision % 7}")
        previous = there.get(key, 0)
        kind = "ADDED" if not previous else "DELETED" if revision % 5 == 0 else "MODIFIED"
        value = b'{"resourceVersion":"%d","text":"%d"}' % (revision, revision)
        changes.append(Change(revision, key, kind, value, previous, 1_000_000.0 + revision, NOBODY))
        if kind == "DELETED":
            del there[key]
        else:
            there[key] = revision
    return changes
