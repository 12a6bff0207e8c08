"""What this machine cannot do for containers, and why: told by the node's conditions and by `orlop status`."""

import os
from pathlib import Path

NEED_ROOT = (
    "without root containers are plain processes of this machine: the network, users, files and limits are the "
    "machine's own, Services have no rules, and only the image `host` runs (try sudo)"
)


def is_root() -> bool:
    return os.geteuid() == 0


def missing(folder: Path, *, plain: bool | None = None) -> list[str]:
    """Each a sentence's part; empty when nothing is missing. `folder` is where containers' layers are kept."""
    if plain or (plain is None and not is_root()):
        return [NEED_ROOT]
    found = []
    if "overlay" not in _filesystems():
        found.append("the kernel has no overlay file system (modprobe overlay)")
    if not Path("/sys/fs/cgroup").is_dir() or not any(Path("/sys/fs/cgroup").iterdir()):
        found.append("no control groups are mounted at /sys/fs/cgroup")
    if _filesystem_of(folder) == "overlay":
        found.append(f"{folder} is itself on an overlay, which cannot hold containers' layers (use --data-dir)")
    return found


def _filesystems() -> set[str]:
    try:
        return {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
    except OSError:
        return set()


def _filesystem_of(folder: Path) -> str:
    folder = folder.absolute()
    best, kind = "", ""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4]
        if folder.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind
