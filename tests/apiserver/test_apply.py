"""Server-side apply and managedFields over HTTP."""

from typing import Any

from tests.apiserver.conftest import DEPLOYMENTS, MAPS, PODS, Answer, Api, config_map, pod

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


async def apply(api: Api, path: str, config: Any, manager: str = "m", query: str = "") -> Answer:
    return await api("PATCH", f"{path}?fieldManager={manager}{query}", config, APPLY)


def owners(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in obj["metadata"].get("managedFields", [])}


async def test_apply_creates_and_applies_again(api: Api) -> None:
    config = config_map("a", data={"x": "1", "y": "2"})
    made = await apply(api, f"{MAPS}/a", config)
    assert made.status == 201, made.body
    (entry,) = made.body["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"], entry["apiVersion"]) == ("m", "Apply", "v1")
    assert entry["fieldsV1"] == {"f:data": {"f:x": {}, "f:y": {}}}
    again = await apply(api, f"{MAPS}/a", config)
    assert (again.status, again.body) == (200, made.body)
    # What is applied no more goes, for nobody else owns it.
    less = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1"}))
    assert less.body["data"] == {"x": "1"}


async def test_conflicts_and_force(api: Api) -> None:
    await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1", "y": "1"}))
    await api("PATCH", f"{MAPS}/a?fieldManager=other", {"data": {"x": "2"}}, MERGE)
    refused = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "3", "y": "1"}))
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert refused.message == 'Apply failed with 1 conflict: conflict with "other" using v1: .data.x'
    assert refused.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "other" using v1', "field": ".data.x"}
    ]
    forced = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "3", "y": "1"}), query="&force=true")
    assert forced.body["data"] == {"x": "3", "y": "1"}
    assert owners(forced.body) == {("m", "Apply"): {"f:data": {"f:x": {}, "f:y": {}}}}
    # The same value may have two owners, and then stays until both give it up.
    await apply(api, f"{MAPS}/a", config_map("a", data={"y": "1"}), "n")
    left = await apply(api, f"{MAPS}/a", config_map("a"))
    assert left.body["data"] == {"y": "1"}
    assert owners(left.body) == {("n", "Apply"): {"f:data": {"f:y": {}}}}


async def test_several_conflicts_are_told_by_owner(api: Api) -> None:
    await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1", "y": "1"}), "p")
    await apply(api, f"{MAPS}/a", config_map("a", data={"z": "1"}), "q")
    refused = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "2", "y": "2", "z": "2"}))
    assert refused.message == (
        'Apply failed with 3 conflicts: conflicts with "p":\n- .data.x\n- .data.y\nconflicts with "q":\n- .data.z'
    )


async def test_creates_and_updates_are_noted(api: Api) -> None:
    made = await api.made(f"{DEPLOYMENTS}?fieldManager=kubectl-create", deployment())
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == ("kubectl-create", "Update")
    fields = entry["fieldsV1"]
    assert fields["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    spec = fields["f:spec"]
    assert "." not in spec
    assert spec["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    assert spec["f:selector"] == {}
    container = spec["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert container["f:ports"] == {
        ".": {},
        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
    }
    assert container["f:resources"] == {}
    scaled = await api("PATCH", f"{DEPLOYMENTS}/d?fieldManager=scaler", {"spec": {"replicas": 5}}, MERGE)
    found = owners(scaled.body)
    assert found[("scaler", "Update")] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in found[("kubectl-create", "Update")]["f:spec"]
    # Status has entries of its own, and the main endpoint owns none of it.
    status = await api(
        "PATCH", f"{DEPLOYMENTS}/d/status?fieldManager=ctl", {"status": {"replicas": 5}, "spec": {"replicas": 1}}, MERGE
    )
    entry = next(e for e in status.body["metadata"]["managedFields"] if e["manager"] == "ctl")
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})


async def test_scale_is_noted_with_its_subresource(api: Api) -> None:
    await api.made(DEPLOYMENTS, deployment())
    await api("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=hpa", {"spec": {"replicas": 7}}, MERGE)
    shown = (await api("GET", f"{DEPLOYMENTS}/d")).body
    entry = next(e for e in shown["metadata"]["managedFields"] if e["manager"] == "hpa")
    assert (entry["subresource"], entry["fieldsV1"]) == ("scale", {"f:spec": {"f:replicas": {}}})
    refused = await apply(api, f"{DEPLOYMENTS}/d", {**deployment(), "spec": {**deployment()["spec"], "replicas": 2}})
    assert 'conflict with "hpa" with subresource "scale" using apps/v1: .spec.replicas' in refused.message


async def test_a_write_that_changes_nothing_is_none(api: Api) -> None:
    made = await api.made(f"{DEPLOYMENTS}?fieldManager=a", deployment())
    same = await api("PUT", f"{DEPLOYMENTS}/d?fieldManager=b", made)
    assert same.body == made
    config = {**deployment(), "spec": {**deployment()["spec"]}}
    config["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000m"}}
    first = await apply(api, f"{DEPLOYMENTS}/d", config, "c", "&force=true")
    assert first.body["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1"}
    assert (await apply(api, f"{DEPLOYMENTS}/d", config, "c", "&force=true")).body == first.body


async def test_defaults_stand_in_for_keys(api: Api) -> None:
    await api.made(f"{DEPLOYMENTS}?fieldManager=a", deployment())
    config = deployment()
    config["spec"] = {
        "template": {"spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80, "name": "p"}]}]}}
    }
    applied = await apply(api, f"{DEPLOYMENTS}/d", config, "b")
    assert applied.status == 200, applied.body
    (port,) = applied.body["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert port == {"name": "p", "containerPort": 80, "protocol": "TCP"}


async def test_kubectl_takes_over_from_its_client_side_apply(api: Api) -> None:
    config = config_map("a", data={"x": "1"})
    note = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1"}}'
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": note}
    sent = {**config, "metadata": {"name": "a", "annotations": annotations}}
    await api.made(f"{MAPS}?fieldManager=kubectl-client-side-apply", sent)
    changed = config_map("a", data={"x": "2"})
    refused = await apply(api, f"{MAPS}/a", changed, "another")
    assert refused.status == 409
    taken = await apply(api, f"{MAPS}/a", changed, "kubectl")
    assert taken.status == 200, taken.body
    assert owners(taken.body)[("kubectl", "Apply")] == {"f:data": {"f:x": {}}}
    annotation = taken.body["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"]
    assert '"x":"2"' in annotation


async def test_objects_without_owners_stay_so_until_the_first_apply(api: Api) -> None:
    await api.made(MAPS, config_map("a", data={"x": "1"}))
    reset = await api("PATCH", f"{MAPS}/a", {"metadata": {"managedFields": [{}]}}, MERGE)
    assert "managedFields" not in reset.body["metadata"]
    changed = await api("PATCH", f"{MAPS}/a", {"data": {"x": "2"}}, MERGE)
    assert "managedFields" not in changed.body["metadata"]
    applied = await apply(api, f"{MAPS}/a", config_map("a", data={"y": "1"}))
    assert owners(applied.body) == {
        ("before-first-apply", "Update"): {"f:data": {".": {}, "f:x": {}}},
        ("m", "Apply"): {"f:data": {"f:y": {}}},
    }


async def test_clients_that_leave_owners_out_change_none(api: Api) -> None:
    made = await api.made(f"{MAPS}?fieldManager=a", config_map("a", data={"x": "1"}))
    sent = {**made, "metadata": {**made["metadata"]}, "data": {"x": "1", "y": "1"}}
    del sent["metadata"]["managedFields"]
    changed = await api("PUT", f"{MAPS}/a?fieldManager=b", sent)
    assert owners(changed.body) == {
        ("a", "Update"): {"f:data": {".": {}, "f:x": {}}},
        ("b", "Update"): {"f:data": {"f:y": {}}},
    }
    # A client may set them, as kubectl does when it takes a client-side applier's fields over.
    entries = changed.body["metadata"]["managedFields"]
    entries[0]["operation"] = "Apply"
    moved = await api(
        "PATCH",
        f"{MAPS}/a",
        [{"op": "replace", "path": "/metadata/managedFields", "value": entries}],
        "application/json-patch+json",
    )
    assert set(owners(moved.body)) == {("a", "Apply"), ("b", "Update")}


async def test_what_is_refused(api: Api) -> None:
    config = config_map("a", data={"x": "1"})
    answer = await api("PATCH", f"{MAPS}/a", config, APPLY)
    assert answer.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    assert (await apply(api, f"{MAPS}/a", {"kind": "ConfigMap"})).status == 400
    assert (await apply(api, f"{MAPS}/a", b"- a\n")).status == 400
    wrong = await apply(api, f"{MAPS}/a", {**config, "apiVersion": "v2"})
    assert wrong.message == "invalid object type: /v2, Kind=ConfigMap"
    owned = {**config, "metadata": {"name": "a", "managedFields": [{"manager": "x"}]}}
    assert (await apply(api, f"{MAPS}/a", owned)).message == "metadata.managedFields must be nil"
    unknown = await apply(api, f"{MAPS}/a", {**config, "nope": 1})
    assert unknown.message == (
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .nope: field not declared in schema"
    )
    other = await apply(api, f"{MAPS}/a", config_map("b"))
    assert other.status == 400
    assert (await apply(api, f"{MAPS}/a/status", config)).status == 404
    missing = await apply(api, f"{PODS}/p/status", {**pod(), "spec": None})
    assert (missing.status, missing.body["reason"]) == (404, "NotFound")


async def test_a_scale_is_applied_to_the_replicas(api: Api) -> None:
    await api.made(
        f"{DEPLOYMENTS}?fieldManager=maker", {**deployment(), "spec": {**deployment()["spec"], "replicas": 1}}
    )
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 2}}
    refused = await api("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=scaler", scale, APPLY)
    assert (refused.status, refused.body["details"]["causes"]) == (
        409,
        [
            {
                "reason": "FieldManagerConflict",
                "message": 'conflict with "maker" using autoscaling/v1',
                "field": ".spec.replicas",
            }
        ],
    )
    forced = await api("PATCH", f"{DEPLOYMENTS}/d/scale?fieldManager=scaler&force=true", scale, APPLY)
    assert (forced.status, forced.body["spec"]) == (200, {"replicas": 2})
    entries = {e["manager"]: e for e in (await api("GET", f"{DEPLOYMENTS}/d")).body["metadata"]["managedFields"]}
    mine = entries["scaler"]
    assert (mine["operation"], mine["subresource"], mine["apiVersion"]) == ("Apply", "scale", "apps/v1")
    assert mine["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entries["maker"]["fieldsV1"]["f:spec"]
    # An update takes them in turn.
    changed = {**forced.body, "spec": {"replicas": 3}}
    assert (await api("PUT", f"{DEPLOYMENTS}/d/scale?fieldManager=other", changed)).status == 200
    entries = {e["manager"]: e for e in (await api("GET", f"{DEPLOYMENTS}/d")).body["metadata"]["managedFields"]}
    assert "scaler" not in entries
    assert (entries["other"]["operation"], entries["other"]["subresource"]) == ("Update", "scale")


async def test_dry_run_stores_nothing(api: Api) -> None:
    tried = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1"}), query="&dryRun=All")
    assert tried.status == 201
    assert (await api("GET", f"{MAPS}/a")).status == 404


def deployment() -> dict[str, Any]:
    containers = [{"name": "c", "image": "img", "ports": [{"containerPort": 80}]}]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "labels": {"app": "x"}},
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}},
        },
    }


async def test_an_entry_has_the_time_of_its_managers_last_change_of_the_object(api: Api) -> None:
    config = config_map("a", data={"x": "1", "y": "2"})
    made = await apply(api, f"{MAPS}/a", config)
    since = made.body["metadata"]["managedFields"][0]["time"]

    def times(answer: Answer) -> dict[str, Any]:
        return {e["manager"]: e.get("time") for e in answer.body["metadata"]["managedFields"]}

    # Who applies what is there already owns it, but has changed nothing yet.
    joined = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1"}), "n")
    assert joined.body["metadata"]["resourceVersion"] != made.body["metadata"]["resourceVersion"]
    assert times(joined) == {"m": since, "n": None}
    both = await apply(api, f"{MAPS}/a", config, "n")
    left = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1"}))
    assert times(both) == times(left) == {"m": since, "n": None}
    changed = await apply(api, f"{MAPS}/a", config_map("a", data={"x": "1"}), "n")
    assert "y" not in changed.body["data"]
    assert times(changed)["n"]
