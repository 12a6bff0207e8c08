"""A cluster's state in a folder of its own, and back.

A backup has the layout of a cluster's folder: `store/data.mdb`, `pki/`, `cluster.json`, and `backup.json` about itself.
So everything that looks into a cluster's store looks into a backup too.
"""

import os
import shutil
from collections.abc import Callable, Iterator

import lmdb
import msgspec

from orlop.clock import Clock, rfc3339
from orlop.store.base import Change, Record, StoreCorrupt, StoreError
from orlop.store.findings import Counted, Finding
from orlop.store.lmdb_check import check
from orlop.store.lmdb_files import DATA, environment, whole
from orlop.store.lmdb_layout import Layout, Mark
from orlop.store.lmdb_look import look, looking
from orlop.store.lmdb_sweep import sweep
from orlop.store.snapshot import write_snapshot

STORE, PKI, SETTINGS, ABOUT = "store", "pki", "cluster.json", "backup.json"

BUMP = 1_000_000_000
"""By how much a restored store's revision is raised: more than a cluster writes between a backup and its loss (1,500
a second for a week; etcd's advice too). So no revision that a client may have seen is ever given to something else."""

SLICE = 10_000
"""Records that the compaction after a restore looks at in one transaction."""

Tell = Callable[[Finding], None]


class About(msgspec.Struct):
    """What a backup says of itself."""

    uid: str
    revision: int
    time: str
    """When it was made."""
    objects: int = 0


def store_of(folder: str) -> str:
    """Where the store is in a cluster's folder or a backup; a folder that is a store itself stands for itself."""
    return folder if os.path.exists(os.path.join(folder, DATA)) else os.path.join(folder, STORE)


def backup(source: str, target: str, clock: Clock, tell: Tell) -> About:
    """Copies the cluster in the folder `source`, which may run and write meanwhile, to the new folder `target`.

    The store is copied as of one moment, in one read transaction, without its free pages, and the copy is checked:
    `tell` hears of damage, which is StoreCorrupt. Raises StoreError, FileExistsError, OSError.
    """
    with whole(target) as half:
        copy = os.path.join(half, STORE)
        os.mkdir(copy, 0o700)
        with looking(store_of(source)) as env:
            try:
                env.copy(copy, compact=True)
            except lmdb.Error as error:
                raise StoreError(f"cannot copy the store in {source}: {error}") from error
        about = _checked(copy, clock, tell)
        _copy_beside(source, half)
        with open(os.path.join(half, ABOUT), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(about)) + b"\n")
        return about


def restore(
    source: str, target: str, clock: Clock, tell: Tell, *, bump: int = BUMP, salvage: bool = False
) -> tuple[About, int]:
    """Makes a cluster's folder of a backup (or of a stopped cluster's folder) at `target`, an empty place.

    The revision is raised by `bump` and everything before is marked as compacted: clients that saw newer revisions than
    the backup's are sent to list again. With `salvage`, a damaged store's sound objects are taken, each in the newest
    version that can be read, and `tell` hears of what is lost. What the backup was, and the revision it begins at.
    Raises StoreError, StoreCorrupt where there is damage, FileExistsError, OSError.
    """
    with whole(target) as half:
        copy = os.path.join(half, STORE)
        if salvage:
            _salvage(store_of(source), copy, tell)
        else:
            os.mkdir(copy, 0o700)
            with looking(store_of(source)) as env:
                env.copy(copy)  # not a copy of the file: should a server run, it is of one moment all the same
        about = _checked(copy, clock, tell)
        revision = _begin_anew(copy, bump)
        _copy_beside(source, half)
        return about, revision


def _checked(store: str, clock: Clock, tell: Tell) -> About:
    damaged = 0
    counted = Counted()
    for found in check(store):
        if isinstance(found, Finding):
            damaged += 1
            tell(found)
        else:
            counted = found
    if damaged:
        raise StoreCorrupt(f"the store is damaged in {damaged} places")
    with look(store) as (_, layout, txn):
        return About(layout.uid, layout.revision(txn), rfc3339(clock.now()), counted.objects)


def _begin_anew(store: str, bump: int) -> int:
    """Raises the revision, and forgets all that was before: its revisions may have been given out twice."""
    with environment(store) as env:
        with env.begin(write=True) as txn:
            layout = Layout(env, txn, store, "")
            revision = layout.revision(txn) + bump
            layout.finish(txn, revision, layout.last_time(txn))
            for resource in layout.resources:
                layout.set_mark(txn, resource, Mark(revision, layout.mark(txn, resource).swept))
        done = False
        while not done:
            with env.begin(write=True) as txn:
                _, done = sweep(layout, txn, dict.fromkeys(layout.resources, revision), SLICE)
    os.remove(os.path.join(store, "lock.mdb"))
    return revision


def _salvage(source: str, target: str, tell: Tell) -> None:
    """A new store of the sound objects of a damaged one."""
    with look(source) as (_, layout, txn):
        records = sorted(_sound(layout, txn, tell), key=lambda record: record.revision)
        changes = [Change(r.revision, r.key, "ADDED", r.value, 0, r.time, r.by) for r in records]
        newest = layout.revision(txn)
        write_snapshot(target, layout.uid, changes, dict.fromkeys({c.key.resource for c in changes}, newest))
        last = layout.last_time(txn)
    with environment(target) as env, env.begin(write=True) as txn:
        copy = Layout(env, txn, target, "")
        copy.finish(txn, newest, max(last, copy.last_time(txn)))
    os.remove(os.path.join(target, "lock.mdb"))


def _sound(layout: Layout, txn: "lmdb.Transaction", tell: Tell) -> Iterator[Record]:
    """Each object that is there, in its newest version that can be read."""
    for place, versions in layout.all_versions(txn):
        for revision, deleted in reversed(versions):
            if deleted:
                break
            try:
                yield layout.load(txn, place, revision)
            except StoreCorrupt as error:
                tell(Finding(layout.place(place), revision, str(error), "an older version is taken, if there is one"))
                continue
            break


def _copy_beside(source: str, target: str) -> None:
    """Keys, certificates and settings, where the source has them."""
    if store_of(source) == source:
        return
    if os.path.isdir(os.path.join(source, PKI)):
        shutil.copytree(os.path.join(source, PKI), os.path.join(target, PKI))
    if os.path.exists(os.path.join(source, SETTINGS)):
        shutil.copy2(os.path.join(source, SETTINGS), target)
