"""Finds the manifest of an image for this machine, and checks what registries say of themselves."""

from typing import Any

import msgspec

from orlop.kubelet.runtime.native.images import platforms
from orlop.kubelet.runtime.native.images.archive import INDEXES, MANIFESTS, MAX_INDEX_DEPTH
from orlop.kubelet.runtime.native.images.model import MAX_LAYERS, bad, checked_digest, digest
from orlop.kubelet.runtime.native.images.registry.client import Registry, RegistryError

MAX_MANIFEST_SIZE = 4 * 1024**2
"""Bytes; what registries themselves take at most."""
CONFIGS = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
    "application/octet-stream",
    "",
)
_ACCEPT = ", ".join((*INDEXES, *MANIFESTS))


class Descriptor(msgspec.Struct, frozen=True):
    """A blob of a registry (OCI image specification, "Content Descriptors")."""

    digest: str
    size: int
    media_type: str = ""


class Manifest(msgspec.Struct, frozen=True):
    """What an image consists of."""

    resolved: str
    """Digest of what the reference named: the index, or the manifest itself."""
    documents: tuple[bytes, ...]
    """The manifest, and the indexes that led to it."""
    config: Descriptor
    layers: tuple[Descriptor, ...]


async def fetch(registry: Registry, reference: str) -> Manifest:
    """The manifest of a tag or digest, for this machine. Raises RegistryError, ImageFailure."""
    documents: list[bytes] = []
    resolved = ""
    for _ in range(MAX_INDEX_DEPTH + 1):
        body, kind = await _document(registry, reference)
        resolved = resolved or digest(body)
        documents.insert(0, body)
        document = _parse(body, kind)
        if "manifests" not in document:
            return _manifest(document, resolved, tuple(documents))
        entries = [m for m in document.get("manifests") or [] if isinstance(m, dict)]
        chosen = platforms.choose(entries, "the image")
        reference = checked_digest(chosen.get("digest"), "a manifest of the index")
    raise bad(f"the image has more than {MAX_INDEX_DEPTH} indexes within each other")


async def _document(registry: Registry, reference: str) -> tuple[bytes, str]:
    async with registry.request("GET", f"manifests/{reference}", headers={"Accept": _ACCEPT}, allowed=(404,)) as answer:
        if answer.status == 404:
            raise RegistryError("not found (manifest unknown)", status=404)
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > MAX_MANIFEST_SIZE:
                raise bad(f"the manifest is larger than {MAX_MANIFEST_SIZE} bytes")
    data = bytes(body)
    if reference.startswith("sha256:") and digest(data) != reference:
        raise bad(f"the registry sent a manifest with the digest {digest(data)} for {reference}")
    return data, answer.headers.get("Content-Type", "").partition(";")[0].strip()


def _parse(body: bytes, kind: str) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise bad(f"the manifest is not a JSON object: {error}") from error
    if document.get("schemaVersion") == 1 or "schema1" in kind or kind.endswith("+prettyjws"):
        raise bad("the image has Docker's manifest schema 1, which is no longer in use: push it again")
    said = document.get("mediaType")
    if said and kind in (*INDEXES, *MANIFESTS) and said != kind:
        raise bad(f"the manifest says it is {said}, the registry that it is {kind}")
    # One that is both would mean one image to some clients and another to others (CVE-2021-41190).
    if "manifests" in document and ("layers" in document or "config" in document):
        raise bad("the manifest is an index and an image at once")
    return document


def _manifest(document: dict[str, Any], resolved: str, documents: tuple[bytes, ...]) -> Manifest:
    config = descriptor(document.get("config"), "the manifest's config")
    if config.media_type not in CONFIGS:
        raise bad(f"this is no container image but an artifact of type {config.media_type}")
    layers = document.get("layers")
    if not isinstance(layers, list):
        raise bad("the manifest has no list of layers")
    if len(layers) > MAX_LAYERS:
        raise bad(f"the image has {len(layers)} layers; no more than {MAX_LAYERS} can be mounted")
    return Manifest(resolved, documents, config, tuple(descriptor(d, "a layer of the manifest") for d in layers))


def descriptor(value: object, what: str) -> Descriptor:
    """Reads one. Raises ImageFailure."""
    if not isinstance(value, dict):
        raise bad(f"{what} is missing")
    size = value.get("size")
    if not isinstance(size, int) or size < 0:
        raise bad(f"{what} has no size but {size!r}")
    return Descriptor(checked_digest(value.get("digest"), what), size, str(value.get("mediaType") or ""))
