"""What one pod uses, as eviction weighs it."""

from typing import NamedTuple

import msgspec

from orlop.api.types import core_v1


class Disk(NamedTuple):
    """Space and files, of which a directory is one too."""

    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: object) -> "Disk":
        assert isinstance(other, Disk)
        return Disk(self.bytes + other.bytes, self.inodes + other.inodes)


NOTHING = Disk()


class ContainerUse(msgspec.Struct, frozen=True, kw_only=True):
    """One container that is on the node."""

    memory: int = 0
    """Bytes of the working set."""
    pids: int = 0
    layer: Disk = NOTHING
    """What it has written to its own root file system."""
    logs: Disk = NOTHING


class PodUse(msgspec.Struct, frozen=True, kw_only=True):
    """One pod. Disks are measured only where somebody asks for them: that means to look at each file."""

    containers: dict[str, ContainerUse] = {}
    volumes: dict[str, Disk] = {}
    """Its local ephemeral volumes, by name."""
    files: Disk = NOTHING
    """What the kubelet keeps for it beside: /etc/hosts, termination messages."""

    @property
    def memory(self) -> int:
        return sum(c.memory for c in self.containers.values())

    @property
    def pids(self) -> int:
        return sum(c.pids for c in self.containers.values())

    def ephemeral_storage(self, pod: core_v1.Pod) -> Disk:
        """All that counts against the pod's limit of ephemeral storage: volumes in memory do not."""
        total = self.files
        for container in self.containers.values():
            total += container.layer + container.logs
        for name in local_volumes(pod):
            total += self.volumes.get(name, NOTHING)
        return total

    def disk(self, pod: core_v1.Pod, *, layers: bool, logs_and_volumes: bool) -> Disk:
        """The part that lies on a file system which holds those things."""
        total = NOTHING
        for container in self.containers.values():
            total += container.layer if layers else NOTHING
            total += container.logs if logs_and_volumes else NOTHING
        if logs_and_volumes:
            for name in local_volumes(pod):
                total += self.volumes.get(name, NOTHING)
        return total


def local_volumes(pod: core_v1.Pod) -> list[str]:
    """Names of the volumes that take the node's own disk (upstream: IsLocalEphemeralVolume)."""
    return [
        volume.name
        for volume in pod.spec.volumes
        if volume.config_map is not None or (volume.empty_dir is not None and not volume.empty_dir.medium)
    ]
