"""Makes images in memory: layers as lists of files, configurations, manifests, archives."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orlop.kubelet.runtime.native.images import streams

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def member(name: str, content: bytes | None = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """One file of a layer, or a folder with a content of None; `fields` are TarInfo's."""
    info = tarfile.TarInfo(name)
    info.mode = 0o755 if content is None else 0o644
    info.mtime = 1_000_000_000
    if content is None:
        info.type = tarfile.DIRTYPE
    else:
        info.size = len(content)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, content or b""


def link(name: str, target: str, hard: bool = False) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, b"", type=tarfile.LNKTYPE if hard else tarfile.SYMTYPE, linkname=target)


def layer(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """The uncompressed archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def config(layers: Sequence[bytes], **fields: Any) -> bytes:
    """The configuration of an image with these uncompressed layers; `fields` go into its `config`."""
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": fields,
            "rootfs": {"type": "layers", "diff_ids": [digest(data) for data in layers]},
        }
    ).encode()


def docker_archive(
    images: Mapping[str, Sequence[bytes]], configs: Mapping[str, bytes] | None = None, manifest_first: bool = False
) -> bytes:
    """What `docker save` wrote up to version 24: a folder a layer, and `manifest.json`."""
    files: dict[str, bytes] = {}
    entries = []
    for name, layers in images.items():
        document = (configs or {}).get(name) or config(layers)
        path = digest(document).removeprefix("sha256:") + ".json"
        files[path] = document
        paths = []
        for data in layers:
            paths.append(digest(data).removeprefix("sha256:") + "/layer.tar")
            files[paths[-1]] = data
        entries.append({"Config": path, "RepoTags": [name] if name else None, "Layers": paths})
    manifest = {"manifest.json": json.dumps(entries).encode()}
    files = {**manifest, **files} if manifest_first else {**files, **manifest}
    return layer(*(member(path, data) for path, data in files.items()))


def oci_files(
    layers: Sequence[bytes],
    name: str = "",
    compress: str = "gzip",
    document: bytes | None = None,
) -> dict[str, bytes]:
    """The files of an OCI image layout."""
    document = document or config(layers)
    blobs = [gzip.compress(data, 1, mtime=0) if compress == "gzip" else data for data in layers]
    manifest = json.dumps(manifest_of(document, blobs, compress)).encode()
    descriptor = {"mediaType": OCI_MANIFEST, "digest": digest(manifest), "size": len(manifest)}
    if name:
        descriptor["annotations"] = {"io.containerd.image.name": name}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor]}
    return {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
        **{f"blobs/sha256/{digest(data).removeprefix('sha256:')}": data for data in (document, manifest, *blobs)},
    }


def manifest_of(document: bytes, blobs: Sequence[bytes], compress: str = "gzip") -> dict[str, Any]:
    suffix = f"+{compress}" if compress else ""
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": digest(document), "size": len(document)},
        "layers": [{"mediaType": OCI_LAYER + suffix, "digest": digest(data), "size": len(data)} for data in blobs],
    }


def compressed(data: bytes, kind: str) -> bytes:
    """By the name of the compression; "" leaves it plain."""
    match kind:
        case "gzip":
            return gzip.compress(data, 1, mtime=0)
        case "zstd":
            return streams.zstd.compress(data)
        case "xz":
            return lzma.compress(data)
        case "bzip2":
            return bz2.compress(data)
    return data


def write_folder(files: Mapping[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder
