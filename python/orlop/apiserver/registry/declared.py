"""Checks what the declarations of Kubernetes' types say of their fields' values (KEP-5073).

Since 1.36 these findings are told behind those of the rules in code, and instead of those that say the same. Values
that an update leaves alone are not looked at. What `declared.py` of the API says is compiled once for each type: a kind
of which nothing is said costs nothing.
"""

import types
import typing
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

import msgspec

from orlop.api.declared import DECLARED
from orlop.api.errors import FieldError, invalid_value
from orlop.apiserver.registry import declaredrules as rules, names

GATES = frozenset({"HPAScaleToZero"})
"""Features that a rule may depend on and that are there."""


class Field(NamedTuple):
    """One field of which something is said, or below which something is said."""

    attribute: str
    json: str
    pointer: bool
    first: tuple[rules.Rule, ...]
    """Rules after whose findings nothing more is said of the field."""
    then: tuple[rules.Rule, ...]
    optional: bool
    keys: tuple[str, ...]
    """Attributes by which items of a list are the same; none: the whole item."""
    child: type | None


class Checked(NamedTuple):
    """What is said of a type."""

    fields: tuple[Field, ...]
    union: tuple[tuple[str, str], ...]
    """Attributes and JSON names of which exactly one must be there."""
    modes: tuple[rules.Mode, ...]


def key_of(struct: type) -> str:
    """`core/v1.Pod` of a generated struct."""
    group, _, version = struct.__module__.rpartition(".")[2].rpartition("_")
    return f"{group.replace('_', '.')}/{version}.{struct.__name__}"


@cache
def compiled(struct: type) -> Checked | None:
    """What is said of a struct and all below it; None where nothing is."""
    return _compile(struct, frozenset())


def _compile(struct: type, above: frozenset[type]) -> Checked | None:
    if struct in above or not issubclass(struct, msgspec.Struct):
        return None
    said = DECLARED.get(key_of(struct), {})
    hints = typing.get_type_hints(struct)
    fields, union = [], []
    names = {f.encode_name: f.name for f in msgspec.structs.fields(struct)}
    for json, attribute in names.items():
        texts = _of_features(said.get(json, ()))
        item, pointer = _item(hints[attribute])
        child = item if isinstance(item, type) and _compile(item, above | {struct}) is not None else None
        if "unionMember" in texts:
            union.append((attribute, json))
        first, then = rules.split(texts)
        if first or then or child is not None:
            keys = _keys(texts, item)
            fields.append(Field(attribute, json, pointer, first, then, "optional" in texts, keys, child))
    modes = rules.modes(said, names)
    return Checked(tuple(fields), tuple(union), modes) if fields or union or modes else None


def _of_features(texts: Iterable[str]) -> tuple[str, ...]:
    """Rules without their conditions on features, where these hold."""
    out = []
    for text in texts:
        condition, found, rule = text.partition("=+k8s:")
        name = condition.partition("(")[2].rstrip(")")
        if found and condition.startswith(("ifEnabled(", "ifDisabled(")):
            if (name in GATES) is condition.startswith("ifEnabled("):
                out.append(rule)
        else:
            out.append(text)
    return tuple(out)


def _item(hint: Any) -> tuple[Any, bool]:
    """The struct that a field, its items or its values are, and whether the field may be absent."""
    pointer = False
    if isinstance(hint, types.UnionType):
        pointer = type(None) in hint.__args__
        hint = next(arg for arg in hint.__args__ if arg is not type(None))
    while typing.get_origin(hint) in (list, dict):
        hint = typing.get_args(hint)[-1]
    return hint, pointer


def _keys(texts: Iterable[str], item: Any) -> tuple[str, ...]:
    wanted = [text.removeprefix("listMapKey=") for text in texts if text.startswith("listMapKey=")]
    if not wanted:
        return ()
    names = {f.encode_name: f.name for f in msgspec.structs.fields(item)}
    return tuple(names[name] for name in wanted)


def check(new: Any, old: Any) -> list[FieldError]:
    """What the declarations find wrong with an object, or with what an update changes of it."""
    struct: type = type(new)
    checked = compiled(struct)
    return [] if checked is None else _struct(checked, new, old, "")


def _struct(checked: Checked, new: Any, old: Any, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if checked.union:
        errors += _union(checked.union, new, old, path)
    start = f"{path}." if path else ""
    for field in checked.fields:
        value = getattr(new, field.attribute)
        before = None if old is None else getattr(old, field.attribute)
        if old is None or value != before:
            errors += _field(field, value, before, f"{start}{field.json}", old is not None)
    for mode in checked.modes:
        errors += mode(new, old, start)
    return errors


def _field(field: Field, value: Any, before: Any, path: str, update: bool) -> list[FieldError]:
    empty = value is None if field.pointer else not value and not isinstance(value, msgspec.Struct)
    if empty and field.optional:
        return [e for rule in field.first if rule.of_changes for e in rule(value, before, path, update)]
    errors = [e for rule in field.first for e in rule(value, before, path, update)]
    if errors or value is None:
        return errors
    for rule in field.then:
        errors += rule(value, before, path, update)
    if field.child is None:
        return errors
    checked = compiled(field.child)
    assert checked is not None
    if isinstance(value, list):
        for i, item in enumerate(value):
            was = _counterpart(item, before or [], field.keys)
            if was is None or item != was:
                errors += _struct(checked, item, was, f"{path}[{i}]")
    elif isinstance(value, dict):
        for key in sorted(value):
            was = (before or {}).get(key)
            if was is None or value[key] != was:
                errors += _struct(checked, value[key], was, f"{path}[{key}]")
    else:
        errors += _struct(checked, value, before, path)
    return errors


def _counterpart(item: Any, before: list[Any], keys: tuple[str, ...]) -> Any:
    """The item that it was before the update."""
    if not keys:
        return item if item in before else None
    mine = [getattr(item, key) for key in keys]
    return next((other for other in before if [getattr(other, key) for key in keys] == mine), None)


def _union(members: tuple[tuple[str, str], ...], new: Any, old: Any, path: str) -> list[FieldError]:
    given = [json for name, json in members if _there(getattr(new, name))]
    if old is not None and given == [json for name, json in members if _there(getattr(old, name))]:
        return []
    listed = ", ".join(f"`{json}`" for _, json in members)
    if not given:
        return [invalid_value(path, "", f"must specify one of: {listed}")]
    if len(given) > 1:
        return [invalid_value(path, f"{{{', '.join(given)}}}", f"must specify exactly one of: {listed}")]
    return []


def _there(value: Any) -> bool:
    return value is not None and value != []


SAME = {
    "must be greater than or equal to 0": {"must be greater than or equal to 0"},
    "must be greater than or equal to 1": {"must be greater than 0", "must be positive"},
}
"""What code says where a declaration says the same in other words."""


def merged(errors: list[FieldError], found: list[FieldError]) -> list[FieldError]:
    """What is told, each thing once: the findings of code but for those that are declared too, and those that are."""
    if found:
        errors = [e for e in errors if not any(_same(e, declared) for declared in found)] + found
    if len(errors) < 2:
        return errors
    return list({(error.field, error.message): error for error in errors}.values())


def _same(error: FieldError, declared: FieldError) -> bool:
    if (error.type, error.field) != (declared.type, declared.field):
        return False
    if error.type != "FieldValueInvalid" or error.detail == declared.detail:
        return True
    if declared.detail == names.CASELESS_WORDS:
        return error.detail == names.SUBDOMAIN_WORDS
    return error.detail in SAME.get(declared.detail, ())
