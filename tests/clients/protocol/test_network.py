"""Services and what the control plane keeps for them; flow control's objects."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from tests.clients.protocol.api import Api, Namespace, pod
from tests.support.cluster import eventually


def test_the_servers_own_service_is_there(api: Api) -> None:
    service = api.get("/api/v1/namespaces/default/services/kubernetes")
    assert service["spec"]["clusterIP"].endswith(".0.1")
    assert service["spec"]["ports"][0]["port"] == 443
    # At the loopback address, where this one is, no pod reaches it.
    api.refused(404, "GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")


def test_endpoint_slices_hold_a_hundred_at_most(api: Api, ns: Namespace) -> None:
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    api.post(ns.services, {"metadata": {"name": "web"}, "spec": spec})
    api.post("/api/v1/nodes", {"metadata": {"name": f"n-{ns.name}"}})  # whose kubelet never comes
    for i in range(101):
        body = pod(f"p-{i}", nodeName=f"n-{ns.name}")
        body["metadata"]["labels"] = {"app": "web"}
        made = api.post(ns.pods, body)
        made["status"] |= {
            "phase": "Running",
            "podIP": f"10.1.2.{i + 1}",
            "podIPs": [{"ip": f"10.1.2.{i + 1}"}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        api.put(f"{ns.pods}/p-{i}/status", made)

    def slices() -> Any:
        found = api.get(f"{ns.slices}?labelSelector=kubernetes.io/service-name%3Dweb")["items"]
        return [len(s["endpoints"] or ()) for s in found]

    eventually("all of them", lambda: sum(slices()) == 101)
    assert (len(slices()), max(slices()) <= 100) == (2, True)
    api("DELETE", f"{ns.pods}?gracePeriodSeconds=0")
    api("DELETE", f"/api/v1/nodes/n-{ns.name}")


def test_addresses_are_objects(api: Api, ns: Namespace) -> None:
    service = api.post(ns.services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    address = f"/apis/networking.k8s.io/v1/ipaddresses/{service['spec']['clusterIP']}"
    parent = api.get(address)["spec"]["parentRef"]
    assert parent == {"resource": "services", "namespace": ns.name, "name": "s"}
    cidrs = api.get("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")["spec"]["cidrs"]
    assert cidrs == ["10.212.0.0/16"]
    api("DELETE", f"{ns.services}/s")
    assert api("GET", address).status_code == 404


def test_flow_control_is_configured_by_objects(api: Api, ns: Namespace) -> None:
    path = "/apis/flowcontrol.apiserver.k8s.io/v1"
    level = {
        "metadata": {"name": ns.name},
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}},
    }
    made = api.post(f"{path}/prioritylevelconfigurations", level)
    assert made["spec"]["limited"]["nominalConcurrencyShares"] == 30
    schema = {
        "metadata": {"name": ns.name},
        "spec": {"matchingPrecedence": 9000, "priorityLevelConfiguration": {"name": ns.name}},
    }
    one = f"{path}/flowschemas/{ns.name}"
    made = api.post(f"{path}/flowschemas", schema)
    assert made["status"] == {}

    def told() -> list[tuple[str, str, str]]:
        return [(c["type"], c["status"], c["reason"]) for c in api.get(one)["status"].get("conditions", [])]

    eventually("its level is found", lambda: told() == [("Dangling", "False", "Found")], every=0.02)
    made = api.get(one)
    made["spec"]["matchingPrecedence"] = 9001
    assert api.put(one, made)["metadata"]["generation"] == 2
    assert api("DELETE", f"{path}/prioritylevelconfigurations/{ns.name}").is_success
    eventually("its level is missed", lambda: told() == [("Dangling", "True", "NotFound")], every=0.02)
    assert api("DELETE", one).is_success


def test_answers_say_which_flow_schema_they_belong_to(api: Api) -> None:
    path = "/apis/flowcontrol.apiserver.k8s.io/v1"
    schema = api.get(f"{path}/flowschemas/exempt")
    level = api.get(f"{path}/prioritylevelconfigurations/exempt")
    told = api("GET", "/api/v1/namespaces").headers
    assert told["x-kubernetes-pf-flowschema-uid"] == schema["metadata"]["uid"]
    assert told["x-kubernetes-pf-prioritylevel-uid"] == level["metadata"]["uid"]
    assert parsedate_to_datetime(told["date"]).utcoffset() == timedelta()


def test_a_cluster_starts_with_kubernetes_levels_and_schemas(api: Api) -> None:
    path = "/apis/flowcontrol.apiserver.k8s.io/v1"
    levels = {o["metadata"]["name"] for o in api.get(f"{path}/prioritylevelconfigurations")["items"]}
    assert levels >= {"exempt", "catch-all", "global-default", "leader-election", "node-high", "system"}
    assert levels >= {"workload-high", "workload-low"}
    schemas = {o["metadata"]["name"]: o["spec"] for o in api.get(f"{path}/flowschemas")["items"]}
    assert schemas["exempt"]["priorityLevelConfiguration"]["name"] == "exempt"
    assert schemas["probes"]["matchingPrecedence"] == 2
    assert {s["priorityLevelConfiguration"]["name"] for s in schemas.values()} <= levels
    exempt = api.get(f"{path}/prioritylevelconfigurations/catch-all")
    exempt["spec"]["limited"]["nominalConcurrencyShares"] = 7
    refused = api.refused(422, "PUT", f"{path}/prioritylevelconfigurations/catch-all", exempt)
    assert "spec" in refused["message"]
