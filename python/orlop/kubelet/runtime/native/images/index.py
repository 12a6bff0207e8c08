"""Which images a store has, by which names, and who uses them. Changes happen under `Layout.index_lock`."""

import os
import urllib.parse
from pathlib import Path

import msgspec

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native.images.layout import Layout, sync_folder
from orlop.kubelet.runtime.native.images.model import ImageConfig, Layer, StoredImage, hex_of


class Record(msgspec.Struct):
    """One image."""

    id: str
    config: ImageConfig
    layers: tuple[Layer, ...]
    size: int
    """Bytes of the unpacked layers."""
    created: str = ""
    platform: str = ""
    names: list[str] = []
    digests: list[str] = []
    """`repository@sha256:…` of the manifests it was pulled by."""
    manifests: list[str] = []
    """Blobs of those manifests, kept with it."""

    def stored(self) -> StoredImage:
        return StoredImage(
            id=self.id,
            names=tuple(self.names),
            digests=tuple(self.digests),
            size=self.size,
            config=self.config,
            layers=tuple(layer.diff_id for layer in self.layers),
            created=self.created,
            platform=self.platform,
        )


class Index:
    """The list of images, read again whenever another process has changed it. All methods block."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._read: tuple[tuple[int, int, int] | None, dict[str, Record]] = (None, {})
        """What file it was and what it held: one attribute, since threads may come here at once."""

    def records(self) -> dict[str, Record]:
        """By id, in the order they came. Not to be changed."""
        seen, records = self._read
        try:
            with open(self._layout.index, "rb") as file:
                info = os.fstat(file.fileno())
                now = (info.st_ino, info.st_mtime_ns, info.st_size)
                if now == seen:
                    return records
                found = msgspec.json.decode(file.read(), type=list[Record])
        except FileNotFoundError:
            return {}
        except msgspec.MsgspecError as error:
            raise RuntimeFailure(f"the image store's {self._layout.index} is damaged: {error}") from error
        records = {record.id: record for record in found}
        self._read = (now, records)
        return records

    def write(self, records: dict[str, Record]) -> None:
        """Puts the list in place. The caller holds the index lock."""
        self._layout.write(self._layout.index, msgspec.json.encode(list(records.values())))

    def copy(self) -> dict[str, Record]:
        """A list to be changed and written."""
        return {
            key: msgspec.structs.replace(
                record, names=list(record.names), digests=list(record.digests), manifests=list(record.manifests)
            )
            for key, record in self.records().items()
        }

    # Holds

    def holders(self, image_id: str) -> list[str]:
        """Who uses the image."""
        try:
            return sorted(urllib.parse.unquote(name) for name in os.listdir(self._held(image_id)))
        except FileNotFoundError:
            return []

    def all_holders(self) -> dict[str, tuple[str, ...]]:
        found = {f"sha256:{name}": self.holders(name) for name in os.listdir(self._layout.holds)}
        return {image_id: tuple(owners) for image_id, owners in found.items() if owners}

    def hold(self, image_id: str, owner: str) -> None:
        folder = self._held(image_id)
        if not folder.exists():
            folder.mkdir()
            sync_folder(folder.parent)
        (folder / _file_name(owner)).touch()
        sync_folder(folder)

    def release(self, image_id: str, owner: str) -> None:
        folder = self._held(image_id)
        (folder / _file_name(owner)).unlink(missing_ok=True)
        try:
            folder.rmdir()
        except OSError:
            return  # not empty, or never held

    def _held(self, image_id: str) -> Path:
        return self._layout.holds / hex_of(image_id)


def _file_name(owner: str) -> str:
    """An owner as a file name: container ids are left as they are."""
    if not owner or len(owner) > 200:
        raise ValueError(f"an owner has 1 to 200 characters: {owner!r}")
    return urllib.parse.quote(owner, safe="").replace(".", "%2E")
