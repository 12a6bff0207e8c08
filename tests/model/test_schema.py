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
    elif kind == "map":
        out["additionalProperties"] = draw(schemas(depth - 1))
        out["maxProperties"] = draw(st.integers(1, 3))
    elif kind == "array":
        out["items"] = draw(schemas(depth - 1))
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


def roots() -> st.SearchStrategy[dict[str, Any]]:
    parts = st.dictionaries(st.sampled_from(NAMES), schemas(), min_size=1, max_size=3)
    return parts.map(lambda properties: {"type": "object", "properties": properties})


def objects() -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), values(), max_size=4)


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
    assert told(held, expected) == model.wrong(schema, expected)


@given(roots(), objects(), objects())
@settings(max_examples=100, deadline=None)
def test_what_did_not_change_may_stay_wrong(
    schema: dict[str, Any], before: dict[str, Any], change: dict[str, Any]
) -> None:
    _, held = compiled(schema)
    old = whole(before)
    new = whole({**before, **change})
    assert told(held, new, old) == model.kept(schema, new, old)
    assert told(held, old, old) == set()


def test_a_schema_that_is_held_by_nobody_is_forgotten() -> None:
    key, held = compiled({"type": "object", "properties": {"a": {"type": "string"}}})
    body = b'{"apiVersion":"t/v1","kind":"T","b":1}'
    assert b'"b"' not in native.wire_decode(key, "json", body)[0]
    del held
    assert b'"b":1' in native.wire_decode(key, "json", body)[0]
