"""Looks at trees of files as closely as an image can describe them."""

import hashlib
import os
import stat
import tarfile
from pathlib import Path
from typing import BinaryIO

import msgspec


class Node(msgspec.Struct, frozen=True):
    """Everything about one file that must survive."""

    kind: str
    mode: int
    uid: int
    gid: int
    content: str = ""
    """SHA-256 of a file, target of a link, numbers of a device."""
    mtime: int = 0
    """Whole seconds: what `docker export` writes."""
    xattrs: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = ()
    """Names of the same file, where it has several."""


def of_folder(root: Path) -> dict[str, Node]:
    """By path from the root; the root is `.`."""
    found: dict[str, Node] = {}
    inodes: dict[tuple[int, int], list[str]] = {}
    names = ["."]
    for at, folders, files in os.walk(root):
        names += [os.path.relpath(os.path.join(at, name), root) for name in folders + files]
    for name in sorted(names):
        info = os.lstat(root / name)
        if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
            inodes.setdefault((info.st_dev, info.st_ino), []).append(name)
    for name in names:
        path = root / name
        info = os.lstat(path)
        found[name] = Node(
            kind=_kind(info.st_mode),
            mode=0 if stat.S_ISLNK(info.st_mode) else stat.S_IMODE(info.st_mode),
            uid=info.st_uid,
            gid=info.st_gid,
            content=_content(path, info),
            mtime=int(info.st_mtime),
            xattrs=tuple(
                (a, os.getxattr(path, a, follow_symlinks=False).hex())
                for a in sorted(os.listxattr(path, follow_symlinks=False))
                if not a.startswith(("trusted.overlay.", "user.overlay."))
            ),
            links=_several(inodes.get((info.st_dev, info.st_ino), [])),
        )
    return found


def of_archive(file: BinaryIO) -> dict[str, Node]:
    """The same of a tar archive, as `docker export` writes it."""
    found: dict[str, Node] = {}
    groups: dict[str, list[str]] = {}
    with tarfile.open(fileobj=file, mode="r|") as archive:
        for member in archive:
            name = os.path.normpath(member.name)
            if member.islnk():
                target = os.path.normpath(member.linkname)
                groups.setdefault(target, [target]).append(name)
                found[name] = found[target]
                continue
            data = archive.extractfile(member) if member.isreg() else None
            found[name] = Node(
                kind={
                    tarfile.REGTYPE: "file",
                    tarfile.DIRTYPE: "folder",
                    tarfile.SYMTYPE: "link",
                    tarfile.FIFOTYPE: "pipe",
                    tarfile.CHRTYPE: "device",
                    tarfile.BLKTYPE: "device",
                }[member.type],
                mode=0 if member.issym() else member.mode & 0o7777,
                uid=member.uid,
                gid=member.gid,
                content=(
                    hashlib.sha256(data.read()).hexdigest()
                    if data
                    else member.linkname
                    if member.issym()
                    else f"{member.devmajor}:{member.devminor}"
                    if member.isdev() and not member.isfifo()
                    else ""
                ),
                mtime=int(member.mtime),
                xattrs=tuple(
                    sorted(
                        (k.removeprefix("SCHILY.xattr."), value.encode("utf-8", "surrogateescape").hex())
                        for k, value in member.pax_headers.items()
                        if k.startswith("SCHILY.xattr.")
                    )
                ),
            )
    for names in groups.values():
        for name in names:
            found[name] = msgspec.structs.replace(found[name], links=tuple(sorted(names)))
    return found


def _several(names: list[str]) -> tuple[str, ...]:
    """Names of one file; a single one says nothing (the others may be hidden by whiteouts)."""
    return tuple(names) if len(names) > 1 else ()


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISLNK(mode):
        return "link"
    return "pipe" if stat.S_ISFIFO(mode) else "device"


def _content(path: Path, info: os.stat_result) -> str:
    if stat.S_ISREG(info.st_mode):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        return f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    return ""
