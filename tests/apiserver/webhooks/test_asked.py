"""What webhooks are asked, about which writes, and what of their answers counts."""

from typing import Any

from tests.apiserver.conftest import DEPLOYMENTS, MAPS, PODS, Api, config_map, pod
from tests.apiserver.crd.conftest import WIDGETS, define, definition, widget
from tests.apiserver.webhooks.conftest import HookServer, allow, annotate, deny, patch

from orlop.api import scheme
from orlop.api.types import discovery_v1, meta_v1
from orlop.apiserver.registry.objects import split
from orlop.store.base import Attribution, Key


async def test_a_review_says_all_of_a_request(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/v"] = allow()
    await validating("v", hooks.hook("/v", "configmaps", operations=["*"]))
    made = await api.made(MAPS + "?fieldManager=me&fieldValidation=Strict", config_map("m", data={"a": "1"}))
    await api("PUT", f"{MAPS}/m", made | {"data": {"a": "2"}})
    await api("DELETE", f"{MAPS}/m")
    created, updated, deleted = hooks.of("/v")
    gvk = {"group": "", "version": "v1", "kind": "ConfigMap"}
    gvr = {"group": "", "version": "v1", "resource": "configmaps"}
    assert {k: v for k, v in created.items() if k not in ("uid", "object")} == {
        "kind": gvk,
        "resource": gvr,
        "requestKind": gvk,
        "requestResource": gvr,
        "name": "m",
        "namespace": "default",
        "operation": "CREATE",
        "userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]},
        "oldObject": None,
        "dryRun": False,
        "options": {
            "kind": "CreateOptions",
            "apiVersion": "meta.k8s.io/v1",
            "fieldManager": "me",
            "fieldValidation": "Strict",
        },
    }
    assert created["object"]["data"] == {"a": "1"}
    assert created["object"]["kind"] == "ConfigMap"
    assert (updated["operation"], updated["oldObject"]["data"], updated["object"]["data"]) == (
        "UPDATE",
        {"a": "1"},
        {"a": "2"},
    )
    assert updated["options"] == {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}
    assert (deleted["operation"], deleted["object"], deleted["oldObject"]["data"]) == ("DELETE", None, {"a": "2"})
    assert deleted["options"]["kind"] == "DeleteOptions"
    assert len({asked["uid"] for _, asked in hooks.asked}) == 3
    assert hooks.queries == ["timeout=10s"] * 3
    assert len(hooks.connections) == 1  # which is kept


async def test_a_refusal_is_told_in_its_own_words(api: Api, hooks: HookServer, validating: Any) -> None:
    await validating("v", hooks.hook("/v", "configmaps"))
    hooks.answers["/v"] = deny(message="no maps on Sunday", code=451, reason="Sunday")
    answer = await api("POST", MAPS, config_map("m"))
    assert (answer.status, answer.body["reason"]) == (451, "Sunday")
    assert answer.message == 'admission webhook "v.example.com" denied the request: no maps on Sunday'
    hooks.answers["/v"] = deny(reason="Sunday")
    assert (await api("POST", MAPS, config_map("m"))).message.endswith("denied the request: Sunday")
    hooks.answers["/v"] = deny()
    answer = await api("POST", MAPS, config_map("m"))
    assert answer.status == 400
    assert answer.message == 'admission webhook "v.example.com" denied the request without explanation'


async def test_what_is_mutated_is_checked_and_defaulted_again(api: Api, hooks: HookServer, mutating: Any) -> None:
    sidecar = {"op": "add", "path": "/spec/containers/-", "value": {"name": "s", "image": "side:1"}}
    hooks.answers["/m"] = patch(sidecar)
    await mutating("m", hooks.hook("/m", "pods"))
    made = await api.made(PODS, pod())
    side = made["spec"]["containers"][1]
    assert (side["imagePullPolicy"], side["terminationMessagePath"]) == ("IfNotPresent", "/dev/termination-log")
    assert side["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    owned = made["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]
    assert 'k:{"name":"s"}' not in owned
    hooks.answers["/m"] = patch({"op": "add", "path": "/spec/containers/-", "value": {"name": "_", "image": "x"}})
    assert (await api("POST", PODS, pod("q"))).status == 422
    hooks.answers["/m"] = patch({"op": "replace", "path": "/spec", "value": 3})
    assert (await api("POST", PODS, pod("q"))).status == 500


async def test_alike_creates_are_seen_one_by_one(api: Api, hooks: HookServer, mutating: Any) -> None:
    for i in range(4):
        await api.made(PODS, pod(f"before-{i}"))
    hooks.answers["/m"] = annotate("seen")
    await mutating("m", hooks.hook("/m", "pods"))
    for i in range(4):
        assert (await api.made(PODS, pod(f"after-{i}")))["metadata"]["annotations"] == {"seen": "yes"}
    assert len(hooks.of("/m")) == 4


async def test_other_versions_are_matched_as_equivalent(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/exact"] = hooks.answers["/equivalent"] = allow()
    rule = {"apiVersions": ["v1"]}
    await validating(
        "v",
        hooks.hook("/exact", "horizontalpodautoscalers", groups=["autoscaling"], rule=rule, matchPolicy="Exact"),
        hooks.hook("/equivalent", "horizontalpodautoscalers", groups=["autoscaling"], rule=rule),
    )
    spec = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}}
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    await api.made(path, {"metadata": {"name": "h"}, "spec": spec})
    assert not hooks.of("/exact")
    (asked,) = hooks.of("/equivalent")
    assert (asked["kind"]["version"], asked["requestKind"]["version"]) == ("v1", "v2")
    assert asked["object"]["apiVersion"] == "autoscaling/v1"


async def test_selectors_choose(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/v"] = deny(message="no")
    await validating(
        "v",
        hooks.hook(
            "/v",
            "*/*",
            operations=["CREATE", "UPDATE"],
            namespaceSelector={"matchExpressions": [{"key": "free", "operator": "DoesNotExist"}]},
            objectSelector={"matchLabels": {"watched": "yes"}},
        ),
    )
    watched = {"metadata": {"name": "w", "labels": {"watched": "yes"}}}
    await api.made(MAPS, config_map("m"))
    assert (await api("POST", MAPS, watched)).status == 400
    await api.made("/api/v1/namespaces", {"metadata": {"name": "n", "labels": {"free": "yes"}}})
    await api.made("/api/v1/namespaces/n/configmaps", watched)
    # The old object's labels count too: one does not get out of it by taking the label off.
    await api("PATCH", "/api/v1/namespaces/n", {"metadata": {"labels": {"free": None}}}, "application/merge-patch+json")
    assert (await api("PUT", "/api/v1/namespaces/n/configmaps/w", config_map("w"))).status == 400


async def test_subresources_show_what_is_written(api: Api, hooks: HookServer, mutating: Any, validating: Any) -> None:
    hooks.answers["/v"] = allow()
    hooks.answers["/m"] = patch({"op": "replace", "path": "/spec/replicas", "value": 7})
    everything = ["CREATE", "UPDATE", "CONNECT"]
    await validating("v", hooks.hook("/v", "pods/*", "deployments/*", "serviceaccounts/token", operations=everything))
    await mutating("m", hooks.hook("/m", "deployments/scale", operations=["UPDATE"]))
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    await api.made(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec})
    merge = "application/merge-patch+json"
    answer = await api("PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 2}}, merge)
    assert answer.body["spec"]["replicas"] == 7
    assert (await api("GET", f"{DEPLOYMENTS}/d")).body["spec"]["replicas"] == 7
    await api("PATCH", f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 1}}, merge)
    await api.made(PODS, pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    await api("POST", f"{PODS}/p/binding", binding)
    await api("POST", f"{PODS}/p/eviction", {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}})
    await api("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {"audiences": ["a"]}})
    found = [(a["subResource"], a["operation"], a["kind"]["kind"]) for a in hooks.of("/v") if "subResource" in a]
    assert found == [
        ("scale", "UPDATE", "Scale"),
        ("status", "UPDATE", "Deployment"),
        ("binding", "CREATE", "Binding"),
        ("eviction", "CREATE", "Eviction"),
        ("token", "CREATE", "TokenRequest"),
    ]
    scale = next(a for a in hooks.of("/v") if a.get("subResource") == "scale")
    assert (scale["object"]["spec"]["replicas"], scale["oldObject"]["spec"]["replicas"]) == (7, 1)


async def test_each_object_of_a_collection_is_asked_about(api: Api, hooks: HookServer, validating: Any) -> None:
    async def keep(asked: dict[str, Any]) -> Any:
        return {"allowed": asked["name"] != "b", "status": {"message": "b stays"}}

    hooks.answers["/v"] = keep
    for name in "abc":
        await api.made(MAPS, config_map(name))
    await validating("v", hooks.hook("/v", "configmaps", operations=["DELETE"]))
    answer = await api("DELETE", MAPS)
    assert (answer.status, answer.message) == (400, 'admission webhook "v.example.com" denied the request: b stays')
    assert {a["name"] for a in hooks.of("/v")} >= {"a", "b"}
    assert (await api("GET", f"{MAPS}/b")).status == 200


async def test_custom_resources_pass_too(api: Api, hooks: HookServer, mutating: Any, validating: Any) -> None:
    await define(api, definition())
    hooks.answers["/m"] = patch(
        {"op": "replace", "path": "/spec/color", "value": "blue"},
        {"op": "add", "path": "/spec/unknown", "value": 1},
    )
    hooks.answers["/v"] = allow()
    await mutating("m", hooks.hook("/m", "widgets", groups=["example.com"]))
    await validating("v", hooks.hook("/v", "widgets", groups=["example.com"]))
    made = await api.made(WIDGETS, widget())
    assert made["spec"] == {"color": "blue", "replicas": 1}
    (asked,) = hooks.of("/v")
    assert asked["object"]["spec"] == {"color": "blue", "replicas": 1}
    assert asked["kind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}


async def test_configurations_themselves_are_shown_to_nobody(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/v"] = deny(message="nothing goes")
    await validating("v", hooks.hook("/v", "*/*", operations=["*"]))
    assert (await api("POST", MAPS, config_map("m"))).status == 400
    name = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/v"
    assert (await api("DELETE", name)).status == 200
    assert (await api("POST", MAPS, config_map("m"))).status == 201


async def test_warnings_go_on_to_the_client(api: Api, hooks: HookServer, mutating: Any, validating: Any) -> None:
    hooks.answers["/m"] = allow(warnings=["old fashioned"])
    hooks.answers["/v"] = allow(warnings=["rather large"])
    await mutating("m", hooks.hook("/m", "configmaps"))
    await validating("v", hooks.hook("/v", "configmaps"))
    answer = await api("POST", MAPS, config_map("m"))
    told = answer.headers["warning"]
    assert told == ", ".join(['299 - "old fashioned"', '299 - "rather large"'])


async def test_a_service_leads_to_its_pods(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/v"] = allow()
    where = {"service": {"name": "hook", "namespace": "default", "path": "/v", "port": 8443}, "caBundle": hooks.ca}
    await validating("v", hooks.hook("/v", "secrets", clientConfig=where))
    secrets = "/api/v1/namespaces/default/secrets"
    failed = (
        'failed calling webhook "v.example.com": failed to call webhook: Post '
        '"https://hook.default.svc:8443/v?timeout=10s": '
    )
    answer = await api("POST", secrets, config_map("s") | {"kind": "Secret"})
    assert answer.message == f'Internal error occurred: {failed}service "hook" not found'
    service = {"metadata": {"name": "hook"}, "spec": {"ports": [{"port": 8443, "name": "https"}]}}
    await api.made("/api/v1/namespaces/default/services", service)
    answer = await api("POST", secrets, config_map("s") | {"kind": "Secret"})
    assert answer.message == f'Internal error occurred: {failed}no endpoints available for service "hook"'
    await _endpoint(api, hooks.port)
    answer = await api("POST", secrets, config_map("s") | {"kind": "Secret"})
    assert answer.status == 201, answer.body
    assert hooks.hosts == ["hook.default.svc:8443"]


async def _endpoint(api: Api, port: int) -> None:
    """A slice with this machine in it: written past the rules, by which loopback addresses are no endpoints."""
    objects = api.server.core.objects
    kind = scheme.by_resource("discovery.k8s.io", "v1", "endpointslices")
    assert kind is not None
    made = discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(name="hook-1", namespace="default", labels={"kubernetes.io/service-name": "hook"}),
        address_type="IPv4",
        endpoints=[discovery_v1.Endpoint(addresses=["127.0.0.1"])],
        ports=[discovery_v1.EndpointPort(name="https", port=port, protocol="TCP")],
    )
    await objects.insert(kind, Key(kind.resource, "default", "hook-1"), split(made), Attribution())
