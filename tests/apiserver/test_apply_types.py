"""Configurations that are not of their type, in upstream's words; each was asked of a kube-apiserver 1.37."""

import copy
import json
from typing import Any

import pytest
from tests.apiserver.conftest import DEPLOYMENTS, Api

from orlop import native
from orlop.api import scheme
from orlop.apiserver.handlers.typed import KEYS, doubtful, mismatch

APPLY = "application/apply-patch+yaml"
CONTAINERS = ("spec", "template", "spec", "containers")
BASE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}
TYPED = "failed to create typed patch object (/d; apps/v1, Kind=Deployment): "
CONVERTED = (
    "failed to convert new object (/d; apps/v1, Kind=Deployment) to proper version: unable to convert unstructured "
    "object to apps/v1, Kind=Deployment: "
)


def container(**more: Any) -> list[Any]:
    return [{"name": "c", "image": "i", **more}]


PORT = {"containerPort": 80}
CASES: list[tuple[tuple[str, ...], Any, str]] = [
    (("spec", "replicas"), "a", TYPED + ".spec.replicas: expected numeric (int or float), got string"),
    (("spec", "replicas"), True, TYPED + ".spec.replicas: expected numeric (int or float), got bool"),
    (("spec", "replicas"), 1.5, CONVERTED + "cannot convert float64 to int32"),
    (("spec",), [], TYPED + ".spec: expected map, got &{[]}"),
    (("spec",), "x", TYPED + ".spec: expected map, got &{x}"),
    (("spec", "paused"), "x", TYPED + ".spec.paused: expected boolean, got &{x}"),
    (("status",), "x", TYPED + ".status: expected map, got &{x}"),
    (("metadata", "labels"), [], TYPED + ".metadata.labels: expected map, got &{[]}"),
    (
        ("metadata", "labels"),
        {"a": 1},
        TYPED + ".metadata.labels.a: expected string, got &value.valueUnstructured{Value:1}",
    ),
    (("metadata", "finalizers"), "x", TYPED + ".metadata.finalizers: expected list, got &{x}"),
    (
        ("metadata", "finalizers"),
        ["a/b", "a/b"],
        TYPED + '.metadata.finalizers: duplicate entries for key [="a/b"]',
    ),
    (
        ("metadata", "ownerReferences"),
        [{"uid": "1"}, {"uid": "1"}],
        TYPED + '.metadata.ownerReferences: duplicate entries for key [uid="1"]',
    ),
    (CONTAINERS, {}, TYPED + ".spec.template.spec.containers: expected list, got &{map[]}"),
    (
        CONTAINERS,
        [None],
        TYPED + ".spec.template.spec.containers: element 0: associative list with keys may not have a null element",
    ),
    (
        CONTAINERS,
        ["x"],
        TYPED + ".spec.template.spec.containers: element 0: associative list with keys may not have non-map elements",
    ),
    (
        CONTAINERS,
        [*container(), *container()],
        TYPED + '.spec.template.spec.containers: duplicate entries for key [name="c"]',
    ),
    (
        CONTAINERS,
        container(bogus=1),
        TYPED + '.spec.template.spec.containers[name="c"].bogus: field not declared in schema',
    ),
    (
        CONTAINERS,
        container(name=1),
        TYPED + ".spec.template.spec.containers[name=1].name: expected string, got &value.valueUnstructured{Value:1}",
    ),
    (
        CONTAINERS,
        container(ports=[PORT, PORT]),
        TYPED
        + '.spec.template.spec.containers[name="c"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]',
    ),
    (
        CONTAINERS,
        container(ports=[{"containerPort": "80"}]),
        TYPED
        + '.spec.template.spec.containers[name="c"].ports[containerPort="80",protocol="TCP"].containerPort: '
        + "expected numeric (int or float), got string",
    ),
    (
        CONTAINERS,
        container(command="a"),
        TYPED + '.spec.template.spec.containers[name="c"].command: expected list, got &{a}',
    ),
    (
        CONTAINERS,
        container(resources={"limits": {"cpu": "x"}}),
        CONVERTED + r"quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
    (
        CONTAINERS,
        container(livenessProbe={"httpGet": {"port": True}}),
        CONVERTED + "json: cannot unmarshal bool into Go value of type int32",
    ),
    (CONTAINERS, container(command=["a", "a"]), ""),
    (CONTAINERS, container(ports=[{**PORT, "protocol": "UDP"}, PORT]), ""),
    (("spec", "template", "spec", "tolerations"), [{"key": "a"}, {"key": "a"}], ""),
]


def changed(place: tuple[str, ...], value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(BASE)
    at = tree
    for part in place[:-1]:
        at = at[part]
    at[place[-1]] = value
    return tree


async def test_what_is_not_of_its_type_is_told_in_upstreams_words(api: Api) -> None:
    wrong = []
    for place, value, words in CASES:
        path = f"{DEPLOYMENTS}/d?fieldManager=m&dryRun=All"
        answer = await api("PATCH", path, json.dumps(changed(place, value)).encode(), APPLY)
        said = (answer.status, answer.body.get("message", ""))
        if said != ((500, words) if words else (201, "")):
            wrong.append(f"{'.'.join(place)} {value}\n  {said}\n  {words}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("place", "value", "words"), [case for case in CASES if "duplicate entries" in case[2]])
def test_a_glance_finds_what_comes_twice(place: tuple[str, ...], value: Any, words: str) -> None:
    tree = changed(place, value)
    assert doubtful(tree)
    assert TYPED + mismatch("apps/v1.Deployment", tree) == words
    assert not doubtful(BASE)


def test_a_schema_within_an_object_is_of_no_type() -> None:
    items = {"type": "array", "items": {"type": "string"}, "default": ["x"], "additionalProperties": True}
    version = {"name": "v1", "schema": {"openAPIV3Schema": {"properties": {"a": items}, "required": ["a", "a"]}}}
    definition = {"metadata": {"name": "x", "annotations": {"a": "b"}}, "spec": {"versions": [version]}}
    assert mismatch("apiextensions/v1.CustomResourceDefinition", definition) == ""


def test_all_keys_of_lists_are_glanced_at() -> None:
    todo = [kind.type_key for kind in (*scheme.KINDS, *scheme.OPTIONAL)]
    seen: set[str] = set()
    keys: set[str] = set()
    while todo:
        key = todo.pop()
        while key.startswith(("[]", "map[string]")):
            key = key.removeprefix("[]").removeprefix("map[string]")
        if key in seen or not (found := native.wire_describe(key)):
            continue
        seen.add(key)
        described = json.loads(found)
        todo += [described[of] for of in ("of",) if of in described]
        for field in described.get("fields", ()):
            keys.update(field.get("mapKeys", ()))
            todo.append(field["type"])
    assert keys == KEYS
