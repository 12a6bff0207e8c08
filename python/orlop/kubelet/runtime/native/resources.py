"""Limits: as config.json has them, and as control groups take them (versions 1 and 2)."""

import math
from pathlib import Path
from typing import Any

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.cgroups import ROOT

DEFAULT_PERIOD = 100_000
"""Microseconds; the kernel's own."""

MIN_SHARES, MAX_SHARES = 2, 262_144
"""What version 1 takes (kernel/sched/sched.h)."""


def unified(root: Path = ROOT) -> bool:
    """Whether this machine has control groups of version 2 only."""
    return (root / "cgroup.controllers").exists()


def hierarchies(root: Path = ROOT) -> tuple[str, ...]:
    """The mount points of control groups of version 1, as containers see them too; none with version 2."""
    if unified(root) or not root.is_dir():
        return ()
    return tuple(sorted(str(entry) for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink()))


def oci_resources(resources: v.Resources, unified: bool) -> dict[str, Any]:
    """linux.resources of config.json, what is set. No swap is given: memory and swap get the memory's limit.

    With version 2 the shim sees to that, since libcontainer fails where the kernel does not count swap.
    """
    cpu = {
        "shares": resources.cpu_shares,
        "period": resources.cpu_period,
        "quota": resources.cpu_quota,
        "cpus": resources.cpuset_cpus,
        "mems": resources.cpuset_mems,
    }
    found: dict[str, Any] = {}
    if wanted := {name: value for name, value in cpu.items() if value}:
        found["cpu"] = wanted
    if resources.memory_limit_in_bytes:
        limit = resources.memory_limit_in_bytes
        found["memory"] = {"limit": limit} if unified else {"limit": limit, "swap": limit}
    if resources.pids_limit:
        found["pids"] = {"limit": resources.pids_limit}
    return found


def update(cgroup: str, resources: v.Resources, root: Path = ROOT) -> None:
    """Changes the limits of the group `cgroup`, those that are set. Blocks; raises RuntimeFailure in kernel's words."""
    path = cgroup.lstrip("/")
    try:
        if unified(root):
            _update_v2(root / path, resources)
        else:
            _update_v1(root, path, resources)
    except OSError as error:
        raise RuntimeFailure(f"cannot change the limits: {error.filename}: {error.strerror}") from error


def _update_v1(root: Path, path: str, r: v.Resources) -> None:
    cpu, cpuset, memory = (root / name / path for name in ("cpu", "cpuset", "memory"))
    for file, value in (
        (cpu / "cpu.shares", r.cpu_shares),
        (cpu / "cpu.cfs_period_us", r.cpu_period),
        (cpu / "cpu.cfs_quota_us", r.cpu_quota),
        (cpuset / "cpuset.cpus", r.cpuset_cpus),
        (cpuset / "cpuset.mems", r.cpuset_mems),
        (root / "pids" / path / "pids.max", r.pids_limit),
    ):
        if value:
            file.write_text(str(value))
    if limit := r.memory_limit_in_bytes:
        # The limit with swap may not be below the one without, so a growing one goes first and a shrinking one last.
        files = [memory / "memory.memsw.limit_in_bytes", memory / "memory.limit_in_bytes"]
        files = [file for file in files if file.exists()]
        if limit < int((memory / "memory.limit_in_bytes").read_text()):
            files.reverse()
        for file in files:
            file.write_text(str(limit))


def _update_v2(group: Path, r: v.Resources) -> None:
    if r.cpu_shares:
        (group / "cpu.weight").write_text(str(cpu_weight(r.cpu_shares)))
    if r.cpu_quota or r.cpu_period:
        quota, period = (group / "cpu.max").read_text().split()
        (group / "cpu.max").write_text(f"{_quota(r.cpu_quota) or quota} {r.cpu_period or period}")
    for name, value in (("cpuset.cpus", r.cpuset_cpus), ("cpuset.mems", r.cpuset_mems), ("pids.max", r.pids_limit)):
        if value:
            (group / name).write_text(str(value))
    if r.memory_limit_in_bytes:
        (group / "memory.max").write_text(str(r.memory_limit_in_bytes))
        swap = group / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")


def _quota(quota: int) -> str:
    return "max" if quota < 0 else str(quota) if quota else ""


def cpu_weight(shares: int) -> int:
    """cpu.weight for cpu.shares, as runc, crun and libcontainer have it: 2, 1024, 262144 become 1, 100, 10000.

    (KEP-2254's straight line gave the default of 1024 a weight of 39, less than the machine's own services have.)
    """
    if shares <= MIN_SHARES:
        return 1
    if shares >= MAX_SHARES:
        return 10_000
    log = math.log2(shares)
    return math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))


def merged(old: v.Resources, new: v.Resources) -> v.Resources:
    """`old` with what is set in `new`."""
    changed = {name: value for name in new.__struct_fields__ if (value := getattr(new, name))}
    return v.Resources(**{**{name: getattr(old, name) for name in old.__struct_fields__}, **changed})
