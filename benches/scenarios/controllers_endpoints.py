"""A Service with 5,000 endpoints of which single ones change: what is written for each.

World: an API server (LMDB, TLS) and all controllers, each a process, on one machine; pods that run, written as kubelets
would, and one Service that selects them. One pod at a time becomes unready and ready again; the EndpointSlices that are
written are counted in bytes as a watcher gets them. Then many change at once. Limits: one slice for each endpoint that
changes, and all of them once where all change together. Beside it the bytes of the legacy Endpoints object, which holds
no more than 1,000 addresses and is written whole each time.
"""

import asyncio
import sys
import time
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.world import (
    LIMIT_SECONDS,
    NEVER,
    Spent,
    World,
    each,
    header,
    made_namespace,
    running_status,
    settled,
    tell,
    template,
    until,
)
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.client import Client, Head

ENDPOINTS = machine.scaled(5000, 20)
CHANGES = machine.scaled(100, 4)
NODES = 50
PER_SLICE = 100
"""Upstream's --max-endpoints-per-slice."""
SERVICE = "discovery.k8s.io/v1"


class PodHead(Head):
    """A pod, as far as a writer needs the answer."""

    __kind__ = core_v1.Pod


class Written:
    """What is written of one kind, as a watcher sees it."""

    def __init__(self, client: Client, kind: type) -> None:
        self._client = client
        self._kind = kind
        self.sizes: list[int] = []
        self.news = asyncio.Event()

    async def follow(self, since: str) -> None:
        async for event in self._client.watch(self._kind, "web", resource_version=since):
            if event.type != "BOOKMARK":
                self.sizes.append(len(event.object))
                self.news.set()

    def take(self) -> list[int]:
        sizes, self.sizes = self.sizes, []
        return sizes


async def pod(client: Client, i: int) -> None:
    metadata = meta_v1.ObjectMeta(name=f"p-{i}", namespace="web", labels={"app": "web"})
    made = core_v1.Pod(metadata=metadata, spec=template("web").spec)
    made.spec.node_name = f"node-{i % NODES}"
    await client.create(made)
    status = {"status": running_status(f"10.1.{i // 250}.{i % 250 + 1}")}
    await client.patch(PodHead, f"p-{i}", "web", status, type="strategic", subresource="status")


async def turn(client: Client, i: int, ready: bool) -> None:
    """Makes a pod ready, or not."""
    conditions = [{"type": type_, "status": "True" if ready else "False"} for type_ in ("Ready", "ContainersReady")]
    patch = {"status": {"conditions": conditions}}
    await client.patch(PodHead, f"p-{i}", "web", patch, type="strategic", subresource="status")


async def prepare(client: Client) -> None:
    await made_namespace(client, "web")
    await each(range(NODES), lambda i: client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name=f"node-{i}"))))
    await each(range(ENDPOINTS), lambda i: pod(client, i))
    spec = core_v1.ServiceSpec(selector={"app": "web"}, ports=[core_v1.ServicePort(port=80)])
    await client.create(core_v1.Service(metadata=meta_v1.ObjectMeta(name="web", namespace="web"), spec=spec))

    async def complete() -> bool:
        return sum(len(s.endpoints) for s in (await client.list(discovery_v1.EndpointSlice, "web")).items) == ENDPOINTS

    await until(complete, "all endpoints in slices", 0.25)


async def main() -> None:
    header()
    with World(node_monitor_grace_period=NEVER) as world:
        world.start("controllers")
        async with world.client() as client:
            await prepare(client)
            await settled(world)
            slices = await client.list(discovery_v1.EndpointSlice, "web")
            answer = await client.request("GET", f"/apis/{SERVICE}/namespaces/web/endpointslices")
            items = msgspec.json.decode(answer.body)["items"]
            largest = max(len(msgspec.json.encode(item)) for item in items)
            assert len(slices.items) <= -(-ENDPOINTS // PER_SLICE) + 1
            written, legacy = Written(client, discovery_v1.EndpointSlice), Written(client, core_v1.Endpoints)
            async with asyncio.TaskGroup() as group:
                watching = [group.create_task(w.follow(slices.resource_version)) for w in (written, legacy)]
                singles, late = [], []
                spent = Spent(world)
                for i in range(CHANGES):
                    written.news.clear()
                    began = time.monotonic()
                    await turn(client, i // 2 * (ENDPOINTS // CHANGES), i % 2 == 1)  # unready, then ready again
                    async with asyncio.timeout(LIMIT_SECONDS):
                        await written.news.wait()
                    late.append(1000 * (time.monotonic() - began))
                await settled(world)
                spent.stop()
                singles, addresses = written.take(), legacy.take()
                assert len(singles) == CHANGES, f"{len(singles)} slices written for {CHANGES} changes"
                tell("EndpointSlice bytes written for an endpoint that changes", singles, "bytes", largest)
                tell("  from the pod's change to the slice's", late, "ms")
                tell("  CPU of the controllers for each", [1000 * spent.cpu["controllers"] / CHANGES], "ms")
                tell("  CPU of the API server for each", [1000 * spent.cpu["apiserver"] / CHANGES], "ms")
                tell("  legacy Endpoints bytes written for each", [sum(addresses) / CHANGES], "bytes")
                before = len(slices.items)
                await each(range(ENDPOINTS), lambda i: turn(client, i, False))
                await settled(world)
                together = written.take()
                tell(f"slices written while all {ENDPOINTS} endpoints change", [len(together)], "slices")
                tell("  bytes for each endpoint that changes", [sum(together) / ENDPOINTS], "bytes", largest)
                ready = [e for s in (await client.list(discovery_v1.EndpointSlice, "web")).items for e in s.endpoints]
                assert len(ready) == ENDPOINTS
                assert not any(e.conditions.ready for e in ready if e.conditions is not None)
                assert len((await client.list(discovery_v1.EndpointSlice, "web")).items) == before
                for task in watching:
                    task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
