"""Domain names as they stand in messages: length-prefixed labels, lower case, ending in the root (RFC 1035, 3.1)."""

from collections.abc import Iterator

ROOT = b"\0"
MAX_LABEL = 63
MAX_NAME = 255


def wire(text: str) -> bytes:
    """`web.default.svc` or `web.default.svc.` as bytes, in lower case. Raises ValueError for what is no name."""
    name = b"".join(label(part) for part in text.removesuffix(".").split(".")) if text not in ("", ".") else b""
    if len(name) >= MAX_NAME:
        raise ValueError(f"invalid domain name {text!r}: must be no more than 253 characters")
    return name + ROOT


def label(text: str) -> bytes:
    """One label. Raises ValueError."""
    data = text.lower().encode("idna" if not text.isascii() else "ascii")
    if not 0 < len(data) <= MAX_LABEL:
        raise ValueError(f"invalid label {text!r}: must have 1 to {MAX_LABEL} characters")
    return bytes((len(data),)) + data


def text(name: bytes) -> str:
    """A name for people, with its final dot."""
    return "".join(part.decode("ascii", "backslashreplace") + "." for part in labels(name)) or "."


def labels(name: bytes) -> list[bytes]:
    """The labels, the root left out."""
    parts = []
    at = 0
    while length := name[at]:
        parts.append(name[at + 1 : at + 1 + length])
        at += 1 + length
    return parts


def parents(name: bytes) -> Iterator[bytes]:
    """Every name above, the nearest first; the root last."""
    while name != ROOT:
        name = name[name[0] + 1 :]
        yield name
