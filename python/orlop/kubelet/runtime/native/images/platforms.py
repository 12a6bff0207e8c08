"""Which of an image's variants this machine runs."""

import platform
from collections.abc import Mapping, Sequence
from typing import Any

from orlop.kubelet.runtime.native.images.model import bad

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
    "loongarch64": ("loong64", ""),
}


def here() -> tuple[str, str]:
    """Architecture and variant of this machine in Go's words."""
    machine = platform.machine()
    return _ARCHITECTURES.get(machine, (machine, ""))


def text() -> str:
    """`linux/amd64`."""
    architecture, variant = here()
    return f"linux/{architecture}" + (f"/{variant}" if variant else "")


def choose(manifests: Sequence[Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    """The entry of an index for this machine: of the right variant, else of the highest one below, else without.

    A descriptor without a platform stands for any. Raises ImageFailure in containerd's words.
    """
    best: tuple[int, Mapping[str, Any]] | None = None
    for manifest in manifests:
        score = _score(manifest.get("platform"))
        if score is not None and (best is None or score > best[0]):
            best = (score, manifest)
    if best is None:
        offered = sorted({_name(m.get("platform")) for m in manifests if m.get("platform")})
        raise bad(f"{where}: no match for platform in manifest: {text()}; it has {', '.join(offered) or 'none'}")
    return best[1]


def _score(platform: object) -> int | None:
    """How well an entry fits; None where it does not run here."""
    if platform is None:
        return 0
    if not isinstance(platform, dict):
        return None
    architecture, variant = here()
    if platform.get("os") != "linux" or platform.get("architecture") != architecture:
        return None
    offered = str(platform.get("variant") or "")
    if offered == variant:
        return 100
    if not offered:
        return 1
    if variant and offered < variant:
        return 1 + int("".join(c for c in offered if c.isdigit())[:1] or 0)
    return None


def _name(platform: object) -> str:
    if not isinstance(platform, dict):
        return "?"
    return "/".join(str(platform[k]) for k in ("os", "architecture", "variant") if platform.get(k))
