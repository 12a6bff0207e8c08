"""How much a directory takes: du, as the kubelet counts."""

import os
from pathlib import Path
from typing import NamedTuple

BLOCK = 512
"""Bytes of a block of stat(2), whatever the file system's own."""


class Taken(NamedTuple):
    """Space on disk, and files with the directories among them."""

    bytes: int
    inodes: int


NOTHING = Taken(0, 0)


def measure(root: Path) -> Taken:
    """Everything below and including `root` on its own file system; a file of several names counts once.

    What vanishes meanwhile, or may not be read, is left out. Blocks.
    """
    try:
        top = os.lstat(root)
    except OSError:
        return NOTHING
    taken, inodes = top.st_blocks * BLOCK, 1
    linked: set[int] = set()
    folders = [str(root)]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except OSError:
            continue
        with entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if found.st_dev != top.st_dev or found.st_ino in linked:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif found.st_nlink > 1:
                    linked.add(found.st_ino)
                taken += found.st_blocks * BLOCK
                inodes += 1
    return Taken(taken, inodes)


def measure_files(path: Path) -> Taken:
    """A file and those beside it whose names begin with its own: a log and what was rotated away. Blocks."""
    taken = inodes = 0
    try:
        with os.scandir(path.parent) as entries:
            for entry in entries:
                if entry.name.startswith(path.name):
                    taken += entry.stat(follow_symlinks=False).st_blocks * BLOCK
                    inodes += 1
    except OSError:
        pass
    return Taken(taken, inodes)
