"""Puts what was read or fetched into a store: blobs, then layers, then the image with its names."""

import asyncio
from collections.abc import Sequence

from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import host
from orlop.kubelet.runtime.native.images.archive import Found, Part
from orlop.kubelet.runtime.native.images.blobs import Blobs, read_document
from orlop.kubelet.runtime.native.images.index import Index, Record
from orlop.kubelet.runtime.native.images.layers import LayerRecord, Layers
from orlop.kubelet.runtime.native.images.layout import Layout
from orlop.kubelet.runtime.native.images.locks import locked
from orlop.kubelet.runtime.native.images.model import Layer, Parsed, bad, chain_ids, hex_of, parse_config
from orlop.kubelet.runtime.native.images.work import stoppable


class Intake:
    """The way in. Its caller holds `Layout.work_lock`, so that nothing is taken away on the way."""

    def __init__(self, layout: Layout, blobs: Blobs, layers: Layers, index: Index) -> None:
        self.layout = layout
        self.blobs = blobs
        self.layers = layers
        self.index = index

    async def take(self, found: Found) -> Record:
        """An image whose parts all are files already. Raises ImageFailure, OSError."""
        parsed = await asyncio.to_thread(self.config, found.config, len(found.layers))
        chains = chain_ids(parsed.diff_ids)
        unpacked = [
            await self.layer(part, parsed.diff_ids[position], tuple(chains[:position]))
            for position, part in enumerate(found.layers)
        ]
        for part in (found.config, *found.manifests):
            await asyncio.to_thread(self.adopt, part)
        record = record_of(found.config.digest, parsed, found.layers, unpacked)
        record.manifests = [part.digest for part in found.manifests]
        return await self.enter(record, found.names, found.digests)

    def config(self, part: Part, layers: int) -> Parsed:
        """An image's configuration, which must fit the number of its layers."""
        path = self.blobs.path(part.digest) if self.blobs.has(part.digest) else part.path
        parsed = parse_config(read_document(path, "the image's configuration"), part.digest)
        if len(parsed.diff_ids) != layers:
            raise bad(f"the image has {layers} layers, its configuration names {len(parsed.diff_ids)}")
        return parsed

    async def layer(self, part: Part, diff_id: str | None, below: tuple[str, ...]) -> LayerRecord:
        """Has a layer unpacked onto the chain ids `below`, by us or by whoever is at it.

        A `diff_id` of None is found out by unpacking.
        """
        chain_id = chain_ids([*below[-1:], diff_id])[-1] if diff_id else None
        async with locked(self.layout.locks / f"layer-{hex_of(chain_id or part.digest)}"):
            await asyncio.to_thread(self.adopt, part)
            record = await asyncio.to_thread(self.layers.record, chain_id) if chain_id else None
            if record is None:
                record = await stoppable(self.layers.unpack, self.blobs.path(part.digest), diff_id, below)
        return record

    def adopt(self, part: Part) -> None:
        """Makes a hashed and synced file a blob."""
        if part.path != self.blobs.path(part.digest):
            self.blobs.adopt(part.path, part.digest)

    async def enter(self, record: Record, names: Sequence[str], digests: Sequence[str]) -> Record:
        """Puts an image into the index. Its names leave the images that had them."""
        async with locked(self.layout.index_lock):
            return await asyncio.to_thread(self._enter, record, names, digests)

    def _enter(self, record: Record, names: Sequence[str], digests: Sequence[str]) -> Record:
        records = self.index.copy()
        for name in names:
            refuse_host(name)
        for other in records.values():
            if other.id != record.id:
                other.names = [name for name in other.names if name not in names]
        if (known := records.get(record.id)) is not None:
            record.names, record.digests = known.names, known.digests
            record.manifests = [*known.manifests, *(m for m in record.manifests if m not in known.manifests)]
        record.names = [*record.names, *(n for n in dict.fromkeys(names) if n not in record.names)]
        record.digests = [*record.digests, *(d for d in dict.fromkeys(digests) if d not in record.digests)]
        records[record.id] = record
        self.index.write(records)
        return record


def record_of(image_id: str, parsed: Parsed, parts: Sequence[Part], unpacked: Sequence[LayerRecord]) -> Record:
    """An image as the index keeps it, without names."""
    return Record(
        id=image_id,
        config=parsed.config,
        layers=tuple(
            Layer(record.diff_id, record.chain_id, part.digest, part.media_type, part.size)
            for record, part in zip(unpacked, parts, strict=True)
        ),
        size=sum(record.unpacked.size for record in unpacked),
        created=parsed.created,
        platform=parsed.platform,
    )


def refuse_host(name: str) -> None:
    """Raises ImageFailure for a name that would hide the built-in image."""
    if name in host.NAMES:
        raise ImageFailure("InvalidImageName", f"the name {name!r} is the built-in image's")
