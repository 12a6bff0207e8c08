"""Rules of the fields by which custom resources are selected (KEP-4358).

As ValidateCustomResourceSelectableFields of apiextensions' pkg/apis/apiextensions/validation.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from orlop.api.errors import FieldError, duplicate, invalid_value, required, too_many
from orlop.api.types import apiextensions_v1

MOST = 8
"""Fields of one version: each costs every write (MaxSelectableFields)."""
_PATH = re.compile(r"(?:\.[A-Za-z_][A-Za-z0-9_-]*)+\Z")
_TYPES = ("string", "boolean", "integer")
_META = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
_ROOT = {"metadata": _META, "apiVersion": {"type": "string"}, "kind": {"type": "string"}}


def validate(
    fields: Sequence[apiextensions_v1.SelectableField], schema: apiextensions_v1.JSONSchemaProps | None, path: str
) -> list[FieldError]:
    """What is wrong with them; without a schema none has a type."""
    if not fields:
        return []
    tree: dict[str, Any] = {} if schema is None else msgspec.json.decode(msgspec.json.encode(schema))
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, field in enumerate(fields):
        where, given = f"{path}[{i}]", field.json_path
        if not given:
            errors.append(required(f"{where}.jsonPath"))
            continue
        found = _found(tree, given)
        if found is None:
            words = "is an invalid path: does not refer to a valid field"
            errors.append(invalid_value(f"{where}.jsonPath", given, words))
            continue
        if given.startswith(".metadata."):
            errors.append(invalid_value(where, given, "must not point to fields in metadata"))
        if found.get("type") not in _TYPES or found.get("x-kubernetes-int-or-string"):
            words = "must point to a field of type string, boolean or integer. Enum string fields and strings with "
            errors.append(invalid_value(where, given, f"{words}formats are allowed."))
        if given in seen:
            errors.append(duplicate(where, given))
        seen.add(given)
    if len(seen) > MOST:
        errors.append(too_many(path, len(seen), MOST))
    return errors


def _found(tree: dict[str, Any], given: str) -> dict[str, Any] | None:
    """The schema at a path of names; None where there is none."""
    if not _PATH.match(given):
        return None
    at: dict[str, Any] = {**tree, "properties": {**tree.get("properties", {}), **_ROOT}}
    for name in given[1:].split("."):
        below = at.get("properties", {}).get(name, at.get("additionalProperties"))
        if not isinstance(below, dict):
            return None
        at = below
    return at
