"""The folder of a store: what lies where, and how files get there so that a crash leaves all or nothing.

version            format of this folder
index.json         the images: names, configuration, layers
blobs/sha256/HEX   manifests, configurations and layers as they came, named by what they are
layers/HEX         an unpacked layer, ready to be an overlay's lower; layers/HEX.json beside it says it is whole
holds/HEX/OWNER    containers that use an image
partial/HEX        downloads that can go on
tmp/               what is being made; whatever lies here while nobody works is garbage
locks/, lock       see locks.py
"""

import contextlib
import ctypes
import errno
import os
import tempfile
from pathlib import Path

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native.images.model import hex_of

VERSION = "1"
LAYER_NAME_LENGTH = 20
"""Hex digits of a layer folder's name: short, since all lowers of a mount must fit in one page of options; 80 bits of a
digest cannot be met by chance, and the layer's record has it in full."""

_libc = ctypes.CDLL(None, use_errno=True)


def default_root() -> Path:
    """Where a machine's images are: below /var/lib for root, below the user's data folder otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/orlop/images")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "orlop" / "images"


class Layout:
    """Paths below the store's root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.index = root / "index.json"
        self.blobs = root / "blobs" / "sha256"
        self.layers = root / "layers"
        self.empty = self.layers / "empty"
        """The lower of an image without layers."""
        self.holds = root / "holds"
        self.partial = root / "partial"
        self.tmp = root / "tmp"
        self.locks = root / "locks"
        self.work_lock = root / "lock"
        self.index_lock = root / "index.lock"

    def create(self) -> None:
        """Makes the folders. Nobody else may look in: layers hold set-uid programs of strangers."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.blobs, self.layers, self.empty, self.holds, self.partial, self.tmp, self.locks):
                folder.mkdir(parents=True, exist_ok=True)
            if not (version := self.root / "version").exists():
                self.write(version, VERSION.encode())
            found = version.read_text()
        except OSError as error:
            raise RuntimeFailure(f"the image store {self.root} cannot be used: {error.strerror or error}") from error
        if found != VERSION:
            raise RuntimeFailure(f"the image store {self.root} has format {found!r}; this orlop knows {VERSION}")

    def blob(self, digest: str) -> Path:
        return self.blobs / hex_of(digest)

    def layer(self, chain_id: str) -> Path:
        return self.layers / hex_of(chain_id)[:LAYER_NAME_LENGTH]

    def layer_record(self, chain_id: str) -> Path:
        return self.layers / (hex_of(chain_id)[:LAYER_NAME_LENGTH] + ".json")

    def write(self, path: Path, data: bytes) -> None:
        """Puts a file there at once: after a crash it is the old or the new one."""
        fd, name = tempfile.mkstemp(dir=self.tmp)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        sync_folder(path.parent)

    def temporary(self) -> Path:
        """A new folder in `tmp`."""
        return Path(tempfile.mkdtemp(dir=self.tmp))


def sync_folder(path: Path) -> None:
    """Makes names in a folder last."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file_system(path: Path) -> None:
    """syncfs(2): one call for a whole tree of new files."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(fd)


def full(error: OSError) -> bool:
    """Whether an error says that the disk, or the user's share of it, is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
