"""Control groups of containers, from outside: where they are, killing what is in them, removing them."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

from orlop.kubelet.runtime.cgroups import ROOT, ControlGroups
from orlop.kubelet.runtime.native.records import Running, runs

KILL_ROUNDS = 200
PAUSE = 0.01
"""Two seconds at most for killed processes to end; those in an uninterruptible sleep stay."""


def folders(cgroup: str, root: Path = ROOT) -> list[Path]:
    """The group's directories that are there, one per hierarchy. Blocks."""
    path = cgroup.lstrip("/")
    if not path:
        return []
    if (root / "cgroup.controllers").exists():
        return [found for found in (root / path,) if found.is_dir()]
    hierarchies = [entry for entry in root.iterdir() if entry.is_dir() and not entry.is_symlink()]
    return [found for hierarchy in hierarchies if (found := hierarchy / path).is_dir()]


def of(cgroup: str, root: Path = ROOT) -> ControlGroups:
    """For reading use. Raises FileNotFoundError when it is gone."""
    path = cgroup.lstrip("/")
    if (root / "cgroup.controllers").exists():
        paths = {"": root / path}
    else:
        paths = {name: root / name / path for name in ("cpuacct", "memory", "pids")}
    if not path or not all(found.is_dir() for found in paths.values()):
        raise FileNotFoundError(cgroup)
    return ControlGroups(paths)


def kill(cgroup: str, running: Running | None, root: Path = ROOT) -> None:
    """Kills all that is left of a container whose shim is gone, and waits for it. Blocks."""
    for _ in range(KILL_ROUNDS):
        pids = {pid for folder in folders(cgroup, root) for pid in _processes(folder)}
        if not cgroup and running is not None:
            pids |= _session(running)
        if running is not None and runs(running.pid, running.start_time) and not _is_zombie(running.pid):
            pids.add(running.pid)
        pids = {pid for pid in pids if not _is_zombie(pid)}
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        _pause()


def remove(cgroup: str, root: Path = ROOT) -> None:
    """Removes the group with all below it, as far as it is empty. Blocks."""
    for _ in range(KILL_ROUNDS):
        left = [folder for folder in folders(cgroup, root) if not _remove_tree(folder)]
        if not left:
            return
        _pause()


def prune(parent: str, root: Path = ROOT) -> None:
    """Removes a group of groups that has become empty. Blocks."""
    for folder in folders(parent, root):
        with suppress(OSError):
            folder.rmdir()


def _remove_tree(folder: Path) -> bool:
    for child in [entry for entry in _entries(folder) if entry.is_dir()]:
        _remove_tree(child)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _processes(folder: Path) -> list[int]:
    try:
        return [pid for line in (folder / "cgroup.procs").read_text().split() if (pid := int(line)) > 0]
    except OSError:
        return []


def _session(running: Running) -> set[int]:
    """Without control groups: the processes of the main process' session, which it was made the leader of."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(stat[3]) == running.pid:
                    found.add(int(entry.name))
    return found


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (OSError, IndexError):
        return True


def _pause() -> None:
    threading.Event().wait(PAUSE)
