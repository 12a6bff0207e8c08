"""What only the store on disk does."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest

from orlop.clock import FakeClock
from orlop.store.base import (
    Attribution,
    StoreCorrupt,
    StoreError,
    StoreFormat,
    StoreFull,
    StoreLocked,
)
from orlop.store.lmdb import SHORT_RANGE, LmdbStore
from orlop.store.lmdb_layout import DATABASES
from tests.store import child
from tests.store.support import delete, opened, pod, write


def env(path: Path) -> lmdb.Environment:
    return lmdb.open(str(path), max_dbs=DATABASES, map_size=1 << 30)


def at(revision: int) -> bytes:
    """The key in the log of the first resource's record."""
    return (0).to_bytes(4) + revision.to_bytes(8)


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    clock = FakeClock()
    by = Attribution("jane", "kubectl", "id", "trace")
    async with opened(LmdbStore(str(tmp_path), clock)) as store:
        uid = store.uid
        await store.commit(write(pod("a"), "one", by=by))
        await store.commit(delete(pod("a")))
    async with opened(LmdbStore(str(tmp_path), clock)) as store:
        assert (store.uid, store.revision, await store.get(pod("a"))) == (uid, 2, None)
        record = await store.get(pod("a"), revision=1)
        assert record is not None
        assert (record.by, record.value) == (by, b'{"resourceVersion":"1","text":"one"}')
        await store.compact(2)
    async with opened(LmdbStore(str(tmp_path), clock)) as store:
        assert (store.revision, store.compacted) == (2, 2)
        assert await store.commit(write(pod("b"))) == 3
    assert (tmp_path / "data.mdb").stat().st_mode & 0o777 == 0o600


async def test_opened_twice(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        with pytest.raises(StoreLocked, match=rf"in use by process {os.getpid()}: stop it first"):
            await LmdbStore(str(tmp_path), FakeClock()).open()
        with pytest.raises(StoreLocked, match="open already"):
            await store.open()
        await store.commit(write(pod("a")))
    async with opened(LmdbStore(str(tmp_path), FakeClock())):
        pass


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())):
        pass
    with env(tmp_path) as outside:
        meta = outside.open_db(b"meta")
        with outside.begin(write=True) as txn:
            txn.put(b"format", b"4", db=meta)
    with pytest.raises(StoreFormat, match=r"has format 4, and this version of orlop knows formats up to 3: use"):
        await LmdbStore(str(tmp_path), FakeClock()).open()


async def test_what_is_not_a_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "data.mdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(StoreFormat, match="not a store that can be read"):
        await LmdbStore(str(tmp_path / "text"), FakeClock()).open()
    (tmp_path / "other").mkdir()
    with env(tmp_path / "other") as outside, outside.begin(write=True) as txn:
        txn.put(b"key", b"value")
    with pytest.raises(StoreFormat, match="not orlop's"):
        await LmdbStore(str(tmp_path / "other"), FakeClock()).open()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot open the store"):
        await LmdbStore(str(tmp_path / "file"), FakeClock()).open()


@pytest.mark.parametrize("damage", ["one bit", "the format", "cut short", "gone", "another's"])
async def test_a_damaged_record_is_named(tmp_path: Path, damage: str) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        await store.commit(write(pod("a"), "hello"))
        await store.commit(write(pod("b"), "other"))
    with env(tmp_path) as outside:
        log = outside.open_db(b"log")
        with outside.begin(write=True) as txn:
            record = bytearray(txn.get(at(1), db=log))
            if damage == "one bit":
                record[-10] ^= 1
            elif damage == "the format":
                record[0] = 9
            elif damage == "cut short":
                del record[20:]
            elif damage == "another's":
                record[:] = txn.get(at(2), db=log)
            txn.delete(at(1), db=log)
            if damage != "gone":
                txn.put(at(1), bytes(record), db=log)
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        with pytest.raises(StoreCorrupt, match="the record of revision 1 is"):
            await store.get(pod("a"))
        with pytest.raises(StoreCorrupt, match="the record of revision 1 is"):
            await store.range("pods")
        assert await store.get(pod("b")) is not None


async def test_a_damaged_record_stops_compaction_but_no_write(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for n in range(5):
            await store.commit(write(pod("a"), str(n)))
    with env(tmp_path) as outside:
        log = outside.open_db(b"log")
        with outside.begin(write=True) as txn:
            txn.put(at(3), b"damaged", db=log)
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        compacting = asyncio.ensure_future(store.compact(5))
        written = await asyncio.gather(*(store.commit(write(pod(str(n)))) for n in range(10)))
        assert sorted(written) == list(range(6, 16))
        with pytest.raises(StoreCorrupt, match="the record of revision 3 is"):
            await compacting
        assert await store.commit(write(pod("a"))) == 16


async def test_a_full_map_is_a_full_store(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock(), map_size=1 << 20)) as store:

        async def fill() -> None:
            for n in range(1000):
                await store.commit(write(pod(str(n)), "x" * 5000))

        with pytest.raises(StoreFull, match="free space"):
            await fill()
        records, _ = await store.range("pods")
        assert len(records) == store.revision
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        assert await store.commit(write(pod("again"), "x" * 5000)) == len(records) + 1


def run_child(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, child.__file__, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_full(out: str) -> None:
    lines = out.splitlines()
    assert lines[0].startswith("full: the store in "), out
    assert "free space on its disk" in lines[0]
    assert lines[1:] == ["refused: 5", "read: True", "healed: True"]


def test_a_file_that_may_not_grow_is_a_full_store(tmp_path: Path) -> None:
    check_full(run_child("full", str(tmp_path / "store"), str(1 << 20)))


@pytest.mark.root
def test_a_full_disk_is_a_full_store(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "orlop-test", str(disk)], check=True)
    try:
        (disk / "ballast").write_bytes(b"x" * (3 << 20))
        check_full(run_child("full", str(disk / "store"), "0"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def test_no_room_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open the store"):
        await LmdbStore("/proc/orlop-no-such-place", FakeClock()).open()


async def test_writes_go_on_while_a_long_range_is_read(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        await asyncio.gather(*(store.commit(write(pod(f"{n:04}"))) for n in range(SHORT_RANGE * 20)))
        reading = asyncio.ensure_future(store.range("pods"))
        written = [await store.commit(write(pod(f"{n:04}"), "later")) for n in range(5)]
        assert written[-1] == store.revision
        records, _ = await reading
        assert len(records) == SHORT_RANGE * 20


async def test_compaction_in_slices_lets_writers_pass(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for _ in range(5):
            await asyncio.gather(*(store.commit(write(pod(str(n)))) for n in range(500)))
        compacting = asyncio.ensure_future(store.compact(store.revision))
        await asyncio.sleep(0)
        passed = 0
        while not compacting.done():
            await store.commit(write(pod("other")))
            passed += 1
        await compacting
        assert passed > 5
        assert (await store.stats()).records["pods"] == 500 + passed


async def test_compaction_that_was_stopped_goes_on(tmp_path: Path) -> None:
    store = LmdbStore(str(tmp_path), FakeClock())
    async with opened(store):
        for _ in range(3):
            await asyncio.gather(*(store.commit(write(pod(str(n)))) for n in range(300)))
        assert store._env is not None
        assert store._opened is not None
        # The writer's thread waits for this transaction: it hears of the end before it has done a slice.
        held = store._env.begin(write=True)
        compacting = asyncio.ensure_future(store.compact(900, "pods"))
        await asyncio.sleep(0)
        store._opened[1]._queue.put(None)
        held.abort()
    await compacting
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as again:
        assert again.compacted == 900
        left = (await again.stats()).records["pods"]
        assert left > 300
        await again.compact(900)
        assert (await again.stats()).records["pods"] == 300


async def test_figures(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path), FakeClock())) as store:
        for n in range(200):
            await store.commit(write(pod(str(n % 20)), "x" * 3000))
        full = await store.stats()
        await store.compact(200)
        stats = await store.stats()
        assert (stats.revision, stats.compacted, stats.objects) == (200, 200, {"pods": 20})
        assert full.free < stats.free < stats.size
        assert stats.size <= (tmp_path / "data.mdb").stat().st_size
