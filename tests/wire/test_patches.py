"""Strategic and JSON merge patches: fixtures with upstream's results, and a plain model over many inputs."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from tests.wire import model

from orlop.native import WireError, wire_decode, wire_json_merge, wire_strategic_merge


def strategic(key: str, current: Any, patch: Any) -> Any:
    return json.loads(wire_strategic_merge(key, json.dumps(current).encode(), json.dumps(patch).encode()))


def test_what_kubectl_apply_sends() -> None:
    current = {
        "spec": {
            "containers": [
                {"name": "web", "image": "a", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
                {"name": "sidecar", "image": "injected"},
            ]
        }
    }
    patch = {
        "spec": {
            "$setElementOrder/containers": [{"name": "web"}],
            "containers": [
                {
                    "name": "web",
                    "image": "b",
                    "$setElementOrder/env": [{"name": "B"}],
                    "env": [{"name": "A", "$patch": "delete"}],
                }
            ],
        }
    }
    assert strategic("core/v1.Pod", current, patch) == {
        "spec": {
            "containers": [
                {"name": "web", "image": "b", "env": [{"name": "B", "value": "2"}]},
                {"name": "sidecar", "image": "injected"},
            ]
        }
    }


def test_the_strategy_is_replaced_with_its_parameters_by_retain_keys() -> None:
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic("apps/v1.Deployment", current, patch) == {"spec": {"strategy": {"type": "Recreate"}}}


def test_a_condition_is_patched_alone() -> None:
    current = {
        "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]}
    }
    patch = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    got = strategic("core/v1.Node", current, patch)
    assert got["status"]["conditions"] == [
        {"type": "Ready", "status": "Unknown"},
        {"type": "DiskPressure", "status": "False"},
    ]


def test_errors_are_upstreams() -> None:
    with pytest.raises(WireError, match=r"^map: map\[image:a\] does not contain declared merge key: name$"):
        strategic("core/v1.PodSpec", {"containers": [{"name": "a"}]}, {"containers": [{"image": "a"}]})
    with pytest.raises(WireError, match=r"^strategic merge patch format is not supported$"):
        wire_strategic_merge("example.com/v1.Thing", b"{}", b"{}")
    with pytest.raises(WireError, match=r"^Invalid JSON Patch$"):
        wire_json_merge(b"{}", b"{")


leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2)
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.sampled_from("abcd"), v, max_size=3), max_leaves=12
)


@given(values, values)
def test_json_merge_is_the_rfcs(target: Any, patch: Any) -> None:
    got = json.loads(wire_json_merge(json.dumps(target).encode(), json.dumps(patch).encode()))
    assert got == model.json_merge(target, patch)


def containers(patch: bool) -> st.SearchStrategy[list[dict[str, Any]]]:
    fields: dict[str, st.SearchStrategy[Any]] = {"image": st.sampled_from(["x", "y"])}
    if patch:
        fields["image"] |= st.none()
        fields["$patch"] = st.just("delete")
    item = st.fixed_dictionaries({"name": st.sampled_from("abcdef")}, optional=fields)
    return st.lists(item, max_size=5, unique_by=lambda c: c["name"])


@given(containers(False), containers(True))
def test_lists_merged_by_key_follow_the_model(current: list[dict[str, Any]], patch: list[dict[str, Any]]) -> None:
    got = strategic("core/v1.PodSpec", {"containers": current}, {"containers": patch})
    assert got["containers"] == model.strategic_list(current, patch, "name")


@given(values, values, st.sampled_from(["core/v1.Pod", "core/v1.PodSpec", "apps/v1.Deployment"]))
def test_no_patch_can_break_it(current: Any, patch: Any, key: str) -> None:
    names = ["metadata", "spec", "containers", "$patch", "$retainKeys", "$setElementOrder/containers", "volumes"]
    body = dict.fromkeys(names[::2], current)
    change = dict.fromkeys(names, patch)
    try:
        got = wire_strategic_merge(key, json.dumps(body).encode(), json.dumps(change).encode())
        wire_decode(key, "json", got)
    except WireError:
        pass
