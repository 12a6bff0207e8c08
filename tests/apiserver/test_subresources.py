"""binding, eviction, scale, token."""

from typing import Any

import pytest
from tests.apiserver.conftest import DEPLOYMENTS, PODS, Api, pod

from orlop.api import errors
from orlop.apiserver.auth import User

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


def binding(name: str, node: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": name},
        "target": {"kind": "Node", "name": node},
    }


async def test_a_pod_is_bound_once(api: Api) -> None:
    made = await api.made(PODS, pod())
    answer = await api("POST", f"{PODS}/p/binding", binding("p", "n"))
    assert (answer.status, answer.body["status"]) == (201, "Success")
    bound = (await api("GET", f"{PODS}/p")).body
    assert bound["spec"]["nodeName"] == "n"
    assert bound["metadata"]["generation"] == made["metadata"]["generation"]
    (condition,) = bound["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
    again = await api("POST", f"{PODS}/p/binding", binding("p", "m"))
    assert again.status == 409
    assert again.message == ('Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"')


async def test_a_gated_pod_is_not_bound(api: Api) -> None:
    await api.made(PODS, pod(schedulingGates=[{"name": "example.com/wait"}]))
    answer = await api("POST", f"{PODS}/p/binding", binding("p", "n"))
    assert "pod p has non-empty .spec.schedulingGates" in answer.message
    assert (await api("POST", f"{PODS}/p/binding", binding("p", ""))).status == 422


async def test_scale(api: Api) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    await api.made(DEPLOYMENTS, {"metadata": {"name": "d"}, "spec": spec})
    scale = (await api("GET", f"{DEPLOYMENTS}/d/scale")).body
    assert (scale["apiVersion"], scale["kind"]) == ("autoscaling/v1", "Scale")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 0, "selector": "a=b"}
    scale["spec"]["replicas"] = 5
    assert (await api("PUT", f"{DEPLOYMENTS}/d/scale", scale)).body["spec"] == {"replicas": 5}
    assert (await api("PUT", f"{DEPLOYMENTS}/d/scale", scale)).status == 409
    change = {"spec": {"replicas": 2}}
    patched = await api("PATCH", f"{DEPLOYMENTS}/d/scale", change, "application/merge-patch+json")
    assert patched.body["spec"] == {"replicas": 2}
    found = (await api("GET", f"{DEPLOYMENTS}/d")).body
    assert (found["spec"]["replicas"], found["metadata"]["generation"]) == (2, 3)
    less = {"spec": {"replicas": -2}}
    refused = await api("PATCH", f"{DEPLOYMENTS}/d/scale", less, "application/merge-patch+json")
    assert refused.message == (
        'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -2: must be greater than or equal to 0'
    )


def eviction(name: str, **options: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options}


async def running(api: Api, name: str) -> None:
    body = pod(name, nodeName="n")
    body["metadata"]["labels"] = {"a": "b"}
    made = await api.made(PODS, body)
    made["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert (await api("PUT", f"{PODS}/{name}/status", made)).status == 200


async def test_an_eviction_deletes(api: Api) -> None:
    await running(api, "p")
    answer = await api("POST", f"{PODS}/p/eviction", eviction("p", gracePeriodSeconds=7))
    assert answer.status == 201
    assert (await api("GET", f"{PODS}/p")).body["metadata"]["deletionGracePeriodSeconds"] == 7
    missing = await api("POST", f"{PODS}/q/eviction", eviction("q"))
    assert (missing.status, missing.message) == (404, 'pods "q" not found')


async def test_an_eviction_of_the_older_version_is_read(api: Api) -> None:
    """fabric8's Java client sends no other."""
    await api.made("/api/v1/namespaces/default/pods", pod("p"))
    older = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "p"}}
    answer = await api("POST", "/api/v1/namespaces/default/pods/p/eviction", older)
    assert (answer.status, answer.body["status"]) == (201, "Success")
    wrong = await api("POST", "/api/v1/namespaces/default/pods/p/eviction", {**older, "apiVersion": "policy/v1alpha1"})
    assert wrong.status == 400


async def test_an_eviction_respects_the_budget(api: Api) -> None:
    for name in ("p", "q"):
        await running(api, name)
    budget = await api.made(
        BUDGETS, {"metadata": {"name": "b"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
    )
    early = await api("POST", f"{PODS}/p/eviction", eviction("p"))
    assert early.status == 429
    assert early.headers["retry-after"] == "10"
    budget["status"] = {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 2,
        "desiredHealthy": 1,
        "expectedPods": 2,
    }
    assert (await api("PUT", f"{BUDGETS}/b/status", budget)).status == 200
    assert (await api("POST", f"{PODS}/p/eviction", eviction("p"))).status == 201
    spent = await api("POST", f"{PODS}/q/eviction", eviction("q"))
    assert spent.status == 429
    assert spent.message == "Cannot evict pod as it would violate the pod's disruption budget."
    (cause,) = spent.body["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    assert cause["message"] == "The disruption budget b does not allow evicting pods currently"
    assert list((await api("GET", f"{BUDGETS}/b")).body["status"]["disruptedPods"]) == ["p"]


async def test_a_token_for_a_service_account(api: Api) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    answer = await api("POST", path, request)
    assert answer.status == 201
    account = Api(api.server, None)
    me = await account(
        "POST",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
        {},
        authorization=f"Bearer {answer.body['status']['token']}",
    )
    assert me.body["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
    short = await api("POST", path, {"spec": {"expirationSeconds": 1}})
    assert short.message == (
        'TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 1: may not specify a '
        "duration less than 10 minutes"
    )
    assert (await api("POST", path.replace("/default/token", "/nobody/token"), request)).status == 404


async def test_streams_need_an_upgrade(api: Api) -> None:
    await api.made(PODS, pod(nodeName="n"))
    answer = await api("POST", f"{PODS}/p/exec?command=ls&stdout=1")
    assert (answer.status, answer.message) == (400, "Upgrade request required")
    log = await api("GET", f"{PODS}/p/log")
    assert (log.status, log.message) == (404, 'nodes "n" not found')
    wrong = await api("GET", f"{PODS}/p/log?tailLines=-1")
    assert wrong.status == 422


async def test_a_reader_of_exec_opens_no_stream(api: Api) -> None:
    """The upgrade is a GET, but it needs leave to create."""
    await api.made(PODS, pod(nodeName="n"))
    rules = [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}]
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await api.made(f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": rules})
    await api.made(
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": "r"},
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "reader"}],
        },
    )
    reader = Api(api.server, User("reader", ("system:authenticated",)))
    with pytest.raises(errors.ApiError) as refused:
        async with reader.transport.websocket(f"{PODS}/p/exec?command=ls&stdout=1", {}, ("v5.channel.k8s.io",)):
            pass
    assert 'User "reader" cannot create resource "pods/exec"' in str(refused.value)


async def test_a_replication_controller_scales(api: Api) -> None:
    controllers = "/api/v1/namespaces/default/replicationcontrollers"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    await api.made(controllers, {"metadata": {"name": "r"}, "spec": {"selector": {"a": "b"}, "template": template}})
    assert (await api("GET", f"{controllers}/r/scale")).body["status"] == {"replicas": 0, "selector": "a=b"}
    change = {"spec": {"replicas": 2}}
    scaled = await api("PATCH", f"{controllers}/r/scale", change, "application/merge-patch+json")
    assert scaled.body["spec"] == {"replicas": 2}


AUTOSCALERS = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"


async def test_autoscalers_are_one_object_in_two_versions(api: Api) -> None:
    one = {
        "metadata": {"name": "a"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}},
    }
    first = await api.made(
        AUTOSCALERS.format("v1"), {**one, "spec": {**one["spec"], "targetCPUUtilizationPercentage": 50}}
    )
    path = f"{AUTOSCALERS.format('v2')}/a"
    second = (await api("GET", path)).body
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["spec"]["metrics"] == [
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
        }
    ]
    pods = {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "5"}}}
    second["spec"]["metrics"].append(pods)
    second["spec"]["behavior"] = {"scaleDown": {"stabilizationWindowSeconds": 7}}
    kept = (await api("PUT", path, second)).body
    shown = (await api("GET", f"{AUTOSCALERS.format('v1')}/a")).body
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 50
    assert set(shown["metadata"]["annotations"]) == {
        "autoscaling.alpha.kubernetes.io/metrics",
        "autoscaling.alpha.kubernetes.io/behavior",
    }
    # What v1 has no field for survives a change through v1.
    shown["spec"]["maxReplicas"] = 9
    assert (await api("PUT", f"{AUTOSCALERS.format('v1')}/a", shown)).status == 200
    after = (await api("GET", path)).body
    assert after["spec"] == {**kept["spec"], "maxReplicas": 9}
    assert "annotations" not in after["metadata"]


async def test_resize_changes_resources_alone(api: Api) -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    made = await api.made(PODS, pod(containers=[{"name": "c", "image": "img", "resources": resources}]))
    wanted = {**made, "spec": {**made["spec"], "hostname": "h"}}
    wanted["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "150m"}, "limits": {"cpu": "300m"}}
    wanted["spec"]["containers"][0]["image"] = "other"
    answer = await api("PUT", f"{PODS}/p/resize", wanted)
    assert answer.status == 200, answer.body
    container = answer.body["spec"]["containers"][0]
    assert container["resources"]["requests"] == {"cpu": "150m"}
    assert container["image"] == "img"
    assert "hostname" not in answer.body["spec"]
    assert answer.body["metadata"]["generation"] == 2
    patch = {"spec": {"containers": [{"name": "c", "resources": {"requests": {"ephemeral-storage": "1Gi"}}}]}}
    refused = await api("PATCH", f"{PODS}/p/resize", patch, "application/strategic-merge-patch+json")
    assert refused.status == 422
    assert "only cpu and memory resources are mutable" in refused.message
    plain = await api("PATCH", f"{PODS}/p", patch, "application/strategic-merge-patch+json")
    assert (plain.status, plain.body["reason"]) == (422, "Invalid")


async def test_a_binding_may_be_posted_to_its_collection(api: Api) -> None:
    await api.made(PODS, pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    assert (await api("POST", "/api/v1/namespaces/default/bindings", binding)).status == 201
    assert (await api("GET", f"{PODS}/p")).body["spec"]["nodeName"] == "n"


async def test_component_statuses_are_shown_and_not_kept(api: Api) -> None:
    answer = await api("GET", "/api/v1/componentstatuses")
    assert [i["metadata"]["name"] for i in answer.body["items"]] == ["controller-manager", "etcd-0", "scheduler"]
    assert answer.headers["warning"] == '299 - "v1 ComponentStatus is deprecated in v1.19+"'
    assert (await api("GET", "/api/v1/componentstatuses/none")).status == 404
    assert (await api("DELETE", "/api/v1/componentstatuses/scheduler")).status == 405
