"""What is deleted with something else: a namespace with 10,000 objects, and 10,000 objects whose owner goes.

World: an API server (LMDB, TLS), all controllers, the scheduler and hollow nodes, each a process, on one machine.
The namespace holds a Deployment whose pods run (a tenth of the objects), ConfigMaps and Secrets; time runs from its
deletion until it is gone, and nothing of it is left. The cascade is one ConfigMap that owns 10,000 others and is
deleted; time runs until none is left. Beside them the plain API cost of deleting as many: the collection in one
request, and one by one.
"""

import asyncio
import sys
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.scenarios.controllers_deployment import deployment
from benches.world import (
    Spent,
    World,
    each,
    header,
    made_namespace,
    nodes_for,
    nodes_ready,
    repeated,
    settled,
    tell,
    tell_spent,
    until,
)
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client, Head

OBJECTS = machine.scaled(10_000, 20)
PODS = OBJECTS // 10
NODES = nodes_for(PODS)
LIMIT = 5.0
"""Seconds for the namespace."""


class Work(Protocol):
    """A step that is measured, in a namespace of its own."""

    __name__: str

    async def __call__(self, world: World, client: Client, name: str) -> Spent: ...


class MapHead(Head):
    """A ConfigMap, as far as one that counts them needs."""

    __kind__ = core_v1.ConfigMap


def config_map(namespace: str, i: int, owner: core_v1.ConfigMap | None = None) -> core_v1.ConfigMap:
    refs = []
    if owner is not None:
        meta = owner.metadata
        refs = [meta_v1.OwnerReference(api_version="v1", kind="ConfigMap", name=meta.name, uid=meta.uid)]
    metadata = meta_v1.ObjectMeta(name=f"m-{i}", namespace=namespace, owner_references=refs)
    return core_v1.ConfigMap(metadata=metadata, data={"key": "value" * 20})


def secret(namespace: str, i: int) -> core_v1.Secret:
    return core_v1.Secret(metadata=meta_v1.ObjectMeta(name=f"s-{i}", namespace=namespace), data={"key": b"value" * 20})


async def namespace(world: World, client: Client, name: str) -> Spent:
    """Until a full namespace is gone."""
    await made_namespace(client, name)
    await client.create(deployment("d", name, PODS))
    maps = (OBJECTS - PODS) // 2
    await each(range(maps), lambda i: client.create(config_map(name, i)))
    await each(range(OBJECTS - PODS - maps), lambda i: client.create(secret(name, i)))

    async def all_ready() -> bool:
        return (await client.get(apps_v1.Deployment, "d", name)).status.ready_replicas == PODS

    await until(all_ready, "the Deployment Ready")
    await settled(world)
    spent = Spent(world)
    await client.delete(core_v1.Namespace, name)

    async def gone() -> bool:
        return (await client.request("GET", f"/api/v1/namespaces/{name}")).status == 404

    await until(gone, f"namespace {name} gone", 0.02)
    spent.stop()
    for kind in (core_v1.Pod, core_v1.ConfigMap, core_v1.Secret, apps_v1.ReplicaSet, apps_v1.Deployment):
        assert not (await client.list(kind, name)).items
    return spent


async def cascade(world: World, client: Client, name: str) -> Spent:
    """Until all that one object owned is gone."""
    await made_namespace(client, name)
    owner = await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="owner", namespace=name)))
    await each(range(OBJECTS), lambda i: client.create(config_map(name, i, owner)))
    await settled(world)
    since = (await client.list(MapHead, name, limit=1)).resource_version
    spent = Spent(world)
    gone = 0
    async with asyncio.TaskGroup() as group:
        group.create_task(client.delete(core_v1.ConfigMap, "owner", name))
        async for event in client.watch(MapHead, name, resource_version=since):
            gone += event.type == "DELETED"
            if gone == OBJECTS + 1:
                break
    spent.stop()
    assert {m.metadata.name for m in (await client.list(MapHead, name)).items} <= {"kube-root-ca.crt"}
    return spent


async def plain(world: World, client: Client) -> None:
    """What the API server takes to delete as many alone."""
    for what in ("in one request", "one by one"):
        await each(range(OBJECTS), lambda i: client.create(config_map("plain", i)))
        spent = Spent(world)
        if what == "one by one":
            await each(range(OBJECTS), lambda i: client.delete(core_v1.ConfigMap, f"m-{i}", "plain"), 20)
        else:
            await client.delete_collection(core_v1.ConfigMap, "plain")
        spent.stop()
        tell(f"  the API server alone: {OBJECTS} ConfigMaps deleted {what}", [spent.seconds], "s")
        tell(f"  the API server alone: {OBJECTS} ConfigMaps deleted {what}, CPU", [spent.cpu["apiserver"]], "s")


async def main() -> None:
    header()
    with World(nodes=NODES) as world:
        world.run()
        async with world.client() as client:
            await nodes_ready(client, NODES)
            for what, work, limit in (
                (f"a namespace with {OBJECTS} objects deleted", namespace, LIMIT),
                (f"a cascade of {OBJECTS}", cascade, None),
            ):

                async def run(number: int, work: Work = work) -> Spent:
                    await settled(world)
                    return await work(world, client, f"{work.__name__}-{number}")

                tell_spent(what, await repeated(run), limit)
            await made_namespace(client, "plain")  # while there is still who makes its ServiceAccount
            for part in ("hollow", "scheduler", "controllers"):
                world.stop(part)
            await plain(world, client)


if __name__ == "__main__":
    asyncio.run(main())
