"""Each kind's rules against fixtures: an object in; what is filled in, or what is said of it, out.

`rules/*.yaml` holds cases: `about`, `object`, and either `wrong` (all findings, in order) or `becomes` (a part of what
it is after defaulting and preparing); `warns` is all that is advised. `old` makes it an update, `subresource` one of
that: `status`, `resize`, …. `pod` and `was` are short for the `spec` of a pod in `object` and `old`, with one container
where none is said.
"""

from typing import Any

import msgspec
import pytest
from tests.support.rules import cases, kind_of, tree

from orlop import native
from orlop.api import scheme
from orlop.apiserver.registry import strategy_of


def load(tree: dict[str, Any]) -> Any:
    kind = kind_of(tree)
    tree = {
        **tree,
        "metadata": {"name": "x", **({"namespace": "default"} if kind.namespaced else {}), **tree.get("metadata", {})},
    }
    value, unknown, duplicate = native.wire_decode(kind.type_key, "json", msgspec.json.encode(tree))
    assert not unknown, unknown
    assert not duplicate
    return msgspec.json.decode(value, type=kind.struct)


def prepared(case: dict[str, Any]) -> tuple[Any, Any, list[str]]:
    """The object after defaulting and preparing, the one before it, and what is wrong."""
    new, before = tree(case, "object", "pod"), tree(case, "old", "was")
    assert new is not None
    obj = load(new)
    strategy = strategy_of(kind_of(new))
    strategy.default(obj)
    if before is None:
        return obj, None, [str(error) for error in strategy.before_create(obj)]
    old = load(before)
    strategy.default(old)
    return obj, old, [str(error) for error in strategy.before(case.get("subresource", ""))(obj, old)]


def holds(part: Any, whole: Any, path: str = "") -> None:
    """`part` is in `whole`; null means: not there."""
    if isinstance(part, dict):
        for key, value in part.items():
            if value is None:
                assert key not in whole, f"{path}.{key} is there"
            else:
                assert key in whole, f"{path}.{key} is missing"
                holds(value, whole[key], f"{path}.{key}")
    elif isinstance(part, list):
        assert len(part) == len(whole), path
        for i, value in enumerate(part):
            holds(value, whole[i], f"{path}[{i}]")
    else:
        assert part == whole, path


@pytest.mark.parametrize("case", cases())
def test_rules(case: dict[str, Any]) -> None:
    obj, old, wrong = prepared(case)
    assert wrong == case.get("wrong", [])
    if "becomes" in case:
        holds(case["becomes"], msgspec.json.decode(msgspec.json.encode(obj)))
    if "warns" in case:
        assert strategy_of(scheme.of(type(obj))).warnings(obj, old) == case["warns"]
