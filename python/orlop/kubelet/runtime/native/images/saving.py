"""Writes images as an archive that Docker, containerd, podman and this store read: `docker save`'s form since 25.

It is an OCI image layout with Docker's `manifest.json` beside it, whose paths lead to the same blobs. The layers are
the bytes they came as, so digests and ids stay.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from typing import Any, BinaryIO

import msgspec

from orlop.kubelet.runtime.native.images import names
from orlop.kubelet.runtime.native.images.archive import INDEXES, MANIFESTS
from orlop.kubelet.runtime.native.images.blobs import Blobs
from orlop.kubelet.runtime.native.images.index import Record
from orlop.kubelet.runtime.native.images.model import digest, hex_of
from orlop.kubelet.runtime.native.images.streams import MAGIC_SIZE, compression
from orlop.kubelet.runtime.native.images.work import Stop

_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def write(stop: Stop, blobs: Blobs, wanted: Sequence[tuple[Record, Sequence[str]]], target: BinaryIO) -> None:
    """Writes each image with the names given for it. Raises ImageFailure for a damaged store, OSError."""
    manifests: list[dict[str, Any]] = []
    docker: list[dict[str, Any]] = []
    documents: dict[str, bytes] = {}
    copied: dict[str, int] = {}
    for record, tags in wanted:
        manifest, kind = _manifest(blobs, record)
        documents[digest(manifest)] = manifest
        documents[record.id] = blobs.document(record.id)
        copied.update({layer.blob: layer.size for layer in record.layers})
        descriptor: dict[str, Any] = {"mediaType": kind, "digest": digest(manifest), "size": len(manifest)}
        for name in tags or [""]:
            annotations = {
                "io.containerd.image.name": canonical(name),
                "org.opencontainers.image.ref.name": names.split(name)[1],
            }
            manifests.append({**descriptor, **({"annotations": annotations} if name else {})})
        docker.append(
            {
                "Config": _path(record.id),
                "RepoTags": list(tags) or None,
                "Layers": [_path(layer.blob) for layer in record.layers],
            }
        )
    index = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": manifests}
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", json.dumps(index).encode())
        _add(archive, "manifest.json", json.dumps(docker).encode())
        for name, document in documents.items():
            _add(archive, _path(name), document)
        for name, size in copied.items():
            stop.check()
            with open(blobs.path(name), "rb") as file:
                archive.addfile(_info(_path(name), size), file)


def _manifest(blobs: Blobs, record: Record) -> tuple[bytes, str]:
    """The manifest the image came with, else one of our own; and its media type."""
    for name in record.manifests:
        data = blobs.document(name)
        document = msgspec.json.decode(data, type=dict[str, Any])
        if isinstance(config := document.get("config"), dict) and config.get("digest") == record.id:
            return data, str(document.get("mediaType") or MANIFESTS[0])
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFESTS[0],
            "config": {"mediaType": _CONFIG, "digest": record.id, "size": len(blobs.document(record.id))},
            "layers": [
                {"mediaType": _media_type(blobs, layer.blob), "digest": layer.blob, "size": layer.size}
                for layer in record.layers
            ],
        }
    ).encode(), MANIFESTS[0]


def _media_type(blobs: Blobs, layer: str) -> str:
    with open(blobs.path(layer), "rb") as file:
        kind = compression(file.read(MAGIC_SIZE))
    return _LAYER + (f"+{kind}" if kind else "")


def canonical(name: str) -> str:
    """A name with its registry, as containerd writes it."""
    repository, tag, _ = names.split(name)
    return "/".join(names.registry(repository)) + f":{tag}" if name else ""


def _path(digest: str) -> str:
    return f"blobs/sha256/{hex_of(digest)}"


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    archive.addfile(_info(name, len(data)), io.BytesIO(data))
