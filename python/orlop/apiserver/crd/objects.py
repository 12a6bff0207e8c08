"""Objects of custom resources: metadata as a struct, everything else as the JSON it is."""

from typing import Any, ClassVar

import msgspec

from orlop.api.scheme import Kind
from orlop.api.types import meta_v1

_METADATA = b'"metadata":'
_encode = msgspec.json.Encoder(order="deterministic").encode
_meta = msgspec.json.Decoder(meta_v1.ObjectMeta).decode


class _Head(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_head = msgspec.json.Decoder(_Head).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class CustomObject:
    """One object. Its JSON begins with apiVersion, kind and metadata; `rest` is what follows, from the comma or the
    closing brace on, in the order of the keys."""

    __kind__: ClassVar[Kind]
    __slots__ = ("head", "metadata", "rest")

    def __init__(self, head: bytes, metadata: meta_v1.ObjectMeta, rest: bytes) -> None:
        self.head = head
        """Everything up to the metadata."""
        self.metadata = metadata
        self.rest = rest

    def __json__(self) -> bytes:
        """The object as it is stored and served."""
        return self.head + _encode(self.metadata) + self.rest

    def members(self) -> dict[str, msgspec.Raw]:
        """The top-level fields besides apiVersion, kind and metadata."""
        return _members(b"{" + self.rest.removeprefix(b","))

    def replace(self, members: dict[str, msgspec.Raw]) -> None:
        """Other top-level fields."""
        text = _encode(members)
        self.rest = (b"," if len(text) > 2 else b"") + text[1:]

    def tree(self) -> dict[str, Any]:
        """The whole as dictionaries and lists."""
        tree: dict[str, Any] = msgspec.json.decode(self.__json__())
        return tree


def read(type_: type[CustomObject], value: bytes) -> CustomObject:
    """The object of its JSON."""
    start = value.index(_METADATA) + len(_METADATA)
    metadata = _head(value).metadata
    return type_(value[:start], _meta(metadata), value[start + len(bytes(metadata)) :])
