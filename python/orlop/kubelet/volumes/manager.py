"""The volumes of one node's pods."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from orlop.api import errors, quantity
from orlop.api.types import core_v1
from orlop.kubelet.fields import NodeFacts
from orlop.kubelet.sources import Sources
from orlop.kubelet.volumes import atomic, host, payload
from orlop.kubelet.volumes.claims import ClaimVolumes, MountError
from orlop.kubelet.volumes.payload import VolumeError
from orlop.kubelet.volumes.tokens import Tokens

SUPPORTED = (
    "emptyDir",
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
    "hostPath",
    "persistentVolumeClaim",
    "ephemeral",
)


class Volumes:
    """Makes, refreshes and removes volumes below `root`/pods/UID/volumes."""

    def __init__(self, root: Path, sources: Sources, tokens: Tokens, node: NodeFacts, claims: ClaimVolumes) -> None:
        self._root = root
        self._claims = claims
        self._sources = sources
        self._tokens = tokens
        self._node = node

    def pod_directory(self, uid: str) -> Path:
        """Where everything of the pod on this node lies."""
        return self._root / "pods" / uid

    async def set_up(self, pod: core_v1.Pod, pod_ips: list[str]) -> Mapping[str, Path]:
        """Makes all volumes, or brings their files up to date; host path by volume name. Raises VolumeError."""
        paths = {}
        for volume in pod.spec.volumes:
            try:
                paths[volume.name] = await self._one(pod, volume, pod_ips)
            except MountError:
                raise
            except (VolumeError, OSError, errors.ApiError) as error:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
        return paths

    async def _one(self, pod: core_v1.Pod, volume: core_v1.Volume, pod_ips: list[str]) -> Path:
        group = pod.spec.security_context.fs_group if pod.spec.security_context else None
        base = self.pod_directory(pod.metadata.uid) / "volumes"
        if volume.host_path:
            return await asyncio.to_thread(host.host_path, volume.host_path.path, volume.host_path.type or "")
        if volume.empty_dir:
            path = base / "kubernetes.io~empty-dir" / volume.name
            limit = quantity.value(volume.empty_dir.size_limit) if volume.empty_dir.size_limit else None
            await asyncio.to_thread(host.empty_dir, path, volume.empty_dir.medium, limit, group)
            return path
        if volume.persistent_volume_claim or volume.ephemeral:
            return await self._claims.path(pod, volume)
        kind, files = await self._files(pod, volume, pod_ips)
        path = base / f"kubernetes.io~{kind}" / volume.name
        await asyncio.to_thread(atomic.write, path, files, group)
        return path

    async def _files(
        self, pod: core_v1.Pod, volume: core_v1.Volume, pod_ips: list[str]
    ) -> tuple[str, dict[str, atomic.File]]:
        namespace = pod.metadata.namespace
        if c := volume.config_map:
            mode = payload.DEFAULT_MODE if c.default_mode is None else c.default_mode
            return "configmap", await payload.config_map(
                namespace, c.name, c.items, mode, bool(c.optional), self._sources
            )
        if s := volume.secret:
            mode = payload.DEFAULT_MODE if s.default_mode is None else s.default_mode
            return "secret", await payload.secret(
                namespace, s.secret_name, s.items, mode, bool(s.optional), self._sources
            )
        if d := volume.downward_api:
            mode = payload.DEFAULT_MODE if d.default_mode is None else d.default_mode
            return "downward-api", payload.downward(pod, d.items, mode, pod_ips, self._node)
        if volume.projected:
            return "projected", await payload.projected(
                pod,
                volume.projected,
                sources=self._sources,
                tokens=self._tokens.get,
                pod_ips=pod_ips,
                node=self._node,
            )
        raise VolumeError(f"this node has no plugin for this kind of volume; it has {', '.join(SUPPORTED)}")

    def next_renewal(self, uid: str) -> float | None:
        """Wall-clock time at which a token of the pod is to be renewed; None: it has none."""
        return self._tokens.next_renewal(uid)

    async def unmount(self, uid: str) -> None:
        """Removes the pod's volumes: it has ended, but what it left else (messages) is still asked for."""
        self._tokens.forget(uid)
        await asyncio.to_thread(host.remove, self.pod_directory(uid) / "volumes")
        self._claims.release(uid)

    async def tear_down(self, uid: str) -> None:
        """Removes everything of the pod from the node."""
        self._tokens.forget(uid)
        await asyncio.to_thread(host.remove, self.pod_directory(uid))
        self._claims.release(uid)

    def known_pods(self) -> set[str]:
        """Uids of pods that have a directory here, from this or an earlier run."""
        pods = self._root / "pods"
        return {p.name for p in pods.iterdir()} if pods.is_dir() else set()
