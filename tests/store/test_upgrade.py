"""From older formats on disk to this one."""

import asyncio
import itertools
import random
import shutil
import sys
from pathlib import Path

import lmdb
import pytest

from orlop.clock import FakeClock
from orlop.store import lmdb_upgrade
from orlop.store.base import Key, StoreFormat
from orlop.store.findings import Finding
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from tests.store import child
from tests.store.format1 import some_changes, write_format1, write_format2
from tests.store.support import delete, opened, pod, until, write
from tests.support.campaign import campaign, times

LEASES = "coordination.k8s.io/leases"


async def test_a_store_of_format_1_is_upgraded(tmp_path: Path) -> None:
    changes = some_changes(100)
    write_format1(tmp_path, "the-uid", changes, {b"main": 20, b"leases": 60})
    for _ in range(2):  # upgraded, and then opened as what it is
        async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
            assert (store.uid, store.revision, store.compacted) == ("the-uid", 100, 60)
            assert [store.compacted_of(one) for one in ("pods", LEASES, "configmaps")] == [20, 60, 20]
            for revision in range(20, 101):
                state = {}
                for change in changes[:revision]:
                    state[change.key] = change
                for resource in ("pods", "configmaps", LEASES):
                    if revision < store.compacted_of(resource):
                        continue
                    found, _ = await store.range(resource, revision=revision)
                    there = [c for k, c in state.items() if k.resource == resource and c.type != "DELETED"]
                    assert [(r.revision, r.value) for r in found] == [
                        (c.revision, c.value) for c in sorted(there, key=lambda c: c.key)
                    ]
            batch = await anext(store.changes(60))
            assert batch.changes == changes[60:]
            assert await store.revision_at(1_000_050.5) == 50
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        await store.compact(100)
        assert sum((await store.stats()).records.values()) == sum((await store.stats()).objects.values())
        assert await store.commit(write(pod("after"))) == 101
    with lmdb.open(str(tmp_path), max_dbs=16) as env, env.begin() as txn:
        assert txn.get(b"log.main") is None
        assert txn.get(b"format", db=env.open_db(b"meta", txn=txn)) == b"%d" % lmdb_upgrade.FORMAT


async def test_a_store_of_format_2_is_upgraded(tmp_path: Path) -> None:
    """Its pages are in upstream's order afterwards, and what it knew of the past it knows."""
    keys = [Key("pods", space, name) for space in ("a", "a-b", "a0", "") for name in ("x", "x-1", "n" * 600)]
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for key in keys:
            for _ in range(3):
                middle = await store.commit(write(key))
        for key in keys[::2]:
            await store.commit(delete(key))
        expected = [(await store.range("pods", revision=revision))[0] for revision in (middle, store.revision)]
    write_format2(tmp_path)
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for revision, records in zip((middle, store.revision), expected, strict=True):
            assert (await store.range("pods", revision=revision))[0] == records
        assert [record.key for record in expected[0]] == sorted(keys)
        assert [key.namespace for key in sorted(keys)][::3] == ["", "a-b", "a", "a0"]
    assert [one for one in check(str(tmp_path)) if isinstance(one, Finding)] == []


async def test_an_upgrade_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_format1(tmp_path, "the-uid", some_changes(30), {})
    step = lmdb_upgrade.UPGRADES[1]

    def fails(*arguments: object) -> None:
        step(*arguments)  # type: ignore[arg-type]
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(lmdb_upgrade.UPGRADES, 1, fails)
    with pytest.raises(Exception, match="No space left"):
        await LmdbStore(str(tmp_path), FakeClock()).open()
    monkeypatch.undo()
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        assert store.revision == 30


async def test_a_format_without_a_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_format1(tmp_path, "the-uid", some_changes(3), {})
    monkeypatch.delitem(lmdb_upgrade.UPGRADES, 1)
    with pytest.raises(StoreFormat, match="has format 1, which this version of orlop cannot upgrade"):
        await LmdbStore(str(tmp_path), FakeClock()).open()


def test_every_format_has_a_way() -> None:
    assert sorted(lmdb_upgrade.UPGRADES) == list(itertools.islice(itertools.count(1), lmdb_upgrade.FORMAT - 1))


def again(path: Path, data: bytes) -> None:
    """The folder with this file alone."""
    shutil.rmtree(path)
    path.mkdir()
    (path / "data.mdb").write_bytes(data)


@campaign(120)
async def test_an_upgrade_that_is_killed_is_all_or_nothing(tmp_path: Path) -> None:
    """At any moment of it: the next start ends it, with everything there."""
    changes = some_changes(3000)
    write_format1(tmp_path, "the-uid", changes, {})
    before = (tmp_path / "data.mdb").read_bytes()
    newest = {change.key: change for change in changes}
    there = sorted((c.key, c.revision, c.value) for c in newest.values() if c.type != "DELETED")
    chance = random.Random()
    formats = []
    for _ in range(times(6, 40)):
        again(tmp_path, before)
        process = await asyncio.create_subprocess_exec(
            sys.executable, child.__file__, "upgraded", str(tmp_path), stderr=asyncio.subprocess.DEVNULL
        )
        await until((tmp_path / "orlop.lock").exists)
        await asyncio.sleep(chance.uniform(0, 0.05))
        if process.returncode is None:
            process.kill()
        await process.wait()
        with lmdb.open(str(tmp_path), max_dbs=16) as env, env.begin() as txn:
            formats.append(txn.get(b"format", db=env.open_db(b"meta", txn=txn)))
        async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
            assert (store.uid, store.revision) == ("the-uid", 3000)
            found = [(r.key, r.revision, r.value) for r in (await store.range(None))[0]]
            assert sorted(found) == there
        assert [one for one in check(str(tmp_path)) if isinstance(one, Finding)] == []
    print(f"{len(formats)} kills, {formats.count(b'1')} of them before the upgrade was done, nothing lost")
    assert set(formats) <= {b"1", b"%d" % lmdb_upgrade.FORMAT}
