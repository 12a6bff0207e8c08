"""The signals as this machine has them, from the kernel's own books: /proc/meminfo, /proc/loadavg, statvfs.

One look costs a tenth of a millisecond, so it is made anew each time.
"""

import asyncio
import os
from pathlib import Path

from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.signals import Layout, Observation, Observations
from orlop.kubelet.runtime import base

PROC = Path("/proc")


class MachineSignals:
    """Implements `signals.Signals`: memory and processes of the machine, the file systems of this node's files."""

    def __init__(self, root: Path, runtime: base.Runtime, proc: Path = PROC) -> None:
        """`root` is where the node keeps its pods' volumes and logs: that file system is nodefs."""
        self._root = root
        self._runtime = runtime
        self._proc = proc
        self._layout: Layout | None = None
        self._images = root

    async def layout(self) -> Layout:
        if self._layout is None:
            found = await self._runtime.filesystems()
            images, layers = Path(found.images), Path(found.layers)
            self._layout = await asyncio.to_thread(layout_of, self._root, images, layers)
            self._images = images
        return self._layout

    async def observe(self) -> Observations:
        return await asyncio.to_thread(self._observe, await self.layout())

    def _observe(self, layout: Layout) -> Observations:
        space, inodes = filesystem(self._root)
        image_space, image_inodes = filesystem(self._images) if layout.images_apart else (space, inodes)
        with_images = layout.images_apart and layout.layers_with_images
        return {
            signals.MEMORY: memory(self._proc),
            signals.PIDS: processes(self._proc),
            signals.NODEFS: space,
            signals.NODEFS_INODES: inodes,
            signals.IMAGEFS: image_space,
            signals.IMAGEFS_INODES: image_inodes,
            signals.CONTAINERFS: image_space if with_images else space,
            signals.CONTAINERFS_INODES: image_inodes if with_images else inodes,
        }


def layout_of(root: Path, images: Path, layers: Path) -> Layout:
    """Which of the three are on one file system. Blocks."""
    device = os.stat(_existing(images)).st_dev
    return Layout(
        images_apart=device != os.stat(_existing(root)).st_dev,
        layers_with_images=device == os.stat(_existing(layers)).st_dev,
    )


def memory(proc: Path = PROC) -> Observation:
    """What is left beside the working set: as upstream, memory without the file pages that nobody has used lately.

    The parts of /proc/meminfo are those that the root control group counts, in version 1 (memory.usage_in_bytes less
    total_inactive_file) and in version 2 (anon and file of memory.stat less inactive_file) alike; where a control
    group's own files are those of a container around this node, this is still the machine.
    """
    found = {}
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    used = sum(found.get(name, 0) for name in ("AnonPages", "Cached", "Buffers", "SwapCached"))
    working_set = max(0, used - found.get("Inactive(file)", 0))
    return Observation(max(0, found["MemTotal"] - working_set), found["MemTotal"])


def processes(proc: Path = PROC) -> Observation:
    """What the kernel's limits leave of processes and threads."""
    limits = [int((proc / "sys/kernel" / name).read_text()) for name in ("pid_max", "threads-max")]
    running = int((proc / "loadavg").read_text().split()[3].partition("/")[2])
    return Observation(max(0, min(limits) - running), min(limits))


def filesystem(path: Path) -> tuple[Observation, Observation]:
    """Space for processes that are not root's, and inodes; some file systems have no such limit and say 0 of 0."""
    found = os.statvfs(_existing(path))
    return (
        Observation(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize),
        Observation(found.f_ffree, found.f_files),
    )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
