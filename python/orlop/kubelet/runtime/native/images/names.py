"""Names of images as people write them, and the one form the store keeps: Docker's familiar one.

`busybox`, `library/busybox:latest` and `docker.io/library/busybox` are one name, kept as `busybox:latest`.
"""

import re

from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.reference import with_default_tag

DEFAULT_REGISTRY = "docker.io"
_ALIASES = ("index.docker.io", "registry-1.docker.io", "docker.io")
_HEX = re.compile(r"(?:sha256:)?([a-f0-9]{2,64})")


def familiar(reference: str) -> str:
    """A reference with its tag or digest, in the store's form. Raises ImageFailure (InvalidImageName)."""
    full = with_default_tag(reference)
    first, slash, rest = full.partition("/")
    if slash and first in _ALIASES:
        full = rest
    return full.removeprefix("library/") if full.count("/") == 1 else full


def split(reference: str) -> tuple[str, str, str]:
    """Repository, tag and digest of a reference in the store's form; tag and digest may be "", not both."""
    name, _, digest = reference.partition("@")
    head, colon, tail = name.rpartition(":")
    if colon and "/" not in tail:
        return head, tail, digest
    return name, "", digest


def registry(repository: str) -> tuple[str, str]:
    """The host, and the repository there, of a repository in the store's form."""
    first, slash, rest = repository.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return DEFAULT_REGISTRY, repository if slash else f"library/{repository}"


def id_prefix(reference: str) -> str | None:
    """The hex digits of what may be an id or the beginning of one."""
    match = _HEX.fullmatch(reference)
    return match[1] if match else None


def is_id(reference: str) -> bool:
    """Whether it can be nothing but a whole id."""
    prefix = id_prefix(reference)
    return prefix is not None and (len(prefix) == 64 or reference.startswith("sha256:"))


def invalid(reference: str, why: str) -> ImageFailure:
    return ImageFailure("InvalidImageName", f'couldn\'t parse image name "{reference}": {why}')
