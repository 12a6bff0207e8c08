"""Lists that are always written: `null` where they are empty, as Go writes what came from its store.

Upstream stores protobuf, which knows no empty list, and reads a nil one back; what it writes of it is `null`. Structs
have empty lists, so the one becomes the other where objects become bytes, and is taken back where they are read.
"""

import typing
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

Part = TypeVar("Part")
_EMPTY = b":[]"
_KEPT = ("apiextensions_v1", "authentication_v1", "authorization_v1", "apidiscovery_v2", "meta_v1")
"""Modules whose objects upstream stores as JSON, or not at all: an empty list stays one."""


@lru_cache(1024)
def _patterns(struct: type) -> tuple[tuple[bytes, bytes], ...]:
    """A type's lists that are always written, as they stand in JSON: empty and null.

    Within a string neither can stand: its quotes are escaped, the one before the colon too.
    """
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)) or struct.__module__.endswith(_KEPT):
        return ()
    names: set[str] = set()
    seen: set[type] = set()

    def visit(hint: Any) -> None:
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            if hint in seen:
                return
            seen.add(hint)
            hints = typing.get_type_hints(hint)
            for field in msgspec.structs.fields(hint):
                kind = hints[field.name]
                # An empty list that is made by `list` itself is left out.
                if typing.get_origin(kind) is list and field.default_factory not in (list, msgspec.NODEFAULT):
                    names.add(field.encode_name)
                visit(kind)
        for part in typing.get_args(hint):
            visit(part)

    visit(struct)
    return tuple((f'"{name}":[]'.encode(), f'"{name}":null'.encode()) for name in sorted(names))


def written_always(struct: type) -> bool:
    """Whether a type has such lists."""
    return bool(_patterns(struct))


def written(struct: type, data: bytes) -> bytes:
    """An object's bytes with null for its lists that are empty."""
    if _EMPTY not in data:  # first: to find out a type's lists takes milliseconds, and a start writes a dozen types
        return data
    for empty, null in _patterns(struct):
        data = data.replace(empty, null)
    return data


class Decoder:
    """Reads stored bytes of a type."""

    def __init__(self, struct: type) -> None:
        self._struct = struct
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(struct).decode

    def decode(self, value: bytes, /) -> Any:
        """The object. Raises ValidationError where the bytes are none of its type."""
        try:
            return self._decode(value)
        except msgspec.ValidationError:
            for empty, null in _patterns(self._struct):
                value = value.replace(null, empty)
            return self._decode(value)


def reader(part: type[Part]) -> Callable[[bytes], Part]:
    """Reads a part of stored bytes of any type, in which null is what is not there."""
    decode = msgspec.json.Decoder(part).decode

    def read(value: bytes) -> Part:
        try:
            return decode(value)
        except msgspec.ValidationError:
            return decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(value))))

    return read


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
