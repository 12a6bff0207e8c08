"""Why a configuration is not of its type, in the words of sigs.k8s.io/structured-merge-diff's typed/validate.go.

The walk goes over the field table of the wire, field by field, and stops at the first that does not fit.
"""

from functools import lru_cache
from typing import Any

import msgspec

from orlop import native

NUMBERS = frozenset({"int32", "int64", "float64"})
STRINGS = frozenset({"string", "bytes", "duration"})
TIMES = frozenset({"time", "microtime"})
KEYS = frozenset(
    (
        *("containerPort", "device", "devicePath", "driver", "ip", "mountPath", "name", "pool", "port", "protocol"),
        *("reason", "resourceClaimName", "resourceID", "rule", "shareID", "status", "topologyKey", "type", "uid"),
        "whenUnsatisfiable",
    )
)
"""All that items of lists are told apart by."""
UNDECLARED = "field not declared in schema"


@lru_cache(512)
def _described(type_key: str) -> dict[str, Any]:
    found = native.wire_describe(type_key)
    return {} if found is None else dict(msgspec.json.decode(found))


def mismatch(type_key: str, tree: dict[str, Any]) -> str:
    """The first place that does not fit and why, `.spec.replicas: expected …`; "" where every one fits."""
    return _value(type_key, tree, "", {})


def _value(type_: str, value: Any, path: str, field: dict[str, Any]) -> str:
    if value is None:
        return ""
    if type_ == "bool":
        return "" if isinstance(value, bool) else f"{path}: expected boolean, got {_printed(value)}"
    if type_ in NUMBERS:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        return "" if fits else f"{path}: expected numeric (int or float), got {_type(value)}"
    if type_ in STRINGS or type_ == "[]byte":
        return "" if isinstance(value, str) else f"{path}: expected string, got {_shown(value)}"
    if type_.startswith("[]"):
        return _list(type_[2:], value, path, field)
    if type_.startswith("map[string]"):
        return _map(type_.removeprefix("map[string]"), value, path)
    described = _described(type_)
    shape = described.get("shape", "any")
    if shape == "struct":
        return _struct(described, value, path)
    if shape == "map":
        return _map(described["of"], value, path)
    if shape == "list":
        return _list(described["of"], value, path, field)
    if shape in TIMES:
        return "" if isinstance(value, str) else f"{path}: expected string, got {_shown(value)}"
    if shape in STRINGS:
        return _value(shape, value, path, field)
    return ""  # what the schema says nothing of


def _struct(described: dict[str, Any], value: Any, path: str) -> str:
    if not isinstance(value, dict):
        return f"{path}: expected map, got {_printed(value)}"
    fields = {field["name"]: field for field in described["fields"]}
    for name in sorted(value):
        where = f"{path}.{name}"
        if name not in fields:
            return f"{where}: {UNDECLARED}"
        if wrong := _value(fields[name]["type"], value[name], where, fields[name]):
            return wrong
    return ""


def _map(of: str, value: Any, path: str) -> str:
    if not isinstance(value, dict):
        return f"{path}: expected map, got {_printed(value)}"
    return next((wrong for key in sorted(value) if (wrong := _value(of, value[key], f"{path}.{key}", {}))), "")


def _list(of: str, value: Any, path: str, field: dict[str, Any]) -> str:
    if not isinstance(value, list):
        return f"{path}: expected list, got {_printed(value)}"
    kind = field.get("list", "atomic")
    seen: set[str] = set()
    for i, item in enumerate(value):
        place = f"[{i}]"
        if kind == "map":
            if not isinstance(item, dict):
                why = "a null element" if item is None else "non-map elements"
                return f"{path}: element {i}: associative list with keys may not have {why}"
            place = _place(of, item, field["mapKeys"])
        elif kind == "set":
            place = f"[={_key(item)}]"
        if kind != "atomic":
            if place in seen:
                return f"{path}: duplicate entries for key {place}"
            seen.add(place)
        if wrong := _value(of, item, path + place, {}):
            return wrong
    return ""


def _place(of: str, item: dict[str, Any], keys: list[str]) -> str:
    """An item by its keys, `[containerPort=80,protocol="TCP"]`; what is not given counts with its default."""
    fields = {field["name"]: field for field in _described(of).get("fields", [])}

    def value(key: str) -> str:
        if key in item:
            return _key(item[key])
        return str(fields.get(key, {}).get("default", "null"))

    return f"[{','.join(f'{key}={value(key)}' for key in sorted(keys))}]"


def _key(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _type(value: Any) -> str:
    """A value's type as Go's %T names it."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    return "map[string]interface {}" if isinstance(value, dict) else "[]interface {}"


def _printed(value: Any) -> str:
    """A wrapped value as Go's %v prints it."""
    return f"&{{{_plain(value)}}}"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_plain(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(_plain, value)) + "]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: Any) -> str:
    """A wrapped value as Go's %#v shows it."""
    return f"&value.valueUnstructured{{Value:{_literal(value)}}}"


def _literal(value: Any) -> str:
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(key)}:{_literal(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{pairs}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_literal, value))}}}"
    return "interface {}(nil)" if value is None else _key(value)


def doubtful(tree: dict[str, Any] | list[Any]) -> bool:
    """Whether a list may name an item twice, at a glance that knows no type: `mismatch` then says if it does."""
    for value in tree.values() if isinstance(tree, dict) else tree:
        if isinstance(value, dict):
            if doubtful(value):
                return True
        elif isinstance(value, list) and value and (_repeats(value) or doubtful(value)):
            return True
    return False


def _repeats(items: list[Any]) -> bool:
    if None in items:
        return True
    first = items[0]
    if not isinstance(first, dict):
        return isinstance(first, str) and len(set(map(str, items))) < len(items)
    if len(items) == 1:
        return False
    return any(
        len({str(item.get(key)) for item in items if isinstance(item, dict)}) < len(items)
        for key in KEYS.intersection(first)
    )
