"""scheduler_perf's workloads against a real API server (TLS, LMDB, every write on disk): pods a second until bound.

`sched_perf.py [WORKLOAD …]`; ORLOP_BENCH_NODES and ORLOP_BENCH_MEASURED set the sizes. The measured pods are made while
the scheduler's process is stopped by a signal, so that they are a backlog; the clock runs from the moment it goes on.
Everything runs on this machine's cores. What was bound is checked pod by pod.
"""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine, scheduling
from benches.scheduling import Object, Step
from benches.world import NEVER, Spent, World, each, header, until
from orlop.api.kinds import OPTIONAL
from orlop.api.scheme import KINDS as SERVED
from orlop.api.types import core_v1
from orlop.client import Client
from orlop.client.decode import RawList, decode, encode

NODES = int(os.environ.get("ORLOP_BENCH_NODES", machine.scaled(1000, least=20)))
CHOSEN = sys.argv[1:] or os.environ.get("ORLOP_BENCH_WORKLOADS", "").split()
MEASURED = int(os.environ.get("ORLOP_BENCH_MEASURED", machine.scaled(5000, least=30)))
POLL = 0.1
KINDS = (*SERVED, *OPTIONAL)


async def send(client: Client, method: str, path: str, obj: Object) -> None:
    """One write that must succeed."""
    answer = await client.request(method, path, body=encode(obj), headers={"content-type": "application/json"})
    if answer.status >= 400:
        raise SystemExit(f"{method} {path}: {answer.body.decode()[:500]}")


async def make_node(client: Client, index: int) -> None:
    node = scheduling.node(index)
    path = "/api/v1/nodes"
    await send(client, "POST", path, node)
    # Admission taints a new node as not ready.
    found = await client.get(core_v1.Node, node["metadata"]["name"])
    found.spec.taints = []
    await client.update(found)
    await client.patch(core_v1.Node, found.metadata.name, None, {"status": node["status"]}, subresource="status")


async def make_pods(client: Client, pods: list[Object]) -> None:
    async def make(pod: Object) -> None:
        sent = {**pod, "spec": {key: value for key, value in pod["spec"].items() if key != "priority"}}
        await send(client, "POST", f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods", sent)

    await each(pods, make)


async def make_objects(client: Client, objects: list[Object]) -> None:
    async def make(obj: Object) -> None:
        kind = next(k for k in KINDS if (k.api_version, k.kind) == (obj["apiVersion"], obj["kind"]))
        await send(client, "POST", kind.path(obj["metadata"].get("namespace")), obj)

    await each(objects, make)
    volumes = sum(obj["kind"] == "PersistentVolume" for obj in objects)

    async def available() -> bool:
        found = (await client.list(core_v1.PersistentVolume)).items
        return sum(volume.status.phase in ("Available", "Bound") for volume in found) >= volumes

    if volumes:
        await until(available, f"{volumes} volumes Available", POLL)


async def all_bound(client: Client, but: int) -> None:
    """Returns when no more than `but` pods wait."""

    async def bound() -> bool:
        query = {"fieldSelector": "spec.nodeName=", "limit": but + 1}
        answer = await client.request("GET", "/api/v1/pods", query=query)
        return len(decode(RawList, answer.body).items or ()) <= but

    await until(bound, "every pod bound", POLL)


async def prepare(client: Client, workload: Object) -> None:
    for space in scheduling.namespaces(workload):
        if space["metadata"]["name"] != "default":
            await send(client, "POST", "/api/v1/namespaces", space)
        where = f"/api/v1/namespaces/{space['metadata']['name']}/serviceaccounts"
        await send(
            client, "POST", where, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        )
    high = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "bench-high"},
        "value": 10,
    }
    await send(client, "POST", "/apis/scheduling.k8s.io/v1/priorityclasses", high)
    waits = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    kind = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": scheduling.CLASS}}
    await send(client, "POST", "/apis/storage.k8s.io/v1/storageclasses", {**kind, **waits})
    await each(range(NODES), lambda index: make_node(client, index))


async def run(name: str, workload: Object) -> None:
    needs = workload.get("needs", {})
    served = {needs["api"]: "true"} if "api" in needs else {}
    with World(node_monitor_grace_period=NEVER, runtime_config=served) as world:
        async with world.client() as client:
            await prepare(client, workload)
            if needs.get("controllers"):
                world.start("controllers")
            world.start("scheduler")
            steps = list(scheduling.steps(workload, NODES, MEASURED))
            waiting = 0
            for step in steps[:-1]:
                waiting += len(step.pods) if step.gated or step.refused else 0
                await make_objects(client, step.before)
                await make_pods(client, step.pods)
                await all_bound(client, waiting)
            seconds, spent = await measure(world, client, steps[-1], waiting)
            items = decode(RawList, (await client.request("GET", "/api/v1/pods")).body).items or ()
            pods = [decode(dict, item) for item in items]  # type: ignore[arg-type]
            placed = scheduling.check(pods)
            assert placed == len(pods) - waiting - len(steps[-1].hopeless), f"{placed} of {len(pods)} are bound"
    count, floor = len(steps[-1].pods), workload.get("floor")
    beside = f"; {count / seconds / floor:.1f} times upstream's floor of {floor}" if floor else ""
    print(
        f"{name:<48} {count / seconds:>8,.0f} pods/s ({count:,} pods in {seconds:.2f} s; CPU s: {spent}{beside})",
        flush=True,
    )


async def measure(world: World, client: Client, step: Step, waiting: int) -> tuple[float, Spent]:
    """Seconds until a step's pods are bound, all of which were there when it began."""
    await make_objects(client, step.before)
    scheduler = world.parts["scheduler"]
    scheduler.send_signal(signal.SIGSTOP)
    try:
        await make_pods(client, [*step.hopeless, *step.pods])
        spent = Spent(world)
        began = time.monotonic()
    finally:
        scheduler.send_signal(signal.SIGCONT)
    await all_bound(client, waiting + len(step.hopeless))
    return time.monotonic() - began, spent.stop()


if __name__ == "__main__":
    header()
    print(f"{NODES:,} nodes in {scheduling.ZONES} zones, a backlog of {MEASURED:,} pods where not said otherwise")
    for name, workload in scheduling.workloads().items():
        if not CHOSEN or name in CHOSEN:
            asyncio.run(run(name, workload))
