"""What expressions cost: those of an accepted definition never run out of their budget, hostile ones are stopped."""

import json
from itertools import count
from typing import Any

from hypothesis import assume, given, settings, strategies as st

from orlop import native

_keys = count()
MOST, LONGEST = 6, 12
"""Items of each list and characters of each text, by the schema."""
TEXT = {"type": "string", "maxLength": LONGEST}
SCHEMA: dict[str, Any] = {
    "texts": {"type": "array", "maxItems": MOST, "items": TEXT},
    "map": {"type": "object", "maxProperties": MOST, "additionalProperties": TEXT},
    "lists": {"type": "array", "maxItems": MOST, "items": {"type": "array", "maxItems": MOST, "items": TEXT}},
    "text": TEXT,
    "number": {"type": "integer"},
}
LARGEST: dict[str, Any] = {
    "texts": ["\U0001f6a2" * LONGEST] * MOST,
    "map": {f"k{i}": "\U0001f6a2" * LONGEST for i in range(MOST)},
    "lists": [["\U0001f6a2" * LONGEST] * MOST] * MOST,
    "text": "\U0001f6a2" * LONGEST,
    "number": 7,
}
"""As large as the schema allows: four bytes a character."""


@st.composite
def texts(draw: st.DrawFn, names: tuple[str, ...]) -> str:
    """An expression that is a text; `names` are texts."""
    one, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
    form = draw(st.sampled_from(["{0}", "{0} + {1}", "{0}.replace('a', {1})", "{0}.lowerAscii()", "({0} + {0} + {1})"]))
    return form.format(one, other)


@st.composite
def conditions(draw: st.DrawFn, names: tuple[str, ...] = ("self.text",), depth: int = 3) -> str:
    """An expression that is true or false."""
    kinds = ["compare", "search", "match"] + (["each", "both", "nested"] if depth else [])
    kind = draw(st.sampled_from(kinds))
    if kind == "compare":
        return f"{draw(texts(names))} {draw(st.sampled_from(['==', '!=', '<', '>=']))} {draw(texts(names))}"
    if kind == "search":
        return f"!({draw(texts(names))}).contains({draw(texts(names))})"
    if kind == "match":
        return f"({draw(texts(names))}).matches('{draw(st.sampled_from(['^a+$', '[a-z]*x', '.*a.*b.*c']))}') || true"
    if kind == "both":
        return f"({draw(conditions(names, depth - 1))}) {draw(st.sampled_from(['&&', '||']))} true"
    new = f"v{depth}"
    inner = draw(conditions((*names, new), depth - 1))
    macro = draw(st.sampled_from(["all", "exists"]))
    if kind == "each":
        return f"self.{draw(st.sampled_from(['texts', 'map']))}.{macro}({new}, {inner})"
    return f"self.lists.{macro}(l{depth}, l{depth}.{macro}({new}, {inner}))"


@given(conditions())
@settings(max_examples=150, deadline=None)
def test_what_is_taken_never_runs_out(rule: str) -> None:
    """The estimate is no less than what it comes to on the largest object. It is that of all items together, and taken
    up to ten million; each of the ten may cost a million."""
    schema = {"type": "object", "properties": SCHEMA, "x-kubernetes-validations": [{"rule": rule}]}
    items = {"type": "array", "maxItems": 10, "items": schema}
    text = json.dumps({"type": "object", "properties": {"spec": items}}).encode()
    problems, _ = native.schema_check(text, "s")
    assume(not problems)
    held = native.CustomSchema(f"cel-model#{next(_keys)}", "t/v1", "T", text)
    obj = {"apiVersion": "t/v1", "kind": "T", "metadata": {}, "spec": [LARGEST] * 10}
    told = [detail for *_, detail in held.validate(json.dumps(obj).encode(), None, False)]
    assert not [detail for detail in told if "cost" in detail], rule


@given(st.integers(5, 7), st.sampled_from(["all", "exists"]), st.integers(20, 60))
@settings(max_examples=20, deadline=None)
def test_what_is_hostile_is_stopped(depth: int, macro: str, size: int) -> None:
    """Lists within lists within lists: each evaluation ends with nothing left of its budget."""
    end = "true" if macro == "all" else "false"
    rule = end
    for i in range(depth):
        rule = f"object.items.{macro}(v{i}, {rule})"
    document = native.CelDocument(json.dumps({"items": list(range(size))}).encode())
    told, left, question = native.CelExpressions([], [rule, "true"]).evaluate(
        [0, 1], [("object", document)], {}, 10_000_000
    )
    assert question is None
    assert told[0][0] == "spent"
    assert left < 10_000_000


@given(conditions(names=("object.text", "'lit'")))
@settings(max_examples=50, deadline=None)
def test_a_definition_with_a_rule_that_could_cost_too_much_is_refused(inner: str) -> None:
    """Without limits of size the same loops could cost anything."""
    rule = inner.replace("object.", "self.")
    unbounded = {
        "texts": {"type": "array", "items": {"type": "string"}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
        "lists": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        "text": {"type": "string"},
    }
    looped = f"self.texts.all(x, self.texts.all(y, {rule}))"
    schema = {"type": "object", "properties": unbounded, "x-kubernetes-validations": [{"rule": looped}]}
    text = json.dumps({"type": "object", "properties": {"spec": schema}}).encode()
    problems, _ = native.schema_check(text, "s")
    assert any("estimated rule cost exceeds budget" in detail for *_, detail in problems), problems
