"""Random schemas and random objects: Rust prunes, fills in and judges them as the plain model does."""

import json
from itertools import count
from typing import Any

from hypothesis import given, settings, strategies as st
from tests.model import schema as model

from orlop import native

NAMES = ("a", "b", "c", "d")
_keys = count()


def values(depth: int = 3) -> st.SearchStrategy[Any]:
    scalars = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.sampled_from([0.5, 1.5, -2.5]),
        st.sampled_from(["", "x", "long"]),
    )
    if not depth:
        return scalars
    below = values(depth - 1)
    return st.one_of(scalars, st.lists(below, max_size=3), st.dictionaries(st.sampled_from(NAMES), below, max_size=3))


@st.composite
def schemas(draw: st.DrawFn, depth: int = 3) -> dict[str, Any]:
    kinds = ["string", "integer", "number", "boolean"] + (["object", "array", "map", "free"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    out: dict[str, Any] = {}
    if draw(st.booleans()):
        out["nullable"] = True
    if kind == "free":
        return out | {"x-kubernetes-preserve-unknown-fields": True}
    out["type"] = "object" if kind == "map" else kind
    if kind == "object":
        out["properties"] = draw(st.dictionaries(st.sampled_from(NAMES), schemas(depth - 1), min_size=1, max_size=3))
        out["required"] = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=2))
        if draw(st.integers(0, 3)) == 0:
            out["x-kubernetes-map-type"] = "atomic"
    elif kind == "map":
        out["additionalProperties"] = draw(schemas(depth - 1))
        out["maxProperties"] = draw(st.integers(1, 3))
    elif kind == "array":
        out |= draw(st.sampled_from([{}, ATOMIC, SET, MAP, MAP]))
        out["items"] = draw(_items(depth) if "x-kubernetes-list-map-keys" in out else schemas(depth - 1))
        out["maxItems"] = draw(st.integers(0, 3))
    elif kind == "string":
        out["maxLength"] = draw(st.integers(0, 4))
    elif kind in ("integer", "number"):
        out["minimum"] = draw(st.integers(-3, 0))
        out["maximum"] = draw(st.integers(0, 3))
    elif draw(st.booleans()):
        out["enum"] = [True]
    if draw(st.integers(0, 3)) == 0:
        out["default"] = {"string": "x", "integer": 1, "number": 0.5, "boolean": True, "array": [], "object": {}}[
            out["type"]
        ]
    return out


ATOMIC = {"x-kubernetes-list-type": "atomic"}
SET = {"x-kubernetes-list-type": "set"}
MAP = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a", "b"]}


@st.composite
def _items(draw: st.DrawFn, depth: int) -> dict[str, Any]:
    """Objects with something to tell them by."""
    properties = draw(st.dictionaries(st.sampled_from(NAMES), schemas(depth - 1), max_size=2))
    return {"type": "object", "properties": {**properties, "a": {"type": "integer"}, "b": {"type": "string"}}}


def roots() -> st.SearchStrategy[dict[str, Any]]:
    parts = st.dictionaries(st.sampled_from(NAMES), schemas(), min_size=1, max_size=3)
    return parts.map(lambda properties: {"type": "object", "properties": properties})


def objects() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), values(), max_size=4)


@st.composite
def edited(draw: st.DrawFn, value: Any) -> Any:
    """A value with one part of it another, or in another place."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: draw(edited(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        i = draw(st.integers(0, len(value) - 1))
        changed = [*value[:i], draw(edited(value[i])), *value[i + 1 :]]
        return draw(st.sampled_from([changed, changed, value[::-1], [*value, value[i]], value[:i] + value[i + 1 :]]))
    return draw(values(1))


@st.composite
def listed(draw: st.DrawFn) -> tuple[dict[str, Any], list[Any]]:
    """A schema of a list of objects, and a list whose items are often wrong."""
    items = draw(_items(2))
    schema = {"type": "array", **draw(st.sampled_from([ATOMIC, MAP, MAP, MAP])), "items": items}
    keys = st.fixed_dictionaries({"a": st.integers(0, 2)}, optional={"b": st.sampled_from(["x", "y"])})
    more = st.dictionaries(st.sampled_from(sorted(items["properties"])), values(1), max_size=2)
    found = draw(st.lists(st.tuples(more, keys), min_size=1, max_size=3))
    return schema, [{**fields, **key} for fields, key in found]


def compiled(schema: dict[str, Any]) -> tuple[str, native.CustomSchema]:
    key = f"model#{next(_keys)}"
    return key, native.CustomSchema(key, "t/v1", "T", json.dumps(schema).encode())


def whole(fields: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "t/v1", "kind": "T", "metadata": {}, **fields}


def told(held: native.CustomSchema, new: dict[str, Any], old: dict[str, Any] | None = None) -> set[tuple[str, str]]:
    before = None if old is None else json.dumps(old).encode()
    found = held.validate(json.dumps(new).encode(), before, False)
    # Upstream tells a fraction where an integer is asked for a second time, without a field.
    return {(reason, path) for reason, path, _, _ in found if path != "<nil>"}


@given(roots(), objects())
@settings(max_examples=100, deadline=None)
def test_objects_are_pruned_filled_in_and_judged_as_the_model_says(
    schema: dict[str, Any], fields: dict[str, Any]
) -> None:
    key, held = compiled(schema)
    obj = whole(fields)
    stored, _, _ = native.wire_decode(key, "json", json.dumps(obj).encode())
    expected = model.shaped(schema, obj)
    assert json.loads(stored) == expected
    assert held.normalize(stored) is None, "what is stored is in its one form"
    assert told(held, expected) == model.wrong(schema, expected) | model.doubled(schema, expected)


@given(roots(), objects(), objects())
@settings(max_examples=100, deadline=None)
def test_what_did_not_change_may_stay_wrong(
    schema: dict[str, Any], before: dict[str, Any], change: dict[str, Any]
) -> None:
    _, held = compiled(schema)
    old = whole(before)
    new = whole({**before, **change})
    assert told(held, new, old) == changed(schema, new, old)
    assert told(held, old, old) == set()


def changed(schema: dict[str, Any], new: Any, old: Any) -> set[tuple[str, str]]:
    """What the model finds wrong with a change: lists that had something twice may."""
    return model.kept(schema, new, old) | (set() if model.doubled(schema, old) else model.doubled(schema, new))


@given(st.data(), listed())
@settings(max_examples=200, deadline=None)
def test_items_are_told_by_their_keys_when_they_change(data: st.DataObject, drawn: tuple[Any, Any]) -> None:
    of, before = drawn
    schema = {"type": "object", "properties": {"a": of}}
    _, held = compiled(schema)
    old, new = whole({"a": before}), whole({"a": data.draw(edited(before))})
    assert told(held, new, old) == changed(schema, new, old)


def test_a_schema_that_is_held_by_nobody_is_forgotten() -> None:
    key, held = compiled({"type": "object", "properties": {"a": {"type": "string"}}})
    body = b'{"apiVersion":"t/v1","kind":"T","b":1}'
    assert b'"b"' not in native.wire_decode(key, "json", body)[0]
    del held
    assert b'"b":1' in native.wire_decode(key, "json", body)[0]
