"""Server-side apply: ownership, conflicts, merge keys, and the way over from the client's side."""

from typing import Any

from tests.clients.protocol.api import APPLY_PATCH, MERGE_PATCH, Api, Json, Namespace, config_map

Owners = dict[tuple[str, str, str], Any]


def owners(obj: Json) -> Owners:
    return {(m["manager"], m["operation"], m.get("subresource", "")): m for m in obj["metadata"]["managedFields"]}


def web(*ports: Json, **container: Any) -> Json:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "ports": ports, **container}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def test_apply_creates_then_updates_and_is_quiet_when_nothing_changes(api: Api, ns: Namespace) -> None:
    path = f"{ns.maps}/a"
    first = api.apply(path, config_map("a", data={"k": "1"}), "one")
    assert first.status_code == 201
    same = api.apply(path, config_map("a", data={"k": "1"}), "one")
    assert (same.status_code, same.json()) == (200, first.json())  # the times of its owners too
    entry = owners(first.json())[("one", "Apply", "")]
    assert (entry["apiVersion"], entry["fieldsType"]) == ("v1", "FieldsV1")
    assert entry["fieldsV1"] == {"f:data": {"f:k": {}}}
    status = api.refused(422, "PATCH", path, config_map("a"), APPLY_PATCH)
    assert "fieldManager: Required value: is required for apply patch" in status["message"]


def test_two_owners_of_one_field_conflict_unless_forced(api: Api, ns: Namespace) -> None:
    path = f"{ns.maps}/a"
    api.apply(path, config_map("a", data={"k": "1", "mine": "x"}), "one")
    refused = api.apply(path, config_map("a", data={"k": "2"}), "two")
    assert refused.status_code == 409
    assert refused.json()["reason"] == "Conflict"
    assert refused.json()["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]
    forced = api.apply(path, config_map("a", data={"k": "2"}), "two", force=True).json()
    assert owners(forced)[("one", "Apply", "")]["fieldsV1"] == {"f:data": {"f:mine": {}}}
    left = api.apply(path, config_map("a"), "one").json()
    assert left["data"] == {"k": "2"}  # what it owned alone is gone, what is another's stays
    shared = api.apply(path, config_map("a", data={"k": "2"}), "three")
    assert shared.status_code == 200  # the same value is no conflict


def test_lists_are_merged_by_their_keys(api: Api, ns: Namespace) -> None:
    path = f"{ns.deployments}/web"
    one = {"containerPort": 80, "protocol": "TCP", "name": "http"}
    two = {"containerPort": 80, "protocol": "UDP", "name": "quic"}
    assert api.apply(path, web(one, image="img"), "one").status_code == 201
    both = api.apply(path, web(two), "two").json()
    container = both["spec"]["template"]["spec"]["containers"][0]
    assert {p["name"] for p in container["ports"]} == {"http", "quic"}
    field = 'k:{"containerPort":80,"protocol":"UDP"}'
    fields = owners(both)[("two", "Apply", "")]["fieldsV1"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert set(fields['k:{"name":"c"}']["f:ports"]) == {field}
    # A set: finalizers of two owners live side by side.
    for manager in ("x", "y"):
        body = {**config_map("s"), "metadata": {"name": "s", "finalizers": [f"example.com/{manager}"]}}
        made = api.apply(f"{ns.maps}/s", body, manager).json()
    assert set(made["metadata"]["finalizers"]) == {"example.com/x", "example.com/y"}
    api.merge(f"{ns.maps}/s", {"metadata": {"finalizers": None}})


def test_other_writes_own_what_they_change(api: Api, ns: Namespace) -> None:
    api("POST", f"{ns.deployments}?fieldManager=maker", web(image="img"))
    for what, manager, body in (
        ("scale", "scaler", {"spec": {"replicas": 1}}),
        ("status", "teller", {"status": {"conditions": [{"type": "Mine", "status": "True"}]}}),
    ):
        assert api("PATCH", f"{ns.deployments}/web/{what}?fieldManager={manager}", body, MERGE_PATCH).is_success
    found = owners(api.get(f"{ns.deployments}/web"))
    assert {("maker", "Update", ""), ("scaler", "Update", "scale"), ("teller", "Update", "status")} <= set(found)
    refused = api.apply(f"{ns.deployments}/web", web(image="img"), "one")
    assert 'conflict with "scaler" with subresource "scale"' in refused.json()["message"]


def test_the_way_over_from_applies_of_the_client(api: Api, ns: Namespace) -> None:
    body = config_map("a", data={"k": "1", "gone": "later"})
    body["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": '{"apiVersion":"v1","kind":"ConfigMap",'
        '"metadata":{"name":"a"},"data":{"k":"1","gone":"later"}}\n'
    }
    api("POST", f"{ns.maps}?fieldManager=kubectl-client-side-apply", body)
    moved = api.apply(f"{ns.maps}/a", config_map("a", data={"k": "2"}), "kubectl")
    assert moved.status_code == 200, moved.text  # without force: they were its own
    assert moved.json()["data"] == {"k": "2", "gone": "later"}  # until kubectl moves what the older manager owns
    field = moved.json()["metadata"]["managedFields"]
    for entry in field:
        if entry["manager"] == "kubectl-client-side-apply":
            entry |= {"manager": "kubectl", "operation": "Apply"}
    api.merge(f"{ns.maps}/a", {"metadata": {"managedFields": [e for e in field if "f:gone" in str(e)]}})
    assert api.apply(f"{ns.maps}/a", config_map("a", data={"k": "2"}), "kubectl").json()["data"] == {"k": "2"}
