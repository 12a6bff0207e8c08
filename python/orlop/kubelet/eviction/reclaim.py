"""What a node can give back before a pod has to go: dead containers of pods that have ended, images nobody uses.

Upstream: DeleteAllUnusedContainers, DeleteUnusedImages.
"""

from collections.abc import Awaitable, Callable, Iterable, Set

from orlop import logging
from orlop.clock import Clock
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.signals import Layout
from orlop.kubelet.runtime import base, values as v

log = logging.get("kubelet")

IMAGE_MINIMUM_AGE = 120.0
"""Seconds after which an image that was not used may be removed (upstream: imageMinimumGCAge)."""


class Reclaimer:
    """One node's."""

    def __init__(self, clock: Clock, runtime: base.Runtime, live: Callable[[], Set[str]]) -> None:
        """`live` gives the uids of the pods that have not ended."""
        self._clock = clock
        self._runtime = runtime
        self._live = live
        self._images: dict[str, float] | None = None
        """By id: when each was first seen; those of the first look are as old as need be."""

    def seen(self, images: Iterable[v.Image]) -> None:
        """These are on the node now."""
        ids = {image.id for image in images}
        if self._images is None:
            self._images = dict.fromkeys(ids, float("-inf"))
        else:
            now = self._clock.monotonic()
            self._images = {id_: self._images.get(id_, now) for id_ in ids}

    async def reclaim(self, signal: str, layout: Layout) -> bool:
        """Gives back what helps this signal. Whether there was anything to try."""
        if signals.CONDITION_OF[signal] != signals.DISK_PRESSURE:
            return False
        of_node = signal in (signals.NODEFS, signals.NODEFS_INODES)
        of_images = signal in (signals.IMAGEFS, signals.IMAGEFS_INODES)
        if not layout.images_apart:
            containers = images = True
        elif layout.layers_with_images:
            containers = images = not of_node
        else:
            containers, images = not of_images, of_images
        if containers:
            await self._attempt("containers", self._remove_containers)
        if images:
            await self._attempt("images", self._remove_images)
        return containers or images

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (base.RuntimeFailure, OSError) as error:
            log.warning("Eviction manager: failed to remove unused " + what, extra={"err": error})

    async def _remove_containers(self) -> None:
        live = self._live()
        for container in await self._runtime.list_containers():
            if container.state != "running" and container.pod.uid not in live:
                await self._runtime.remove_container(container.id)
        for sandbox in await self._runtime.list_pod_sandbox():
            if sandbox.state != "ready" and sandbox.metadata.uid not in live:
                await self._runtime.remove_pod_sandbox(sandbox.id)

    async def _remove_images(self) -> None:
        images = await self._runtime.list_images()
        self.seen(images)
        assert self._images is not None
        used = {container.image_ref for container in await self._runtime.list_containers()}
        old = self._clock.monotonic() - IMAGE_MINIMUM_AGE
        for image in images:
            if image.pinned or image.id in used or self._images[image.id] > old:
                continue
            log.info("Removing image to free bytes", extra={"image": image.id, "size": image.size})
            try:
                await self._runtime.remove_image(image.id)
            except base.RuntimeFailure as error:  # another node of this machine uses it
                log.info("Failed to remove image", extra={"image": image.id, "err": error})
