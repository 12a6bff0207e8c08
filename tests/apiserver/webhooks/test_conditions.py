"""Match conditions of webhooks, what connections are asked about, and what audits and metrics are told."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.apiserver.conftest import MAPS, Api, config_map
from tests.apiserver.webhooks.conftest import VALIDATING, HookServer, allow, annotate, configuration, deny, patch

from orlop.apiserver.admission.base import Attributes
from orlop.metrics import REGISTRY

PODS = "/api/v1/namespaces/default/pods"


def conditions(*expressions: str) -> list[dict[str, str]]:
    return [{"name": f"c{i}", "expression": expression} for i, expression in enumerate(expressions)]


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[Attributes]:
    """Every write that admission sees from here on."""
    seen: list[Attributes] = []
    made = Attributes.__init__

    def init(self: Attributes, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        seen.append(self)

    monkeypatch.setattr(Attributes, "__init__", init)
    return seen


def counted(metric: str, /, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"apiserver_admission_{metric}", labels) or 0.0


Make = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["mutating", "validating"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of configuration."""
    return str(request.param)


@pytest.fixture
def make(kind: str, mutating: Make, validating: Make) -> Make:
    """Makes a configuration of the kind."""
    return mutating if kind == "mutating" else validating


async def test_all_conditions_must_hold(api: Api, hooks: HookServer, kind: str, make: Make) -> None:
    hooks.answers["/v"] = allow()
    expressions = "object.metadata.name.startsWith('a')", "request.userInfo.username != '' && oldObject == null"
    hook = hooks.hook("/v", "configmaps", name=f"all.{kind}.com", matchConditions=conditions(*expressions))
    await make("v", hook)
    await api.made(MAPS, config_map("a"))
    await api.made(MAPS, config_map("b"))
    assert [asked["name"] for asked in hooks.of("/v")] == ["a"]
    step = "admit" if kind == "mutating" else "validate"
    labels = {"name": f"all.{kind}.com", "kind": "webhook", "type": step, "operation": "CREATE"}
    assert counted("match_condition_exclusions_total", **labels) == 1
    assert counted("match_condition_evaluation_seconds_count", **labels) == 2


async def test_a_condition_without_a_value_counts_as_the_policy_says(
    api: Api, hooks: HookServer, kind: str, make: Make
) -> None:
    hooks.answers["/v"] = allow()
    wrong = conditions("object.data.there == 'x'", "object.metadata.name != 'other'", "object.data.nowhere == 'x'")
    hook = hooks.hook("/v", "configmaps", matchConditions=wrong)
    await make("v", hook)
    answer = await api("POST", MAPS, config_map("m"))
    assert answer.status == 403
    told = "expression 'object.data.{0}' resulted in error: no such key: {1}"
    first, second = told.format("there == 'x'", "data"), told.format("nowhere == 'x'", "data")
    assert answer.message == f'configmaps "m" is forbidden: [{first}, {second}]'
    # One that is false decides, whatever the others come to.
    assert (await api("POST", MAPS, config_map("other"))).status == 201
    path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/v"
    await api.put(path, configuration("v", hook | {"failurePolicy": "Ignore"}))
    assert (await api("POST", MAPS, config_map("m"))).status == 201
    assert not hooks.asked


async def test_conditions_may_ask_the_authorizer(api: Api, hooks: HookServer, validating: Any) -> None:
    hooks.answers["/v"] = allow()
    may = "authorizer.group('').resource('configmaps').namespace('default').check('delete').allowed()"
    await validating("v", hooks.hook("/v", "configmaps", matchConditions=conditions(f"!{may}")))
    await api.made(MAPS, config_map("m"))
    assert not hooks.asked


async def test_conditions_cost(api: Api, hooks: HookServer, validating: Any) -> None:
    """What one may cost is bounded: a condition that goes through all pairs of a long list is stopped."""
    hooks.answers["/v"] = allow()
    pairs = "object.data.all(a, object.data.all(b, object.data.all(c, a + b + c != '')))"
    await validating("v", hooks.hook("/v", "configmaps", matchConditions=conditions(pairs)))
    body = config_map("m") | {"data": {f"key{i}": "x" * 50 for i in range(300)}}
    answer = await api("POST", MAPS, body)
    assert answer.status == 403
    assert "running out of cost budget" in answer.message
    assert not hooks.asked


async def test_connections_are_asked_about(api: Api, hooks: HookServer, mutating: Any, validating: Any) -> None:
    """CONNECT: the options of the connection are the object, and conditions may speak of them."""
    container = {"name": "c", "image": "i"}
    await api.made(PODS, {"metadata": {"name": "p"}, "spec": {"containers": [container], "nodeName": "nowhere"}})
    hooks.answers["/v"] = deny(message="nobody looks inside")
    condition = conditions("object.command == ['sh', '-c', 'ls'] && request.operation == 'CONNECT'")
    rule = {"operations": ["CONNECT"], "matchConditions": condition}
    await validating("v", hooks.hook("/v", "pods/exec", "pods/attach", **rule))
    query = "command=sh&command=-c&command=ls&stdout=true"
    answer = await api("POST", f"{PODS}/p/exec?{query}")
    assert answer.status == 400
    assert answer.message == 'admission webhook "v.example.com" denied the request: nobody looks inside'
    (asked,) = hooks.of("/v")
    assert (asked["operation"], asked["subResource"], asked["name"]) == ("CONNECT", "exec", "p")
    assert asked["kind"] == {"group": "", "version": "v1", "kind": "PodExecOptions"}
    assert asked["object"] == {
        "apiVersion": "v1",
        "kind": "PodExecOptions",
        "stdout": True,
        "command": ["sh", "-c", "ls"],
    }
    assert asked["oldObject"] is None
    # Another command is none of its business: the request fails later, for it asks for no upgrade.
    assert (await api("POST", f"{PODS}/p/exec?command=id&stdout=true")).message == "Upgrade request required"
    assert len(hooks.of("/v")) == 1
    hooks.answers["/m"] = patch({"op": "replace", "path": "/command", "value": ["sh", "-c", "ls"]})
    await mutating("m", hooks.hook("/m", "pods/exec", operations=["CONNECT"]))
    answer = await api("POST", f"{PODS}/p/exec?command=id&stdout=true")
    assert answer.message == 'admission webhook "v.example.com" denied the request: nobody looks inside'
    hooks.answers["/m"] = patch({"op": "remove", "path": "/command"})
    answer = await api("POST", f"{PODS}/p/exec?command=id&stdout=true")
    assert answer.message == "you must specify at least one command for the container"


async def test_audits_are_told(
    api: Api, hooks: HookServer, mutating: Any, validating: Any, noted: list[Attributes]
) -> None:
    hooks.answers["/a"], hooks.answers["/b"] = annotate("a"), allow(auditAnnotations={"why": "because"})
    hooks.answers["/v"] = allow(auditAnnotations={"who": "me"})
    dead = hooks.hook("/d", "configmaps", failurePolicy="Ignore", clientConfig={"url": "https://127.0.0.1:1/d"})
    again = {"reinvocationPolicy": "IfNeeded"}
    await mutating("m", hooks.hook("/b", "configmaps", **again), hooks.hook("/a", "configmaps"), dead)
    await validating("v", dead, hooks.hook("/v", "configmaps"))
    await api.made(MAPS, config_map("m"))
    a = next(a for a in noted if a.operation == "CREATE" and a.kind.plural == "configmaps")

    def mutated(hook: str, yes: bool) -> dict[str, Any]:
        return {"configuration": "m", "webhook": f"{hook}.example.com", "mutated": yes}

    start = "mutation.webhook.admission.k8s.io"
    told = {key: json.loads(value) for key, value in a.annotations.items() if key.startswith(start)}
    assert told == {
        f"{start}/round_0_index_0": mutated("b", yes=False),
        f"{start}/round_0_index_1": mutated("a", yes=True),
        f"{start}/round_0_index_2": mutated("d", yes=False),
        f"{start}/round_1_index_0": mutated("b", yes=False),
    }
    assert {key: value for key, value in a.annotations.items() if not key.startswith(start)} == {
        "b.example.com/why": "because",
        "failed-open.mutation.webhook.admission.k8s.io/round_0_index_2": "d.example.com",
        "failed-open.validating.webhook.admission.k8s.io/round_0_index_0": "d.example.com",
        "v.example.com/who": "me",
    }


async def test_metrics_tell_what_became_of_calls(api: Api, hooks: HookServer, validating: Any) -> None:
    async def said(**of: Any) -> int:
        hook = hooks.hook("/v", "configmaps", name="metrics.example.com", **of)
        path, body = f"{VALIDATING}/v", configuration("v", hook)
        if (await api.put(path, body)).status == 404:
            await api.made(VALIDATING, body)
        return (await api("POST", f"{MAPS}?dryRun=All", config_map("m"))).status

    labels = {"name": "metrics.example.com", "type": "validate", "operation": "CREATE"}
    hooks.answers["/v"] = allow()
    assert await said() == 201
    assert counted("webhook_request_total", **labels, code="200", rejected="false") == 1
    hooks.answers["/v"] = deny(code=999)
    await said()
    assert counted("webhook_request_total", **labels, code="600", rejected="true") == 1
    rejected = counted("webhook_rejection_count", **labels, error_type="no_error", rejection_code="600")
    assert rejected == 1
    gone = {"clientConfig": {"url": "https://127.0.0.1:1/v"}}
    assert await said(**gone) == 500
    calling = {"error_type": "calling_webhook_error", "rejection_code": "503"}
    assert counted("webhook_rejection_count", **labels, **calling) == 1
    assert await said(**gone, failurePolicy="Ignore") == 201
    assert counted("webhook_fail_open_count", name="metrics.example.com", type="validate") == 1
    assert counted("webhook_admission_duration_seconds_count", **labels, rejected="true") == 2
    assert b"apiserver_admission_webhook_rejection_count{" in (await api("GET", "/metrics")).raw


async def test_reviews_are_shown_too(api: Api, hooks: HookServer, mutating: Any, validating: Any) -> None:
    """What is only answered, and never stored, is admitted like all else that is created."""
    path = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
    attributes = {"namespace": "default", "verb": "get", "resource": "pods"}
    body = {"metadata": {"namespace": "default"}, "spec": {"user": "jane", "resourceAttributes": attributes}}
    hooks.answers["/m"] = allow()
    await mutating("m", hooks.hook("/m", "localsubjectaccessreviews"))
    answer = await api.made(path, body)
    assert hooks.of("/m")[0]["object"]["spec"]["user"] == "jane"
    assert answer["status"]["allowed"] is False
    hooks.answers["/m"] = patch({"op": "add", "path": "/spec/groups", "value": ["system:masters"]})
    assert (await api.made(path, body))["status"]["allowed"] is True
    hooks.answers["/v"] = deny(message="not here")
    await validating("v", hooks.hook("/v", "tokenreviews"))
    refused = await api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}})
    assert refused.status == 400
    assert refused.message == 'admission webhook "v.example.com" denied the request: not here'
