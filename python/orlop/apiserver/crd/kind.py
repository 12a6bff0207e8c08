"""A version of a custom resource, as a row of the scheme is for built-in kinds."""

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import force_setattr

from orlop.api.kind import Converter, Kind
from orlop.apiserver.crd.columns import CustomPrinter
from orlop.apiserver.crd.objects import CustomObject, read
from orlop.native import CustomSchema

if TYPE_CHECKING:
    from orlop.apiserver.crd.definition import Version

_numbers = count(1)
_ALLOWED = b'{"type":"object","x-kubernetes-preserve-unknown-fields":true}'


class CustomKind(Kind, frozen=True, kw_only=True, eq=False):
    """A version that is served, or the form in which another one's objects are stored."""

    key: str
    """The type's name for the wire: no other schema of this process has it."""
    singular_name: str
    list_name: str
    type_: Any
    """The class of its objects."""
    printer: CustomPrinter
    schema: CustomSchema
    definition: "Version"
    by_webhook: Converter | None = None

    def __post_init__(self) -> None:
        Kind.__post_init__(self)
        force_setattr(self, "type_key", self.key)
        force_setattr(self, "list_head", b"")  # Upstream keeps version and kind in the items of such lists.

    @property
    def singular(self) -> str:
        return self.singular_name

    @property
    def converter(self) -> Converter | None:
        return self.by_webhook

    @property
    def list_kind(self) -> str:
        return self.list_name

    @property
    def struct(self) -> type[Any]:
        struct: type[Any] = self.type_
        return struct


def fresh_key(group: str, version: str, kind: str) -> str:
    """A key that no schema had before: requests under way go on with the one they began with."""
    return f"{group}/{version}.{kind}#{next(_numbers)}"


def object_type(kind: Kind) -> type[CustomObject]:
    """The class of a custom resource's objects: what asks a struct for its kind finds it."""
    return type(kind.kind, (CustomObject,), {"__slots__": (), "__kind__": kind})


class Decoder:
    """Reads stored objects; `normal` brings those of an earlier schema into the present form."""

    def __init__(self, type_: type[CustomObject], normal: Callable[[bytes], bytes] | None) -> None:
        self._type = type_
        self._normal = normal

    def decode(self, value: bytes) -> CustomObject:
        return read(self._type, value if self._normal is None else self._normal(value))


def compile_schema(key: str, api_version: str, kind: str, schema: msgspec.Raw | None) -> CustomSchema:
    """Raises native.WireError."""
    return CustomSchema(key, api_version, kind, bytes(schema) if schema else _ALLOWED)
