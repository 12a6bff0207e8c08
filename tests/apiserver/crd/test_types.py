"""What is said of values of other types than their schema's: as kube-apiserver 1.37.2 says it of the same."""

from typing import Any

import pytest
from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import DEFINITIONS, SPEC, WIDGETS, define, definition, until, version, widget

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
START = "failed to create typed patch object (/w; example.com/v1, Kind=Widget): "
ROW = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "value": {"type": "integer"}}}
MORE: dict[str, Any] = {
    "properties": {
        **SPEC["properties"],
        "flag": {"type": "boolean"},
        "every": {"type": "string", "format": "duration"},
        "any": {"type": "object"},
        "rows": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": ROW,
        },
        "names": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "pod": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}},
        },
        "weight": {"type": "number", "enum": [1, 2]},
        "step": {"type": "number", "multipleOf": 0.5},
        "flags": {
            "type": "array",
            "maxItems": 9,
            "items": {"type": "boolean", "x-kubernetes-validations": [{"rule": "!self"}]},
        },
    },
    "required": [],
}


@pytest.fixture
async def typed(api: Api) -> Api:
    await define(api, definition(version(**MORE)))
    return api


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"replicas": "x"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"flag": 1}, ".spec.flag: expected boolean, got &{1}"),
        ({"every": []}, ".spec.every: expected any scalar, got &{[]}"),
        ({"rows": {}}, ".spec.rows: expected list, got &{map[]}"),
        ({"rows": [{"name": "a"}, {"name": "a"}]}, '.spec.rows: duplicate entries for key [name="a"]'),
        ({"rows": [{"name": "a", "value": "x"}]}, '.spec.rows[name="a"].value: expected numeric (int or float)'),
        ({"names": [1]}, ".spec.names[=1]: expected string, got &value.valueUnstructured{Value:1}"),
        ({"pod": {"metadata": -1}}, ".spec.pod.metadata: expected map, got &{-1}"),
        ({"no": 1}, ".spec.no: field not declared in schema"),
    ],
)
async def test_what_is_applied_must_be_of_its_types(typed: Api, spec: dict[str, Any], words: str) -> None:
    answer = await typed("PATCH", f"{WIDGETS}/w?fieldManager=me", widget(**spec), APPLY)
    assert answer.status == 500
    assert answer.message.startswith(START + words)


async def test_what_is_of_its_types_is_applied(typed: Api) -> None:
    spec = {"replicas": None, "every": "1h", "port": "80%", "any": {"thing": {"a": 1}}, "rows": [{"name": "a"}]}
    answer = await typed("PATCH", f"{WIDGETS}/w?fieldManager=me", widget(**spec), APPLY)
    assert answer.status == 201, answer.body


POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {}}


@pytest.mark.parametrize(
    ("pod", "status", "words"),
    [
        ({**POD, "kind": 1}, 400, "spec.pod.kind: Invalid value: 1: must be a string"),
        ({**POD, "metadata": []}, 400, "json: cannot unmarshal array into Go value of type v1.ObjectMeta"),
        ({"apiVersion": "v1"}, 422, "[spec.pod.kind: Required value, "),
        ({**POD, "apiVersion": ""}, 422, 'spec.pod.apiVersion: Invalid value: "": must not be empty'),
        ({**POD, "apiVersion": "a/b/c"}, 422, "unexpected GroupVersion string: a/b/c"),
        ({**POD, "kind": "a b"}, 422, "may have mixed case, but should otherwise match: a DNS-1035 label must"),
        (POD, 201, ""),
        ({**POD, "metadata": None}, 201, ""),
    ],
)
async def test_an_embedded_resource_says_what_it_is(typed: Api, pod: dict[str, Any], status: int, words: str) -> None:
    answer = await typed("POST", WIDGETS, widget(pod=pod))
    assert answer.status == status, answer.body
    assert status == 201 or words in answer.message
    assert status != 201 or answer.body["spec"]["pod"] == POD


async def test_numbers_are_compared_as_go_does(typed: Api) -> None:
    assert (await typed("POST", WIDGETS, widget("a", weight=1.5))).status == 201, "1.5 is the integer 1"
    assert (await typed("POST", WIDGETS, widget("b", weight=3))).status == 422
    answer = await typed("POST", WIDGETS, widget("c", step=1))
    assert "spec.step: Invalid value: 0: factor MultipleOf declared for spec.step must be positive: 0" in answer.message


async def test_a_list_that_stays_may_break_a_rule_that_came_later(api: Api) -> None:
    """Items of an atomic list cannot be told from one another, but the list as a whole can."""
    await define(api, definition(version()))
    await api.made(WIDGETS, widget(free={"flags": [True]}))
    flags = {**MORE["properties"]["flags"], "x-kubernetes-list-type": "atomic"}
    properties = {**SPEC["properties"], "free": {"type": "object", "properties": {"flags": flags}}}
    later = {"spec": {"versions": [version(properties=properties)]}}
    assert (await api("PATCH", f"{DEFINITIONS}/widgets.example.com", later, MERGE)).status == 200

    async def refuses() -> bool:
        return (await api("POST", f"{WIDGETS}?dryRun=All", widget("x", free={"flags": [True]}))).status == 422

    await until(refuses)
    answer = await api("PATCH", f"{WIDGETS}/w", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    assert answer.status == 200, answer.body
    answer = await api("PATCH", f"{WIDGETS}/w", {"spec": {"free": {"flags": [True, False]}}}, MERGE)
    assert answer.status == 422


@pytest.mark.parametrize(("path", "taken"), [(".replicas", True), (".nobody", False), ("replicas", False)])
async def test_the_field_that_a_rule_names_must_be_there(api: Api, path: str, taken: bool) -> None:
    rule = {"rule": "self.replicas < 5", "fieldPath": path}
    answer = await api("POST", DEFINITIONS, definition(version(**{"x-kubernetes-validations": [rule]})))
    assert answer.status == (201 if taken else 422)
    assert taken or "fieldPath: Invalid value" in answer.message
