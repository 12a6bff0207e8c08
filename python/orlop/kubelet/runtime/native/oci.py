"""From the contract's configurations to an OCI runtime configuration (config.json, runtime-spec 1.0)."""

import os
import resource
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native import capabilities, seccomp
from orlop.kubelet.runtime.native.resources import oci_resources
from orlop.kubelet.runtime.native.users import User

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

MOST_FILES = 1_048_576
"""RLIMIT_NOFILE of containers, as other runtimes' services have it, where the machine allows it."""

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_PROPAGATION = {"private": "rprivate", "host_to_container": "rslave", "bidirectional": "rshared"}


CONTROLLERS = frozenset(
    [
        "cpu",
        "cpuacct",
        "cpuset",
        "devices",
        "hugetlb",
        "memory",
        "pids",
        "perf_event",
        "blkio",
        "net_prio",
        "net_cls",
        "freezer",
    ]
)
"""Of version 1: those in whose hierarchies libcontainer makes the container's group."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a container finds outside of itself."""

    namespaces: Mapping[str, str]
    """Paths of namespaces to join: network, ipc, uts, pid."""
    files: tuple[v.Mount, ...]
    """Mounts that every container of the pod gets unless it brings its own: resolv.conf, hostname, /dev/shm."""
    masked: tuple[str, ...] = ()
    """Files of the image that read as empty."""
    unified: bool
    """Control groups of version 2."""
    guarded: bool
    """Control groups decide which devices may be used: by files in version 1, by a program of BPF in version 2."""
    hierarchies: tuple[str, ...] = ()
    """Those of version 1: libcontainer mounts them writable whatever is asked for, so they are made read-only after."""
    cgroup: str


def spec(
    config: v.ContainerConfig,
    sandbox: v.PodSandboxConfig,
    user: User,
    command: list[str],
    env: list[str],
    cwd: str,
    place: Place,
) -> dict[str, Any]:
    """config.json. Raises RuntimeFailure for what cannot be had: a profile, a capability, a mount's source."""
    security = config.security
    caps = sorted(capabilities.effective(security, devices=place.guarded))
    for mount in config.mounts:
        if not Path(mount.host_path).exists():
            raise RuntimeFailure(f"cannot mount {mount.host_path} at {mount.container_path}: no such file or directory")
    process: dict[str, Any] = {
        "terminal": config.tty,
        "user": {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)},
        "args": command,
        "env": env,
        "cwd": cwd,
        "capabilities": {"bounding": caps, "effective": caps, "permitted": caps},
        "rlimits": [_open_files()],
        "oomScoreAdj": config.resources.oom_score_adj,
    }
    if security.no_new_privs:  # spelled out as false it would move the seccomp filter to where it may not be loaded
        process["noNewPrivileges"] = True
    open_proc = security.privileged or security.unmasked_proc
    bidirectional = any(mount.propagation == "bidirectional" for mount in config.mounts)
    linux: dict[str, Any] = {
        "cgroupsPath": place.cgroup,
        "resources": {**oci_resources(config.resources, place.unified), "devices": _device_rules(config)},
        "namespaces": _namespaces(sandbox.namespaces, place),
        "devices": _devices(config),
        "maskedPaths": [*(() if open_proc else MASKED), *place.masked],
        "readonlyPaths": [
            *(() if open_proc else READONLY),
            *(() if security.privileged else place.hierarchies),
        ],
        "rootfsPropagation": "shared" if bidirectional else "slave",
    }
    profile = seccomp.profile(security.seccomp, frozenset(caps), security.privileged)
    if profile is not None:
        linux["seccomp"] = profile
    return {
        "ociVersion": "1.0.2",
        "process": process,
        "root": {"path": "rootfs", "readonly": security.readonly_rootfs},
        "mounts": [*_system_mounts(security.privileged, place), *_mounts(config, place)],
        "annotations": {},
        "linux": linux,
    }


def _namespaces(wanted: v.Namespaces, place: Place) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{"type": "mount"}]
    found += [{"type": kind, "path": path} for kind, path in place.namespaces.items()]
    if wanted.pid == "container" and "pid" not in place.namespaces:
        found.append({"type": "pid"})
    if place.unified:
        found.append({"type": "cgroup"})
    return found


def _open_files() -> dict[str, Any]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    return {"type": "RLIMIT_NOFILE", "soft": most, "hard": most}


def _system_mounts(privileged: bool, place: Place) -> list[dict[str, Any]]:
    access = "rw" if privileged else "ro"
    safe = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": safe},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": safe},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*safe, access]},
        *_group_mounts(place, [*safe, "relatime", access]),
    ]


def _group_mounts(place: Place, options: list[str]) -> list[dict[str, Any]]:
    """What shows at /sys/fs/cgroup.

    With version 1, libcontainer looks for itself in the machine's /proc by its number within the process namespace. In
    one of its own that is 1 and somebody has it; in one that it joins it is any number, so each group is bound there.
    """
    root = "/sys/fs/cgroup"
    if place.unified or "pid" not in place.namespaces:
        return [{"destination": root, "type": "cgroup", "source": "cgroup", "options": options}]
    names = [name for path in place.hierarchies if CONTROLLERS & set((name := Path(path).name).split(","))]
    return [
        {"destination": root, "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "noexec", "mode=755"]},
        *(
            {
                "destination": f"{root}/{name}",
                "type": "bind",
                "source": f"{root}/{name}/{place.cgroup.lstrip('/')}",
                "options": ["bind", *options],
            }
            for name in names
        ),
    ]


def _mounts(config: v.ContainerConfig, place: Place) -> list[dict[str, Any]]:
    own = {mount.container_path.rstrip("/") for mount in config.mounts}
    default = [mount for mount in place.files if mount.container_path not in own]
    ordered = sorted([*default, *config.mounts], key=lambda mount: mount.container_path.rstrip("/").count("/"))
    return [
        {
            "destination": mount.container_path,
            "type": "bind",
            "source": mount.host_path,
            "options": ["rbind", _PROPAGATION[mount.propagation], "ro" if mount.readonly else "rw"],
        }
        for mount in ordered
    ]


def _devices(config: v.ContainerConfig) -> list[dict[str, Any]]:
    found = []
    for device in config.devices:
        kind, major, minor, mode, uid, gid = _node(device.host_path)
        found.append(
            {
                "path": device.container_path,
                "type": kind,
                "major": major,
                "minor": minor,
                "fileMode": mode,
                "uid": uid,
                "gid": gid,
            }
        )
    return found


def _device_rules(config: v.ContainerConfig) -> list[dict[str, Any]]:
    if config.security.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    for device in config.devices:
        kind, major, minor, *_ = _node(device.host_path)
        rules.append({"allow": True, "type": kind, "major": major, "minor": minor, "access": device.permissions})
    return rules


def _node(path: str) -> tuple[str, int, int, int, int, int]:
    try:
        found = os.stat(path)
    except OSError as error:
        raise RuntimeFailure(f"cannot use the device {path}: {error.strerror}") from error
    kind = "c" if stat.S_ISCHR(found.st_mode) else "b" if stat.S_ISBLK(found.st_mode) else ""
    if not kind:
        raise RuntimeFailure(f"cannot use the device {path}: it is not a device")
    mode = stat.S_IMODE(found.st_mode)
    return kind, os.major(found.st_rdev), os.minor(found.st_rdev), mode, found.st_uid, found.st_gid
