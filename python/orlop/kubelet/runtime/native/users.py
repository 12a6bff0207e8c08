"""Who a container's program runs as: names and groups as the image's own /etc/passwd and /etc/group have them."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.values import SecurityContext

LARGEST_FILE = 4 * 1024 * 1024
"""Bytes of a passwd or group file that are read: it comes from an image, so it may be anything."""


class User(msgspec.Struct, frozen=True):
    """Numbers for the kernel."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def resolve(security: SecurityContext, image_user: str, layers: Sequence[Path]) -> User:
    """The user of a container. `layers` are the image's, topmost first. Blocks; raises RuntimeFailure (no such user).

    A user without a group gets what passwd says of it, and the groups that list it; a named group replaces those.
    """
    named, _, named_group = image_user.partition(":")
    if security.run_as_user is not None:
        named, named_group = str(security.run_as_user), ""
    passwd = _table(layers, "passwd")
    entry = next((e for e in passwd if len(e) >= 4 and named and named in (e[0], e[2])), None)
    if entry is not None and entry[2].isdigit():
        uid, own_group, name = int(entry[2]), int(entry[3]) if entry[3].isdigit() else 0, entry[0]
    elif named.isdigit() or not named:
        uid, own_group, name = int(named or 0), 0, next((e[0] for e in passwd if len(e) >= 4 and e[2] == "0"), "root")
        name = name if not named else ""
    else:
        raise RuntimeFailure(f"unable to find user {named}: no matching entries in passwd file")
    groups: list[int] = []
    if security.run_as_group is not None:
        gid = security.run_as_group
    elif named_group:
        gid = _group(layers, named_group)
    else:
        gid = own_group
        groups = [int(e[2]) for e in _table(layers, "group") if len(e) >= 4 and name and name in e[3].split(",")]
    wanted = [*groups, *security.supplemental_groups]
    return User(uid, gid, tuple(dict.fromkeys(g for g in wanted if g != gid)))


def _group(layers: Sequence[Path], group: str) -> int:
    for entry in _table(layers, "group"):
        if len(entry) >= 3 and group in (entry[0], entry[2]) and entry[2].isdigit():
            return int(entry[2])
    if group.isdigit():
        return int(group)
    raise RuntimeFailure(f"unable to find group {group}: no matching entries in group file")


def _table(layers: Iterable[Path], name: str) -> list[list[str]]:
    """The lines of /etc/NAME in the topmost layer that has it. Links are not followed: they could lead anywhere."""
    for layer in layers:
        folder = layer / "etc"
        path = folder / name
        if folder.is_symlink():
            return []
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            if path.is_symlink():
                return []
            continue
        with open(fd, "rb") as file:
            text = file.read(LARGEST_FILE).decode(errors="replace")
        return [line.split(":") for line in text.splitlines()]
    return []
