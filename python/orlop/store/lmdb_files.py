"""The folder of a store on disk: who holds it, and how a new one comes to be whole or not at all."""

import contextlib
import errno
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import lmdb

from orlop.store.base import StoreLocked
from orlop.store.lmdb_layout import DATABASES

MAP_SIZE = 1 << 40 if sys.maxsize > 1 << 32 else 1 << 30
"""Address space reserved for the file, which itself grows as needed: 1 TiB that never has to be resized under
readers costs nothing on 64 bits. A machine of 32 bits has room for 1 GiB."""

DATA = "data.mdb"
LOCK = "orlop.lock"

READERS = 512
"""Read transactions open at once; each takes a slot of 64 bytes. We use a handful, tools that look in a few more."""


def environment(path: str, **more: Any) -> "lmdb.Environment":
    """Opens LMDB in a folder, as all of us do. Raises lmdb.Error."""
    options = {"map_size": MAP_SIZE, "max_dbs": DATABASES, "max_readers": READERS, "mode": 0o600, "meminit": False}
    return lmdb.open(path, **{**options, **more})


@contextlib.contextmanager
def whole(path: str) -> Iterator[str]:
    """A folder to make `path` in, beside its place: it is moved there when it is whole and on disk.

    Raises FileExistsError where there is something already; an empty folder is nothing.
    """
    path = os.path.abspath(path)
    if os.path.exists(path) and not (os.path.isdir(path) and not os.listdir(path)):
        raise FileExistsError(errno.EEXIST, "there is something in this place already", path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    half = tempfile.mkdtemp(prefix=os.path.basename(path) + ".incomplete-", dir=os.path.dirname(path))
    try:
        yield half
        for folder, _, files in os.walk(half):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    os.fsync(file.fileno())
            sync_folder(folder)
        os.rename(half, path)
        sync_folder(os.path.dirname(path))
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def lock(path: str) -> int:
    """Holds the folder for this process. LMDB itself would let two writers' processes share the file, whose
    revisions would then part; and opening it twice in one process breaks its own locks."""
    file = os.open(os.path.join(path, "orlop.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(file, 20).decode().strip() or "unknown"
        os.close(file)
        raise StoreLocked(
            f"the store in {path} is in use by process {holder}: stop it first, or choose another --data-dir"
        ) from None
    with contextlib.suppress(OSError):  # for the message above only: a full disk keeps nobody from reading
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
    return file


def sync_folder(path: str) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
