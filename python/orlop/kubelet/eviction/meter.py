"""Measures what pods use. Memory and processes are a few small files a container; disks are a look at each file."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orlop.api.types import core_v1
from orlop.clock import Clock
from orlop.kubelet.eviction.usage import NOTHING, ContainerUse, Disk, PodUse, local_volumes
from orlop.kubelet.runtime import base, diskuse, values as v

PACE = 0.00025
"""Seconds between two measurements of a pod's disks, for each file there: a look at one takes some five microseconds of
CPU, so that this is 2 % of a core at most, and 40,000 files are measured every ten seconds."""


class Meter:
    """One node's."""

    def __init__(self, clock: Clock, runtime: base.Runtime, pods_dir: Path) -> None:
        """`pods_dir`/UID is a pod's directory."""
        self._clock = clock
        self._runtime = runtime
        self._pods_dir = pods_dir
        self._disks: dict[str, PodUse] = {}
        self._not_before: dict[str, float] = {}

    async def memory(self) -> dict[str, dict[str, ContainerUse]]:
        """Memory and processes of all running containers, by pod uid and container name."""
        found: dict[str, dict[str, ContainerUse]] = {}
        for sandbox in await self._runtime.list_pod_sandbox_stats():
            of_pod = found.setdefault(sandbox.metadata.uid, {})
            for c in sandbox.containers:
                of_pod[c.metadata.name] = ContainerUse(memory=c.memory_working_set_bytes, pids=c.pids)
        return found

    async def disks(self, pods: Sequence[core_v1.Pod]) -> dict[str, PodUse]:
        """Disks of these pods, by uid; of a pod that takes long to measure perhaps as they were some time ago.

        A pod that cannot be measured is left out. What is remembered of other pods is forgotten.
        """
        uids = {pod.metadata.uid for pod in pods}
        self._disks = {uid: use for uid, use in self._disks.items() if uid in uids}
        self._not_before = {uid: at for uid, at in self._not_before.items() if uid in uids}
        for pod in pods:
            uid = pod.metadata.uid
            now = self._clock.monotonic()
            if now < self._not_before.get(uid, now):
                continue
            self._disks.pop(uid, None)
            with suppress(base.RuntimeFailure, OSError):
                use = self._disks[uid] = await self._measure(pod)
                self._not_before[uid] = now + use.ephemeral_storage(pod).inodes * PACE
        return dict(self._disks)

    async def _measure(self, pod: core_v1.Pod) -> PodUse:
        uid = pod.metadata.uid
        containers = {}
        for row in await self._newest(uid):
            found = await self._runtime.container_disk_stats(row.id)
            containers[row.metadata.name] = ContainerUse(
                layer=Disk(found.layer_bytes, found.layer_inodes), logs=Disk(found.log_bytes, found.log_inodes)
            )
        if isinstance(self._runtime, base.SimulatedResources):
            sizes = self._runtime.simulated_volumes(uid)
            return PodUse(containers=containers, volumes={name: Disk(size, 1) for name, size in sizes.items()})
        volumes, files = await asyncio.to_thread(pod_files, self._pods_dir / uid, local_volumes(pod))
        return PodUse(containers=containers, volumes=volumes, files=files)

    async def _newest(self, uid: str) -> list[v.Container]:
        """Of each container the one that runs now or did last: those before it are removed in their own time."""
        newest: dict[str, v.Container] = {}
        for row in await self._runtime.list_containers(labels={base.LABEL_POD_UID: uid}):
            known = newest.get(row.metadata.name)
            if known is None or known.metadata.attempt < row.metadata.attempt:
                newest[row.metadata.name] = row
        return list(newest.values())


def pod_files(directory: Path, volumes: Sequence[str]) -> tuple[dict[str, Disk], Disk]:
    """Each local volume, and what the kubelet keeps beside them. Blocks."""
    found = {}
    for name in volumes:
        for plugin in ("kubernetes.io~empty-dir", "kubernetes.io~configmap"):
            taken = diskuse.measure(directory / "volumes" / plugin / name)
            if taken.inodes:
                found[name] = Disk(*taken)
    files = NOTHING
    with suppress(OSError):
        for entry in directory.iterdir():
            if entry.name != "volumes":
                files += Disk(*diskuse.measure(entry))
    return found, files
