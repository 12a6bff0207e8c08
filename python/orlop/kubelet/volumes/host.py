"""Directories and mounts of the node that volumes are made of. Everything here blocks: call it in a thread."""

import contextlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

from orlop.kubelet.volumes.payload import VolumeError


def empty_dir(path: Path, medium: str, size: int | None, group: int | None) -> None:
    """A directory that any user of the pod may write; in memory (`size` bytes at most) where `medium` says so.

    One that is there already is left as the pod's containers have made it."""
    if medium == "Memory":
        path.mkdir(parents=True, exist_ok=True)
        if not os.path.ismount(path):
            _mount_memory(path, size, group)
    elif medium == "" or medium.startswith("HugePages"):
        if not path.exists():
            _make_shared(path, group)
    else:
        raise VolumeError(f'unknown storage medium "{medium}"')


def _make_shared(path: Path, group: int | None) -> None:
    """It gets its name when it is done, so that one that is there is whole."""
    fresh = path.with_name(f"..{path.name}")
    fresh.mkdir(parents=True, exist_ok=True)
    os.chmod(fresh, 0o777)
    if group is not None and os.geteuid() == 0:
        os.chown(fresh, -1, group)
        os.chmod(fresh, 0o2777)
    fresh.rename(path)


def _mount_memory(path: Path, size: int | None, group: int | None) -> None:
    options = ["mode=0777" if group is None else f"mode=2777,gid={group}"]
    if size:
        options.append(f"size={size}")
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(path)],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        text = error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)
        raise VolumeError(f"mount failed: tmpfs at {path}: {text}") from error


def give_to_group(path: Path, group: int, *, read_only: bool, only_on_mismatch: bool) -> None:
    """Gives everything below `path` to a group that may read it and, unless `read_only`, write it: fsGroup.

    New files inherit the group. `only_on_mismatch` leaves all as it is where the top is right (fsGroupChangePolicy
    OnRootMismatch). Bits as upstream's pkg/volume/volume_linux.go.
    """
    if os.geteuid() != 0:
        return
    bits = 0o440 if read_only else 0o660
    of_directory = bits | 0o110 | stat.S_ISGID
    top = path.stat()
    if only_on_mismatch and top.st_gid == group and top.st_mode & of_directory == of_directory:
        return
    for folder, names, files in os.walk(path):
        for name in [*files, *(n for n in names if os.path.islink(os.path.join(folder, n)))]:
            _give(os.path.join(folder, name), group, bits)
        _give(folder, group, of_directory)


def _give(path: str, group: int, bits: int) -> None:
    os.chown(path, -1, group, follow_symlinks=False)
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode):
        os.chmod(path, stat.S_IMODE(mode) | bits)


def host_path(path: str, kind: str) -> Path:
    """The path itself, made or checked as hostPath's `type` says. Raises VolumeError in upstream's words."""
    target = Path(path)
    if kind == "DirectoryOrCreate":
        target.mkdir(mode=0o755, parents=True, exist_ok=True)
    elif kind == "FileOrCreate":
        if target.is_dir():
            raise VolumeError(f"hostPath type check failed: {path} is not a file")
        if not target.exists():
            target.touch(mode=0o644)
    elif kind:
        checks = {
            "Directory": (stat.S_ISDIR, "a directory"),
            "File": (stat.S_ISREG, "a file"),
            "Socket": (stat.S_ISSOCK, "a socket file"),
            "CharDevice": (stat.S_ISCHR, "a character device"),
            "BlockDevice": (stat.S_ISBLK, "a block device"),
        }
        check, name = checks[kind]
        if not target.exists() or not check(target.stat().st_mode):
            raise VolumeError(f"hostPath type check failed: {path} is not {name}")
    return target


def sub_path(root: Path, relative: str, user: int | None) -> Path:
    """A path below a volume, that no link leads out of the volume. Directories that are missing are made as the volume
    itself is: with its mode and group, so that fsGroup holds there too."""
    target = root / relative
    resolved = Path(os.path.realpath(target))
    base = Path(os.path.realpath(root))
    if resolved != base and base not in resolved.parents:
        raise VolumeError(f"subPath {relative!r} leads out of its volume")
    top = base.stat()
    for missing in reversed([p for p in (resolved, *resolved.parents) if not p.exists()]):
        missing.mkdir()
        if os.geteuid() == 0:
            os.chown(missing, -1 if user is None else user, top.st_gid)
        missing.chmod(stat.S_IMODE(top.st_mode))
    return resolved


def remove(directory: Path) -> None:
    """Unmounts what is mounted below and removes the directory; what is gone already is fine."""
    if not directory.exists():
        return
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        mounts = [line.split()[4].replace("\\040", " ") for line in table]
    for mount in sorted((m for m in mounts if Path(m).is_relative_to(directory)), reverse=True):
        with contextlib.suppress(subprocess.CalledProcessError):
            subprocess.run(["umount", mount], check=True, capture_output=True)
    shutil.rmtree(directory, ignore_errors=True)
