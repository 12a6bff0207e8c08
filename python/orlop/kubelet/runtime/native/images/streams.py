"""Reading layers: compression found by magic bytes, content hashed and counted as it passes."""

import bz2
import gzip
import hashlib
import io
import lzma
import sys
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

from orlop.kubelet.runtime.native.images.model import bad
from orlop.kubelet.runtime.native.images.work import Stop

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK = 1024 * 1024
"""Bytes that are read, hashed and written at a time."""

MAX_LAYER_SIZE = 64 * 1024**3
"""Bytes of one uncompressed layer or archive: above all images in use, below what would fill a machine unnoticed."""

MAX_HEADER_SIZE = 4 * 1024**2
"""Bytes between a member of a tar archive and the next one's data: long names, extended attributes, maps of sparse
files. Linux caps an attribute at 64 KiB and a path at 4 KiB."""

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\x00": "xz", b"BZh": "bzip2"}
MAGIC_SIZE = 6

DAMAGED: tuple[type[Exception], ...] = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    zstd.ZstdError,
    ValueError,
    OverflowError,
    tarfile.TarError,
)
"""What decompressors and `tarfile` raise for a damaged stream."""


def compression(start: bytes) -> str:
    """`gzip`, `zstd`, `xz`, `bzip2` or "" by the first bytes."""
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), "")


def decompressed(source: BinaryIO, start: bytes) -> BinaryIO:
    """The content of `source`, which stands at its beginning; `start` are its first bytes."""
    match compression(start):
        case "gzip":
            return cast(BinaryIO, gzip.GzipFile(fileobj=source, mode="rb"))
        case "zstd":
            return cast(BinaryIO, zstd.ZstdFile(source, mode="r"))
        case "xz":
            return cast(BinaryIO, lzma.LZMAFile(source))
        case "bzip2":
            return cast(BinaryIO, bz2.BZ2File(source))
    return source


class Hashed(io.RawIOBase):
    """Passes a stream on, keeping its SHA-256 (unless it is `known`) and its length, which must stay within bounds."""

    def __init__(
        self,
        source: IO[bytes],
        what: str,
        *,
        stop: Stop | None = None,
        known: str | None = None,
    ) -> None:
        self._source = source
        self._what = what
        self._stop = stop
        self._known = known
        self._hash = hashlib.sha256()
        self.length = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._stop is not None:
            self._stop.check()
        view = memoryview(buffer)
        data = self._source.read(len(view))
        count = len(data)
        view[:count] = data
        if self._known is None:
            self._hash.update(data)
        self.length += count
        if self.length > MAX_LAYER_SIZE:
            raise bad(f"{self._what} is larger than {MAX_LAYER_SIZE} bytes")
        return count

    @property
    def digest(self) -> str:
        """`sha256:…` of what has passed."""
        return self._known or "sha256:" + self._hash.hexdigest()


class Forward(io.RawIOBase):
    """A stream as `tarfile` reads headers from it, and from which we take the data: it only goes forward."""

    def __init__(self, source: io.BufferedReader) -> None:
        self._source = source
        self._position = 0
        self._since_data = 0
        self.last = b""
        """What was read last."""

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        """A piece of a header. Raises ImageFailure when headers grow beyond reason."""
        self._since_data += size
        if size < 0 or self._since_data > MAX_HEADER_SIZE:
            raise bad(f"a header of the archive is larger than {MAX_HEADER_SIZE} bytes")
        self.last = self._source.read(size)
        self._position += len(self.last)
        return self.last

    def data(self, size: int) -> bytes:
        """The next bytes of a member's data, at most CHUNK of them. Raises EOFError at the end."""
        piece = self._source.read(min(size, CHUNK))
        if not piece and size:
            raise EOFError("the archive ends in the middle of a file")
        self._position += len(piece)
        self._since_data = 0
        return piece

    def forward(self, position: int) -> None:
        """Reads on to `position`."""
        while self._position < position:
            self.data(position - self._position)
        self._since_data = 0

    def rest(self) -> None:
        """Reads to the end, for the digest."""
        while self._source.read(CHUNK):
            pass


def members(source: Forward) -> Iterator[tarfile.TarInfo]:
    """The members of a tar archive. Between two of them the caller reads as much of the data as it wants.

    Raises ImageFailure where `tarfile` would take a damaged header for the archive's end.
    """
    with tarfile.open(fileobj=source, mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
        while (member := archive.next()) is not None:
            # It would keep all of them.
            cast(Any, archive).members.clear()
            if member.size < 0:
                raise bad(f"the archive has a member {member.name!r} of {member.size} bytes")
            yield member
            source.forward(archive.offset)
    if source.last.strip(b"\0"):
        raise bad(f"the archive has a damaged header at byte {source.tell() - len(source.last)}")
