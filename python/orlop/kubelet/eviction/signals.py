"""What the eviction manager watches: upstream's signals (eviction/api/types.go), and what follows from each."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

MEMORY = "memory.available"
ALLOCATABLE_MEMORY = "allocatableMemory.available"
NODEFS = "nodefs.available"
NODEFS_INODES = "nodefs.inodesFree"
IMAGEFS = "imagefs.available"
IMAGEFS_INODES = "imagefs.inodesFree"
CONTAINERFS = "containerfs.available"
CONTAINERFS_INODES = "containerfs.inodesFree"
PIDS = "pid.available"

PRESSURES = MEMORY_PRESSURE, DISK_PRESSURE, PID_PRESSURE = "MemoryPressure", "DiskPressure", "PIDPressure"
"""The node's conditions."""

_OF_DISKS = (NODEFS, NODEFS_INODES, IMAGEFS, IMAGEFS_INODES, CONTAINERFS, CONTAINERFS_INODES)

CONDITION_OF: Mapping[str, str] = {
    MEMORY: MEMORY_PRESSURE,
    ALLOCATABLE_MEMORY: MEMORY_PRESSURE,
    **dict.fromkeys(_OF_DISKS, DISK_PRESSURE),
    PIDS: PID_PRESSURE,
}
"""The node condition that a signal below its threshold makes true."""

RESOURCE_OF: Mapping[str, str] = {
    MEMORY: "memory",
    ALLOCATABLE_MEMORY: "memory",
    **{signal: "inodes" if signal.endswith("inodesFree") else "ephemeral-storage" for signal in _OF_DISKS},
    PIDS: "pids",
}
"""What is short then, as messages name it."""

CONTAINERFS_OF: Mapping[str, str] = {CONTAINERFS: NODEFS, CONTAINERFS_INODES: NODEFS_INODES}
"""Thresholds of containerfs are never set by hand: they are those of the file system it shares."""


class Observation(NamedTuple):
    """Of one signal: bytes, inodes or processes."""

    available: int
    capacity: int


Observations = Mapping[str, Observation]


class Layout(NamedTuple):
    """Which file systems are apart. Images and writable layers lie with the node's own files, or elsewhere."""

    images_apart: bool = False
    """Images are on another file system than the node's own files."""
    layers_with_images: bool = True
    """Containers' writable layers are where the images are."""


class Signals(Protocol):
    """Where the figures come from: the machine, or a simulation of one."""

    async def observe(self) -> Observations:
        """All signals that can be measured now."""
        ...

    async def layout(self) -> Layout: ...
