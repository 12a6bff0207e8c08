"""The scheduler core alone at 5,000 nodes: pods a second with equal pods, replicas of one owner, and all different.

Every placement is checked to fit, and the last one of each run to be one of the best by the core's own account.
"""

import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.native import SchedulerCore

NODES = machine.scaled(5000, least=50)
ZONES = 3
BATCH = 256
ALLOCATABLE = {"cpu": 32_000, "memory": 256 * 2**30, "pods": 500}


@dataclass
class World:
    """Pods of one run: what differs between them."""

    name: str
    pods: int
    different: bool = False
    replicas: bool = False


WORLDS = [
    World("equal pods", machine.scaled(50_000)),
    World("replicas of one owner, spread over hosts and zones", machine.scaled(50_000), replicas=True),
    World("every pod different", machine.scaled(10_000), different=True),
    World("every pod different, replicas of one owner", machine.scaled(10_000), different=True, replicas=True),
]


def node(index: int) -> bytes:
    labels = {"kubernetes.io/hostname": f"n{index}", "topology.kubernetes.io/zone": f"z{index % ZONES}"}
    allocatable = {"cpu": "32", "memory": "256Gi", "pods": "500", "ephemeral-storage": "100Gi"}
    return json.dumps(
        {"metadata": {"name": f"n{index}", "labels": labels}, "status": {"allocatable": allocatable}}
    ).encode()


def request(world: World, index: int) -> tuple[int, int]:
    """Milli-CPU and MiB. The factors are primes beyond the moduli, so that no two of a run are equal."""
    return (100 + index * 7919 % 900, 256 + index * 104729 % 9973) if world.different else (100, 256)


def pod(world: World, index: int) -> bytes:
    cpu, memory = request(world, index)
    metadata: dict[str, Any] = {"namespace": "default", "name": f"p{index}", "uid": f"u{index}"}
    if world.replicas:
        metadata["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "rs", "controller": True}
        ]
    requests = {"cpu": f"{cpu}m", "memory": f"{memory}Mi"}
    container = {"name": "c", "image": "registry.example/app:1", "resources": {"requests": requests}}
    spec = {"schedulerName": "default-scheduler", "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).encode()


def resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


def run(world: World) -> str:
    core = SchedulerCore(1)
    nodes = [node(index) for index in range(NODES)]
    pods = [pod(world, index) for index in range(world.pods)]
    keys = [("default", f"p{index}") for index in range(world.pods)]
    before = resident()
    for value in nodes:
        core.upsert_node(value)
    started = time.process_time()
    for value in pods:
        core.upsert_pod(value)
    fed = time.process_time() - started
    chosen: list[str | None] = []
    started = time.process_time()
    for at in range(0, world.pods - 1, BATCH):
        chosen += [decision.node for decision in core.schedule(keys[at : min(at + BATCH, world.pods - 1)])]
    took = time.process_time() - started
    size = (resident() - before) / (world.pods + NODES)
    check(world, core, chosen, pods[-1], keys[-1])
    return (
        f"{world.name}: {(world.pods - 1) / took:,.0f} pods/s decided ({1e6 * took / (world.pods - 1):.1f} µs each), "
        f"{world.pods / fed:,.0f} pods/s read, {size:,.0f} bytes a pod or node"
    )


def check(world: World, core: SchedulerCore, chosen: list[str | None], last: bytes, key: tuple[str, str]) -> None:
    used: Counter[tuple[str | None, str]] = Counter()
    for index, name in enumerate(chosen):
        cpu, memory = request(world, index)
        used.update({(name, "cpu"): cpu, (name, "memory"): memory * 2**20, (name, "pods"): 1})
    assert all(name is not None for name in chosen), "a pod was refused"
    assert all(amount <= ALLOCATABLE[resource] for (_, resource), amount in used.items()), "a node holds too much"
    totals = {name: total for name, plugin, _, _, total in core.explain(last) if plugin is None}
    [decision] = core.schedule([key])
    assert decision.node is not None
    assert totals[decision.node] == max(totals.values()), "not the best node"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(run(WORLDS[int(sys.argv[1])]))
    else:
        print(machine.line("cargo --version"))
        print(f"{NODES:,} nodes in {ZONES} zones, batches of {BATCH}, one thread; seconds are CPU seconds")
        for index in range(len(WORLDS)):
            # Each in a process of its own, so that its memory can be told.
            subprocess.run([sys.executable, __file__, str(index)], check=True)
