"""Resource use, from control groups; without them from the processes themselves."""

import os
from pathlib import Path

from orlop.kubelet.runtime import diskuse, values as v
from orlop.kubelet.runtime.base import NotFound
from orlop.kubelet.runtime.cgroups import Usage
from orlop.kubelet.runtime.native import groups
from orlop.kubelet.runtime.native.containers import Container

_DEV_HEADER_LINES = 2


def read(container: Container, now: int) -> v.ContainerStats:
    """Raises NotFound when it does not run. Blocks."""
    if container.state != "running" or container.running is None:
        raise NotFound(f"container {container.id} is not running")
    try:
        cgroup = container.record.cgroup
        usage = groups.of(cgroup).usage() if cgroup else _of_processes(container.running.shim)
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotFound(f"container {container.id} is not running") from error
    return v.ContainerStats(
        container_id=container.id,
        metadata=container.record.config.metadata,
        timestamp=now,
        cpu_usage_core_nanoseconds=usage.cpu_nanoseconds,
        memory_usage_bytes=usage.memory,
        memory_working_set_bytes=usage.working_set,
        memory_rss_bytes=usage.rss,
        pids=usage.pids,
    )


def read_disk(container: Container) -> v.ContainerDiskStats:
    """Its layer above the image, and its logs. Blocks."""
    layer = diskuse.measure(container.folder / "upper")
    path = container.record.log_path
    logs = diskuse.measure_files(Path(path)) if path else diskuse.NOTHING
    return v.ContainerDiskStats(
        container_id=container.id,
        layer_bytes=layer.bytes,
        layer_inodes=layer.inodes,
        log_bytes=logs.bytes,
        log_inodes=logs.inodes,
    )


def _of_processes(shim: int) -> Usage:
    """The processes below a shim, which is their subreaper."""
    ticks = pages = count = 0
    open_pids = [shim]
    while open_pids:
        pid = open_pids.pop()
        try:
            open_pids += [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            if pid == shim:
                continue
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += int(fields[11]) + int(fields[12])
        pages += int(fields[21])
        count += 1
    memory = pages * os.sysconf("SC_PAGE_SIZE")
    cpu = ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    return Usage(cpu_nanoseconds=cpu, memory=memory, working_set=memory, rss=memory, pids=count)


def interfaces(pid: int) -> tuple[v.InterfaceStats, ...]:
    """Traffic in the network namespace of a process, loopback left out; empty when it has ended. Blocks."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[_DEV_HEADER_LINES:]
    except (FileNotFoundError, ProcessLookupError):
        return ()
    found = []
    for line in lines:
        name, _, numbers = line.partition(":")
        n = [int(number) for number in numbers.split()]
        if name.strip() != "lo":
            found.append(
                v.InterfaceStats(name=name.strip(), rx_bytes=n[0], rx_errors=n[2], tx_bytes=n[8], tx_errors=n[10])
            )
    return tuple(found)
