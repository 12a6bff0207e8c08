"""The volumes behind claims: which one it is, whether it may be used, and where it is on this node.

Upstream: pkg/kubelet/volumemanager, pkg/volume/{local,hostpath}. This node mounts volumes of kinds local and hostPath;
neither is attached, so nothing of it appears in the node's status.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from orlop.api import errors, volumes as rules
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.kubelet.volumes import host
from orlop.kubelet.volumes.localpath import LocalPaths
from orlop.kubelet.volumes.payload import VolumeError

SUPPORTED = ("local", "hostPath")


class MountError(VolumeError):
    """Says all of what is wrong itself, with upstream's words for the step that failed."""


class MapError(MountError):
    """The volume is a block device."""

    reason = "FailedMapVolume"


class ClaimVolumes:
    """Finds the directory behind a claim."""

    def __init__(
        self, client: Client, node_name: str, labels: Callable[[], Mapping[str, str]], local_paths: LocalPaths
    ) -> None:
        """`labels` are the node's, for volumes that are only for some nodes."""
        self._client = client
        self._node_name = node_name
        self._labels = labels
        self._local_paths = local_paths

    async def path(self, pod: core_v1.Pod, volume: core_v1.Volume) -> Path:
        """Where the volume of one of the pod's claims is. Raises VolumeError.

        Reads claim and volume anew: a pod mounts seldom, and a node may only read what its pods name.
        """
        try:
            claim = await self._claim(pod, volume)
            found = await self._volume(claim)
        except (VolumeError, errors.ApiError) as error:
            where = f"{pod.metadata.namespace}/{rules.claim_name(pod.metadata.name, volume)}"
            raise unprocessed(volume.name, f"error processing PVC {where}: {error}") from error
        name = found.metadata.name
        _check_mode(pod, volume, found)
        if not rules.usable_on(found, self._labels(), self._node_name):
            raise MountError(
                f'MountVolume.NodeAffinity check failed for volume "{name}" : no matching NodeSelectorTerms'
            )
        read_only = volume.persistent_volume_claim is not None and volume.persistent_volume_claim.read_only
        try:
            return await self._set_up(pod, found, read_only)
        except MountError:
            raise
        except (VolumeError, OSError, errors.ApiError) as error:
            raise MountError(f'MountVolume.SetUp failed for volume "{name}" : {error}') from error

    def release(self, uid: str) -> None:
        """The pod uses no volume any more."""
        self._local_paths.release(uid)

    async def _claim(self, pod: core_v1.Pod, volume: core_v1.Volume) -> core_v1.PersistentVolumeClaim:
        meta, name = pod.metadata, rules.claim_name(pod.metadata.name, volume)
        try:
            claim = await self._client.get(core_v1.PersistentVolumeClaim, name, meta.namespace)
        except errors.ApiError as error:
            raise VolumeError(f"failed to fetch PVC from API server: {error}") from error
        if volume.ephemeral is not None and not rules.is_made_for(claim, meta.uid):
            where = f"{meta.namespace}/{meta.name}"
            raise VolumeError(f"PVC {meta.namespace}/{name} was not created for pod {where} (pod is not owner)")
        if claim.metadata.deletion_timestamp is not None:
            raise VolumeError("PVC is being deleted")
        if claim.status.phase != "Bound" or not claim.spec.volume_name:
            raise VolumeError("PVC is not bound")
        return claim

    async def _volume(self, claim: core_v1.PersistentVolumeClaim) -> core_v1.PersistentVolume:
        name = claim.spec.volume_name
        try:
            found = await self._client.get(core_v1.PersistentVolume, name)
        except errors.ApiError as error:
            raise VolumeError(f"failed to fetch PV {name} from API server: {error}") from error
        ref = found.spec.claim_ref
        if ref is None:
            raise VolumeError(
                f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound"
            )
        if ref.uid != claim.metadata.uid:
            raise VolumeError(
                f"found PV object {name} but its pv.Spec.ClaimRef.UID {ref.uid} does not point to claim.UID "
                f"{claim.metadata.uid}"
            )
        return found

    async def _set_up(self, pod: core_v1.Pod, volume: core_v1.PersistentVolume, read_only: bool) -> Path:
        spec, name = volume.spec, volume.metadata.name
        if spec.host_path is not None:
            return await asyncio.to_thread(host.host_path, spec.host_path.path, spec.host_path.type or "")
        if spec.local is None:
            raise MountError(
                f'failed to get Plugin from volumeSpec for volume "{name}" err=no volume plugin matched: this node '
                f"mounts {' and '.join(SUPPORTED)} volumes"
            )
        path = Path(spec.local.path)
        if self._local_paths.keeps(volume):
            await self._local_paths.ensure(volume, pod.metadata.uid)
        elif not await asyncio.to_thread(path.exists):
            raise MountError(
                f'MountVolume.NewMounter initialization failed for volume "{name}" : path "{path}" does not exist'
            )
        security = pod.spec.security_context
        if security is not None and security.fs_group is not None and not read_only:
            once = security.fs_group_change_policy == "OnRootMismatch"
            await asyncio.to_thread(host.give_to_group, path, security.fs_group, read_only=False, only_on_mismatch=once)
        return path


def _check_mode(pod: core_v1.Pod, volume: core_v1.Volume, found: core_v1.PersistentVolume) -> None:
    """Containers must name block devices as devices and file systems as mounts; devices they do not get here."""
    containers = [*pod.spec.init_containers, *pod.spec.containers]
    mounted = any(m.name == volume.name for c in containers for m in c.volume_mounts)
    mapped = any(d.name == volume.name for c in containers for d in c.volume_devices)
    mode = found.spec.volume_mode or "Filesystem"
    if mode == "Block" and mounted:
        wrong = "volumeMounts"
    elif mode == "Filesystem" and mapped:
        wrong = "volumeDevices"
    elif mode == "Block":
        raise MapError(
            f'MapVolume.MapPodDevice failed for volume "{found.metadata.name}" : this node gives no block devices to '
            "containers; use volumeMode: Filesystem"
        )
    else:
        return
    raise unprocessed(volume.name, f"volume {volume.name} has volumeMode {mode}, but is specified in {wrong}")


def unprocessed(name: str, why: object) -> MountError:
    """That a volume did not come as far as being mounted."""
    return MountError(
        f"Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], failed to process "
        f"volumes=[{name}]: {why}"
    )
