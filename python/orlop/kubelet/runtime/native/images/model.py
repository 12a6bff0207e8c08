"""What an image is: its configuration as the OCI image specification has it, and how the store tells of it."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from orlop.kubelet.runtime.base import ImageFailure

MAX_LAYERS = 127
"""Layers of one image, as Docker has it: overlayfs takes 500, but a mount's options must fit in one page."""

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}")


class ImageConfig(msgspec.Struct, frozen=True):
    """The `config` part of an image's configuration: how its containers run unless told otherwise."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()


class StoredImage(msgspec.Struct, frozen=True):
    """An image that is present. `id` is the digest of its configuration."""

    id: str
    names: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    config: ImageConfig
    layers: tuple[str, ...]
    """Digests of the uncompressed layers (diff ids), lowest first."""
    created: str = ""
    """RFC 3339, as the configuration says it."""
    platform: str = ""
    """`os/architecture` or `os/architecture/variant`."""


class Layer(msgspec.Struct, frozen=True):
    """One layer of an image: what it unpacks to, and the blob it came as."""

    diff_id: str
    chain_id: str
    blob: str
    media_type: str
    size: int
    """Bytes of the blob."""


class Parsed(msgspec.Struct, frozen=True):
    """What the store reads in an image's configuration."""

    config: ImageConfig
    diff_ids: tuple[str, ...]
    created: str
    platform: str


def digest(data: bytes) -> str:
    """`sha256:…` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def checked_digest(text: object, what: str) -> str:
    """A sha256 digest from outside. Raises ImageFailure; other algorithms are not in use by any registry."""
    if not isinstance(text, str) or _DIGEST.fullmatch(text) is None:
        raise bad(f"{what} has no sha256 digest but {text!r}")
    return text


def hex_of(digest: str) -> str:
    return digest.removeprefix("sha256:")


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """Names of the stacks of layers, lowest first (OCI image specification, "Layer ChainID")."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(digest(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return chains


def bad(message: str) -> ImageFailure:
    """An image, archive or manifest that is not as it must be."""
    return ImageFailure("ErrImagePull", message)


def parse_config(data: bytes, where: str) -> Parsed:
    """Reads an image configuration (OCI `config.json`, Docker's is the same). Raises ImageFailure."""
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(f"the image configuration {where} is not JSON: {error}") from error
    top = _mapping(document, where)
    rootfs = _mapping(top.get("rootfs"), f"{where}: rootfs")
    diff_ids = tuple(checked_digest(d, f"{where}: rootfs.diff_ids") for d in _list(rootfs.get("diff_ids"), where))
    if len(diff_ids) > MAX_LAYERS:
        raise bad(f"{where} has {len(diff_ids)} layers; no more than {MAX_LAYERS} can be mounted")
    config = _mapping(top.get("config"), f"{where}: config")
    platform = "/".join(str(top[k]) for k in ("os", "architecture", "variant") if top.get(k))
    return Parsed(
        ImageConfig(
            user=str(config.get("User") or ""),
            env=_words(config, "Env", where),
            entrypoint=_words(config, "Entrypoint", where),
            cmd=_words(config, "Cmd", where),
            working_dir=str(config.get("WorkingDir") or ""),
            labels={str(k): str(v) for k, v in _mapping(config.get("Labels"), f"{where}: Labels").items()},
            stop_signal=str(config.get("StopSignal") or ""),
            volumes=tuple(str(k) for k in _mapping(config.get("Volumes"), f"{where}: Volumes")),
        ),
        diff_ids,
        str(top.get("created") or ""),
        platform,
    )


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad(f"{where} is not an object but {type(value).__name__}")
    return value


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad(f"{where} is not a list but {type(value).__name__}")
    return value


def _words(config: Mapping[str, Any], field: str, where: str) -> tuple[str, ...]:
    words = _list(config.get(field), f"{where}: {field}")
    if not all(isinstance(w, str) for w in words):
        raise bad(f"{where}: {field} is not a list of strings")
    return tuple(words)
