"""The volumes behind claims, as a kubelet with its own identity finds, makes and removes them."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orlop import tasks
from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import SystemClock
from orlop.kubelet.volumes import host
from orlop.kubelet.volumes.claims import ClaimVolumes, MapError, MountError
from orlop.kubelet.volumes.localpath import LocalPaths

ADMIN = User("admin", ("system:masters", "system:authenticated"))
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
FINALIZER = "orlop/local-path-directory"
ASKED = {"storageClassName": "", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


class World:
    """An API server, a node's part of the kubelet, and a folder."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "local-path"
        self.clock = SystemClock()
        self.admin = Client(ASGITransport(server.app, ADMIN), clock=self.clock, user_agent="test")
        self.node = Client(ASGITransport(server.app, NODE), clock=self.clock, user_agent="kubelet")
        self.labels = {"kubernetes.io/hostname": "n1"}
        self.group = tasks.Group(lambda name, error: pytest.fail(f"{name}: {error!r}"))
        self.local_paths, self.claims = self.kubelet()

    def kubelet(self) -> tuple[LocalPaths, ClaimVolumes]:
        """The parts as a new run of the kubelet has them."""
        local_paths = LocalPaths(self.root, "n1", self.node, self.clock, self.group)
        return local_paths, ClaimVolumes(self.node, "n1", lambda: self.labels, local_paths)

    async def volume(self, name: str, claim: str = "data", **source: Any) -> core_v1.PersistentVolume:
        """A volume, bound to a claim that is made as well."""
        asked = {
            "storageClassName": "",
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        }
        document = {"metadata": {"name": claim, "namespace": "default"}, "spec": {**asked, "volumeName": name}}
        made = await self.admin.create(msgspec.convert(document, core_v1.PersistentVolumeClaim))
        made.status.phase = "Bound"
        made = await self.admin.update_status(made)
        meta = source.pop("metadata", {})
        ref = {"namespace": "default", "name": claim, "uid": made.metadata.uid}
        spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "claimRef": ref, **source}
        document = {"metadata": {"name": name, **meta}, "spec": spec}
        return await self.admin.create(msgspec.convert(document, core_v1.PersistentVolume))

    async def local_path(self, name: str, claim: str = "data", node: str = "n1") -> core_v1.PersistentVolume:
        annotations = {"pv.kubernetes.io/provisioned-by": "orlop/local-path", "orlop/local-path-node": node}
        return await self.volume(
            name,
            claim,
            metadata={"annotations": annotations},
            local={"path": str(self.root / name)},
            nodeAffinity=affinity(node),
        )

    async def pod(self, name: str = "p", claim: str = "data", **spec: Any) -> core_v1.Pod:
        volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]
        mounts = [{"name": "v", "mountPath": "/v"}]
        container = {"name": "c", "image": "i", "volumeMounts": mounts}
        document = {
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": "n1", "containers": [container], "volumes": volumes, **spec},
        }
        return await self.admin.create(msgspec.convert(document, core_v1.Pod))

    async def path(self, pod: core_v1.Pod) -> Path:
        return await self.claims.path(pod, pod.spec.volumes[0])

    async def release(self, claim: str, volume: str) -> None:
        """What the controllers do when a claim goes and its volume is to be deleted."""
        none = {"metadata": {"finalizers": None}}
        await self.admin.patch(core_v1.PersistentVolumeClaim, claim, "default", none)
        await self.admin.delete(core_v1.PersistentVolumeClaim, claim, "default")
        found = await self.admin.get(core_v1.PersistentVolume, volume)
        found.metadata.finalizers = [f for f in found.metadata.finalizers if f == FINALIZER]
        await self.admin.update(found)
        await self.admin.delete(core_v1.PersistentVolume, volume)

    async def gone(self, volume: str) -> bool:
        try:
            await self.admin.get(core_v1.PersistentVolume, volume)
        except errors.NotFound:
            return True
        return False


def affinity(node: str) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}


async def eventually(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while True:
            if await look():
                return
            await asyncio.sleep(0.005)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with ApiServer(Config(data_dir=tmp_path / "api", secure_port=None, store="memory")) as server:
        world = World(server, tmp_path)
        account = meta_v1.ObjectMeta(name="default", namespace="default")
        await world.admin.create(core_v1.ServiceAccount(metadata=account))
        async with world.group:
            yield world


async def test_a_directory_s_life(world: World) -> None:
    await world.local_path("pvc-1")
    first, second = await world.pod("first"), await world.pod("second")
    path = await world.path(first)
    assert path == world.root / "pvc-1"
    assert path.stat().st_mode & 0o777 == 0o777
    assert FINALIZER in (await world.admin.get(core_v1.PersistentVolume, "pvc-1")).metadata.finalizers
    (path / "sub").mkdir()
    (path / "sub" / "file").write_text("kept")
    (path / "link").symlink_to(world.folder)
    assert (await world.path(second) / "sub" / "file").read_text() == "kept"

    world.claims.release(first.metadata.uid)
    await world.release("data", "pvc-1")
    await asyncio.sleep(0.05)
    assert (path / "sub" / "file").exists(), "the second pod is still there"
    world.claims.release(second.metadata.uid)
    await eventually(lambda: world.gone("pvc-1"))

    async def removed() -> bool:
        return not path.exists()

    await eventually(removed)
    assert world.folder.exists(), "a link's target is not the volume's"


async def test_a_kubelet_that_was_away_removes_what_was_deleted_meanwhile(world: World) -> None:
    await world.local_path("pvc-1")
    path = await world.path(await world.pod())
    (path / "file").write_text("old")
    (world.root / "empty").mkdir()
    (world.root / "unknown").mkdir()
    (world.root / "unknown" / "file").write_text("whose?")
    world.local_paths, world.claims = world.kubelet()
    await world.release("data", "pvc-1")
    await world.local_paths.resume()
    await eventually(lambda: world.gone("pvc-1"))

    async def left() -> bool:
        return [p.name for p in world.root.iterdir()] == ["unknown"]

    await eventually(left)


async def test_volumes_that_somebody_made(world: World) -> None:
    there = world.folder / "disk"
    there.mkdir()
    await world.volume("disk", local={"path": str(there)}, nodeAffinity=affinity("n1"))
    assert await world.path(await world.pod()) == there
    await world.volume("host", "host", hostPath={"path": str(world.folder / "new"), "type": "DirectoryOrCreate"})
    assert (await world.path(await world.pod("q", "host"))).is_dir()


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            {"local": {"path": "/nowhere"}, "nodeAffinity": affinity("n1")},
            'MountVolume.NewMounter initialization failed for volume "disk" : path "/nowhere" does not exist',
        ),
        (
            {"hostPath": {"path": "/nowhere", "type": "Directory"}},
            'MountVolume.SetUp failed for volume "disk" : hostPath type check failed: /nowhere is not a directory',
        ),
        (
            {"hostPath": {"path": "/tmp"}, "nodeAffinity": affinity("n2")},
            'MountVolume.NodeAffinity check failed for volume "disk" : no matching NodeSelectorTerms',
        ),
        (
            {"nfs": {"server": "s", "path": "/p"}},
            'failed to get Plugin from volumeSpec for volume "disk" err=no volume plugin matched: this node mounts '
            "local and hostPath volumes",
        ),
        (
            {"hostPath": {"path": "/dev/null"}, "volumeMode": "Block"},
            "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], failed to process "
            "volumes=[v]: volume v has volumeMode Block, but is specified in volumeMounts",
        ),
    ],
)
async def test_what_cannot_be_mounted_says_why(world: World, source: dict[str, Any], why: str) -> None:
    await world.volume("disk", **source)
    with pytest.raises(MountError) as caught:
        await world.path(await world.pod())
    assert str(caught.value) == why
    assert caught.value.reason == "FailedMount"


async def test_block_devices_are_refused(world: World) -> None:
    await world.volume("disk", hostPath={"path": "/dev/null"}, volumeMode="Block")
    devices = [{"name": "v", "devicePath": "/dev/x"}]
    pod = await world.pod(containers=[{"name": "c", "image": "i", "volumeDevices": devices}])
    with pytest.raises(MapError, match="gives no block devices to containers; use volumeMode: Filesystem") as caught:
        await world.path(pod)
    assert caught.value.reason == "FailedMapVolume"


async def test_claims_that_are_not_ready(world: World) -> None:
    async def why(pod: core_v1.Pod) -> str:
        with pytest.raises(MountError) as caught:
            await world.path(pod)
        before, found, rest = str(caught.value).partition(f"error processing PVC default/{claim}: ")
        assert found, before
        return rest

    claim = "none"
    missing = 'failed to fetch PVC from API server: persistentvolumeclaims "none" not found'
    assert await why(await world.pod("a", claim)) == missing
    claim = "data"
    await world.volume("disk", hostPath={"path": "/tmp"})
    pod = await world.pod()
    await world.admin.delete(core_v1.PersistentVolumeClaim, "data", "default")
    assert await why(pod) == "PVC is being deleted"
    claim = "unbound"
    document = {"metadata": {"name": claim, "namespace": "default"}, "spec": ASKED}
    await world.admin.create(msgspec.convert(document, core_v1.PersistentVolumeClaim))
    assert await why(await world.pod("b", claim)) == "PVC is not bound"


async def test_another_node_s_directory_is_none_of_its_business(world: World) -> None:
    await world.local_path("pvc-2", "other", node="n2")
    patch = {"metadata": {"finalizers": []}}
    with pytest.raises(errors.Forbidden, match="can only get individual resources of this type"):
        await world.node.patch(core_v1.PersistentVolume, "pvc-2", None, patch)
    with pytest.raises(errors.Forbidden, match="no relationship found"):
        await world.node.get(core_v1.PersistentVolume, "pvc-2")
    await world.local_path("pvc-1")
    grab = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
    with pytest.raises(errors.Forbidden, match=f'can only set the finalizer "{FINALIZER}"'):
        await world.node.patch(core_v1.PersistentVolume, "pvc-1", None, grab)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to others")
def test_a_volume_is_given_to_the_pod_s_group(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o700)
    (tmp_path / "d" / "f").touch(mode=0o600)
    (tmp_path / "l").symlink_to("/etc/passwd")
    owner = Path("/etc/passwd").stat().st_gid
    host.give_to_group(tmp_path, 2000, read_only=False, only_on_mismatch=False)
    assert [(p.stat().st_gid, oct(p.stat().st_mode & 0o7777)) for p in (tmp_path / "d", tmp_path / "d" / "f")] == [
        (2000, "0o2770"),
        (2000, "0o660"),
    ]
    assert Path("/etc/passwd").stat().st_gid == owner
    (tmp_path / "new").touch()
    (tmp_path / "new").chmod(0o600)
    host.give_to_group(tmp_path, 2000, read_only=False, only_on_mismatch=True)
    assert oct((tmp_path / "new").stat().st_mode & 0o7777) == "0o600", "the top is right, the rest is left alone"
