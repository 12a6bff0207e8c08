"""What a durable write costs the store, how long it takes, and what compaction adds.

World: an LMDB store on the disk of the temporary folder; objects of 2.7 KB; N writers, each with one write in flight;
the load is in the same process, on one event loop, and its cost is counted too. Beside it, in the same run: a bare file
to which the same bytes are appended with one fdatasync for each N of them, the most that any store with one log could
do here. Then the same updates with compaction running all the time and without. The work is checked: every object is
read back, and what was to be forgotten is gone.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.clock import SystemClock
from orlop.store.base import Attribution, Key, Parts, Write
from orlop.store.lmdb import LmdbStore

OBJECT = Parts(b'{"kind":"Pod","metadata":{"resourceVersion":"', b'"},"spec":"' + b"x" * 2650 + b'"}')
BY = Attribution("system:node:n1", "kubelet", "0b7d1f4e-6f0c-4e0e-9d5a-3f1c2a9b8e77")
SIZES = ((1, 2000), (32, 40_000), (1000, 80_000))
BAR = 3.0
"""Commit times that a write may take from the queue to its answer, at the 99th percentile."""


class Result(NamedTuple):
    rate: float
    cpu: float
    """Seconds a write."""
    p50: float
    p99: float
    commit: float
    """Seconds a transaction, in the mean."""
    slow: float
    """Seconds of the transaction at the 99th percentile."""
    group: float
    """Writes in one."""


async def run(store: LmdbStore, in_flight: int, total: int, objects: int) -> Result:
    """`total` writes over `objects` names."""
    took: list[float] = []
    each = total // in_flight

    async def write(writer: int) -> None:
        for n in range(each):
            key = Key("pods", "default", f"p-{(writer * each + n) % objects}")
            began = time.perf_counter()
            await store.commit(Write(key, OBJECT, by=BY))
            took.append(time.perf_counter() - began)

    commits = measured(store)
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(in_flight)))
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    cuts = statistics.quantiles(took, n=100)
    written = each * in_flight
    slow = statistics.quantiles([*commits, commits[-1]], n=100)[98]
    return Result(
        written / elapsed, cpu / written, cuts[49], cuts[98], statistics.fmean(commits), slow, written / len(commits)
    )


def measured(store: LmdbStore) -> list[float]:
    """A list that will have the seconds of each transaction from now on."""
    assert store._opened is not None
    writer = store._opened[1]
    taken: list[float] = []
    count = type(writer)._count

    def note(changes: Any, outcomes: Any, seconds: float) -> None:
        taken.append(seconds)
        count(writer, changes, outcomes, seconds)

    writer._count = note  # type: ignore[method-assign]
    return taken


def bare(folder: Path, in_flight: int) -> float:
    """Writes a second of the bare file."""
    group = OBJECT.at(1) * in_flight
    rounds = max(20, min(1000, 20_000 // in_flight))
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    began = time.perf_counter()
    for _ in range(rounds):
        os.write(file, group)
        os.fdatasync(file)
    rate = rounds * in_flight / (time.perf_counter() - began)
    os.close(file)
    return rate


async def creates(folder: Path, in_flight: int, total: int) -> None:
    store = LmdbStore(str(folder / f"store-{in_flight}"), SystemClock())
    await store.open()
    found = await run(store, in_flight, total, total)
    records, _ = await store.range("pods")
    assert len(records) == store.revision == total // in_flight * in_flight
    assert all(record.value == OBJECT.at(record.revision) for record in records)
    await store.close()
    mean, slow = found.p99 / found.commit, found.p99 / found.slow
    verdict = "reached" if mean <= BAR else "MISSED"
    print(
        f"{in_flight:5} in flight: {found.rate:8,.0f} writes/s (bare file {bare(folder, in_flight):8,.0f}), "
        f"{found.cpu * 1e6:5.1f} µs CPU each, {found.group:5.1f} a commit of {found.commit * 1e3:5.2f} ms; "
        f"p50 {found.p50 * 1e3:5.2f}, p99 {found.p99 * 1e3:5.2f} ms = {mean:.1f} mean commits "
        f"(bar {BAR:g}: {verdict}), {slow:.1f} of the commits' own p99"
    )


async def updates(folder: Path, compacting: bool) -> Result:
    """32 writers who change 1,000 objects, with 100,000 old versions to be forgotten meanwhile."""
    objects, old, total = 1000, machine.scaled(100_000, least=2000), machine.scaled(40_000, least=2000)
    store = LmdbStore(str(folder / f"updates-{compacting}"), SystemClock())
    await store.open()
    await run(store, 1000, old, objects)
    compacted = 0

    async def compact() -> None:
        nonlocal compacted
        while True:
            target = store.revision if compacted else old  # first what has gathered, then what is written
            await store.compact(target, "pods")
            compacted = target
            await asyncio.sleep(0)

    task = asyncio.ensure_future(compact()) if compacting else None
    found = await run(store, 32, total, objects)
    if task is not None:
        task.cancel()
        assert compacted >= old
    stats = await store.stats()
    assert stats.objects["pods"] == objects
    assert stats.records["pods"] < old if compacting else stats.records["pods"] == store.revision
    print(
        f"{'compaction all the time' if compacting else 'no compaction':<24} {found.rate:8,.0f} writes/s, "
        f"p50 {found.p50 * 1e3:5.2f}, p99 {found.p99 * 1e3:5.2f} ms; file {stats.size >> 20} MiB, "
        f"{stats.free >> 20} MiB of it free, {stats.records['pods']:,} versions kept"
    )
    await store.close()
    return found


def main() -> None:
    print(machine.line())
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as name:
        folder = Path(name)
        for in_flight, total in SIZES:
            asyncio.run(creates(folder, in_flight, machine.scaled(total, least=in_flight)))
        without, beside = asyncio.run(updates(folder, False)), asyncio.run(updates(folder, True))
        print(f"p99 of a write beside compaction: {beside.p99 / without.p99:.2f} times that without")


if __name__ == "__main__":
    main()
