"""Ends: grace, finalizers, preconditions, propagation, namespaces."""

from tests.clients.protocol.api import MERGE_PATCH, Api, Json, Namespace, config_map, deployment, pod
from tests.support.cluster import eventually


def gone(api: Api, path: str) -> bool:
    return bool(api("GET", path).status_code == 404)


def delete(api: Api, path: str, **options: object) -> Json:
    answer = api("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
    assert answer.is_success, answer.text
    found: Json = answer.json()
    return found


def test_finalizers_keep_an_object(api: Api, ns: Namespace) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.com/one"]
    api.post(ns.maps, body)
    deleted = delete(api, f"{ns.maps}/a")
    assert deleted["metadata"]["deletionTimestamp"]
    more = {"metadata": {"finalizers": ["example.com/one", "example.com/two"]}}
    status = api.refused(422, "PATCH", f"{ns.maps}/a", more, MERGE_PATCH)
    assert "no new finalizers can be added if the object is being deleted" in status["message"]
    api.merge(f"{ns.maps}/a", {"metadata": {"finalizers": []}})
    assert gone(api, f"{ns.maps}/a")


def test_pods_have_a_grace_that_only_shrinks(api: Api, ns: Namespace) -> None:
    api.post("/api/v1/nodes", {"metadata": {"name": f"n-{ns.name}"}})  # whose kubelet never answers
    api.post(ns.pods, pod("p", nodeName=f"n-{ns.name}"))
    assert delete(api, f"{ns.pods}/p")["metadata"]["deletionGracePeriodSeconds"] == 30
    assert delete(api, f"{ns.pods}/p", gracePeriodSeconds=60)["metadata"]["deletionGracePeriodSeconds"] == 30
    assert delete(api, f"{ns.pods}/p", gracePeriodSeconds=10)["metadata"]["deletionGracePeriodSeconds"] == 10
    delete(api, f"{ns.pods}/p", gracePeriodSeconds=0)
    assert gone(api, f"{ns.pods}/p")
    api.post(ns.pods, pod("unscheduled"))
    delete(api, f"{ns.pods}/unscheduled")
    assert gone(api, f"{ns.pods}/unscheduled")
    api("DELETE", f"/api/v1/nodes/n-{ns.name}")


def test_preconditions_are_told_in_words_that_clients_know(api: Api, ns: Namespace) -> None:
    made = api.post(ns.maps, config_map("a"))["metadata"]
    for name, value in (("uid", "other"), ("resourceVersion", "1")):
        status = api.refused(409, "DELETE", f"{ns.maps}/a", {"preconditions": {name: value}})
        what = "UID" if name == "uid" else "ResourceVersion"
        assert (
            f"the {what} in the precondition ({value}) does not match the {what} in record ({made[name]})"
            in (status["message"])
        )
    answer = delete(api, f"{ns.maps}/a", preconditions={"uid": made["uid"], "resourceVersion": made["resourceVersion"]})
    assert (answer["status"], answer["details"]["uid"]) == ("Success", made["uid"])


def owned(api: Api, ns: Namespace, owner: Json, name: str, *, block: bool = True, **reference: str) -> None:
    body = config_map(name)
    body["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
            **reference,
        }
    ]
    api.post(ns.maps, body)


def test_background_foreground_and_orphan(api: Api, ns: Namespace) -> None:
    for policy in ("Background", "Foreground", "Orphan"):
        name = policy.lower()
        owner = api.post(ns.maps, config_map(name))
        owned(api, ns, owner, f"{name}-owned")
        answer = delete(api, f"{ns.maps}/{name}", propagationPolicy=policy)
        if policy == "Foreground":
            assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
        if policy == "Orphan":
            assert answer["metadata"]["finalizers"] == ["orphan"]
        eventually(f"the end of {name}", lambda name=name: gone(api, f"{ns.maps}/{name}"))
    for name in ("background", "foreground"):
        eventually(f"the end of what {name} owned", lambda name=name: gone(api, f"{ns.maps}/{name}-owned"))
    left = api.get(f"{ns.maps}/orphan-owned")
    assert "ownerReferences" not in left["metadata"]
    status = api.refused(422, "DELETE", f"{ns.maps}/orphan-owned", {"propagationPolicy": "Sideways"})
    assert "DeletionPropagation" in status["message"] or "propagationPolicy" in status["message"]


def test_owners_that_are_not_there_are_known_by_uid(api: Api, ns: Namespace) -> None:
    owner = api.post(ns.maps, config_map("owner"))
    owned(api, ns, owner, "of-another", uid="00000000-0000-0000-0000-000000000000")
    owned(api, ns, owner, "kept")
    eventually("the end of what belongs to nobody", lambda: gone(api, f"{ns.maps}/of-another"))
    assert not gone(api, f"{ns.maps}/kept")


def test_a_deployment_takes_its_sets_and_pods_with_it(api: Api, ns: Namespace) -> None:
    api.post(ns.deployments, deployment("web", 2))
    eventually("its pods", lambda: len(api.get(ns.pods)["items"]) == 2)
    delete(api, f"{ns.deployments}/web", propagationPolicy="Foreground")
    eventually("its end", lambda: gone(api, f"{ns.deployments}/web"))
    assert api.get(ns.sets)["items"] == []
    assert api.get(ns.pods)["items"] == []


def test_a_namespace_ends_pods_first_and_takes_nothing_new(api: Api) -> None:
    name = api.post("/api/v1/namespaces", {"metadata": {"generateName": "e-"}})["metadata"]["name"]
    ns = Namespace(api, name)
    assert api.get(f"/api/v1/namespaces/{name}")["spec"]["finalizers"] == ["kubernetes"]
    eventually("its ServiceAccount", lambda: not gone(api, f"{ns.accounts}/default"))
    held = pod("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    api.post(ns.pods, held)
    api.post(ns.maps, config_map("a"))
    assert delete(api, f"/api/v1/namespaces/{name}")["status"]["phase"] == "Terminating"
    status = api.refused(403, "POST", ns.maps, config_map("late"))
    assert "because it is being terminated" in status["message"]
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"

    def waits() -> bool:
        conditions = api.get(f"/api/v1/namespaces/{name}")["status"].get("conditions", [])
        return any(c["type"] == "NamespaceFinalizersRemaining" and c["status"] == "True" for c in conditions)

    eventually("word of the pod that is held", waits)
    assert not gone(api, f"{ns.maps}/a")  # pods go first, and one is still there
    api.merge(f"{ns.pods}/held", {"metadata": {"finalizers": []}})
    eventually("the end of the namespace", lambda: gone(api, f"/api/v1/namespaces/{name}"), timeout=60)


def test_finalize_takes_the_namespaces_finalizers_alone(api: Api, ns: Namespace) -> None:
    found = api.get(f"/api/v1/namespaces/{ns.name}")
    found["spec"]["finalizers"].append("example.com/mine")
    found = api.put(f"/api/v1/namespaces/{ns.name}", found)
    assert found["spec"]["finalizers"] == ["kubernetes"]
    found["spec"]["finalizers"].append("example.com/mine")
    changed = api.put(f"/api/v1/namespaces/{ns.name}/finalize", found)
    assert changed["spec"]["finalizers"] == ["kubernetes", "example.com/mine"]
    changed["spec"]["finalizers"] = ["kubernetes"]
    api.put(f"/api/v1/namespaces/{ns.name}/finalize", changed)
