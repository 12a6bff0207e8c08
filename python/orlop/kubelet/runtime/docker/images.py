"""The engine's own image store as CRI's ImageService."""

import base64

import msgspec

from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure, NotFound, RuntimeFailure
from orlop.kubelet.runtime.docker import inspect, pause
from orlop.kubelet.runtime.docker.engine import Engine
from orlop.kubelet.runtime.reference import with_default_tag


class DockerImages:
    """The part of the runtime that deals in images."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def list_images(self) -> list[v.Image]:
        return [inspect.image(row) for row in await self._engine.call(lambda api: api.images())]

    async def image_status(self, image: str) -> v.Image | None:
        reference = with_default_tag(image)
        try:
            return inspect.image(await self._engine.call(lambda api: api.inspect_image(reference)))
        except NotFound:
            return None

    async def pull_image(self, image: str, auth: v.AuthConfig | None = None) -> str:
        reference = with_default_tag(image)
        try:
            async with self._engine.streams.opened(
                "POST", "/images/create", {"fromImage": reference}, headers=_auth_header(auth)
            ) as connection:
                async for progress in connection.json_lines():
                    if "error" in progress:
                        raise ImageFailure("ErrImagePull", str(progress["error"]))
            found = await self.image_status(reference)
        except RuntimeFailure as error:
            raise error if isinstance(error, ImageFailure) else ImageFailure("ErrImagePull", str(error)) from error
        if found is None:
            raise ImageFailure("ErrImagePull", f"the engine pulled {reference} but does not have it")
        return found.id

    async def remove_image(self, image: str) -> None:
        try:
            await self._engine.call(lambda api: api.remove_image(image))
        except NotFound:
            return

    async def image_fs_info(self) -> v.FilesystemUsage:
        used = await self._engine.call(lambda api: api.df())
        return v.FilesystemUsage(
            timestamp=int(self._clock.now() * 1e9),
            mountpoint=str(self._engine.info.get("DockerRootDir", "/var/lib/docker")),
            used_bytes=int(used.get("LayersSize") or 0),
        )

    async def ensure_pause(self) -> str:
        """The id of the pause image, made on the spot where the engine does not have it."""
        machine = str(self._engine.info.get("Architecture", ""))
        try:
            name = pause.image_name(machine)
        except pause.NoPauseProgram as error:
            raise RuntimeFailure(str(error)) from error
        if (found := await self.image_status(name)) is None:
            await self._engine.call(lambda api: list(api.load_image(pause.archive(machine))))
            found = await self.image_status(name)
        if found is None:
            raise RuntimeFailure(f"the Docker Engine took the pause image {name} but does not have it")
        return found.id

    async def remove_pause(self) -> None:
        """Takes the pause image away, unless another node still uses it."""
        try:
            await self.remove_image(pause.image_name(str(self._engine.info.get("Architecture", ""))))
        except (RuntimeFailure, pause.NoPauseProgram):
            return


def _auth_header(auth: v.AuthConfig | None) -> dict[str, str]:
    if auth is None:
        return {}
    fields = {
        "username": auth.username,
        "password": auth.password,
        "serveraddress": auth.server_address,
        "identitytoken": auth.identity_token,
        "registrytoken": auth.registry_token,
    }
    present = {name: value for name, value in fields.items() if value}
    return {"X-Registry-Auth": base64.urlsafe_b64encode(msgspec.json.encode(present)).decode()}
