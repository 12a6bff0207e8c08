"""The life of a deployment over the real API server, with all its controllers; the test plays scheduler and kubelet."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from orlop.api import errors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock, rfc3339
from orlop.control import Manager
from orlop.controllers import Options, all_controllers
from tests.support.worlds import ADMIN, MANAGER, server


class World:
    def __init__(self, client: Client, clock: FakeClock, manager: Manager) -> None:
        self.client = client
        self.clock = clock
        self.manager = manager
        self.bad_images: set[str] = set()
        self.fewest_available = 0
        self.most_pods = 0

    async def quiet(self) -> None:
        """Returns when the controllers have done what there is to do, retries included."""
        for _ in range(3):
            calm = busy = 0
            while calm < 60:
                await asyncio.sleep(0)
                calm, busy = (calm + 1, busy) if self.manager.idle else (0, busy + 1)
                if busy == 1000:  # it waits for time to pass: for a watch that is to be tried again
                    busy = 0
                    await self.clock.advance(0.5)
            await self.clock.advance(0.02)

    async def pods(self) -> list[core_v1.Pod]:
        return (await self.client.list(core_v1.Pod, "default")).items

    async def kubelet(self) -> bool:
        """One round of what nodes do: a new pod becomes ready, doomed ones end. False if there was nothing to do."""
        did = False
        for pod in await self.pods():
            meta = pod.metadata
            ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
            if meta.deletion_timestamp is not None:
                await self.client.delete(core_v1.Pod, meta.name, meta.namespace, grace=0)
            elif not pod.spec.node_name:
                with suppress(errors.NotFound):  # removed since it was listed
                    await self.client.bind(meta.namespace, meta.name, "node-1")
            elif not ready and pod.spec.containers[0].image not in self.bad_images:
                now = rfc3339(self.clock.now())
                condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
                status = {"phase": "Running", "conditions": [condition]}
                await self.client.patch(
                    core_v1.Pod, meta.name, meta.namespace, {"status": status}, subresource="status"
                )
            else:
                continue
            did = True
            await self.quiet()
            await self.look()
        return did

    async def look(self) -> None:
        pods = [p for p in await self.pods() if p.metadata.deletion_timestamp is None]
        ready = [p for p in pods if any(c.type == "Ready" for c in p.status.conditions)]
        self.fewest_available = min(self.fewest_available, len(ready))
        self.most_pods = max(self.most_pods, len(pods))

    async def settle(self) -> apps_v1.Deployment:
        """Runs until nothing moves any more; gives the deployment."""
        await self.quiet()
        self.fewest_available, self.most_pods = 1000, 0
        await self.look()
        while await self.kubelet():
            await self.clock.advance(1)
            await self.quiet()
        return await self.client.get(apps_v1.Deployment, "web", "default")

    async def image(self, image: str) -> None:
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}
        await self.client.patch(apps_v1.Deployment, "web", "default", patch, type="strategic")

    async def sets(self) -> dict[str, int | None]:
        found = (await self.client.list(apps_v1.ReplicaSet, "default")).items
        return {rs.spec.template.spec.containers[0].image: rs.spec.replicas for rs in found}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with server() as (app, clock):
        inside, working = ASGITransport(app, ADMIN), ASGITransport(app, MANAGER)
        client = Client(inside, clock=clock, user_agent="kubectl")
        node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="node-1"))
        await client.create(node)
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        await client.create(account)
        chosen = {"deployment-controller", "replicaset-controller", "garbage-collector-controller"}
        controllers = [c for c in all_controllers(Options()) if c.name in chosen]
        manager = Manager(Client(working, clock=clock, user_agent="kube-controller-manager"), clock, controllers)
        task = asyncio.ensure_future(manager.run())
        await manager.ready()
        yield World(client, clock, manager)
        task.cancel()
        await asyncio.wait({task})
        await inside.close()
        await working.close()


def web(replicas: int = 4, **spec: object) -> apps_v1.Deployment:
    labels = {"app": "web"}
    return apps_v1.Deployment(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=apps_v1.DeploymentSpec(
            replicas=replicas,
            selector=meta_v1.LabelSelector(match_labels=labels),
            template=core_v1.PodTemplateSpec(
                metadata=meta_v1.ObjectMeta(labels=labels),
                spec=core_v1.PodSpec(containers=[core_v1.Container(name="app", image="web:1")]),
            ),
            **spec,  # type: ignore[arg-type]
        ),
    )


def reason(d: apps_v1.Deployment, type_: str = "Progressing") -> str:
    return next(c.reason for c in d.status.conditions if c.type == type_)


async def test_from_apply_to_delete(world: World) -> None:
    await world.client.create(web())
    d = await world.settle()
    assert (d.status.available_replicas, d.status.updated_replicas, d.status.replicas) == (4, 4, 4)
    assert reason(d) == "NewReplicaSetAvailable"

    await world.image("web:2")
    d = await world.settle()
    assert await world.sets() == {"web:1": 0, "web:2": 4}
    assert world.fewest_available >= 3  # 25 % of 4 may be missing
    assert world.most_pods <= 5  # and 25 % may be over
    assert d.metadata.annotations["deployment.kubernetes.io/revision"] == "2"
    assert (d.status.replicas, d.status.updated_replicas, d.status.terminating_replicas) == (4, 4, 0)

    await world.client.patch(apps_v1.Deployment, "web", "default", {"spec": {"replicas": 1}})
    d = await world.settle()
    assert (len(await world.pods()), d.status.available_replicas) == (1, 1)

    await world.client.delete(apps_v1.Deployment, "web", "default", propagation="Foreground")
    with pytest.raises(errors.NotFound):
        await world.settle()
    assert await world.pods() == []
    assert await world.sets() == {}


async def test_a_bad_update_stops_and_is_undone(world: World) -> None:
    world.bad_images.add("web:broken")
    await world.client.create(web(progress_deadline_seconds=30))
    await world.settle()
    await world.image("web:broken")
    d = await world.settle()
    assert world.fewest_available >= 3
    assert d.status.updated_replicas == 2  # what surge and unavailable allow
    await world.clock.advance(40)
    await world.quiet()
    d = await world.client.get(apps_v1.Deployment, "web", "default")
    assert reason(d) == "ProgressDeadlineExceeded"
    await world.image("web:1")
    d = await world.settle()
    assert reason(d) == "NewReplicaSetAvailable"
    assert await world.sets() == {"web:1": 4, "web:broken": 0}
    assert d.metadata.annotations["deployment.kubernetes.io/revision"] == "3"
    events = (await world.client.list(core_v1.Event, "default", fields="involvedObject.kind=Deployment")).items
    assert any(e.message.startswith("Scaled down replica set web-") for e in events)


async def test_recreate_never_runs_old_and_new_together(world: World) -> None:
    await world.client.create(web(strategy=apps_v1.DeploymentStrategy(type="Recreate")))
    await world.settle()
    await world.image("web:2")
    await world.settle()
    assert world.fewest_available == 0
    assert world.most_pods == 4
    assert await world.sets() == {"web:1": 0, "web:2": 4}


async def test_scaling_in_the_middle_of_a_rollout_is_spread(world: World) -> None:
    world.bad_images.add("web:2")
    await world.client.create(web(10))
    await world.settle()
    await world.image("web:2")
    await world.settle()
    before = await world.sets()
    await world.client.patch(apps_v1.Deployment, "web", "default", {"spec": {"replicas": 20}})
    await world.quiet()
    after = await world.sets()
    assert before == {"web:1": 8, "web:2": 5}
    assert after["web:1"] == 15  # 13 of 13 before are 25 of 25 now, by their shares
    assert after["web:2"] == 10
    world.bad_images.clear()
    assert reason(await world.settle()) == "NewReplicaSetAvailable"
    assert await world.sets() == {"web:1": 0, "web:2": 20}


async def test_orphaned_pods_are_adopted_by_a_new_deployment(world: World) -> None:
    await world.client.create(web(2))
    await world.settle()
    names = {p.metadata.name for p in await world.pods()}
    await world.client.delete(apps_v1.Deployment, "web", "default", propagation="Orphan")
    await world.quiet()
    sets = (await world.client.list(apps_v1.ReplicaSet, "default")).items
    assert [rs.metadata.owner_references for rs in sets] == [[]]
    await world.client.create(web(2))
    await world.settle()
    assert {p.metadata.name for p in await world.pods()} == names
    sets = (await world.client.list(apps_v1.ReplicaSet, "default")).items
    assert [rs.metadata.owner_references[0].name for rs in sets] == ["web"]
