"""What a create costs as the store grows from nothing to a million objects.

World: an LMDB store, the feed and the hub, as in the API server; objects of 1 KB in 100 namespaces; 100 writers, each
with one write in flight; the load's own cost is counted too. Shown are microseconds of CPU of the whole process for a
create, over the last tenth of each size, so that it can be seen whether they grow. The work is checked: objects are
read back from the store and the hub.
"""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.clock import SystemClock
from orlop.native import Hub
from orlop.store.base import Key, Parts, Write
from orlop.store.feed import Feed
from orlop.store.lmdb import LmdbStore

OBJECTS = int(os.environ.get("ORLOP_BENCH_OBJECTS", "1000000"))
WRITERS = 100
STEPS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
BAR = 1.3
"""The dearest create against the one among the first thousands: flat but for noise and the depth of the trees."""
WIDTH = 50


def object_of(number: int) -> Write:
    name, namespace = f"pod-{number:07}", f"ns-{number % 100:02}"
    head = f'{{"kind":"Pod","metadata":{{"name":"{name}","namespace":"{namespace}","resourceVersion":"'
    parts = Parts(head.encode(), b'","labels":{"app":"web"}},"spec":{"nodeName":"n"},"text":"' + b"x" * 800 + b'"}')
    return Write(Key("pods", namespace, name), parts, 0)


async def grow(folder: str) -> list[tuple[int, float, float]]:
    """(objects, CPU µs a create, wall µs a create) for each step."""
    store = LmdbStore(folder, SystemClock())
    await store.open()
    hub = Hub(65536)
    hub.declare("pods", [("spec.nodeName", "spec.nodeName")], True, "v1", "Pod")
    feed = Feed(store, hub)
    await feed.load()
    feeding = asyncio.ensure_future(feed.run())
    found = []
    made = 0

    async def make(until: int) -> None:
        nonlocal made

        async def write() -> None:
            nonlocal made
            while made < until:
                made += 1
                await feed.commit(object_of(made))

        await asyncio.gather(*(write() for _ in range(WRITERS)))

    for step in (step for step in STEPS if step <= OBJECTS):
        await make(step - step // 10 if step > STEPS[0] else 0)
        count = step - made
        cpu, wall = time.process_time(), time.perf_counter()
        await make(step)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        found.append((step, cpu / count * 1e6, wall / count * 1e6))
    for number in range(1, made, max(1, made // 1000)):
        write = object_of(number)
        record = await store.get(write.key)
        assert record is not None
        assert record.value == write.parts.at(record.revision)
        assert hub.get("pods", write.key.namespace, write.key.name) == (record.value, record.revision)
    feeding.cancel()
    await store.close()
    return found


def main() -> None:
    print(machine.line())
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as folder:
        found = asyncio.run(grow(folder + "/store"))
    top = max(cpu for _, cpu, _ in found)
    for objects, cpu, wall in found:
        print(f"{objects:9,} objects {cpu:6.1f} µs CPU, {wall:6.1f} µs a create  {'█' * round(cpu / top * WIDTH)}")
    first = min(cpu for objects, cpu, _ in found if objects <= 10_000)
    print(f"at {found[-1][0]:,} objects a create costs {found[-1][1] / first:.2f} times the first (bar {BAR:g})")


if __name__ == "__main__":
    main()
