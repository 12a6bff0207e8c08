"""What the runtime keeps on disk of sandboxes and containers, and what shims leave there.

One folder each; every file is written whole by rename, so that a crash leaves the old or the new one.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from orlop.kubelet.runtime import values as v

T = TypeVar("T")

RECORD = "record.json"
RUNNING = "pid.json"
EXIT = "exit.json"

START_FAILED_EXIT = 128
"""The exit code of a container that could not be started, as other runtimes report it."""

LOST_EXIT = 137
"""Of a container whose end nobody saw: the shim was killed, or the machine went down."""


class SandboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Written when a sandbox is made."""

    id: str
    created_at: int
    config: v.PodSandboxConfig


class ContainerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Written when a container is made; `resources` also when they change."""

    id: str
    sandbox_id: str
    created_at: int
    config: v.ContainerConfig
    pod: v.PodSandboxMetadata
    image_ref: str
    log_path: str
    stop_signal: str
    resources: v.Resources
    cgroup: str


class Running(msgspec.Struct, frozen=True, rename="camel"):
    """`pid.json`, by the shim. The start times are clock ticks since boot: they tell a process from a later one."""

    pid: int
    start_time: int
    shim: int
    shim_start_time: int
    started_at: int


class Exit(msgspec.Struct, frozen=True, rename="camel"):
    """`exit.json`, by the shim, or by the runtime where no shim could write it."""

    code: int
    signal: int = 0
    oom: bool = False
    finished_at: int = 0
    message: str = ""
    reason: str = ""


def write(path: Path, value: Any) -> None:
    """Writes `value` as JSON, whole or not at all. Blocks."""
    write_bytes(path, msgspec.json.encode(value))


def write_bytes(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_bytes(data)
    temporary.rename(path)


def read(path: Path, kind: type[T]) -> T | None:
    """None when it is not there, or was torn by something other than us. Blocks."""
    with suppress(FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=kind)
    return None


def start_time(pid: int) -> int:
    """A process' start in clock ticks since boot (field 22 of /proc/PID/stat); 0 when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def runs(pid: int, started: int) -> bool:
    """Whether the process of this number and start time is still there."""
    return pid > 0 and started > 0 and start_time(pid) == started


def fd_path(fd: int, name: str) -> str:
    """A path short enough for a socket's address (108 bytes), whatever the folder's own length."""
    return os.path.join(f"/proc/self/fd/{fd}", name)
