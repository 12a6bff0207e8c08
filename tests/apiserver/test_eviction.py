"""Evictions: what a budget allows, what is written before the delete, and in which words it is refused."""

from typing import Any

import pytest
from tests.apiserver.conftest import PODS, Api, pod

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def running(api: Api, name: str = "p", *, ready: bool = True, phase: str = "Running") -> dict[str, Any]:
    body = pod(name, nodeName="n")
    body["metadata"]["labels"] = {"a": "b"}
    made = await api.made(PODS, body)
    made["status"] = {"phase": phase, "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
    answer = await api("PUT", f"{PODS}/{name}/status", made)
    assert answer.status == 200
    return dict(answer.body)


async def budget(api: Api, allowed: int, *, healthy: int = 2, policy: str | None = None, **status: Any) -> None:
    spec: dict[str, Any] = {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    if policy is not None:
        spec["unhealthyPodEvictionPolicy"] = policy
    made = await api.made(BUDGETS, {"metadata": {"name": "b"}, "spec": spec})
    made["status"] = {
        "observedGeneration": 1,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": 1,
        "expectedPods": 2,
        **status,
    }
    assert (await api("PUT", f"{BUDGETS}/b/status", made)).status == 200


def eviction(name: str = "p", **options: Any) -> dict[str, Any]:
    return {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, "deleteOptions": options}


async def evict(api: Api, query: str = "", **options: Any) -> Any:
    return await api("POST", f"{PODS}/p/eviction{query}", eviction(**options))


async def test_the_pod_says_why_it_goes(api: Api) -> None:
    await running(api)
    assert (await evict(api, gracePeriodSeconds=5)).status == 201
    found = (await api("GET", f"{PODS}/p")).body
    (condition,) = [c for c in found["status"]["conditions"] if c["type"] == "DisruptionTarget"]
    assert condition["status"] == "True"
    assert (condition["reason"], condition["message"]) == ("EvictionByEvictionAPI", "Eviction API: evicting")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 5


async def test_the_budget_is_spent(api: Api) -> None:
    await running(api)
    await budget(api, 1)
    assert (await evict(api)).status == 201
    status = (await api("GET", f"{BUDGETS}/b")).body["status"]
    assert status["disruptionsAllowed"] == 0
    assert list(status["disruptedPods"]) == ["p"]
    (condition,) = status["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")


@pytest.mark.parametrize("query", ["", "?dryRun=All"])
async def test_a_dry_run_changes_nothing(api: Api, query: str) -> None:
    made = await running(api)
    await budget(api, 1)
    options = {} if query else {"dryRun": ["All"]}
    assert (await evict(api, query, **options)).status == 201
    assert (await api("GET", f"{PODS}/p")).body == made
    assert (await api("GET", f"{BUDGETS}/b")).body["status"]["disruptionsAllowed"] == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"healthy": 1}, "The disruption budget b needs 1 healthy pods and has 1 currently"),
        ({}, "The disruption budget b does not allow evicting pods currently"),
        (
            {"conditions": [{"reason": "SyncFailed", "message": "no controllers"}]},
            "The disruption budget b does not allow evicting pods currently because it failed sync: no controllers",
        ),
    ],
)
async def test_why_it_may_not_go(api: Api, status: dict[str, Any], words: str) -> None:
    await running(api)
    for condition in status.get("conditions", ()):
        condition |= {"type": "DisruptionAllowed", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    await budget(api, 0, **status)
    answer = await evict(api)
    assert answer.status == 429
    assert answer.message == "Cannot evict pod as it would violate the pod's disruption budget."
    (cause,) = answer.body["details"]["causes"]
    assert (cause["reason"], cause["message"]) == ("DisruptionBudget", words)
    found = (await api("GET", f"{PODS}/p")).body
    assert "deletionTimestamp" not in found["metadata"]
    assert all(c["type"] != "DisruptionTarget" for c in found["status"]["conditions"])


@pytest.mark.parametrize(
    ("policy", "healthy", "code"),
    [(None, 0, 429), ("IfHealthyBudget", 0, 429), ("IfHealthyBudget", 1, 201), ("AlwaysAllow", 0, 201)],
)
async def test_a_pod_that_is_not_ready(api: Api, policy: str | None, healthy: int, code: int) -> None:
    await running(api, ready=False)
    await budget(api, 0, healthy=healthy, policy=policy)
    assert (await evict(api)).status == code


@pytest.mark.parametrize("phase", ["Pending", "Failed", "Succeeded"])
async def test_a_pod_that_does_not_count_may_go(api: Api, phase: str) -> None:
    await running(api, phase=phase)
    await budget(api, 0)
    assert (await evict(api)).status == 201


async def test_preconditions_hold(api: Api) -> None:
    made = await running(api)
    old = await evict(api, preconditions={"resourceVersion": "1"})
    assert old.status == 409
    assert "the ResourceVersion in the precondition (1) does not match" in old.message
    other = await evict(api, preconditions={"uid": "another"})
    assert other.status == 409
    mine = {"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]}
    assert (await evict(api, preconditions=mine)).status == 201


async def test_two_budgets_are_too_many(api: Api) -> None:
    await running(api)
    await budget(api, 1)
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    await api.made(BUDGETS, {"metadata": {"name": "c"}, "spec": spec})
    answer = await evict(api)
    assert answer.status == 500
    assert "more than one PodDisruptionBudget" in answer.message
