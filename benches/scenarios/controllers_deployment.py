"""A Deployment of 5,000 replicas, and 1,000 Deployments of 5, from create to all Ready.

World: an API server (LMDB, TLS), all controllers, the scheduler and hollow nodes of 110 pods, each component a
process with its own identity, on one machine. Time runs from the first create until the Deployments' statuses say
that all is Ready; then the pods are looked at: as many as wanted, each on a node, with an address and Ready. Beside
it the plain API cost of the same writes in the same run: pods created, bound and told to be Running by a client
that does nothing else, with nobody watching.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.world import (
    LIMIT_SECONDS,
    Spent,
    World,
    each,
    header,
    made_namespace,
    nodes_for,
    nodes_ready,
    repeated,
    running_status,
    settled,
    tell,
    tell_spent,
    template,
    until,
)
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Head

ONE = machine.scaled(5000, 10)
MANY = machine.scaled(1000, 2)
EACH = 5
LIMIT = 5.0
"""Seconds."""
NODES = nodes_for(max(ONE, MANY * EACH))


class Counts(ApiStruct):
    ready_replicas: int = 0


class DeploymentHead(Head):
    """How far a Deployment has got."""

    __kind__ = apps_v1.Deployment
    status: Counts = msgspec.field(default_factory=Counts)


class PodHead(Head):
    """A pod, as far as a writer needs the answer."""

    __kind__ = core_v1.Pod


def deployment(name: str, namespace: str, replicas: int) -> apps_v1.Deployment:
    selector = meta_v1.LabelSelector(match_labels={"app": name})
    spec = apps_v1.DeploymentSpec(replicas=replicas, selector=selector, template=template(name))
    return apps_v1.Deployment(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace), spec=spec)


async def deploy(world: World, client: Client, namespace: str, count: int, replicas: int) -> Spent:
    """Seconds and CPU until all of it is Ready."""
    await made_namespace(client, namespace)
    since = (await client.list(DeploymentHead, namespace)).resource_version
    missing = {f"d-{i}" for i in range(count)}
    spent = Spent(world)

    async def follow() -> None:
        async for event in client.watch(DeploymentHead, namespace, resource_version=since):
            seen = event.decode(DeploymentHead)
            if event.type != "BOOKMARK" and seen.status.ready_replicas == replicas:
                missing.discard(seen.metadata.name)
                if not missing:
                    return

    async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
        group.create_task(follow())
        await each(range(count), lambda i: client.create(deployment(f"d-{i}", namespace, replicas)), 16)
    spent.stop()
    pods = (await client.list(core_v1.Pod, namespace)).items
    assert len(pods) == count * replicas, f"{len(pods)} pods"
    for pod in pods:
        assert pod.spec.node_name
        assert pod.status.pod_ip
        assert any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    return spent


async def clear(world: World, client: Client, namespace: str) -> None:
    await client.delete(core_v1.Namespace, namespace)

    async def gone() -> bool:
        return all(n.metadata.name != namespace for n in (await client.list(core_v1.Namespace)).items)

    await until(gone, f"namespace {namespace} gone")
    await settled(world)


async def plain(world: World, client: Client) -> None:
    """What the API server takes for the same writes alone."""
    metadata = meta_v1.ObjectMeta(generate_name="p-", namespace="plain", labels={"app": "p"})
    pod = core_v1.Pod(metadata=metadata, spec=template("p").spec)
    status = msgspec.json.encode({"status": running_status("10.0.0.1")})
    names: list[str] = []

    async def create(_: object) -> None:
        names.append((await client.create(pod)).metadata.name)

    async def bind(name: str) -> None:
        await client.bind("plain", name, "nowhere")

    async def run(name: str) -> None:
        await client.patch(PodHead, name, "plain", status, type="strategic", subresource="status")

    total = 0.0
    for what, items, work in (("created", range(ONE), create), ("bound", names, bind), ("Running", names, run)):
        spent = Spent(world)
        await each(items, work)
        used = spent.stop().cpu["apiserver"]
        total += used
        tell(f"  the API server alone: {ONE} pods {what}, CPU", [used], "s")
    tell("  the API server alone, together, CPU", [total], "s")


async def main() -> None:
    header()
    with World(nodes=NODES) as world:
        world.run()
        async with world.client() as client:
            await nodes_ready(client, NODES)
            await settled(world)
            for count, replicas in ((1, ONE), (MANY, EACH)):

                async def run(number: int, count: int = count, replicas: int = replicas) -> Spent:
                    namespace = f"n-{count}-{number}"
                    spent = await deploy(world, client, namespace, count, replicas)
                    await clear(world, client, namespace)
                    return spent

                what = f"{count} Deployment{'s' if count > 1 else ''} of {replicas}"
                tell_spent(f"{what}, create to all Ready", await repeated(run), LIMIT if count == 1 else None)
            await made_namespace(client, "plain")  # while there is still who makes its ServiceAccount
            for part in ("hollow", "scheduler", "controllers"):
                world.stop(part)
            await plain(world, client)


if __name__ == "__main__":
    asyncio.run(main())
