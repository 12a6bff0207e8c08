"""Fetches blobs: hashed while they come, resumed where they stopped, in this process's next life too."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import aiohttp

from orlop.clock import Clock
from orlop.kubelet.runtime.native.images.model import bad, hex_of
from orlop.kubelet.runtime.native.images.progress import Progress
from orlop.kubelet.runtime.native.images.registry.client import FIRST_PAUSE, TRIES, Registry, RegistryError
from orlop.kubelet.runtime.native.images.registry.manifests import Descriptor
from orlop.kubelet.runtime.native.images.streams import CHUNK

_RANGE_NOT_SATISFIABLE = 416


class Partial:
    """A file that grows to a blob, with the hash of what it has."""

    def __init__(self, path: Path, wanted: Descriptor) -> None:
        self.path = path
        self._wanted = wanted
        self._hash = hashlib.sha256()
        self._fd = -1
        self.length = 0

    def open(self) -> None:
        """Goes on with what an earlier try left."""
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while piece := os.read(self._fd, CHUNK):
            self._hash.update(piece)
            self.length += len(piece)
        if self.length > self._wanted.size:
            self.restart()

    def restart(self) -> None:
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hash, self.length = hashlib.sha256(), 0

    def add(self, data: bytes) -> None:
        """Raises ImageFailure when it grows beyond what the manifest says."""
        if self.length + len(data) > self._wanted.size:
            self.restart()
            raise bad(f"the registry sends more than the {self._wanted.size} bytes that {self._wanted.digest} has")
        self._hash.update(data)
        self.length += len(data)
        while data:
            data = data[os.write(self._fd, data) :]

    def finish(self) -> None:
        """Raises ImageFailure when the content is not what its name says; then nothing is kept."""
        found = "sha256:" + self._hash.hexdigest()
        if found != self._wanted.digest:
            self.path.unlink()
            raise bad(
                f"failed size validation or digest of {self._wanted.digest}: unexpected commit digest {found}, "
                f"{self.length} of {self._wanted.size} bytes"
            )
        os.fsync(self._fd)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


async def blob(registry: Registry, wanted: Descriptor, folder: Path, clock: Clock, progress: Progress) -> Path:
    """The blob as a file in `folder`, checked and synced. Raises RegistryError, ImageFailure, OSError.

    The caller sees to it that only one works on a blob at a time.
    """
    partial = Partial(folder / hex_of(wanted.digest), wanted)
    pause = FIRST_PAUSE

    def tell() -> None:
        progress(wanted.digest, "Downloading", partial.length, wanted.size)

    try:
        await asyncio.to_thread(partial.open)
        for attempt in range(1, TRIES + 1):
            if partial.length == wanted.size:
                break
            try:
                await _more(
                    registry,
                    wanted,
                    partial,
                    lambda: progress(wanted.digest, "Downloading", partial.length, wanted.size),
                )
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == TRIES:
                    text = f"failed to copy: httpReadSeeker: {error or 'the transfer stood still'}"
                    raise RegistryError(text, "RegistryUnavailable") from error
                await clock.sleep(pause)
                pause *= 2
        await asyncio.to_thread(partial.finish)
    except OSError:
        # A full disk is not to stay full because of us. (aiohttp's own errors of the network came as RegistryError.)
        partial.path.unlink(missing_ok=True)
        raise
    finally:
        partial.close()
    return partial.path


async def _more(registry: Registry, wanted: Descriptor, partial: Partial, tell: Callable[[], None]) -> None:
    headers = {"Range": f"bytes={partial.length}-"} if partial.length else {}
    async with registry.request(
        "GET", f"blobs/{wanted.digest}", headers=headers, allowed=(_RANGE_NOT_SATISFIABLE,)
    ) as answer:
        if answer.status != 206 and partial.length:
            await asyncio.to_thread(partial.restart)
        if answer.status == _RANGE_NOT_SATISFIABLE:
            return
        async for piece in answer.content.iter_chunked(CHUNK):
            await asyncio.to_thread(partial.add, piece)
            tell()
