"""The images of a machine: a folder that several nodes and commands use at once."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import msgspec

from orlop import logging
from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure, RuntimeFailure
from orlop.kubelet.runtime.native.images import archive, garbage, host, names, saving
from orlop.kubelet.runtime.native.images.blobs import Blobs, short
from orlop.kubelet.runtime.native.images.flights import Flights
from orlop.kubelet.runtime.native.images.importing import import_filesystem
from orlop.kubelet.runtime.native.images.index import Index, Record
from orlop.kubelet.runtime.native.images.intake import Intake, refuse_host
from orlop.kubelet.runtime.native.images.layers import Layers, reason, remove_tree
from orlop.kubelet.runtime.native.images.layout import Layout
from orlop.kubelet.runtime.native.images.locks import locked
from orlop.kubelet.runtime.native.images.model import StoredImage, bad, chain_ids, hex_of
from orlop.kubelet.runtime.native.images.progress import Progress, silent
from orlop.kubelet.runtime.native.images.registry import RegistrySettings
from orlop.kubelet.runtime.native.images.streams import DAMAGED
from orlop.kubelet.runtime.native.images.work import stoppable

_log = logging.get("images")

# Within the class below, `list` is its own verb.
Stored = list[StoredImage]
Folders = list[Path]
Texts = list[str]


class ImageStore:
    """Images by name, unpacked and ready to be mounted. Every failure is an ImageFailure or RuntimeFailure.

    Several stores, in one process or in many, may use the same folder. Whatever happens to a process, the folder opens
    again, without half a layer in it.
    """

    def __init__(self, root: Path, clock: Clock, settings: RegistrySettings = RegistrySettings()) -> None:
        self.layout = Layout(root.absolute())
        self._clock = clock
        self._settings = settings
        self._blobs = Blobs(self.layout)
        self._layers = Layers(self.layout)
        self._index = Index(self.layout)
        self._intake = Intake(self.layout, self._blobs, self._layers, self._index)
        self._pulls: Flights[str] = Flights()
        self._created = False

    async def _open(self) -> None:
        if not self._created:
            await asyncio.to_thread(self.layout.create)
            self._created = True

    # Reading

    async def resolve(self, reference: str) -> StoredImage | None:
        """The image of that name, `name@digest`, id or unique beginning of an id; None when it is not there.

        `host` is always there. Raises ImageFailure (InvalidImageName).
        """
        if reference in (*host.NAMES, host.IMAGE.id):
            return host.IMAGE
        await self._open()
        record = await asyncio.to_thread(self._find, reference)
        return record.stored() if record else None

    def _find(self, reference: str) -> Record | None:
        records = self._index.records()
        prefix = names.id_prefix(reference)
        if not names.is_id(reference):
            try:
                name = names.familiar(reference)
            except ImageFailure:
                if prefix is None:
                    raise
            else:
                repository, _, digest = names.split(name)
                for record in records.values():
                    if f"{repository}@{digest}" in record.digests if digest else name in record.names:
                        return record
        if prefix is None:
            return None
        matching = [record for record in records.values() if hex_of(record.id).startswith(prefix)]
        if len(matching) > 1:
            raise names.invalid(reference, f"{len(matching)} images have an id that begins so; give more of it")
        return matching[0] if matching else None

    async def list(self) -> Stored:
        """All images but `host`, in the order in which they came."""
        await self._open()
        return [record.stored() for record in (await asyncio.to_thread(self._index.records)).values()]

    async def lowerdirs(self, image: StoredImage) -> Folders:
        """The image's unpacked layers, topmost first, as overlayfs takes them; never none.

        All lie in one folder, so that a mount of very many can name them relative to it. `host` is the machine's root.
        Raises ImageFailure (ImageInspectError) when one is missing.
        """
        if image.id == host.IMAGE.id:
            return [Path("/")]
        await self._open()
        return await asyncio.to_thread(self._layers.lowers, chain_ids(image.layers)) or [self.layout.empty]

    async def mount_options(self) -> tuple[str, ...]:
        """What an overlay of these layers needs besides them: `userxattr` where they were unpacked without root."""
        await self._open()
        opaque = (await asyncio.to_thread(lambda: self._layers.abilities)).opaque
        return ("userxattr",) if opaque is not None and opaque.startswith("user.") else ()

    async def masked_paths(self, image: StoredImage) -> Texts:
        """Paths that must not show in the image's containers: private things of the machine, in `host`."""
        if image.id != host.IMAGE.id:
            return []
        return await asyncio.to_thread(host.masked_paths, own=(self.layout.root,))

    async def usage(self) -> v.FilesystemUsage:
        """What the store takes on disk."""
        await self._open()
        used, inodes = await asyncio.to_thread(self._usage)
        return v.FilesystemUsage(
            timestamp=int(self._clock.now() * 1e9),
            mountpoint=str(self.layout.root),
            used_bytes=used,
            inodes_used=inodes,
        )

    def _usage(self) -> tuple[int, int]:
        used = inodes = 0
        for folder in (self.layout.blobs, self.layout.partial):
            for entry in os.scandir(folder):
                used += entry.stat(follow_symlinks=False).st_blocks * 512
                inodes += 1
        for record in self._layers.records():
            used += record.unpacked.size
            inodes += record.unpacked.inodes
        return used, inodes

    async def weaker(self) -> str:
        """What this process cannot keep of images that it unpacks here, and why; "" where it keeps everything."""
        await self._open()
        return (await asyncio.to_thread(lambda: self._layers.abilities)).weaker

    # Who uses what

    async def hold(self, image_id: str, owner: str) -> None:
        """Keeps an image from removal until `owner` (a container's id) lets go. Lasts; safe to repeat.

        Raises ImageFailure (ErrImagePull) when the image is not there.
        """
        await self._open()
        async with locked(self.layout.index_lock):
            if image_id != host.IMAGE.id and image_id not in await asyncio.to_thread(self._index.records):
                raise ImageFailure("ErrImagePull", f"the image {image_id} has been removed meanwhile")
            await asyncio.to_thread(self._index.hold, image_id, owner)

    async def release(self, image_id: str, owner: str) -> None:
        """Lets go. Safe to repeat."""
        await self._open()
        async with locked(self.layout.index_lock):
            await asyncio.to_thread(self._index.release, image_id, owner)

    async def holders(self) -> dict[str, tuple[str, ...]]:
        """Owners by image id: a runtime that starts lets go for those it has no more."""
        await self._open()
        return await asyncio.to_thread(self._index.all_holders)

    # Bringing in

    async def load(self, source: Path | BinaryIO) -> Stored:
        """Takes the images of an archive of `docker save`, or of an OCI layout (file, folder or stream).

        A name that another image had moves to the new one. Raises ImageFailure; then nothing is left.
        """
        await self._open()
        try:
            async with locked(self.layout.work_lock, shared=True):
                work = await asyncio.to_thread(self.layout.temporary)
                try:
                    found = await stoppable(archive.read, source, work)
                    return [(await self._intake.take(image)).stored() for image in found]
                finally:
                    await asyncio.to_thread(remove_tree, work)
        except OSError as error:
            raise bad(f"failed to load the archive: {reason(error)}") from error
        finally:
            await self._collect()

    async def pull(self, reference: str, auth: v.AuthConfig | None, progress: Progress = silent) -> str:
        """Fetches an image from its registry and returns its id; what is there already is not fetched again.

        Several who pull the same at once share one pull. `host` is there without one: its name has no tag, so pods ask
        for it each time. Raises ImageFailure (ErrImagePull, RegistryUnavailable, InvalidImageName).
        """
        name = names.familiar(reference)
        if name in host.NAMES:
            return host.IMAGE.id
        return await self._pulls.join((name, auth), lambda: self._pull(name, auth, progress))

    async def _pull(self, name: str, auth: v.AuthConfig | None, progress: Progress) -> str:
        from orlop.kubelet.runtime.native.images.pull import pull, resumable  # see registry/__init__.py

        await self._open()
        image_id = ""
        failure: ImageFailure | None = None
        async with locked(self.layout.work_lock, shared=True):
            try:
                image_id = await pull(self._intake, name, auth, self._clock, self._settings, progress)
            except ImageFailure as error:
                failure = error
        if failure is None or not resumable(failure):
            await self._collect()
        if failure is not None:
            raise failure
        return image_id

    async def import_filesystem(
        self, source: Path | BinaryIO, reference: str = "", config: Mapping[str, Any] = MappingProxyType({})
    ) -> StoredImage:
        """Makes an image from an archive of a root file system. `config` has OCI's fields (Cmd, Entrypoint, Env, …).

        Raises ImageFailure; then nothing is left.
        """
        new_names = [names.familiar(reference)] if reference else []
        for name in new_names:
            refuse_host(name)
        await self._open()
        try:
            async with locked(self.layout.work_lock, shared=True):
                work = await asyncio.to_thread(self.layout.temporary)
                try:
                    record = await import_filesystem(self._intake, source, new_names, dict(config), self._clock, work)
                finally:
                    await asyncio.to_thread(remove_tree, work)
        except DAMAGED as error:
            raise bad(f"the archive is damaged, or is none: {error}") from error
        except OSError as error:
            raise bad(f"failed to import the archive: {reason(error)}") from error
        finally:
            await self._collect()
        return record.stored()

    # Names and copies

    async def tag(self, reference: str, name: str) -> None:
        """Gives an image one more name, which leaves the image that had it. Raises ImageFailure."""
        new = names.familiar(name)
        if "@" in new:
            raise names.invalid(name, "a name to give has a tag, not a digest")
        refuse_host(new)
        if reference in (*host.NAMES, host.IMAGE.id):
            raise names.invalid(reference, "the built-in image has no other names")
        await self._open()
        async with locked(self.layout.work_lock, shared=True):
            found = await asyncio.to_thread(self._need, reference)
            await self._intake.enter(msgspec.structs.replace(found), [new], ())

    async def save(self, references: Sequence[str], target: BinaryIO) -> None:
        """Writes an archive with these images to a stream. Raises ImageFailure, OSError."""
        await self._open()
        async with locked(self.layout.work_lock, shared=True):
            wanted: dict[str, tuple[Record, Texts]] = {}
            for reference in references:
                record = await asyncio.to_thread(self._need, reference)
                _, tags = wanted.setdefault(record.id, (record, []))
                tags += [n for n in self._named_by(record, reference) if n not in tags]
            await stoppable(saving.write, self._blobs, list(wanted.values()), target)

    async def document(self, reference: str) -> bytes:
        """The image's configuration as it came. Raises ImageFailure."""
        await self._open()
        record = await asyncio.to_thread(self._need, reference)
        return await asyncio.to_thread(self._blobs.document, record.id)

    def _need(self, reference: str) -> Record:
        found = self._find(reference)
        if found is None:
            raise ImageFailure("ErrImageNeverPull", f"no such image: {reference}")
        return found

    @staticmethod
    def _named_by(record: Record, reference: str) -> Texts:
        """The name that a reference is, or all of the image's where it is an id."""
        try:
            name = names.familiar(reference)
        except ImageFailure:
            return record.names
        return [name] if name in record.names else record.names

    # Taking away

    async def remove(self, reference: str) -> None:
        """Takes a name away, and with its last name, or by its id, the image. One that is not there is fine.

        Raises RuntimeFailure when containers use the image.
        """
        if reference in (*host.NAMES, host.IMAGE.id):
            raise RuntimeFailure("the image `host` is the machine itself: it cannot be removed")
        await self._open()
        async with locked(self.layout.index_lock):
            await asyncio.to_thread(self._remove_locked, reference)
        await self._collect()

    async def prune(self) -> Stored:
        """Takes away the images that have no name and are in no use, and returns them."""
        await self._open()
        async with locked(self.layout.index_lock):
            gone = await asyncio.to_thread(self._prune_locked)
        await self._collect()
        return gone

    def _prune_locked(self) -> Stored:
        records = self._index.copy()
        gone = [r for r in records.values() if not r.names and not self._index.holders(r.id)]
        for record in gone:
            del records[record.id]
        self._index.write(records)
        return [record.stored() for record in gone]

    def _remove_locked(self, reference: str) -> None:
        found = self._find(reference)
        if found is None:
            return
        records = self._index.copy()
        record = records[found.id]
        try:
            name = names.familiar(reference)
        except ImageFailure:
            name = ""
        if name in record.names and len(record.names) > 1:
            record.names.remove(name)
        else:
            if owners := self._index.holders(record.id):
                raise RuntimeFailure(
                    f"the image {reference} is in use by {len(owners)} container(s), {short(owners[0])} among them: "
                    "remove them first"
                )
            del records[record.id]
        self._index.write(records)

    async def _collect(self) -> None:
        """Takes away what nothing needs any more; left to the next one when somebody is bringing something in."""
        try:
            await asyncio.to_thread(garbage.collect, self.layout, self._index, self._blobs, self._clock.now())
        except OSError as error:
            # What was asked for is done; the next one tries again.
            _log.warning("some of what no image needs could not be removed from %s: %s", self.layout.root, error)
