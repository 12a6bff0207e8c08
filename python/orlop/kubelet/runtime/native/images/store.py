"""The images of a machine: a folder that several nodes and commands use at once."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure, RuntimeFailure
from orlop.kubelet.runtime.native.images import archive, garbage, host, names
from orlop.kubelet.runtime.native.images.archive import Found, Part
from orlop.kubelet.runtime.native.images.blobs import Blobs, short
from orlop.kubelet.runtime.native.images.index import Index, Record
from orlop.kubelet.runtime.native.images.layers import LayerRecord, Layers, reason, remove_tree
from orlop.kubelet.runtime.native.images.layout import Layout
from orlop.kubelet.runtime.native.images.locks import locked
from orlop.kubelet.runtime.native.images.model import Layer, StoredImage, bad, chain_ids, hex_of, parse_config
from orlop.kubelet.runtime.native.images.work import stoppable

# Within the class below, `list` is its own verb.
Stored = list[StoredImage]
Folders = list[Path]
Texts = list[str]


class ImageStore:
    """Images by name, unpacked and ready to be mounted. Every failure is an ImageFailure or RuntimeFailure.

    Several stores, in one process or in many, may use the same folder. Whatever happens to a process, the folder opens
    again, without half a layer in it.
    """

    def __init__(self, root: Path, clock: Clock) -> None:
        self.layout = Layout(root.absolute())
        self._clock = clock
        self._blobs = Blobs(self.layout)
        self._layers = Layers(self.layout)
        self._index = Index(self.layout)
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
        return await asyncio.to_thread(self._lowerdirs, image)

    def _lowerdirs(self, image: StoredImage) -> Folders:
        found: Folders = []
        for chain_id in reversed(chain_ids(image.layers)):
            record = self._layers.record(chain_id)
            if record is None:
                message = f"a layer of the image {short(image.id)} is not in {self.layout.root}: load or pull it again"
                raise ImageFailure("ImageInspectError", message)
            found.append(self.layout.layer(chain_id))
            if record.unpacked.opaque_root:
                break
        return found or [self.layout.empty]

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

        A name that another image had moves to the new one. Raises ImageFailure.
        """
        await self._open()
        async with locked(self.layout.work_lock, shared=True):
            work = await asyncio.to_thread(self.layout.temporary)
            try:
                found = await stoppable(archive.read, source, work)
                images = [await self._take(image) for image in found]
            except OSError as error:
                raise bad(f"failed to load the archive: {reason(error)}") from error
            finally:
                await asyncio.to_thread(remove_tree, work)
        await self._collect()
        return images

    async def pull(self, reference: str, auth: v.AuthConfig | None) -> str:
        """Fetches an image from its registry and returns its id. Raises ImageFailure."""
        raise ImageFailure("RegistryUnavailable", f"failed to pull {reference}: this orlop takes images from archives")

    async def _take(self, found: Found) -> StoredImage:
        parsed = parse_config(found.config.path.read_bytes(), found.config.digest)
        if len(parsed.diff_ids) != len(found.layers):
            raise bad(f"the image has {len(found.layers)} layers, its configuration names {len(parsed.diff_ids)}")
        chains = chain_ids(parsed.diff_ids)
        size = 0
        for position, part in enumerate(found.layers):
            layer = await self._layer(part, parsed.diff_ids[position], tuple(chains[:position]))
            size += layer.unpacked.size
        for part in (found.config, *found.manifests):
            await asyncio.to_thread(self._adopt, part)
        record = Record(
            id=found.config.digest,
            config=parsed.config,
            layers=tuple(
                Layer(d, c, p.digest, p.media_type, p.size)
                for d, c, p in zip(parsed.diff_ids, chains, found.layers, strict=True)
            ),
            size=size,
            created=parsed.created,
            platform=parsed.platform,
            manifests=[part.digest for part in found.manifests],
        )
        return await self._enter(record, found.names, ())

    async def _layer(self, part: Part, diff_id: str, below: tuple[str, ...]) -> LayerRecord:
        """Has the layer unpacked, by us or by whoever is at it."""
        chain_id = chain_ids([*below[-1:], diff_id])[-1] if below else diff_id
        async with locked(self.layout.locks / f"layer-{hex_of(chain_id)}"):
            await asyncio.to_thread(self._adopt, part)
            record = await asyncio.to_thread(self._layers.record, chain_id)
            if record is None:
                record = await stoppable(self._layers.unpack, self._blobs.path(part.digest), diff_id, below)
        return record

    def _adopt(self, part: Part) -> None:
        if not self._blobs.has(part.digest):
            self._blobs.adopt(part.path, part.digest)

    async def _enter(self, record: Record, new_names: Iterable[str], digests: Iterable[str]) -> StoredImage:
        """Puts an image into the index; its names and digests leave other images."""
        async with locked(self.layout.index_lock):
            return await asyncio.to_thread(self._enter_locked, record, [*new_names], [*digests])

    def _enter_locked(self, record: Record, new_names: Texts, digests: Texts) -> StoredImage:
        records = self._index.copy()
        for name in new_names:
            refuse_host(name)
        for other in records.values():
            other.names = [name for name in other.names if name not in new_names]
        if (known := records.get(record.id)) is not None:
            record.names, record.digests = known.names, known.digests
            record.manifests = [*known.manifests, *(m for m in record.manifests if m not in known.manifests)]
        record.names = [*record.names, *(n for n in new_names if n not in record.names)]
        record.digests = [*record.digests, *(d for d in digests if d not in record.digests)]
        records[record.id] = record
        self._index.write(records)
        return record.stored()

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
        await asyncio.to_thread(garbage.collect, self.layout, self._index, self._blobs, self._clock.now())


def refuse_host(name: str) -> None:
    """Raises ImageFailure for a name that would hide the built-in image."""
    if name in host.NAMES:
        raise ImageFailure("InvalidImageName", f"the name {name!r} is the built-in image's")
