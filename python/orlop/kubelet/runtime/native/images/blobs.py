"""The content-addressed half of the store: files named by their SHA-256, checked while they are written."""

import os
from pathlib import Path
from typing import BinaryIO

from orlop.kubelet.runtime.native.images.layout import Layout, sync_folder
from orlop.kubelet.runtime.native.images.model import bad, digest, hex_of
from orlop.kubelet.runtime.native.images.streams import CHUNK, Hashed
from orlop.kubelet.runtime.native.images.work import Stop

MAX_DOCUMENT_SIZE = 8 * 1024**2
"""Bytes of a manifest or a configuration: registries take manifests up to 4 MiB."""


class Blobs:
    """The blobs of a store."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def has(self, digest: str) -> bool:
        return self._layout.blob(digest).exists()

    def path(self, digest: str) -> Path:
        return self._layout.blob(digest)

    def put(self, data: bytes) -> str:
        """Stores a document and returns its digest."""
        name = digest(data)
        if not self.has(name):
            self._layout.write(self._layout.blob(name), data)
        return name

    def document(self, name: str) -> bytes:
        """A manifest or configuration, checked. Raises ImageFailure."""
        data = read_document(self._layout.blob(name), name)
        if digest(data) != name:
            raise bad(f"the blob {name} of the image store is damaged; remove the image and load it again")
        return data

    def adopt(self, staged: Path, digest: str) -> None:
        """Takes a file that was hashed and synced while it was written (`stage`)."""
        target = self._layout.blob(digest)
        if target.exists():
            staged.unlink(missing_ok=True)
        else:
            os.rename(staged, target)
            sync_folder(target.parent)

    def names(self) -> list[str]:
        return ["sha256:" + entry.name for entry in self._layout.blobs.iterdir()]


def stage(stop: Stop, source: BinaryIO, target: Path, what: str) -> tuple[str, int]:
    """Copies a stream into a new file that lasts; digest and size."""
    hashed = Hashed(source, what, stop=stop)
    buffer = memoryview(bytearray(CHUNK))
    with open(target, "xb", buffering=0) as file:
        while count := hashed.readinto(buffer):
            piece = buffer[:count]
            while piece:
                piece = piece[file.write(piece) :]
        os.fsync(file.fileno())
    return hashed.digest, hashed.length


def read_document(path: Path, what: str) -> bytes:
    """A small file whole. Raises ImageFailure when it is missing or not small."""
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_DOCUMENT_SIZE + 1)
    except OSError as error:
        raise bad(f"{what} cannot be read: {error.strerror}") from error
    if len(data) > MAX_DOCUMENT_SIZE:
        raise bad(f"{what} is larger than {MAX_DOCUMENT_SIZE} bytes")
    return data


def short(digest: str) -> str:
    """The first twelve digits, as people know them from `docker images`."""
    return hex_of(digest)[:12]
