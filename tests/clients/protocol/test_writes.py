"""Creates, updates and patches: names, revisions, no-ops, generations, statuses, limits, warnings, defaults."""

import concurrent.futures
import re

import pytest

from tests.clients.protocol.api import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Api,
    Json,
    Namespace,
    config_map,
    deployment,
    pod,
)


def test_errors_are_statuses_that_say_why(api: Api, ns: Namespace) -> None:
    api.post(ns.maps, config_map("a"))
    gone = api.refused(404, "GET", f"{ns.deployments}/none")
    assert gone["reason"] == "NotFound"
    assert gone["details"] == {"name": "none", "group": "apps", "kind": "deployments"}
    assert gone["message"] == 'deployments.apps "none" not found'
    assert api.refused(409, "POST", ns.maps, config_map("a"))["reason"] == "AlreadyExists"
    bad = api.refused(422, "POST", ns.deployments, deployment("Not A Name"))
    assert (bad["reason"], bad["details"]["kind"], bad["details"]["group"]) == ("Invalid", "Deployment", "apps")
    assert ("FieldValueInvalid", "metadata.name") in {(c["reason"], c["field"]) for c in bad["details"]["causes"]}
    assert api.refused(400, "POST", ns.maps, b"{")["reason"] == "BadRequest"
    assert api.refused(405, "PUT", ns.maps, {})["reason"] == "MethodNotAllowed"
    assert api.refused(404, "GET", "/apis/apps/v1/nothing")["message"] == (
        "the server could not find the requested resource"
    )


def test_generated_names(api: Api, ns: Namespace) -> None:
    made = api.post(ns.maps, {"metadata": {"generateName": "x" * 70}})
    assert re.fullmatch("x{58}[bcdfghjklmnpqrstvwxz2456789]{5}", made["metadata"]["name"])
    assert made["metadata"]["generateName"] == "x" * 70


def test_an_update_of_what_is_old_is_a_conflict(api: Api, ns: Namespace) -> None:
    made = api.post(ns.maps, config_map("a"))
    api.merge(f"{ns.maps}/a", {"data": {"k": "1"}})
    status = api.refused(409, "PUT", f"{ns.maps}/a", made)
    assert status["reason"] == "Conflict"
    assert "the object has been modified; please apply your changes to the latest version" in status["message"]
    api.put(f"{ns.maps}/a", config_map("a", data={"k": "2"}))  # without a revision it is a replacement
    lease = api.post(ns.leases, {"metadata": {"name": "l"}, "spec": {}})
    del lease["metadata"]["resourceVersion"]
    assert "must be specified for an update" in api.refused(422, "PUT", f"{ns.leases}/l", lease)["message"]


def test_patches_without_a_revision_never_conflict(api: Api, ns: Namespace) -> None:
    api.post(ns.maps, config_map("a"))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda i: api("PATCH", f"{ns.maps}/a", {"data": {f"k{i}": ""}}, MERGE_PATCH), range(24))
        )
    assert {a.status_code for a in answers} == {200}
    assert len(api.get(f"{ns.maps}/a")["data"]) == 24


def test_the_kinds_of_patches(api: Api, ns: Namespace) -> None:
    api.post(ns.deployments, deployment("d", 0))
    path = f"{ns.deployments}/d"
    container = {"name": "side", "image": "img"}
    patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
    merged = api("PATCH", path, patch, STRATEGIC_PATCH).json()
    assert [c["name"] for c in merged["spec"]["template"]["spec"]["containers"]] == ["side", "c"]
    replaced = api("PATCH", path, patch, MERGE_PATCH).json()
    assert [c["name"] for c in replaced["spec"]["template"]["spec"]["containers"]] == ["side"]
    pointed = api("PATCH", path, [{"op": "remove", "path": "/spec/minReadySeconds"}], JSON_PATCH)
    assert pointed.status_code == 422  # there is no such field yet
    assert api("PATCH", path, [{"op": "add", "path": "/spec/minReadySeconds", "value": 3}], JSON_PATCH).is_success
    unknown = {"spec": {"b": [True, None, {"c": "d e"}], "a": 1.5}}
    wrong = api.refused(422, "PATCH", f"{path}?fieldValidation=Strict", unknown, STRATEGIC_PATCH)
    assert wrong["message"].startswith(
        ' "" is invalid: patch: Invalid value: "map[spec:map[a:1.5 b:[true <nil> map[c:d e]]]]": strict decoding error'
    )
    assert set(wrong["details"]) == {"causes"}
    typed = api.refused(422, "PATCH", path, {"spec": {"replicas": "x"}}, MERGE_PATCH)
    assert ' "" is invalid: patch: Invalid value: "{' in typed["message"]
    status = api.refused(415, "PATCH", path, {}, "application/json")
    assert status["reason"] == "UnsupportedMediaType"


def test_generations_count_changes_of_the_spec(api: Api, ns: Namespace) -> None:
    made = api.post(ns.deployments, deployment("d", 0))
    assert made["metadata"]["generation"] == 1
    assert api.merge(f"{ns.deployments}/d", {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 1
    assert api.merge(f"{ns.deployments}/d", {"spec": {"replicas": 1}})["metadata"]["generation"] == 2
    assert api.post(ns.pods, pod("p"))["metadata"]["generation"] == 1
    grown = api.merge(f"{ns.pods}/p", {"spec": {"tolerations": [{"key": "k", "operator": "Exists"}]}})
    assert grown["metadata"]["generation"] == 2


def test_spec_and_status_are_written_apart(api: Api, ns: Namespace) -> None:
    made = api.post(ns.pods, {**pod("p"), "status": {"phase": "Failed"}})
    assert made["status"]["phase"] == "Pending"
    made["spec"]["containers"][0]["image"] = "other"
    made["status"] |= {"message": "said", "observedGeneration": 1}
    made["metadata"]["labels"] = {"new": "one"}
    shown = api.put(f"{ns.pods}/p/status", made)
    assert (shown["status"]["message"], shown["status"]["observedGeneration"]) == ("said", 1)
    assert shown["spec"]["containers"][0]["image"] == "img"
    shown["status"]["message"] = "lost"
    shown["spec"]["containers"][0]["image"] = "other"
    whole = api.put(f"{ns.pods}/p", shown)
    assert (whole["status"]["message"], whole["spec"]["containers"][0]["image"]) == ("said", "other")


def test_immutable_fields_are_named(api: Api, ns: Namespace) -> None:
    api.post(ns.deployments, deployment("d", 0))
    changed = deployment("d", 0)
    changed["spec"]["selector"]["matchLabels"] = changed["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    api.post(ns.secrets, {"metadata": {"name": "s"}, "immutable": True, "data": {}})
    api.post(ns.services, {"metadata": {"name": "v"}, "spec": {"ports": [{"port": 80}]}})
    for path, body, field in (
        (f"{ns.deployments}/d", changed, "spec.selector"),
        (f"{ns.secrets}/s", {"metadata": {"name": "s"}, "type": "x"}, "type"),
    ):
        causes = api.refused(422, "PUT", path, body)["details"]["causes"]
        assert (field, True) in {(c["field"], c["message"].endswith("field is immutable")) for c in causes}
    frozen = api.refused(422, "PATCH", f"{ns.secrets}/s", {"data": {"a": "YQ=="}}, MERGE_PATCH)
    assert "field is immutable when `immutable` is set" in frozen["message"]
    address = api.refused(422, "PATCH", f"{ns.services}/v", {"spec": {"clusterIP": "10.212.9.9"}}, MERGE_PATCH)
    assert "may not change once set" in address["message"]
    image = api.post(ns.pods, pod("p"))
    image["spec"]["containers"][0]["name"] = "other"
    assert "pod updates may not change fields other than" in api.refused(422, "PUT", f"{ns.pods}/p", image)["message"]


@pytest.mark.parametrize("how", ["POST", "PUT", "PATCH", "APPLY", "DELETE", "COLLECTION"])
def test_a_dry_run_answers_as_if_and_keeps_nothing(api: Api, ns: Namespace, how: str) -> None:
    api.post(ns.maps, config_map("there", data={"k": "old"}))
    new = config_map("there", data={"k": "new"})
    made = {
        "POST": lambda: api("POST", f"{ns.maps}?dryRun=All", config_map("new")),
        "PUT": lambda: api("PUT", f"{ns.maps}/there?dryRun=All", new),
        "PATCH": lambda: api("PATCH", f"{ns.maps}/there?dryRun=All", {"data": {"k": "new"}}, MERGE_PATCH),
        "APPLY": lambda: api("PATCH", f"{ns.maps}/new?dryRun=All&fieldManager=m", config_map("new"), APPLY_PATCH),
        "DELETE": lambda: api("DELETE", f"{ns.maps}/there?dryRun=All"),
        "COLLECTION": lambda: api("DELETE", f"{ns.maps}?dryRun=All"),
    }[how]()
    assert made.is_success, made.text
    if how in ("PUT", "PATCH"):
        assert made.json()["data"] == {"k": "new"}
    names = [item["metadata"]["name"] for item in api.get(ns.maps)["items"]]
    assert names == ["kube-root-ca.crt", "there"]
    assert api.get(f"{ns.maps}/there")["data"] == {"k": "old"}
    status = api.refused(422, "POST", f"{ns.maps}?dryRun=Some", config_map("new"))
    assert 'supported values: "All"' in status["message"]


def test_unknown_and_doubled_fields_are_told_as_asked(api: Api, ns: Namespace) -> None:
    body = b'{"metadata":{"name":"NAME"},"dada":{},"data":{"a":"1","a":"2"}}'
    warned = api("POST", f"{ns.maps}?fieldValidation=Warn", body.replace(b"NAME", b"w"))
    assert warned.status_code == 201
    warnings = warned.headers.get_list("warning")
    assert any('299 - "unknown field \\"dada\\""' in w for w in warnings)
    assert any("duplicate field" in w and "data.a" in w for w in warnings)
    quiet = api("POST", f"{ns.maps}?fieldValidation=Ignore", body.replace(b"NAME", b"i"))
    assert (quiet.status_code, "warning" in quiet.headers) == (201, False)
    strict = api.refused(400, "POST", f"{ns.maps}?fieldValidation=Strict", body.replace(b"NAME", b"s"))
    assert "strict decoding error: " in strict["message"]
    assert {'unknown field "dada"', 'duplicate field "data.a"'} <= set(strict["message"].split(": ")[-1].split(", "))


def test_warnings_for_what_is_outdated(api: Api, ns: Namespace) -> None:
    old = api("GET", f"/api/v1/namespaces/{ns.name}/endpoints")
    assert "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" in old.headers["warning"]
    spec = pod("p")
    spec["spec"]["containers"][0]["ports"] = [{"containerPort": 80}, {"containerPort": 80}]
    made = api("POST", ns.pods, spec)
    assert made.status_code == 201
    assert "duplicate port definition" in made.headers.get("warning", "")


def test_changes_are_warned_of_as_new_objects_are(api: Api, ns: Namespace) -> None:
    services = f"/api/v1/namespaces/{ns.name}/services"
    marked = {"spec": {"trafficDistribution": "PreferClose"}}
    service = api.post(services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
    patched = api("PATCH", f"{services}/s", marked, MERGE_PATCH)
    service["metadata"] = {"name": "s"}
    service["spec"] |= marked["spec"]
    put = api("PUT", f"{services}/s", service)
    applied = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, **marked}
    apply = api("PATCH", f"{services}/s?fieldManager=a", applied, APPLY_PATCH)
    for answer in (patched, put, apply):
        assert answer.status_code == 200, answer.text
        assert '"PreferClose\\" is deprecated' in answer.headers.get("warning", "")


def test_what_is_too_large_is_refused(api: Api, ns: Namespace) -> None:
    big = config_map("b", data={"k": "x" * (3 * 1024 * 1024)})
    assert api.refused(413, "POST", ns.maps, big)["reason"] == "RequestEntityTooLarge"
    api.post(ns.maps, config_map("a"))
    test = [{"op": "test", "path": "/metadata/name", "value": "a"}]
    status = api.refused(413, "PATCH", f"{ns.maps}/a", test * 10_001, JSON_PATCH)
    assert "The allowed maximum operations in a JSON patch is 10000, got 10001" in status["message"]
    assert api("PATCH", f"{ns.maps}/a", test * 10_000, JSON_PATCH).is_success
    many = {"metadata": {"name": "n", "annotations": {"k": "x" * (256 * 1024 + 1)}}}
    assert "may not be more than 262144 bytes" in api.refused(422, "POST", ns.maps, many)["message"]
    data = config_map("d", data={"k": "x" * (1024 * 1024 + 1)})
    assert "may not be more than 1048576 bytes" in api.refused(422, "POST", ns.maps, data)["message"]


def test_defaults_are_seen(api: Api, ns: Namespace) -> None:
    service = api.post(ns.services, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})["spec"]
    assert service["clusterIPs"] == [service["clusterIP"]]
    assert (service["ipFamilies"], service["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")
    assert (service["sessionAffinity"], service["type"]) == ("None", "ClusterIP")
    assert (service["internalTrafficPolicy"], service["ports"][0]["protocol"]) == ("Cluster", "TCP")
    strategy: Json = api.post(ns.deployments, deployment("d", 0))["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}}
    made = api.post(ns.pods, pod("p"))["spec"]
    tolerated = {(t["key"], t["effect"], t["tolerationSeconds"]) for t in made["tolerations"]}
    assert tolerated == {(f"node.kubernetes.io/{k}", "NoExecute", 300) for k in ("not-ready", "unreachable")}
    sources = [set(s) for s in made["volumes"][0]["projected"]["sources"]]
    assert sources == [{"serviceAccountToken"}, {"configMap"}, {"downwardAPI"}]
    assert made["containers"][0]["volumeMounts"][0]["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    labels = api.get(f"/api/v1/namespaces/{ns.name}")["metadata"]["labels"]
    assert labels["kubernetes.io/metadata.name"] == ns.name
