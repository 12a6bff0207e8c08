"""How long a pod waits for its node while pods come at a steady rate: from the answer to its create to its binding.

World: ORLOP_BENCH_NODES nodes, a real API server (TLS, LMDB, every write on disk) and a scheduler; ORLOP_BENCH_RATE
pods a second for ORLOP_BENCH_SECONDS. Both ends are seen by one client: it has the answer, and it watches pods. Beside
it stands the time from a create's request to its answer. Checked: every pod was bound, once, to a node that has room.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine, scheduling
from benches.scenarios.sched_perf import make_node, send
from benches.world import NEVER, Spent, World, each, header, made_account, until
from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer, Meta
from orlop.client.decode import RawList, decode

NODES = int(os.environ.get("ORLOP_BENCH_NODES", machine.scaled(1000, least=20)))
RATE = int(os.environ.get("ORLOP_BENCH_RATE", "500"))
SECONDS = float(os.environ.get("ORLOP_BENCH_SECONDS", machine.scaled(10, least=1)))
LIMIT_MS = 100.0
"""p99 that is to be reached at 500 pods a second."""


class Spec(ApiStruct):
    node_name: str = ""


class Pod(ApiStruct):
    """What is looked at of a pod: the client shares the cores with what it measures."""

    __kind__ = core_v1.Pod

    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: Spec = msgspec.field(default_factory=Spec)


class Watched:
    """When each pod was answered for, and when it was seen on a node."""

    def __init__(self, client: Client) -> None:
        self.asked: dict[str, float] = {}
        self.made: dict[str, float] = {}
        self.bound: dict[str, float] = {}
        self.pods: Informer[Pod] = Informer(client, Pod)
        self.pods.on_change(self._changed)

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if new is not None and new.spec.node_name:
            self.bound.setdefault(new.metadata.name, time.monotonic())

    async def make(self, client: Client, pod: scheduling.Object) -> None:
        name = pod["metadata"]["name"]
        self.asked[name] = time.monotonic()
        await send(client, "POST", "/api/v1/namespaces/default/pods", pod)
        self.made[name] = time.monotonic()


async def run() -> None:
    with World(node_monitor_grace_period=NEVER) as world:
        async with world.client() as client, world.client() as other:
            await made_account(client, "default")
            await each(range(NODES), lambda index: make_node(client, index))
            world.start("scheduler")
            watched = Watched(other)
            async with asyncio.TaskGroup() as group:
                informer = group.create_task(watched.pods.run())
                await watched.pods.synced()
                spent = await load(world, client, watched)
                items = decode(RawList, (await client.request("GET", "/api/v1/pods")).body).items or ()
                pods = [decode(dict, item) for item in items]  # type: ignore[arg-type]
                assert scheduling.check(pods) == len(pods) == len(watched.made)
                informer.cancel()
    waits = sorted(1000 * (watched.bound[name] - made) for name, made in watched.made.items())
    answers = sorted(1000 * (made - watched.asked[name]) for name, made in watched.made.items())
    print(f"{len(waits):,} pods in {spent.seconds:.1f} s; CPU s: {spent}")
    tell("from the answer to a create to the pod's binding, as watched", waits, LIMIT_MS)
    tell("from a create's request to its answer", answers)


async def load(world: World, client: Client, watched: Watched) -> Spent:
    """Pods at the rate, until all are bound. The pace is kept by the clock: a late one is made at once."""
    made = next(scheduling.steps({"steps": [{"share": 1.0}]}, NODES, round(RATE * SECONDS))).pods
    spent, began = Spent(world), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for index, pod in enumerate(made):
            wait = began + index / RATE - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            group.create_task(watched.make(client, pod))

    async def bound() -> bool:
        return len(watched.bound) == len(made)

    await until(bound, "every pod bound")
    return spent.stop()


def tell(what: str, values: list[float], limit: float | None = None) -> None:
    bar = f"; p99 is to be at most {limit:g}" if limit is not None else ""
    p50, p99 = values[len(values) // 2], values[min(len(values) - 1, int(len(values) * 0.99))]
    print(f"{what:<64} p50 {p50:8.1f} ms, p99 {p99:8.1f} ms, most {values[-1]:8.1f} ms{bar}", flush=True)


if __name__ == "__main__":
    header()
    print(f"{NODES:,} nodes, {RATE:,} pods a second for {SECONDS:g} s")
    asyncio.run(run())
