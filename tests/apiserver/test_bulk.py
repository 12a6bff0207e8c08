"""Bindings in bulk: each is answered on its own, as if it had come alone."""

from typing import Any

import pytest
from tests.apiserver.conftest import PODS, Api, pod

from orlop.apiserver.auth import User
from orlop.apiserver.bulk.bindings import MAX_ITEMS
from orlop.apiserver.server import ApiServer

GROUP = "/apis/bulk.orlop.dev/v1alpha1"
BINDINGS = f"{GROUP}/bindings"


def binding(name: str, node: str = "n", namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"namespace": namespace, "name": name, **metadata},
        "target": {"kind": "Node", "name": node},
    }


def of(*items: Any) -> dict[str, Any]:
    return {"apiVersion": "bulk.orlop.dev/v1alpha1", "kind": "BindingList", "items": list(items)}


async def node_of(api: Api, name: str) -> str:
    return str((await api("GET", f"{PODS}/{name}")).body["spec"].get("nodeName", ""))


async def test_it_is_discovered(api: Api) -> None:
    assert "bulk.orlop.dev" in {g["name"] for g in (await api("GET", "/apis")).body["groups"]}
    (listed,) = (await api("GET", GROUP)).body["resources"]
    found = (listed["name"], listed["kind"], listed["namespaced"], listed["verbs"])
    assert found == ("bindings", "BindingList", False, ["create"])
    assert (await api("GET", BINDINGS)).status == 405
    assert (await api("POST", f"{BINDINGS}/x", of())).status == 405
    assert (await api("POST", f"{GROUP}/pods", of())).status == 404
    assert (await api("POST", "/apis/bulk.orlop.dev/v2/bindings", of())).status == 404


async def test_each_binding_is_answered_on_its_own(api: Api) -> None:
    first = await api.made(PODS, pod("a"))
    await api.made(PODS, pod("b"))
    await api.made(PODS, pod("gated", schedulingGates=[{"name": "example.com/wait"}]))
    await api.made(PODS, pod("there", nodeName="m"))
    asked = [
        binding("a", uid=first["metadata"]["uid"], annotations={"why": "so"}),
        binding("nobody"),
        binding("there"),
        binding("gated"),
        binding("b", uid="another"),
        binding("b", ""),
        binding("b", namespace=""),
        {"metadata": {"name": 7}},
        binding("b", "n2"),
        binding("b", "n3"),
    ]
    answer = await api("POST", BINDINGS, of(*asked))
    assert answer.status == 200
    assert answer.body["kind"] == "BindingStatusList"
    said = [(one["code"], one.get("message", "")) for one in answer.body["items"]]
    conflict = "Operation cannot be fulfilled on pods/binding"
    assert said[0] == (201, "")
    assert said[1] == (404, 'pods "nobody" not found')
    assert said[2] == (409, f'{conflict} "there": pod there is already assigned to node "m"')
    assert said[3] == (409, f'{conflict} "gated": pod gated has non-empty .spec.schedulingGates')
    assert said[4][0] == 409
    assert "UID in precondition: another" in said[4][1]
    assert said[5] == (422, 'Binding "b" is invalid: target.name: Required value')
    assert said[6] == (422, 'Binding "b" is invalid: metadata.namespace: Required value')
    assert said[7][0] == 400
    assert "cannot be handled as a Binding" in said[7][1]
    assert said[8] == (201, "")
    assert said[9] == (409, f'{conflict} "b": pod b is already assigned to node "n2"')
    bound = (await api("GET", f"{PODS}/a")).body
    assert (bound["spec"]["nodeName"], bound["metadata"]["annotations"]) == ("n", {"why": "so"})
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [("PodScheduled", "True")]
    assert await node_of(api, "b") == "n2"
    assert await node_of(api, "gated") == ""


async def test_a_dry_run_binds_nothing(api: Api) -> None:
    await api.made(PODS, pod("a"))
    answer = await api("POST", f"{BINDINGS}?dryRun=All", of(binding("a")))
    assert [one["code"] for one in answer.body["items"]] == [201]
    assert await node_of(api, "a") == ""


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (of(*(binding(f"p{i}") for i in range(MAX_ITEMS + 1))), 413, f"at most {MAX_ITEMS} bindings"),
        ({"kind": "BindingList", "items": 3}, 400, "$.items"),
        ({"kind": "Pod", "apiVersion": "v1", "items": []}, 400, "cannot be handled as a BindingList"),
        (b"[", 400, "BindingList cannot be read"),
    ],
)
async def test_a_list_that_cannot_be_taken_is_refused_whole(api: Api, body: Any, status: int, said: str) -> None:
    answer = await api("POST", BINDINGS, body)
    assert (answer.status, said in answer.message) == (status, True), answer.body


async def test_it_is_json(api: Api) -> None:
    assert (await api("POST", BINDINGS, b"items: []", media="application/yaml")).status == 415


async def test_a_watcher_sees_what_single_bindings_make(api: Api) -> None:
    for name in ("a", "b"):
        await api.made(PODS, pod(name))
    await api("POST", BINDINGS, of(binding("a"), binding("b")))
    await api.made(PODS, pod("c"))
    await api("POST", f"{PODS}/c/binding", binding("c"))
    listed = (await api("GET", PODS)).body["items"]
    spec = {json_of(one) for one in listed}
    assert len(spec) == 1
    versions = [int(one["metadata"]["resourceVersion"]) for one in listed]
    assert len(set(versions)) == 3


def json_of(one: Any) -> str:
    condition = {key: value for key, value in one["status"]["conditions"][0].items() if key != "lastTransitionTime"}
    return f"{one['spec']['nodeName']} {condition} {one['metadata']['generation']}"


async def test_each_namespace_must_allow_it(server: ApiServer, api: Api) -> None:
    """Who may bind in one namespace binds there; the path itself needs no right."""
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    rule = {"apiGroups": [""], "resources": ["pods/binding"], "verbs": ["create"]}
    await api.made(f"{rbac}/roles", {"metadata": {"name": "binder"}, "rules": [rule]})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "binder"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}
    await api.made(f"{rbac}/rolebindings", {"metadata": {"name": "ann"}, "roleRef": role, "subjects": [subject]})
    await api.made(PODS, pod("a"))
    await api.made(PODS, pod("b"))
    ann, bob = (Api(server, User(name, ("system:authenticated",))) for name in ("ann", "bob"))
    try:
        said = (await bob("POST", BINDINGS, of(binding("a")))).body["items"]
        assert (said[0]["code"], said[0]["reason"]) == (403, "Forbidden")
        assert 'User "bob" cannot create resource "pods/binding"' in said[0]["message"]
        said = (await ann("POST", BINDINGS, of(binding("a"), binding("x", namespace="kube-system")))).body["items"]
        assert [one["code"] for one in said] == [201, 403]
    finally:
        await ann.transport.close()
        await bob.transport.close()


async def test_admission_sees_each_binding(api: Api) -> None:
    """A policy on pods/binding refuses one binding of a list, by its name."""
    kinds = "/apis/admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods/binding"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.target.name != 'full'", "message": "that node is full"}],
    }
    await api.made(f"{kinds}/validatingadmissionpolicies", {"metadata": {"name": "full"}, "spec": spec})
    bound = {"policyName": "full", "validationActions": ["Deny"]}
    await api.made(f"{kinds}/validatingadmissionpolicybindings", {"metadata": {"name": "full"}, "spec": bound})
    await api.made(PODS, pod("a"))
    await api.made(PODS, pod("b"))
    items = (await api("POST", BINDINGS, of(binding("a", "full"), binding("b")))).body["items"]
    assert [one["code"] for one in items] == [422, 201]
    assert "that node is full" in items[0]["message"]
    assert (await node_of(api, "a"), await node_of(api, "b")) == ("", "n")
