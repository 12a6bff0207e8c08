"""What is said of webhook configurations, policies and bindings that are wrong: upstream's findings, in its order."""

from typing import Any

import pytest
from tests.apiserver.conftest import Api
from tests.apiserver.policies.conftest import VALIDATING, VALIDATING_BINDINGS, constraints, rule
from tests.apiserver.webhooks.conftest import VALIDATING as HOOKS


def hook(name: str = "a.example.com", **more: Any) -> dict[str, Any]:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    client = {"service": {"namespace": "default", "name": "s"}}
    return {
        "name": name,
        "rules": rules,
        "clientConfig": client,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **more,
    }


def causes(body: dict[str, Any]) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in body["details"]["causes"]]


async def refused(api: Api, path: str, spec: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await api("POST", path, {"metadata": {"name": "x"}, **spec})
    assert answer.status == 422, answer
    return causes(answer.body)


def value(of: str, words: str) -> str:
    return f"Invalid value: {of}: {words}"


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        (["*", "pods/status"], []),
        (["pods/*", "*/scale", "services"], []),
        (["*/*"], []),
        ([], [("", "Required value")]),
        (["pods", ""], [("[1]", "Required value")]),
        (
            ["pods/*", "pods/log"],
            [("[1]", value('"pods/log"', "if 'pods/*' is present, must not specify pods/log"))],
        ),
        (["*/log", "pods/log"], [("[1]", value('"pods/log"', "if '*/log' is present, must not specify pods/log"))]),
        (
            ["*/*", "pods"],
            [("", value('["*/*","pods"]', "if '*/*' is present, must not specify other resources"))],
        ),
        (
            ["*", "pods"],
            [
                (
                    "",
                    value(
                        '["*","pods"]',
                        "if '*' is present, must not specify other resources without subresources",
                    ),
                )
            ],
        ),
    ],
)
async def test_no_resource_is_named_beside_a_wildcard_that_takes_it_in(
    api: Api, resources: list[str], found: list[tuple[str, str]]
) -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": resources}]
    answer = await api("POST", HOOKS, {"metadata": {"name": "x"}, "webhooks": [hook(rules=rules)]})
    if not found:
        assert answer.status == 201
        return
    assert causes(answer.body) == [(f"webhooks[0].rules[0].resources{where}", words) for where, words in found]


async def test_findings_come_in_order(api: Api) -> None:
    wrong = hook(
        "one.two",
        rules=[{"apiGroups": ["*", "a"], "apiVersions": ["", "*"], "operations": ["*", "X"], "resources": ["a"]}],
        failurePolicy="Perhaps",
        matchPolicy="Perhaps",
        sideEffects="Some",
        timeoutSeconds=31,
        clientConfig={"service": {"namespace": "", "name": "", "path": "/a//b_"}},
        matchConditions=[{"name": "?", "expression": "1"}, {"name": "", "expression": " "}],
        admissionReviewVersions=["v2", "v2"],
    )
    at = "webhooks[0]"
    supported = 'Unsupported value: "{}": supported values: {}'.format
    operations = '"*", "CONNECT", "CREATE", "DELETE", "UPDATE"'
    assert [field for field, _ in await refused(api, HOOKS, {"webhooks": [wrong]})] == [
        f"{at}.name",
        f"{at}.rules[0].operations",
        f"{at}.rules[0].operations[1]",
        f"{at}.rules[0].apiGroups",
        f"{at}.rules[0].apiVersions",
        f"{at}.rules[0].apiVersions[0]",
        f"{at}.failurePolicy",
        f"{at}.matchPolicy",
        f"{at}.sideEffects",
        f"{at}.timeoutSeconds",
        f"{at}.clientConfig.service.name",
        f"{at}.clientConfig.service.namespace",
        f"{at}.clientConfig.service.path",
        f"{at}.clientConfig.service.path",
        f"{at}.matchConditions[0].expression",
        f"{at}.matchConditions[0].name",
        f"{at}.matchConditions[1].expression",
        f"{at}.matchConditions[1].name",
        f"{at}.admissionReviewVersions[1]",
        f"{at}.admissionReviewVersions",
    ]
    said = dict(await refused(api, HOOKS, {"webhooks": [wrong]}))
    assert said[f"{at}.rules[0].operations[1]"] == supported("X", operations)
    assert said[f"{at}.sideEffects"] == supported("Some", '"None", "NoneOnDryRun"')
    words = "must evaluate to bool but got int"
    assert said[f"{at}.matchConditions[0].expression"] == value('"1"', words)
    assert said[f"{at}.admissionReviewVersions"] == value('["v2","v2"]', "must include at least one of v1, v1beta1")
    twice = await refused(api, HOOKS, {"webhooks": [hook(), hook()]})
    assert twice == [("webhooks[1].name", 'Duplicate value: "a.example.com"')]


async def test_a_policys_findings(api: Api) -> None:
    spec: dict[str, Any] = {
        "failurePolicy": "Perhaps",
        "paramKind": {"apiVersion": "a/b/c", "kind": "a b"},
        "matchConstraints": {"resourceRules": []},
        "variables": [{"name": "for", "expression": "1"}, {"name": "a", "expression": "nothing"}],
        "validations": [
            {"expression": "object.a + params.b == nobody + nowhere", "messageExpression": " ", "message": "a\nb"},
            {"expression": "", "messageExpression": "authorizer", "message": " ", "reason": "Unauthorized"},
        ],
        "auditAnnotations": [{"key": "a", "valueExpression": "true"}, {"key": "a", "valueExpression": "'x'"}],
    }
    found = await refused(api, VALIDATING, {"spec": spec})
    assert [field for field, _ in found] == [
        "spec.failurePolicy",
        "spec.paramKind.apiVersion",
        "spec.paramKind.kind",
        "spec.matchConstraints.resourceRules",
        "spec.variables[0].name",
        "spec.variables[1].expression",
        "spec.validations[0].expression",
        "spec.validations[0].messageExpression",
        "spec.validations[0].message",
        "spec.validations[1].expression",
        "spec.validations[1].messageExpression",
        "spec.validations[1].message",
        "spec.validations[1].reason",
        "spec.auditAnnotations[0].valueExpression",
        "spec.auditAnnotations[1].key",
    ]
    said = dict(found)
    both = said["spec.validations[0].expression"]
    assert both.index("undeclared reference to 'nobody'") < both.index("undeclared reference to 'nowhere'")
    undeclared = "undeclared reference to 'authorizer' (in container '')"
    assert undeclared in said["spec.validations[1].messageExpression"]
    words = "must evaluate to one of [string null_type] but got bool"
    assert said["spec.auditAnnotations[0].valueExpression"] == value('"true"', words)
    expected = 'Unsupported value: "Unauthorized": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"'
    assert said["spec.validations[1].reason"] == expected


async def test_a_bindings_findings(api: Api) -> None:
    spec = {
        "policyName": "",
        "paramRef": {"name": "a/b", "selector": {"matchLabels": {}}},
        "matchResources": {"resourceRules": [{**rule("pods"), "resourceNames": ["a", "a", ".."]}]},
        "validationActions": ["Deny", "Warn", "Deny"],
    }
    assert [field for field, _ in await refused(api, VALIDATING_BINDINGS, {"spec": spec})] == [
        "spec.paramRef.name",
        "spec.paramRef.name",
        "spec.paramRef.selector",
        "spec.paramRef.parameterNotFoundAction",
        "spec.matchResources.resourceRules[0].resourceNames[1]",
        "spec.matchResources.resourceRules[0].resourceNames[2]",
        "spec.validationActions[2]",
        "spec.validationActions",
        "spec.policyName",
    ]


async def test_the_namespace_has_a_type(api: Api) -> None:
    """As upstream: of a Namespace's metadata what is needed, under upstream's names."""
    good = "namespaceObject.metadata.labels['a'] == 'b' && namespaceObject.status.phase != ''"
    spec = constraints("pods") | {"validations": [{"expression": good}]}
    assert (await api("POST", VALIDATING, {"metadata": {"name": "good"}, "spec": spec})).status == 201
    spec = constraints("pods") | {"validations": [{"expression": "namespaceObject.metadata.ownerReferences == []"}]}
    (_, words), *_ = await refused(api, VALIDATING, {"spec": spec})
    assert "undefined field 'ownerReferences'" in words
