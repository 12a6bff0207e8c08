"""ValidatingAdmissionPolicy: the examples of Kubernetes' documentation, and what is said of failures."""

from typing import Any

import pytest
from tests.apiserver.conftest import DEPLOYMENTS, MAPS, PODS, Api, config_map, pod
from tests.apiserver.crd.conftest import WIDGETS, define, definition, widget
from tests.apiserver.policies.conftest import VALIDATING, VALIDATING_BINDINGS, constraints, validating

from orlop.apiserver.auth import User
from orlop.apiserver.server import ApiServer


def deployment(replicas: int, name: str = "d", **metadata: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"metadata": {"name": name, **metadata}, "spec": spec}


async def test_the_first_example(api: Api) -> None:
    spec = {**constraints("deployments"), "validations": [{"expression": "object.spec.replicas <= 5"}]}
    await validating(api, "demo-policy.example.com", spec)
    assert (await api("POST", DEPLOYMENTS, deployment(5, "few"))).status == 201
    answer = await api("POST", DEPLOYMENTS, deployment(6))
    assert (answer.status, answer.body["reason"]) == (422, "Invalid")
    assert answer.message == (
        "deployments.apps \"d\" is forbidden: ValidatingAdmissionPolicy 'demo-policy.example.com' with binding "
        "'demo-policy.example.com-b' denied request: failed expression: object.spec.replicas <= 5"
    )
    assert answer.body["details"]["causes"] == [{"message": answer.message.partition("forbidden: ")[2]}]


async def test_a_custom_resource_holds_the_limit(api: Api) -> None:
    await define(api, definition(plural="widgets", kind="Widget"))
    await api.made(WIDGETS, widget("limit", replicas=3))
    spec = {
        **constraints("deployments"),
        "paramKind": {"apiVersion": "example.com/v1", "kind": "Widget"},
        "validations": [
            {
                "expression": "object.spec.replicas <= params.spec.replicas",
                "messageExpression": "'at most ' + string(params.spec.replicas)",
                "reason": "Forbidden",
            }
        ],
    }
    ref = {"name": "limit", "namespace": "default", "parameterNotFoundAction": "Deny"}
    await validating(api, "limit", spec, paramRef=ref)
    assert (await api("POST", DEPLOYMENTS, deployment(3, "few"))).status == 201
    answer = await api("POST", DEPLOYMENTS, deployment(4))
    assert answer.status == 403
    assert answer.message.endswith("denied request: at most 3")
    await api("DELETE", f"{WIDGETS}/limit")
    answer = await api("POST", DEPLOYMENTS, deployment(1))
    assert answer.message.endswith(
        "denied request: failed to configure binding: no params found for policy binding with `Deny` "
        "parameterNotFoundAction"
    )


async def test_parameters_are_chosen_by_labels(api: Api) -> None:
    for name, most in (("a", "3"), ("b", "2")):
        body = config_map(name, data={"most": most})
        body["metadata"]["labels"] = {"limit": "yes"}
        await api.made(MAPS, body)
    spec = {
        **constraints("deployments"),
        "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "validations": [{"expression": "object.spec.replicas <= int(params.data.most)"}],
    }
    ref = {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Allow"}
    await validating(api, "limit", spec, paramRef=ref)
    assert (await api("POST", DEPLOYMENTS, deployment(2, "few"))).status == 201
    assert (await api("POST", DEPLOYMENTS, deployment(3))).status == 422  # each must hold
    await api("DELETE", MAPS)
    assert (await api("POST", DEPLOYMENTS, deployment(9))).status == 201


async def test_variables_and_the_namespace(api: Api) -> None:
    """The documentation's example of a registry by environment."""
    spec = {
        **constraints("deployments"),
        "variables": [
            {
                "name": "environment",
                "expression": "'environment' in namespaceObject.metadata.labels ? "
                "namespaceObject.metadata.labels['environment'] : 'prod'",
            },
            {"name": "exempt", "expression": "'exempt' in object.metadata.?labels.orValue({})"},
            {"name": "containers", "expression": "object.spec.template.spec.containers"},
            {
                "name": "containersToCheck",
                "expression": "variables.containers.filter(c, c.image.contains('example.com/'))",
            },
            {"name": "broken", "expression": "object.spec.nothing.here"},
        ],
        "validations": [
            {
                "expression": "variables.exempt || variables.containersToCheck.all(c, "
                "c.image.startsWith(variables.environment + '.'))",
                "messageExpression": "'only ' + variables.environment + ' images are allowed in namespace ' + "
                "namespaceObject.metadata.name",
            }
        ],
    }
    await validating(api, "image-matches-namespace-environment.policy.example.com", spec)
    body = deployment(1)
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "test.example.com/x"
    answer = await api("POST", DEPLOYMENTS, body)
    assert answer.message.endswith("denied request: only prod images are allowed in namespace default")
    merge = "application/merge-patch+json"
    await api("PATCH", "/api/v1/namespaces/default", {"metadata": {"labels": {"environment": "test"}}}, merge)
    assert (await api("POST", DEPLOYMENTS, body)).status == 201


async def test_conditions_come_first(api: Api) -> None:
    """The documentation's example of match conditions."""
    conditions = [
        {"name": "exclude-leases", "expression": "!(request.resource.group == 'coordination.k8s.io')"},
        {"name": "exclude-kubelet-requests", "expression": "!('system:nodes' in request.userInfo.groups)"},
        {"name": "rbac", "expression": "request.resource.group != 'rbac.authorization.k8s.io'"},
    ]
    spec = {
        **constraints("*"),
        "matchConditions": conditions,
        "validations": [
            {"expression": "!object.metadata.name.contains('demo') || object.metadata.namespace == 'demo'"}
        ],
    }
    await validating(api, "demo", spec)
    assert (await api("POST", MAPS, config_map("demo"))).status == 422
    assert (await api("POST", MAPS, config_map("other"))).status == 201
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    assert (await api("POST", leases, {"metadata": {"name": "demo"}})).status == 201


@pytest.mark.parametrize(("policy", "status"), [("Fail", 422), ("Ignore", 201)])
async def test_an_error_counts_as_the_failure_policy_says(api: Api, policy: str, status: int) -> None:
    spec = {
        **constraints("configmaps"),
        "failurePolicy": policy,
        "validations": [{"expression": "object.data.missing == 'x'"}],
    }
    await validating(api, "p", spec)
    answer = await api("POST", MAPS, config_map("m", data={}))
    assert answer.status == status
    if status == 422:
        assert answer.message.endswith("expression 'object.data.missing == 'x'' resulted in error: no such key: data")


async def test_warnings_and_audit_refuse_nothing(api: Api) -> None:
    spec = {**constraints("configmaps"), "validations": [{"expression": "has(object.data)", "message": "no data"}]}
    await validating(api, "p", spec, actions=("Warn", "Audit"))
    answer = await api("POST", MAPS, config_map("m"))
    assert answer.status == 201
    words = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': no data"
    assert answer.headers["warning"] == f'299 - "{words}"'


async def test_the_authorizer_is_asked(server: ApiServer, api: Api) -> None:
    """As the documentation's `authorizer` examples."""
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "delete"]}]
    roles = "/apis/rbac.authorization.k8s.io/v1"
    await api.made(f"{roles}/clusterroles", {"metadata": {"name": "maps"}, "rules": rules})
    subjects = [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]
    ref = {"kind": "ClusterRole", "name": "maps", "apiGroup": "rbac.authorization.k8s.io"}
    await api.made(f"{roles}/clusterrolebindings", {"metadata": {"name": "b"}, "subjects": subjects, "roleRef": ref})
    spec = {
        **constraints("configmaps"),
        "validations": [
            {"expression": "authorizer.group('').resource('configmaps').check('delete').allowed()"},
            {"expression": "!authorizer.path('/healthz').check('get').allowed() || has(object.data)"},
            {"expression": "!authorizer.serviceAccount('default', 'x').requestResource.check('create').allowed()"},
            {"expression": "authorizer.requestResource.check('create').allowed()"},
        ],
    }
    await validating(api, "p", spec)
    jane = Api(server, User("jane", ("system:authenticated",)))
    answer = await jane("POST", MAPS, config_map("m"))
    # Everybody may see whether the server is well.
    assert answer.message.endswith("!authorizer.path('/healthz').check('get').allowed() || has(object.data)")
    assert (await jane("POST", MAPS, config_map("m", data={"a": "b"}))).status == 201
    spec["validations"] = [{"expression": "authorizer.group('apps').resource('deployments').check('get').allowed()"}]
    await api.put(f"{VALIDATING}/p", {"metadata": {"name": "p"}, "spec": spec})
    assert (await jane("POST", MAPS, config_map("n"))).status == 422
    await jane.transport.close()


async def test_updates_and_deletions_show_the_old_object(api: Api) -> None:
    spec = constraints("configmaps")
    spec["matchConstraints"]["resourceRules"][0]["operations"] = ["UPDATE", "DELETE"]
    validations = [
        {"expression": "request.operation == 'DELETE' || oldObject.data.a == object.data.a", "message": "a stays"},
        {"expression": "object != null || oldObject.data.a != 'keep'", "message": "kept"},
    ]
    await validating(api, "p", {**spec, "validations": validations})
    made = await api.made(MAPS, config_map("m", data={"a": "keep"}))
    assert (await api("PUT", f"{MAPS}/m", made | {"data": {"a": "2"}})).message.endswith("a stays")
    assert (await api("DELETE", f"{MAPS}/m")).message.endswith("kept")


async def test_rules_may_name_objects_and_leave_out_others(api: Api) -> None:
    spec = constraints("*")
    spec["matchConstraints"]["resourceRules"][0]["resourceNames"] = ["a", "b"]
    spec["matchConstraints"]["excludeResourceRules"] = [
        {"apiGroups": [""], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "resourceNames": ["b"]}
    ]
    await validating(api, "p", {**spec, "validations": [{"expression": "false"}]})
    assert [(await api("POST", MAPS, config_map(n))).status for n in "abc"] == [422, 201, 201]


async def test_a_binding_limits_where_it_holds(api: Api) -> None:
    match = {"namespaceSelector": {"matchLabels": {"environment": "test"}}}
    spec = {**constraints("configmaps"), "validations": [{"expression": "false"}]}
    await validating(api, "p", spec, matchResources=match)
    await api.made("/api/v1/namespaces", {"metadata": {"name": "n", "labels": {"environment": "test"}}})
    assert (await api("POST", MAPS, config_map("m"))).status == 201
    assert (await api("POST", "/api/v1/namespaces/n/configmaps", config_map("m"))).status == 422
    await api("DELETE", f"{VALIDATING_BINDINGS}/p-b")
    assert (await api("POST", "/api/v1/namespaces/n/configmaps", config_map("m"))).status == 201


async def test_alike_creates_are_judged_one_by_one(api: Api) -> None:
    for i in range(4):
        await api.made(PODS, pod(f"p{i}"))
    spec = {**constraints("pods"), "validations": [{"expression": "object.metadata.name != 'p6'"}]}
    await validating(api, "p", spec)
    assert [(await api("POST", PODS, pod(f"p{i}"))).status for i in range(4, 8)] == [201, 201, 422, 201]


async def test_what_costs_too_much_is_stopped(api: Api) -> None:
    expression = "lists.range(3000).all(x, lists.range(3000).all(y, x + y >= 0))"
    await validating(api, "p", {**constraints("configmaps"), "validations": [{"expression": expression}]})
    answer = await api("POST", MAPS, config_map("m"))
    assert answer.status == 422
    assert answer.message.endswith(
        "validation failed due to running out of cost budget, no further validation rules will be run"
    )


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"validations": [{"expression": "1 + 1"}]}, "spec.validations[0].expression", "must evaluate to bool"),
        (
            {"validations": [{"expression": "object.a &&"}]},
            "spec.validations[0].expression",
            "compilation failed: ERROR: <input>:1:",
        ),
        (
            {"validations": [{"expression": "variables.b"}], "variables": [{"name": "a", "expression": "true"}]},
            "spec.validations[0].expression",
            "undefined field 'b'",
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": "1"}]},
            "spec.validations[0].messageExpression",
            "must evaluate to",
        ),
        (
            {"validations": [{"expression": "params.x == 1"}]},
            "spec.validations[0].expression",
            "undeclared reference to 'params'",
        ),
        (
            {"validations": [{"expression": "request.user == 'x'"}]},
            "spec.validations[0].expression",
            "undefined field 'user'",
        ),
        (
            {"matchConditions": [{"name": "a", "expression": "variables.x"}]},
            "spec.matchConditions[0].expression",
            "undeclared reference to 'variables'",
        ),
    ],
)
async def test_what_cannot_run_is_not_taken(api: Api, change: dict[str, Any], field: str, words: str) -> None:
    spec = {**constraints("configmaps"), "validations": [{"expression": "true"}], **change}
    answer = await api("POST", VALIDATING, {"metadata": {"name": "p"}, "spec": spec})
    assert answer.status == 422, answer.body
    (cause,) = answer.body["details"]["causes"]
    assert cause["field"] == field
    assert words in cause["message"]
