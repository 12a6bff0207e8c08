"""The whole store held against itself: every kind of damage is found and named by its object."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import pytest

from orlop.clock import FakeClock
from orlop.store.backup import backup, restore, store_of
from orlop.store.base import Key, StoreCorrupt, StoreError, StoreFormat
from orlop.store.exporting import export
from orlop.store.findings import Counted, Finding
from orlop.store.guarded import check_guarded
from orlop.store.keys import index_key
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from orlop.store.lmdb_layout import DATABASES
from tests.store.format1 import some_changes, write_format1
from tests.store.support import delete, opened, pod, write

LEASE = Key("coordination.k8s.io/leases", "kube-node-lease", "n1")


async def some_store(path: Path) -> None:
    """Pods a (revisions 1, 3), b (2, deleted at 4, again at 6) and c (7), and a lease (5, 8), a second apart."""
    clock = FakeClock()
    async with opened(LmdbStore(str(path), clock)) as store:
        for step in (
            write(pod("a"), "one"),
            write(pod("b"), "one"),
            write(pod("a"), "two"),
            delete(pod("b")),
            write(LEASE),
            write(pod("b"), "again"),
            write(pod("c"), "c" * 5000),
            write(LEASE),
        ):
            await store.commit(step)
            await clock.advance(1.5)


def look(path: Path) -> tuple[list[Finding], Counted | None]:
    findings, counted = [], None
    for found in check(str(path)):
        if isinstance(found, Finding):
            findings.append(found)
        else:
            counted = found
    return findings, counted


async def test_a_sound_store(tmp_path: Path) -> None:
    await some_store(tmp_path)
    assert look(tmp_path) == ([], Counted(revision=8, objects=4, versions=8, times=8))
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        await store.compact(6, "pods")
        await store.compact(3, LEASE.resource)
    assert look(tmp_path) == ([], Counted(revision=8, objects=4, versions=5, times=6))


async def test_stores_of_any_history_are_sound(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for n in range(600):
            key = chance.choice([pod(str(n % 13)), LEASE, Key("events", "default", "n" * 600 + str(n % 5))])
            there = await store.get(key)
            if there is not None and chance.random() < 0.3:
                await store.commit(delete(key))
            else:
                await store.commit(write(key, str(n)))
            if chance.random() < 0.05:
                await store.compact(chance.randint(0, store.revision), chance.choice(["pods", "events", None]))
            if n % 100 == 99:
                await store.close()
                assert look(tmp_path)[0] == []
                await store.open()


def log(txn: Any, env: Any, number: int, revision: int) -> tuple[Any, bytes]:
    return env.open_db(b"log", txn=txn), number.to_bytes(4) + revision.to_bytes(8)


def flip(number: int, revision: int) -> Callable[[Any, Any], None]:
    def damage(env: Any, txn: Any) -> None:
        database, key = log(txn, env, number, revision)
        record = bytearray(txn.get(key, db=database))
        record[-5] ^= 4
        txn.put(key, bytes(record), db=database)

    return damage


def lose(number: int, revision: int) -> Callable[[Any, Any], None]:
    def damage(env: Any, txn: Any) -> None:
        database, key = log(txn, env, number, revision)
        assert txn.delete(key, db=database)

    return damage


def forget(database: bytes, key: bytes) -> Callable[[Any, Any], None]:
    return lambda env, txn: txn.delete(key, db=env.open_db(database, txn=txn))


def put(database: bytes, key: bytes, value: bytes) -> Callable[[Any, Any], None]:
    return lambda env, txn: txn.put(key, value, db=env.open_db(database, txn=txn))


A, B, C = (index_key(0, pod(name)) for name in "abc")


def at(revision: int) -> bytes:
    return revision.to_bytes(8)


DAMAGE: dict[str, tuple[Callable[[Any, Any], None], str, int, str, str]] = {
    "a present record": (flip(0, 3), "pods default/a", 3, "checksum", "write it again"),
    "a past record": (flip(0, 1), "pods default/a", 1, "checksum", "only reads of the past"),
    "a present record is lost": (lose(0, 7), "pods default/c", 7, "is missing", "write it again"),
    "a past record is lost": (lose(0, 2), "pods default/b", 2, "is missing", "only reads of the past"),
    "the lease's record is lost": (
        lose(1, 8),
        "coordination.k8s.io/leases kube-node-lease/n1",
        8,
        "is missing",
        "write",
    ),
    "a version is not in its history": (
        forget(b"history", A + at(3)),
        "pods default/a",
        3,
        "not in the index",
        "new ind",
    ),
    "a deletion is none": (put(b"history", B + at(4), b""), "pods default/b", 4, "another kind of change", "new ind"),
    "an object is in no index": (forget(b"current", B), "pods default/b", 6, "is in no index", "new indexes"),
    "the index leads to the past": (put(b"current", A, at(1)), "pods default/a", 1, "3 is newer", "new indexes"),
    "an object that never was": (put(b"current", B + b"x", at(6)), "pods default/bx", 6, "its history does not", "new"),
    "a time is another": (put(b"times", at(99), at(8)), "the index of times", 1, "out of order", "new indexes"),
    "the newest revision is old": (put(b"meta", b"revision", at(5)), "the log", 8, "newer than the newest", "backup"),
    "the newest revision is new": (put(b"meta", b"revision", at(50)), "the log", 9, "the records end at 8", "backup"),
    "the newest time is old": (put(b"meta", b"time", at(5)), "the newest time", 8, "newer than the store", "backup"),
    "a mark in the future": (
        put(b"marks", (0).to_bytes(4), at(99) * 2),
        "the marks of pods",
        99,
        "oldest=99",
        "backup",
    ),
    "a record of nothing": (
        put(b"log", (9).to_bytes(4) + at(3), b"x"),
        "resource 9",
        3,
        "no resource of this",
        "backup",
    ),
}


def damaged(path: Path, damage: Callable[[Any, Any], None]) -> None:
    with lmdb.open(str(path), max_dbs=DATABASES, map_size=1 << 30) as env, env.begin(write=True) as txn:
        damage(env, txn)


@pytest.mark.parametrize("what", DAMAGE)
async def test_damage_is_found_and_named(tmp_path: Path, what: str) -> None:
    await some_store(tmp_path)
    damage, where, revision, why, advice = DAMAGE[what]
    damaged(tmp_path, damage)
    findings, counted = look(tmp_path)
    assert counted is not None
    found = [f for f in findings if f.where == where and f.revision == revision and why in f.what]
    assert found, findings
    assert advice in found[0].advice


async def test_what_is_no_store_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"it has no data\.mdb"):
        look(tmp_path)
    write_format1(tmp_path, "uid", some_changes(3), {})
    with pytest.raises(
        StoreFormat, match="has format 1, and this version of orlop reads format 3: start the API server"
    ):
        look(tmp_path)


@pytest.mark.parametrize("keep", [0.3, 0.7])
async def test_a_file_that_is_cut_short_does_not_end_the_check(tmp_path: Path, keep: float) -> None:
    await some_store(tmp_path)
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for n in range(300):
            await store.commit(write(pod(str(n)), "x" * 3000))
    data = tmp_path / "data.mdb"
    os.truncate(data, int(data.stat().st_size * keep))
    findings, counted = check_guarded(str(tmp_path))
    assert counted is None
    assert findings[-1].where == "the file"
    assert "restore a backup" in findings[-1].advice


async def test_a_flipped_byte_anywhere_harms_nothing_silently(tmp_path: Path) -> None:
    """Whatever one byte is changed in the file: the check finds it, or every object reads as it was written."""
    await some_store(tmp_path / "whole")
    async with opened(LmdbStore(str(tmp_path / "whole"), FakeClock())) as store:
        for n in range(40):
            await store.commit(write(pod(str(n)), "x" * 700))
        wanted = {record.key: record.value for record in (await store.range(None))[0]}
    image = (tmp_path / "whole" / "data.mdb").read_bytes()
    chance = random.Random(4)
    noticed = 0
    for n in range(60):
        path = tmp_path / str(n)
        path.mkdir()
        changed = bytearray(image)
        changed[chance.randrange(8192, len(image))] ^= 1 << chance.randrange(8)
        (path / "data.mdb").write_bytes(changed)
        findings, _ = check_guarded(str(path))
        noticed += bool(findings)
        if not findings:
            records = list(export(str(path), ["pods", LEASE.resource], None, None, lambda finding: None))
            assert {record.key: record.value for record in records} == wanted
    assert noticed > 5


async def test_salvage_takes_what_is_sound(tmp_path: Path) -> None:
    await some_store(tmp_path / "store")
    damaged(tmp_path / "store", flip(0, 3))  # the present a: its past is taken
    damaged(tmp_path / "store", lose(0, 7))  # the only c: lost
    damaged(tmp_path / "store", forget(b"current", B))  # b: found by its history
    lost: list[Finding] = []
    with pytest.raises(StoreCorrupt, match="damaged in 4 places"):
        restore(str(tmp_path), str(tmp_path / "new"), FakeClock(), lost.append)
    with pytest.raises(StoreCorrupt, match="damaged in 4 places"):
        backup(str(tmp_path), str(tmp_path / "backup"), FakeClock(), lost.append)
    assert os.listdir(tmp_path) == ["store"]
    lost.clear()
    about, revision = restore(str(tmp_path), str(tmp_path / "new"), FakeClock(), lost.append, bump=1000, salvage=True)
    assert (about.objects, about.revision, revision) == (3, 8, 1008)
    assert [finding.where for finding in lost] == ["pods default/a", "pods default/c"]
    assert look(tmp_path / "new" / "store")[0] == []
    async with opened(LmdbStore(store_of(str(tmp_path / "new")), FakeClock())) as store:
        found = {record.key.name: record.revision for record in (await store.range(None))[0]}
        assert found == {"a": 1, "b": 6, "n1": 8}
        assert await store.commit(write(pod("c"))) == 1009
