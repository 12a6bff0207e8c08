"""Reads what `docker save`, `podman save`, `ctr image export` and OCI tools write: one file or one folder of images.

Docker's layout has a `manifest.json` (since 1.10; since 25 its paths lead into an OCI layout's `blobs/`), OCI's has
`oci-layout` and `index.json` (OCI image specification, "Image Layout"). Everything in an archive is first copied to
files of their own, hashed on the way, since an archive may come from a pipe and names its parts in any order.
"""

import io
import posixpath
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from orlop.kubelet.runtime.native.images import names, platforms
from orlop.kubelet.runtime.native.images.blobs import read_document, stage
from orlop.kubelet.runtime.native.images.model import bad, checked_digest, hex_of, parse_config
from orlop.kubelet.runtime.native.images.names import familiar
from orlop.kubelet.runtime.native.images.streams import (
    CHUNK,
    DAMAGED,
    MAGIC_SIZE,
    Forward,
    Hashed,
    decompressed,
    members,
)
from orlop.kubelet.runtime.native.images.work import Stop

MAX_FILES = 100_000
"""Files of one archive of images: a few a layer."""
MAX_INDEX_DEPTH = 4
"""Indexes within indexes."""

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")


class Part(msgspec.Struct, frozen=True):
    """A file of an archive, copied and hashed."""

    path: Path
    digest: str
    size: int
    media_type: str = ""


class Found(msgspec.Struct, frozen=True):
    """One image of an archive."""

    config: Part
    layers: tuple[Part, ...]
    names: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    manifests: tuple[Part, ...] = ()
    """The image's own, then the indexes it was found in."""


class _Member(io.RawIOBase):
    """The data of one member of an archive as a stream."""

    def __init__(self, source: Forward, size: int) -> None:
        self._source = source
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._source.data(wanted) if wanted else b""
        self._left -= len(data)
        return data


class Contents:
    """The files of an archive or folder by their names."""

    def __init__(self, stop: Stop, work: Path) -> None:
        self._stop = stop
        self._work = work
        self._parts: dict[str, Part] = {}
        self._links: dict[str, str] = {}
        self._folder: Path | None = None

    def read_stream(self, source: BinaryIO) -> None:
        """Copies all files of a tar archive, compressed or not."""
        buffered = source if isinstance(source, io.BufferedReader) else io.BufferedReader(source, CHUNK)  # type: ignore[type-var]
        start = buffered.peek(MAGIC_SIZE)[:MAGIC_SIZE]
        plain = Hashed(decompressed(buffered, start), "the archive", stop=self._stop)
        forward = Forward(io.BufferedReader(plain, CHUNK))
        for member in members(forward):
            name = _clean(member.name)
            if member.issym():
                self._links[name] = posixpath.join(posixpath.dirname(name), member.linkname)
            elif member.islnk():
                self._links[name] = member.linkname
            elif member.isreg():
                self._add(name, _Member(forward, member.size))  # type: ignore[arg-type]
        forward.rest()

    def read_folder(self, folder: Path) -> None:
        """Takes files from a folder, each when it is asked for."""
        self._folder = folder

    def _add(self, name: str, source: BinaryIO) -> None:
        if len(self._parts) >= MAX_FILES:
            raise bad(f"the archive has more than {MAX_FILES} files; is it one of images?")
        target = self._work / f"part-{len(self._parts)}"
        digest, size = stage(self._stop, source, target, name)
        self._parts[name] = Part(target, digest, size)

    def get(self, name: str) -> Part | None:
        """The file of that name, links followed."""
        name = _clean(name)
        for _ in range(10):
            if name not in self._links:
                break
            name = _clean(self._links[name])
        if name not in self._parts and self._folder is not None:
            path = (self._folder / name).resolve()
            if not path.is_relative_to(self._folder.resolve()) or not path.is_file():
                return None
            with open(path, "rb") as file:
                self._add(name, file)
        return self._parts.get(name)

    def need(self, name: object, media_type: str = "") -> Part:
        part = self.get(name) if isinstance(name, str) else None
        if part is None:
            raise bad(f"the archive names {name!r} but does not have it")
        return msgspec.structs.replace(part, media_type=media_type)

    def json(self, name: str) -> Any:
        part = self.need(name)
        try:
            return msgspec.json.decode(read_document(part.path, name))
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad(f"{name} of the archive is not JSON: {error}") from error

    def blob(self, descriptor: object) -> Part:
        """The blob of a descriptor, checked against it."""
        if not isinstance(descriptor, dict):
            raise bad(f"the archive has a descriptor that is not an object: {descriptor!r}")
        digest = checked_digest(descriptor.get("digest"), "a descriptor of the archive")
        part = self.need(f"blobs/sha256/{hex_of(digest)}", str(descriptor.get("mediaType") or ""))
        if part.digest != digest:
            raise bad(f"the archive's blob {digest} has the content {part.digest}: it is damaged")
        return part


def _clean(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


def read(stop: Stop, source: Path | BinaryIO, work: Path) -> list[Found]:
    """The images of an archive (a path, a folder or a stream), their files in `work`. Raises ImageFailure, OSError."""
    contents = Contents(stop, work)
    try:
        if not isinstance(source, Path):
            contents.read_stream(source)
        elif source.is_dir():
            contents.read_folder(source)
        else:
            with open(source, "rb") as file:
                contents.read_stream(file)
        # Where both are there, as Docker writes them since 25, only the OCI half has the manifests and their digests.
        has_docker = contents.get("manifest.json") is not None
        if contents.get("index.json") is not None and contents.get("oci-layout") is not None:
            return _merged(_oci(contents), _docker(contents) if has_docker else [])
        if has_docker:
            return _docker(contents)
    except DAMAGED as error:
        raise bad(f"the archive is damaged, or is none: {error}") from error
    raise bad(
        "this is no archive of images: it has neither manifest.json (docker save) nor index.json (OCI layout); "
        "a root file system is taken with `orlop image load --import NAME`"
    )


def _docker(contents: Contents) -> list[Found]:
    found: list[Found] = []
    entries = contents.json("manifest.json")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise bad("manifest.json of the archive is not a list of objects")
    for entry in entries:
        config = contents.need(entry.get("Config"))
        sources = entry.get("LayerSources") or {}
        diff_ids = parse_config(read_document(config.path, "the configuration"), config.digest).diff_ids
        layers = [contents.need(name, DOCKER_LAYER) for name in entry.get("Layers") or []]
        if len(layers) == len(diff_ids):
            types = [str(sources.get(diff_id, {}).get("mediaType") or DOCKER_LAYER) for diff_id in diff_ids]
            layers = [msgspec.structs.replace(p, media_type=t) for p, t in zip(layers, types, strict=True)]
        found.append(Found(config, tuple(layers), tuple(familiar(name) for name in entry.get("RepoTags") or [])))
    return found


def _merged(images: list[Found], named: list[Found]) -> list[Found]:
    """One entry an image, with all names it has; `named` is what Docker's half of the archive says."""
    found: dict[str, Found] = {}
    for image in [*images, *(n for n in named if n.config.digest in {i.config.digest for i in images})]:
        before = found.setdefault(image.config.digest, image)
        found[image.config.digest] = msgspec.structs.replace(
            before,
            names=tuple(dict.fromkeys((*before.names, *image.names))),
            digests=tuple(dict.fromkeys((*before.digests, *image.digests))),
        )
    return list(found.values())


def _oci(contents: Contents) -> list[Found]:
    index = contents.json("index.json")
    found: list[Found] = []
    for descriptor in index.get("manifests") or [] if isinstance(index, dict) else []:
        manifest, above = _manifest(contents, descriptor, MAX_INDEX_DEPTH)
        document = contents.json(f"blobs/sha256/{hex_of(manifest.digest)}")
        tags = _names(descriptor)
        found.append(
            Found(
                contents.blob(document.get("config")),
                tuple(contents.blob(layer) for layer in document.get("layers") or []),
                tags,
                tuple(f"{names.split(tag)[0]}@{descriptor['digest']}" for tag in tags),
                (manifest, *above),
            )
        )
    if not found:
        raise bad("index.json of the archive names no image")
    return found


def _manifest(contents: Contents, descriptor: Any, depth: int) -> tuple[Part, tuple[Part, ...]]:
    """The manifest for this machine that a descriptor leads to, and the indexes on the way."""
    part = contents.blob(descriptor)
    document = contents.json(f"blobs/sha256/{hex_of(part.digest)}")
    if not isinstance(document, dict):
        raise bad(f"the archive's manifest {part.digest} is not an object")
    if "manifests" not in document:
        return part, ()
    if depth == 0:
        raise bad(f"the archive has more than {MAX_INDEX_DEPTH} indexes within each other")
    present = [
        m
        for m in document.get("manifests") or []
        if isinstance(m, dict) and contents.get(f"blobs/sha256/{hex_of(str(m.get('digest')))}") is not None
    ]
    chosen = platforms.choose(present, f"the archive's index {part.digest}")
    manifest, above = _manifest(contents, chosen, depth - 1)
    return manifest, (part, *above)


def _names(descriptor: Any) -> tuple[str, ...]:
    """The names a descriptor's annotations give: containerd's own, or a reference name that is more than a tag."""
    annotations = descriptor.get("annotations") or {}
    name = annotations.get("io.containerd.image.name")
    if not name:
        name = annotations.get("org.opencontainers.image.ref.name") or ""
        if "/" not in name and ":" not in name:
            return ()
    return (familiar(name),)
