"""Readers in other processes: they see one state, keep its pages, and leave nothing when they are killed."""

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

from orlop.clock import FakeClock
from orlop.metrics import render
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_files import READERS
from orlop.store.lmdb_readers import readers
from orlop.store.metrics import METRICS
from tests.store.support import opened, pod, write

READER = """
import contextlib, lmdb, sys
from orlop.store.lmdb_files import environment
env = environment(sys.argv[1], readonly=True)
held = []
with contextlib.suppress(lmdb.ReadersFullError):
    for _ in range(int(sys.argv[2])):
        held.append(env.begin())
print("reading", flush=True)
sys.stdin.read()
"""


def reader(path: Path, transactions: int = 1) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", READER, str(path), str(transactions)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"reading\n"
    return process


async def churn(store: LmdbStore, rounds: int) -> int:
    """Writes the same objects over and over, forgetting the past; the size of the file at the end."""
    for _ in range(rounds):
        await asyncio.gather(*(store.commit(write(pod(str(n)), "x" * 5000)) for n in range(50)))
        await store.compact(store.revision)
    return (await store.stats()).size


async def test_a_killed_reader_is_cleared_and_its_pages_used_again(tmp_path: Path) -> None:
    store = LmdbStore(str(tmp_path), FakeClock())
    async with opened(store):
        await churn(store, 10)
        process = reader(tmp_path)
        before = store.gauges()
        assert before.readers == 1
        assert await churn(store, 20) > 2 * before.size, "a reader keeps its pages"
        assert store.gauges().lag > 20
        process.kill()
        process.wait()
        held = await churn(store, 1)
        gauges = store.gauges()
        assert (gauges.readers, gauges.lag, gauges.counts.stale_readers) == (0, 0, 1)
        assert await churn(store, 30) == held, "what it kept is used before the file grows"
        assert gauges.free > held // 2


async def test_slots_of_killed_readers_never_run_out(tmp_path: Path) -> None:
    store = LmdbStore(str(tmp_path), FakeClock())
    async with opened(store):
        await store.commit(write(pod("a")))
        process = reader(tmp_path, READERS)
        process.kill()
        process.wait()
        with contextlib.ExitStack() as several:
            for _ in range(5):
                several.enter_context(store._reading())
            assert await store.get(pod("a")) is not None
        assert store.gauges().counts.stale_readers > READERS - 10


async def test_a_reader_elsewhere_sees_one_state(tmp_path: Path) -> None:
    store = LmdbStore(str(tmp_path), FakeClock())
    async with opened(store):
        await store.commit(write(pod("a"), "one"))
        # LMDB may not be opened twice by one process: the other reader is one of its own.
        process = reader(tmp_path)
        await store.commit(write(pod("a"), "two"))
        assert store.gauges().readers == 1
        assert store._env is not None
        assert readers(store._env)[0].pid == process.pid
        process.communicate(timeout=20)
        assert store.gauges().readers == 0


async def test_metrics(tmp_path: Path) -> None:
    store = LmdbStore(str(tmp_path), FakeClock())
    async with opened(store):
        with METRICS.of(store):
            await asyncio.gather(*(store.commit(write(pod("a"), expected=0)) for _ in range(3)), return_exceptions=True)
            text = render().decode()
        for line in ("orlop_store_revision 1.0", "orlop_store_writes_total 1.0", "orlop_store_conflicts_total 2.0"):
            assert line in text
        for name in ("free_bytes", "size_bytes", "disk_available_bytes", "readers", "commit_seconds_total"):
            assert f"\norlop_store_{name} " in text
        assert float(text.split("\norlop_store_size_bytes ")[1].split()[0]) <= (tmp_path / "data.mdb").stat().st_size
    assert "orlop_store_" not in render().decode()
