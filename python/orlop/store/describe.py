"""What is in a store on disk, in figures for people: `orlop store stats`."""

import heapq
import os

import msgspec

from orlop.store import record as records
from orlop.store.keys import RESOURCE, REVISION
from orlop.store.lmdb_figures import sizes
from orlop.store.lmdb_files import DATA
from orlop.store.lmdb_look import look
from orlop.store.lmdb_readers import lag, readers
from orlop.store.lmdb_upgrade import FORMAT

BIGGEST = 5
"""Objects named."""


class History(msgspec.Struct):
    """One resource's. Bytes are those of records."""

    resource: str
    objects: int = 0
    versions: int = 0
    """Of the objects and of what is deleted; the present ones are among them."""
    bytes: int = 0
    object_bytes: int = 0
    oldest_revision: int = 0
    """It can be read from here on."""


class Object(msgspec.Struct):
    """An object and the bytes of its record."""

    name: str
    bytes: int


class Description(msgspec.Struct, kw_only=True):
    """A store in figures."""

    path: str
    format: int
    uid: str
    revision: int
    oldest_revision: int
    """Everything can be read from here on."""
    oldest_time: float
    """When that was committed, or the oldest that is known; seconds since 1970, 0 when none is."""
    newest_time: float
    size: int
    free: int
    disk_available: int
    readers: list[int]
    """Process IDs, one for each read transaction under way; this look's own is left out."""
    oldest_reader_lag: int
    histories: list[History]
    biggest: list[Object]


def describe(path: str) -> Description:
    """Counts everything. Raises StoreError."""
    with look(path, buffers=True) as (env, layout, txn):
        histories = [History(resource) for resource in layout.resources]
        for resource, mark in layout.compacted(txn).items():
            histories[layout.resources.index(resource)].oldest_revision = mark
        with txn.cursor(db=layout.log) as cursor:
            for at, found in cursor:
                one = histories[int.from_bytes(at[:RESOURCE])]
                one.versions += 1
                one.bytes += len(found)
        biggest: list[tuple[int, bytes]] = []
        with txn.cursor(db=layout.current) as cursor:
            for index, at in cursor:
                found = txn.get(bytes(index[:RESOURCE]) + bytes(at), db=layout.log)
                bulk = len(found) if found is not None else 0
                one = histories[int.from_bytes(index[:RESOURCE])]
                one.objects += 1
                one.object_bytes += bulk
                entry = bulk, bytes(index)
                if len(biggest) < BIGGEST:
                    heapq.heappush(biggest, entry)
                elif entry > biggest[0]:
                    heapq.heapreplace(biggest, entry)
        oldest = max((one.oldest_revision for one in histories), default=0)
        reading = readers(env)
        mine = next((one for one in reading if one.pid == os.getpid()), None)
        others = [one for one in reading if one is not mine]
        size, free = sizes(layout, env, txn)
        disk = os.statvfs(path)
        return Description(
            path=os.path.join(path, DATA),
            format=FORMAT,
            uid=layout.uid,
            revision=layout.revision(txn),
            oldest_revision=oldest,
            oldest_time=_time_of(layout.times, txn, oldest),
            newest_time=layout.last_time(txn) / records.SECOND,
            size=size,
            free=free,
            disk_available=disk.f_bavail * disk.f_frsize,
            readers=[one.pid for one in others],
            oldest_reader_lag=lag(env, others),
            histories=sorted(histories, key=lambda one: -one.bytes),
            biggest=[Object(layout.place(index), bulk) for bulk, index in sorted(biggest, reverse=True)],
        )


def _time_of(times: object, txn: object, revision: int) -> float:
    """The newest noted time at or before a revision, or the oldest there is; seconds since 1970."""
    found = 0.0
    with txn.cursor(db=times) as cursor:  # type: ignore[attr-defined]
        for time, at in cursor:
            if found and int.from_bytes(at[:REVISION]) > revision:
                break
            found = int.from_bytes(time) / records.SECOND
    return found
