"""What stands beside an object: binding, eviction, scale, ephemeral containers, resize, tokens, reviews, leases."""

import datetime

from tests.clients.protocol.api import STRATEGIC_PATCH, Api, Namespace, deployment, pod
from tests.support.cluster import eventually


def test_a_pod_is_bound_once(api: Api, ns: Namespace) -> None:
    api.post(ns.pods, pod("p"))
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "hollow-0"}}
    assert api.post(f"{ns.pods}/p/binding", binding)["status"] == "Success"
    bound = api.get(f"{ns.pods}/p")
    assert bound["spec"]["nodeName"] == "hollow-0"
    assert ("PodScheduled", "True") in {(c["type"], c["status"]) for c in bound["status"]["conditions"]}
    status = api.refused(409, "POST", f"{ns.pods}/p/binding", binding)
    assert status["message"].endswith('pod p is already assigned to node "hollow-0"')


def test_an_eviction_over_the_budget_is_told_as_429(api: Api, ns: Namespace) -> None:
    api.post(ns.deployments, deployment("web", 1))
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    api.post(ns.budgets, budget)

    def healthy() -> bool:
        return bool(api.get(f"{ns.budgets}/b")["status"].get("currentHealthy") == 1)

    eventually("a healthy pod", healthy)
    name = api.get(ns.pods)["items"][0]["metadata"]["name"]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    status = api.refused(429, "POST", f"{ns.pods}/{name}/eviction", body)
    assert status["reason"] == "TooManyRequests"
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert status["details"]["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget b needs 1 healthy pods and has 1 currently",
        }
    ]
    api("DELETE", f"{ns.budgets}/b")
    assert api.post(f"{ns.pods}/{name}/eviction", body)["status"] == "Success"


def test_scale_of_every_kind_that_has_one(api: Api, ns: Namespace) -> None:
    api.post(ns.deployments, deployment("web", 1))
    scale = api.get(f"{ns.deployments}/web/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 1)
    assert scale["status"]["selector"] == "app=web"
    scale["spec"]["replicas"] = 2
    del scale["metadata"]["resourceVersion"]  # the deployment's controller writes too
    assert api.put(f"{ns.deployments}/web/scale", scale)["spec"]["replicas"] == 2
    assert "replicas" not in api.merge(f"{ns.deployments}/web/scale", {"spec": {"replicas": 0}})["spec"]  # omitempty
    assert api.get(f"{ns.deployments}/web")["spec"]["replicas"] == 0


def test_ephemeral_containers_and_resize(api: Api, ns: Namespace) -> None:
    plain = pod("p")
    plain["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    api.post(ns.pods, plain)
    debugger = {"spec": {"ephemeralContainers": [{"name": "d", "image": "img", "targetContainerName": "c"}]}}
    debugged = api("PATCH", f"{ns.pods}/p/ephemeralcontainers", debugger, STRATEGIC_PATCH)
    assert debugged.json()["spec"]["ephemeralContainers"][0]["name"] == "d"
    more = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "200m"}}}]}}
    refused = api.refused(422, "PATCH", f"{ns.pods}/p", more, STRATEGIC_PATCH)
    assert "pod updates may not change fields other than" in refused["message"]
    resized = api("PATCH", f"{ns.pods}/p/resize", more, STRATEGIC_PATCH)
    assert resized.json()["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "200m"}


def test_tokens_of_service_accounts(api: Api, ns: Namespace) -> None:
    asked = {"spec": {"expirationSeconds": 3600, "audiences": ["mine"]}}
    token = api.post(f"{ns.accounts}/default/token", asked)["status"]["token"]
    review = api.post("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": token, "audiences": ["mine"]}})
    user = review["status"]["user"]
    assert user["username"] == f"system:serviceaccount:{ns.name}:default"
    assert set(user["groups"]) == {
        "system:serviceaccounts",
        f"system:serviceaccounts:{ns.name}",
        "system:authenticated",
    }
    assert review["status"]["audiences"] == ["mine"]


def test_a_namespace_has_what_pods_need(api: Api, ns: Namespace) -> None:
    eventually("the root certificate", lambda: api("GET", f"{ns.maps}/kube-root-ca.crt").status_code == 200)
    assert "BEGIN CERTIFICATE" in api.get(f"{ns.maps}/kube-root-ca.crt")["data"]["ca.crt"]
    assert api.get(f"{ns.accounts}/default")["metadata"]["name"] == "default"


def test_reviews_of_oneself(api: Api, ns: Namespace) -> None:
    reviews = "/apis/authorization.k8s.io/v1"
    attributes = {"namespace": ns.name, "verb": "create", "resource": "pods"}
    made = api.post(f"{reviews}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": attributes}})
    assert made["status"]["allowed"] is True
    rules = api.post(f"{reviews}/selfsubjectrulesreviews", {"spec": {"namespace": ns.name}})["status"]
    assert {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]} in rules["resourceRules"]
    me = api.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert me["status"]["userInfo"]["username"] == "kubernetes-admin"
    named = {"user": "nobody", "resourceAttributes": attributes}
    assert api.post(f"{reviews}/subjectaccessreviews", {"spec": named})["status"]["allowed"] is False


def test_leases_have_microseconds_and_nodes_renew_theirs(api: Api, ns: Namespace) -> None:
    times = {"acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": "2026-01-02T03:04:05.123456Z"}
    lease = api.post(ns.leases, {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me", **times}})
    assert lease["spec"]["renewTime"] == times["renewTime"]
    lease["spec"]["renewTime"] = "2026-01-02T03:04:06.000000Z"
    assert api.put(f"{ns.leases}/l", lease)["spec"]["renewTime"] == "2026-01-02T03:04:06.000000Z"
    spec = api.get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/hollow-0")["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("hollow-0", 40)
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(spec["renewTime"])
    assert age.total_seconds() < 40
