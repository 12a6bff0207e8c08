"""What a durable write costs.

World: an empty LMDB store on the disk of the temporary folder; objects of 2.7 KB; N writers, each with one write in
flight. Beside it, in the same run: a bare file to which the same bytes are appended with one fdatasync for each N of
them, which is the most that any store with one log could do here. The work is checked: every object is read back.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import lmdb

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.clock import SystemClock
from orlop.store.base import Attribution, Key, Parts, Write
from orlop.store.lmdb import LmdbStore

OBJECT = Parts(b'{"kind":"Pod","metadata":{"resourceVersion":"', b'"},"spec":"' + b"x" * 2650 + b'"}')
BY = Attribution("system:node:n1", "kubelet", "0b7d1f4e-6f0c-4e0e-9d5a-3f1c2a9b8e77")
SIZES = ((1, 1000), (32, 20_000), (1000, 40_000))


def bare(folder: Path, in_flight: int, total: int) -> float:
    """Writes a second of the bare file."""
    group = OBJECT.at(1) * in_flight
    file = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    began = time.perf_counter()
    for _ in range(max(1, min(total // in_flight, 2000))):
        os.write(file, group)
        os.fdatasync(file)
    rate = max(1, min(total // in_flight, 2000)) * in_flight / (time.perf_counter() - began)
    os.close(file)
    return rate


async def commits(folder: Path, in_flight: int, total: int) -> None:
    store = LmdbStore(str(folder / f"store-{in_flight}"), SystemClock())
    await store.open()
    took: list[float] = []

    async def write(writer: int) -> None:
        for n in range(total // in_flight):
            began = time.perf_counter()
            await store.commit(Write(Key("pods", "default", f"p-{writer}-{n}"), OBJECT, 0, by=BY))
            took.append(time.perf_counter() - began)

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(write(writer) for writer in range(in_flight)))
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    records, _ = await store.range("pods")
    assert len(records) == store.revision == total
    assert all(record.value == OBJECT.at(record.revision) for record in records)
    p50, p99 = statistics.quantiles(took, n=100)[49], statistics.quantiles(took, n=100)[98]
    print(
        f"{in_flight:5} in flight: {total / elapsed:8,.0f} commits/s, {cpu / total * 1e6:5.1f} µs CPU each, "
        f"p50 {p50 * 1e3:5.2f} ms, p99 {p99 * 1e3:5.2f} ms; bare file {bare(folder, in_flight, total):8,.0f}/s"
    )
    if in_flight == SIZES[-1][0]:
        await reads(store, total)
    await store.close()


async def reads(store: LmdbStore, total: int) -> None:
    names = [f"p-{n % 1000}-{n % (total // 1000)}" for n in range(5000)]
    began = time.perf_counter()
    for name in names:
        assert await store.get(Key("pods", "default", name)) is not None
    print(f"get: {(time.perf_counter() - began) / len(names) * 1e6:.1f} µs")
    for what, revision in (("now", None), ("as of half the revisions ago", total // 2)):
        began = time.perf_counter()
        records, _ = await store.range("pods", revision=revision)
        took = time.perf_counter() - began
        assert len(records) == (revision or total)
        print(f"range of {len(records):,} {what}: {took * 1e3:.0f} ms, {took / len(records) * 1e6:.1f} µs each")


def main() -> None:
    print("world: an empty LMDB store, creates of 2.7 KB objects, one write in flight a writer; every object read back")
    print(machine.line() + f", LMDB {'.'.join(map(str, lmdb.version()))} (py-lmdb {lmdb.__version__})")
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as folder:
        for in_flight, total in SIZES:
            asyncio.run(commits(Path(folder), in_flight, total))


if __name__ == "__main__":
    main()
