"""Pulls an image: its manifest, its layers side by side, each unpacked as soon as those below it are."""

import asyncio

from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import names
from orlop.kubelet.runtime.native.images.archive import Part
from orlop.kubelet.runtime.native.images.intake import Intake, record_of
from orlop.kubelet.runtime.native.images.layers import LayerRecord, reason
from orlop.kubelet.runtime.native.images.locks import locked
from orlop.kubelet.runtime.native.images.model import chain_ids, hex_of
from orlop.kubelet.runtime.native.images.progress import Progress
from orlop.kubelet.runtime.native.images.registry import RegistrySettings, manifests
from orlop.kubelet.runtime.native.images.registry.client import Registry, RegistryError
from orlop.kubelet.runtime.native.images.registry.download import blob
from orlop.kubelet.runtime.native.images.registry.manifests import Descriptor, Manifest

PARALLEL = 3
"""Layers fetched at a time: Docker's and containerd's number, which registries are used to."""


def resumable(failure: ImageFailure) -> bool:
    """Whether a pull failed in a way that the next one can take up what has come."""
    return isinstance(failure.__cause__, RegistryError)


async def pull(
    intake: Intake, name: str, auth: v.AuthConfig | None, clock: Clock, settings: RegistrySettings, progress: Progress
) -> str:
    """Fetches the image of a name in the store's form and returns its id. Raises ImageFailure in containerd's words."""
    repository, tag, wanted = names.split(name)
    host, path = names.registry(repository)
    full = f"{host}/{path}" + (f":{tag}" if tag else "") + (f"@{wanted}" if wanted else "")
    doing = "failed to resolve reference"
    try:
        async with Registry(host, path, auth, clock, settings) as registry:
            manifest = await manifests.fetch(registry, wanted or tag)
            doing = "failed to copy"
            image_id = await _Pull(intake, registry, manifest, clock, progress).run(
                [name] if not wanted else [], f"{repository}@{manifest.resolved}"
            )
    except RegistryError as error:
        what = f'{doing} "{full}": {full}: {error}' if error.status == 404 else f'{doing} "{full}": {error}'
        raise ImageFailure(error.reason, f'failed to pull and unpack image "{full}": {what}') from error
    except ImageFailure as error:
        raise ImageFailure(error.reason, f'failed to pull and unpack image "{full}": {error}') from error
    except OSError as error:
        raise ImageFailure("ErrImagePull", f'failed to pull and unpack image "{full}": {reason(error)}') from error
    return image_id


class _Pull:
    """One image on its way in."""

    def __init__(
        self, intake: Intake, registry: Registry, manifest: Manifest, clock: Clock, progress: Progress
    ) -> None:
        self._intake = intake
        self._registry = registry
        self._manifest = manifest
        self._clock = clock
        self._progress = progress
        self._slots = asyncio.Semaphore(PARALLEL)

    async def run(self, new_names: list[str], digest_name: str) -> str:
        """Returns the image's id once it is in the index."""
        layers = self._manifest.layers
        for layer in layers:
            self._progress(layer.digest, "Waiting", 0, layer.size)
        config = await self._fetched(self._manifest.config)
        parsed = await asyncio.to_thread(self._intake.config, config, len(layers))
        chains = chain_ids(parsed.diff_ids)
        try:
            async with asyncio.TaskGroup() as group:
                fetching = {layer.digest: group.create_task(self._layer(layer)) for layer in dict.fromkeys(layers)}
                unpacked: list[LayerRecord] = []
                parts: list[Part] = []
                for position, layer in enumerate(layers):
                    part = await fetching[layer.digest]
                    self._progress(layer.digest, "Extracting", layer.size, layer.size)
                    unpacked.append(await self._intake.layer(part, parsed.diff_ids[position], tuple(chains[:position])))
                    self._progress(layer.digest, "Pull complete", layer.size, layer.size)
                    parts.append(part)
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors
        record = record_of(config.digest, parsed, parts, unpacked)
        record.manifests = [
            await asyncio.to_thread(self._intake.blobs.put, document) for document in self._manifest.documents
        ]
        await self._intake.enter(record, new_names, [digest_name])
        return record.id

    async def _layer(self, layer: Descriptor) -> Part:
        async with self._slots:
            return await self._fetched(layer)

    async def _fetched(self, wanted: Descriptor) -> Part:
        """A blob that the store has, by now."""
        layout, blobs = self._intake.layout, self._intake.blobs
        path = blobs.path(wanted.digest)
        async with locked(layout.locks / f"blob-{hex_of(wanted.digest)}"):
            if not await asyncio.to_thread(path.exists):
                got = await blob(self._registry, wanted, layout.partial, self._clock, self._progress)
                await asyncio.to_thread(blobs.adopt, got, wanted.digest)
        return Part(path, wanted.digest, wanted.size, wanted.media_type)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
