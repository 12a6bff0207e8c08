"""orlop's own image store as CRI's ImageService."""

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import ImageStore, StoredImage


class NativeImages:
    """The part of the runtime that deals in images."""

    def __init__(self, images: ImageStore) -> None:
        self.images = images

    async def find(self, reference: str) -> StoredImage | None:
        """Raises ImageFailure (InvalidImageName)."""
        return await self.images.resolve(reference)

    async def list_images(self) -> list[v.Image]:
        return [image_of(found) for found in await self.images.list()]

    async def image_status(self, image: str) -> v.Image | None:
        found = await self.find(image)
        return None if found is None else image_of(found)

    async def pull_image(self, image: str, auth: v.AuthConfig | None = None) -> str:
        return await self.images.pull(image, auth)

    async def remove_image(self, image: str) -> None:
        if await self.find(image) is not None:
            await self.images.remove(image)

    async def image_fs_info(self) -> v.FilesystemUsage:
        return await self.images.usage()


def image_of(found: StoredImage) -> v.Image:
    """The contract's noun."""
    user = found.config.user.partition(":")[0]
    return v.Image(
        id=found.id,
        repo_tags=found.names,
        repo_digests=found.digests,
        size=found.size,
        uid=int(user) if user.isdigit() else None,
        username="" if user.isdigit() else user,
        pinned=not found.digests,  # built or loaded here: no registry has it
    )


__all__ = ["ImageFailure", "NativeImages", "image_of"]
