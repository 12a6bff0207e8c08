"""What a create costs as the store grows from nothing to a million objects.

World: an LMDB store, the feed and the hub, as in the API server; objects of 1 KB in 100 namespaces; 100 writers, each
with one write in flight; the load's own cost is counted too. Shown are microseconds of CPU of the whole process for a
create, over the last tenth of each size, so that it can be seen whether they grow; those within the process and those
in the kernel apart, which writes more pages the more places of the index a batch touches, and waits for the disk. The
work is checked: objects are read back from the store and the hub.
"""

import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.bench import curve
from orlop.clock import SystemClock
from orlop.native import Hub
from orlop.store.base import Key, Parts, Write
from orlop.store.feed import Feed
from orlop.store.lmdb import LmdbStore

OBJECTS = int(os.environ.get("ORLOP_BENCH_OBJECTS", "1000000"))
WRITERS = 100
STEPS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
BAR = 1.3
"""A create at the end against those among the first thousands: flat but for noise and the depth of the trees."""
WIDTH = 50
RESULTS = Path(os.environ.get("ORLOP_BENCH_RESULTS", Path(__file__).parents[1] / "results"))


def object_of(number: int) -> Write:
    name, namespace = f"pod-{number:07}", f"ns-{number % 100:02}"
    head = f'{{"kind":"Pod","metadata":{{"name":"{name}","namespace":"{namespace}","resourceVersion":"'
    parts = Parts(head.encode(), b'","labels":{"app":"web"}},"spec":{"nodeName":"n"},"text":"' + b"x" * 800 + b'"}')
    return Write(Key("pods", namespace, name), parts, 0)


class Cost(NamedTuple):
    """Microseconds a create."""

    objects: int
    user: float
    system: float
    wall: float

    @property
    def cpu(self) -> float:
        return self.user + self.system


async def grow(folder: str) -> list[Cost]:
    """For each step."""
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
        before, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        await make(step)
        after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - wall
        user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
        found.append(Cost(step, user / count * 1e6, system / count * 1e6, wall / count * 1e6))
        print(f"{step:9,} objects made", file=sys.stderr, flush=True)
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
    top = max(one.cpu for one in found)
    for one in found:
        bar = "█" * round(one.user / top * WIDTH) + "░" * round(one.system / top * WIDTH)
        print(
            f"{one.objects:9,} objects {one.user:5.1f} + {one.system:5.1f} µs CPU, {one.wall:6.1f} µs a create  {bar}"
        )
    curves = {
        "all": [(one.objects, one.cpu) for one in found],
        "in the process": [(one.objects, one.user) for one in found],
        "in the kernel": [(one.objects, one.system) for one in found],
    }
    title = "A create as the store grows"
    curve.write(RESULTS / "store-growth", title, "objects there are", "µs of CPU a create", curves, machine.line())
    few = [one for one in found if one.objects <= 10_000]
    whole = found[-1].cpu / statistics.median(one.cpu for one in few)
    inside = found[-1].user / statistics.median(one.user for one in few)
    print(f"a create at {found[-1].objects:,} costs {whole:.2f} times those up to 10,000 (bar {BAR:g})")
    print(f"outside of the kernel {inside:.2f} times")


if __name__ == "__main__":
    main()
