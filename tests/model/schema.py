"""Structural schemas in the plainest words: what pruning, defaulting and validation of custom resources come to."""

import json
from copy import deepcopy
from typing import Any

Schema = dict[str, Any]
META = ("apiVersion", "kind", "metadata")


def prune(schema: Schema | None, value: Any, root: bool = False) -> Any:
    """What of a value the schema knows."""
    if isinstance(value, dict):
        if schema is None:
            return {}
        free = schema.get("x-kubernetes-preserve-unknown-fields", False)
        out = {}
        for name, below in value.items():
            if root and name in META:
                out[name] = below
            elif name in schema.get("properties", {}):
                out[name] = prune(schema["properties"][name], below)
            elif "additionalProperties" in schema:
                out[name] = prune(schema["additionalProperties"], below)
            elif free:
                out[name] = below
        return out
    if isinstance(value, list):
        if schema is not None and schema.get("x-kubernetes-preserve-unknown-fields"):
            return value
        return [prune((schema or {}).get("items"), item) for item in value]
    return value


def drop_nulls(schema: Schema, value: Any) -> Any:
    """Without the nulls that may not be and that nothing is put in the place of."""
    if isinstance(value, dict):
        out = {}
        for name, below in value.items():
            of = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if of is None:
                out[name] = below
            elif below is not None or of.get("nullable") or "default" in of:
                out[name] = drop_nulls(of, below)
        return out
    if isinstance(value, list):
        return [drop_nulls(schema.get("items", {}), item) for item in value]
    return value


def default(schema: Schema, value: Any) -> Any:
    """With what is missing."""
    if isinstance(value, dict):
        out = dict(value)
        for name, of in schema.get("properties", {}).items():
            if "default" in of and (name not in out or (out[name] is None and not of.get("nullable"))):
                out[name] = deepcopy(of["default"])
        for name in list(out):
            below = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if below is not None:
                if out[name] is None and not below.get("nullable") and "default" in below:
                    out[name] = deepcopy(below["default"])
                out[name] = default(below, out[name])
        return out
    if isinstance(value, list):
        of = schema.get("items", {})
        filled = [
            deepcopy(of["default"]) if i is None and "default" in of and not of.get("nullable") else i for i in value
        ]
        return [default(of, item) for item in filled]
    return value


def shaped(schema: Schema, obj: dict[str, Any]) -> dict[str, Any]:
    """An object as it is stored."""
    out: dict[str, Any] = default(schema, drop_nulls(schema, prune(schema, obj, root=True)))
    return out


def _type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return {int: "integer", float: "number", str: "string", list: "array", dict: "object"}[type(value)]


def wrong(schema: Schema, value: Any, path: str = "") -> set[tuple[str, str]]:
    """(reason, path) of each thing wrong with a value."""
    found: set[tuple[str, str]] = set()
    type_ = _type(value)
    wanted = schema.get("type")
    if value is None:
        if wanted is not None and not schema.get("nullable"):
            found.add(("FieldValueTypeInvalid", path))
        if "enum" in schema:  # no list of values has null in it
            found.add(("FieldValueNotSupported", path))
        return found
    if wanted is not None and type_ != wanted and not (wanted == "number" and type_ == "integer"):
        found.add(("FieldValueTypeInvalid", path))
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        found.add(("FieldValueNotSupported", path))
    if type_ == "string":
        if len(value) > schema.get("maxLength", 1 << 30):
            found.add(("FieldValueTooLong", path))
        elif len(value) < schema.get("minLength", 0):
            found.add(("FieldValueInvalid", path))
    if type_ in ("integer", "number") and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.add(("FieldValueInvalid", path))
    if type_ == "array":
        if len(value) > schema.get("maxItems", 1 << 30):
            found.add(("FieldValueTooMany", path))
        if len(value) < schema.get("minItems", 0):
            found.add(("FieldValueInvalid", path))
        if "items" in schema:
            for i, item in enumerate(value):
                found |= wrong(schema["items"], item, f"{path}[{i}]")
    if type_ == "object":
        if len(value) > schema.get("maxProperties", 1 << 30):
            found.add(("FieldValueTooMany", path))
        for name in schema.get("required", ()):
            if name not in value:
                found.add(("FieldValueRequired", f"{path}.{name}".lstrip(".")))
        for name, below in value.items():
            of = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if of is not None:
                found |= wrong(of, below, f"{path}.{name}".lstrip("."))
    return found


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def doubled(schema: Schema, value: Any, path: str = "") -> set[tuple[str, str]]:
    """(reason, path) of what is twice in lists of the types set and map, at the second place."""
    found: set[tuple[str, str]] = set()
    if isinstance(value, dict):
        for name, below in value.items():
            if "additionalProperties" in schema:
                found |= doubled(schema["additionalProperties"], below, f"{path}[{name}]")
            if name in schema.get("properties", {}):
                found |= doubled(schema["properties"][name], below, f"{path}.{name}".lstrip("."))
    if isinstance(value, list):
        type_ = schema.get("x-kubernetes-list-type")
        odd = [i for i, item in enumerate(value) if not isinstance(item, dict | None)]
        if type_ == "map" and odd:
            found.add(("FieldValueInvalid", f"{path}[{odd[0]}]"))
        elif type_ in ("set", "map"):
            seen = [_key(schema, item) for item in value]
            found |= {("FieldValueDuplicate", f"{path}[{i}]") for i, key in enumerate(seen) if seen[:i].count(key) == 1}
        for i, item in enumerate(value):
            found |= doubled(schema.get("items", {}), item, f"{path}[{i}]")
    return found


def _key(schema: Schema, item: Any) -> str:
    """What an item of a list is told by."""
    if schema["x-kubernetes-list-type"] == "set":
        return json.dumps(item, sort_keys=True)
    fields = item if isinstance(item, dict) else {}
    return json.dumps({k: fields[k] for k in schema["x-kubernetes-list-map-keys"] if k in fields}, sort_keys=True)


UNKNOWN = object()
"""What a part was, where that cannot be told."""


def kept(schema: Schema, new: Any, old: Any, path: str = "") -> set[tuple[str, str]]:
    """The same of a change: what is as it was counts as right, part by part."""
    if old is not UNKNOWN and _equal(new, old):
        return set()
    found = {one for one in wrong(schema, new, path) if one[1] == path or not _below(one[1], path, schema, new)}
    if isinstance(new, dict):
        for name, below in new.items():
            of = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
            if of is not None:
                told = isinstance(old, dict) and schema.get("x-kubernetes-map-type") != "atomic"
                before = old.get(name, UNKNOWN) if told else UNKNOWN
                found |= kept(of, below, before, f"{path}.{name}".lstrip("."))
    elif isinstance(new, list) and "items" in schema:
        for i, item in enumerate(new):
            before = UNKNOWN
            keys = schema.get("x-kubernetes-list-map-keys", [])
            if keys and isinstance(old, list) and isinstance(item, dict) and all(key in item for key in keys):
                before = next((one for one in old if _key(schema, one) == _key(schema, item)), UNKNOWN)
            found |= kept(schema["items"], item, before, f"{path}[{i}]")
    return found


def _below(found: str, path: str, schema: Schema, value: Any) -> bool:
    """Whether a fault is of a part that is looked at by itself."""
    rest = found[len(path) :].lstrip(".")
    first = rest.split(".")[0].split("[")[0]
    if isinstance(value, list):
        return True
    return isinstance(value, dict) and first in value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
