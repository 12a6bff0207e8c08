"""Printer columns of custom resources: apiextensions' pkg/registry/customresource/tableconvertor."""

from collections.abc import Sequence
from typing import Any

import msgspec

from orlop.api.types import apiextensions_v1
from orlop.apiserver import gojson
from orlop.apiserver.crd import jsonpath
from orlop.apiserver.table.duration import since
from orlop.apiserver.table.printer import NAME, Column, Condition, Metadata

AGE = apiextensions_v1.CustomResourceColumnDefinition(
    name="Age",
    type="date",
    description="CreationTimestamp is a timestamp representing the server time when this object was created.",
    json_path=".metadata.creationTimestamp",
)
"""What is shown where a definition has no columns."""


class _Part(msgspec.Struct, gc=False):
    metadata: msgspec.Raw
    tree: Any


class _Metadata(msgspec.Struct, gc=False):
    metadata: msgspec.Raw


_metadata = msgspec.json.Decoder(_Metadata).decode


class CustomPrinter:
    """How a version of a custom resource is shown."""

    order = None
    """As the store has them."""

    def __init__(self, columns: Sequence[apiextensions_v1.CustomResourceColumnDefinition]) -> None:
        given = list(columns) or [AGE]
        self._columns: list[tuple[str, tuple[jsonpath.Step, ...] | None]] = []
        shown = [NAME]
        for column in given:
            try:
                path = jsonpath.parse(column.json_path)
            except ValueError:
                path = None
            self._columns.append((column.type, path))
            words = column.description or (
                f"Custom resource definition column (in JSONPath format): {column.json_path}"
            )
            shown.append(Column(column.name, column.type, column.format, words, column.priority))
        self.columns = tuple(shown)
        self.definitions = msgspec.json.encode([column._asdict() for column in shown])

    def decode(self, value: bytes) -> _Part:
        return _Part(_metadata(value).metadata, msgspec.json.decode(value))

    def conditions(self, _: Any) -> Sequence[Condition]:
        return ()

    def cells(self, part: _Part, metadata: Metadata, now: float) -> list[Any]:
        cells: list[Any] = [metadata.name]
        for type_, path in self._columns:
            found = jsonpath.find(path, part.tree) if path is not None else []
            cells.append(_cell(type_, found[0], now) if found else None)
        return cells


def _cell(type_: str, value: Any, now: float) -> Any:
    if type_ == "string":
        return text(value)
    if value is None:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ == "integer" and number:
        return int(value)
    if type_ == "number" and number:
        return float(value)
    if type_ == "boolean" and isinstance(value, bool):
        return value
    if type_ == "date" and isinstance(value, str):
        try:
            return since(value, now)
        except ValueError:
            return "<invalid>"
    return None


def text(value: Any) -> str:
    """A value as JSONPath prints it: compound ones as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return msgspec.json.encode(value, order="sorted").decode()
    return gojson.text(value)
