"""Pods with claims against the API server: which node they get, what is written before, what is told otherwise."""

from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, storage_v1
from orlop.scheduler.queue import Place
from tests.scheduler.conftest import World, eventually

HELPLESS = "preemption: 0/{0} nodes are available: {0} Preemption is not helpful for scheduling."


class Storage:
    """Makes claims, volumes and classes, and binds them as the controller would."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.admin

    async def storage_class(self, name: str, provisioner: str = "example.com/disks", **more: Any) -> None:
        document = {"metadata": {"name": name}, "provisioner": provisioner, **more}
        await self.admin.create(msgspec.convert(document, storage_v1.StorageClass))

    async def claim(self, name: str, storage_class: str, mode: str = "ReadWriteOnce", size: str = "1Gi") -> None:
        spec = {"storageClassName": storage_class, "accessModes": [mode], "resources": {"requests": {"storage": size}}}
        document = {"metadata": {"name": name, "namespace": "default"}, "spec": spec}
        await self.admin.create(msgspec.convert(document, core_v1.PersistentVolumeClaim))

    async def volume(self, name: str, node: str = "", storage_class: str = "", size: str = "1Gi") -> None:
        spec: dict[str, Any] = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "hostPath": {"path": f"/srv/{name}"},
        }
        if node:
            expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
            spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
        made = await self.admin.create(
            msgspec.convert({"metadata": {"name": name}, "spec": spec}, core_v1.PersistentVolume)
        )
        made.status.phase = "Available"
        await self.admin.update_status(made)

    async def get(self, name: str) -> core_v1.PersistentVolumeClaim:
        return await self.admin.get(core_v1.PersistentVolumeClaim, name, "default")

    async def bind(self, claim: str, volume: str) -> None:
        """What the controller writes on a claim in the end."""
        annotations = {"pv.kubernetes.io/bind-completed": "yes"}
        patch = {"metadata": {"annotations": annotations}, "spec": {"volumeName": volume}}
        await self.admin.patch(core_v1.PersistentVolumeClaim, claim, "default", patch)

    async def pod(self, name: str, *claims: str, **spec: Any) -> None:
        volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims]
        await self.world.pod(name, volumes=volumes, **spec)

    async def selected(self, claim: str) -> str:
        """The node that the claim is annotated with, once it is."""
        key = "volume.kubernetes.io/selected-node"

        async def node() -> str:
            return (await self.get(claim)).metadata.annotations.get(key, "")

        return str(await eventually(node))

    async def placed(self, name: str) -> str:
        """The node that the pod is bound to, once it is: back-offs pass."""

        async def node() -> str:
            await self.world.clock.advance(1)
            return (await self.world.get(name)).spec.node_name

        return str(await eventually(node))


@pytest.fixture
async def storage(world: World) -> Storage:
    return Storage(world)


async def test_waits_for_its_claims(world: World, storage: Storage) -> None:
    await world.node("n1")
    async with world.scheduler():
        await storage.pod("p", "data")
        assert await world.condition("p", "Unschedulable") == (
            f'0/1 nodes are available: persistentvolumeclaim "data" not found. {HELPLESS.format(1)}'
        )
        await world.clock.advance(2)
        await storage.claim("data", "")
        words = f"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. {HELPLESS.format(1)}"

        async def told() -> bool:
            return any(c.message == words for c in (await world.get("p")).status.conditions)

        await eventually(told)
        await storage.volume("v")
        await storage.bind("data", "v")
        assert await storage.placed("p") == "n1"


async def test_goes_where_its_volume_is(world: World, storage: Storage) -> None:
    for name in ("n1", "n2", "n3"):
        await world.node(name)
    await storage.volume("v", node="n2")
    await storage.claim("data", "")
    await storage.bind("data", "v")
    async with world.scheduler():
        await storage.pod("p", "data")
        assert await world.placed("p") == "n2"
        # What the pod asks for itself holds as well.
        await storage.pod("q", "data", nodeSelector={"kubernetes.io/hostname": "n1"})
        assert await world.condition("q", "Unschedulable") == (
            "0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, "
            f"2 node(s) didn't match Pod's node affinity/selector. {HELPLESS.format(3)}"
        )
        await storage.pod("big", "data", cpu="9")
        assert await world.condition("big", "Unschedulable") == (
            f"0/3 nodes are available: 3 Insufficient cpu. {HELPLESS.format(3)}"
        )


async def test_the_first_consumer_decides_where_its_volume_is_made(world: World, storage: Storage) -> None:
    await world.node("n1")
    await world.node("n2")
    await storage.storage_class("near", volumeBindingMode="WaitForFirstConsumer")
    await storage.claim("data", "near")
    async with world.scheduler() as scheduler:
        await storage.pod("p", "data", nodeSelector={"kubernetes.io/hostname": "n2"})
        assert await storage.selected("data") == "n2"
        assert (await world.get("p")).spec.node_name == "", "bound before its volume is there"
        assert not scheduler.idle
        # Others that want the same claim follow the choice, also before the volume is made.
        await storage.pod("q", "data")
        await storage.pod("elsewhere", "data", nodeSelector={"kubernetes.io/hostname": "n1"})
        assert await world.condition("elsewhere", "Unschedulable") == (
            "0/2 nodes are available: 1 node(s) didn't find available persistent volumes to bind, "
            f"1 node(s) didn't match Pod's node affinity/selector. {HELPLESS.format(2)}"
        )
        # Pods without claims are not held up.
        await world.pod("plain")
        await world.placed("plain")
        await storage.volume("made", node="n2")
        await storage.bind("data", "made")
        assert await storage.placed("p") == "n2"
        assert await storage.placed("q") == "n2"


async def test_takes_a_volume_that_is_there_for_one_pod_only(world: World, storage: Storage) -> None:
    await world.node("n1")
    await world.node("n2")
    await storage.storage_class("local", "kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
    await storage.volume("v2", node="n2", storage_class="local")
    await storage.claim("a", "local")
    await storage.claim("b", "local")
    async with world.scheduler():
        await storage.pod("first", "a")

        async def reserved() -> bool:
            ref = (await world.admin.get(core_v1.PersistentVolume, "v2")).spec.claim_ref
            return ref is not None and ref.name == "a"

        await eventually(reserved)
        volume = await world.admin.get(core_v1.PersistentVolume, "v2")
        assert volume.metadata.annotations == {"pv.kubernetes.io/bound-by-controller": "yes"}
        await storage.pod("second", "b")
        assert await world.condition("second", "Unschedulable") == (
            f"0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. {HELPLESS.format(2)}"
        )
        await storage.bind("a", "v2")
        assert await world.placed("first") == "n2"
        await storage.volume("v1", node="n1", storage_class="local")

        async def taken() -> bool:
            await world.clock.advance(1)
            return (await world.admin.get(core_v1.PersistentVolume, "v1")).spec.claim_ref is not None

        await eventually(taken)
        await storage.bind("b", "v1")
        assert await storage.placed("second") == "n1"


async def test_a_provisioner_that_gives_up_sends_the_pod_back(world: World, storage: Storage) -> None:
    await world.node("n1")
    await storage.storage_class("near", volumeBindingMode="WaitForFirstConsumer")
    await storage.claim("data", "near")
    async with world.scheduler() as scheduler:
        await storage.pod("p", "data")
        await storage.selected("data")
        gone = {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": None}}}
        await world.admin.patch(core_v1.PersistentVolumeClaim, "data", "default", gone)
        message = await world.condition("p", "SchedulerError")
        assert message == (
            'running PreBind plugin "VolumeBinding": binding volumes: provisioning failed for PVC "data"'
        )
        assert scheduler.queue.counts()[Place.BACKOFF] == 1
        await world.clock.advance(2)
        assert await storage.selected("data") == "n1"


async def test_one_pod_at_a_time(world: World, storage: Storage) -> None:
    await world.node("n1")
    await storage.volume("v")
    await storage.claim("data", "", mode="ReadWriteOncePod")
    await storage.bind("data", "v")
    async with world.scheduler():
        await storage.pod("first", "data")
        assert await world.placed("first") == "n1"
        await storage.pod("second", "data")
        assert await world.condition("second", "Unschedulable") == (
            "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and "
            "ReadWriteOncePod access mode. preemption: 0/1 nodes are available: "
            "1 No preemption victims found for incoming pod."
        )
        await world.clock.advance(2)
        await world.admin.delete(core_v1.Pod, "first", "default", grace=0)
        assert await world.placed("second") == "n1"


async def test_a_class_may_be_limited_to_places(world: World, storage: Storage) -> None:
    await world.node("n1")
    await world.node("n2")
    only = [{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["n2"]}]}]
    await storage.storage_class("near", volumeBindingMode="WaitForFirstConsumer", allowedTopologies=only)
    await storage.claim("data", "near")
    async with world.scheduler():
        await storage.pod("p", "data")
        assert await storage.selected("data") == "n2"
