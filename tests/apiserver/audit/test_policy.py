"""Which rule decides, and what is said of a policy that cannot be used."""

from pathlib import Path

import pytest
from tests.apiserver.audit.conftest import policy_file

from orlop.apiserver.audit import AuditError
from orlop.apiserver.audit.policy import Policy, load
from orlop.apiserver.auth import User
from orlop.apiserver.request import parse_path

BOB = User("bob", ("dev", "system:authenticated"))
POD = "/api/v1/namespaces/default/pods/web"

MATCHES = [
    # a rule's fields, a request, whether it matches
    ("", "GET /version", True),
    ("users: [bob]", "GET /version", True),
    ("users: [ann]", "GET /version", False),
    ("userGroups: [dev]", f"GET {POD}", True),
    ("userGroups: [ops]", f"GET {POD}", False),
    ("verbs: [get, list]", f"GET {POD}", True),
    ("verbs: [get]", f"DELETE {POD}", False),
    ("namespaces: [default]", f"GET {POD}", True),
    ("namespaces: [other]", f"GET {POD}", False),
    ("namespaces: ['']", "GET /api/v1/nodes", True),
    ("namespaces: ['']", "GET /version", False),
    ("resources: [{group: ''}]", f"GET {POD}", True),
    ("resources: [{group: apps}]", f"GET {POD}", False),
    ("resources: [{resources: [pods]}]", f"GET {POD}", True),
    ("resources: [{resources: [pods]}]", f"GET {POD}/log", False),
    ("resources: [{resources: [pods/log]}]", f"GET {POD}/log", True),
    ("resources: [{resources: ['pods/*']}]", f"GET {POD}/log", True),
    ("resources: [{resources: ['pods/*']}]", f"GET {POD}", True),
    ("resources: [{resources: ['*/log']}]", f"GET {POD}/log", True),
    ("resources: [{resources: ['*']}]", f"GET {POD}/log", True),
    ("resources: [{resources: [pods], resourceNames: [web]}]", f"GET {POD}", True),
    ("resources: [{resources: [pods], resourceNames: [db]}]", f"GET {POD}", False),
    ("nonResourceURLs: [/version]", "GET /version", True),
    ("nonResourceURLs: ['/healthz*']", "GET /healthz/ping", True),
    ("nonResourceURLs: ['*']", "GET /version", True),
    ("nonResourceURLs: ['*']", f"GET {POD}", False),
]


@pytest.mark.parametrize(("fields", "asked", "matches"), MATCHES)
def test_a_rule_matches(tmp_path: Path, fields: str, asked: str, matches: bool) -> None:
    policy = load(policy_file(tmp_path, f"[{{level: Metadata, {fields}}}]"))
    found = policy.of(BOB, parse_path(*asked.split()))
    assert (found is not None) == matches


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    policy = load(policy_file(tmp_path, "[{level: None, users: [bob]}, {level: Request}]"))
    info = parse_path("GET", "/version")
    assert policy.of(BOB, info) is None
    request = policy.rules[1]
    assert policy.of(User("ann"), info) is request
    assert policy.of(None, info) is request, "who is not known is no user that is named"


def test_a_rule_says_more_than_the_policy_of_managed_fields(tmp_path: Path) -> None:
    rules = "[{level: Request, users: [bob], omitManagedFields: false}, {level: Request}]"
    policy: Policy = load(policy_file(tmp_path, rules, "omitManagedFields: true"))
    assert [policy.omits_managed_fields(rule) for rule in policy.rules] == [False, True]


WRONG = [
    ("[{verbs: [get]}]", "rules[0].level: Required value"),
    ("[{level: All}]", 'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request"'),
    ("[{level: None, nonResourceURLs: [version]}]", "rules[0].nonResourceURLs[0]: Invalid value"),
    ("[{level: None, nonResourceURLs: ['/a*b']}]", "wildcards '*' must be the final character"),
    ("[{level: None, nonResourceURLs: [/a], namespaces: [b]}]", "rules cannot apply to both regular resources and"),
    ("[{level: None, resources: [{group: apps/v1}]}]", "rules[0].resources[0].group: Invalid value"),
    ("[{level: None, resources: [{resourceNames: [a]}]}]", "using resourceNames requires at least one resource"),
    ("[{level: None, omitStages: [Later]}]", "rules[0].omitStages[0]: Invalid value"),
    ("[{level: None, verbs: get}]", "$.rules[0].verbs"),
    ("[]", "rules: there are none"),
    ("[", "is not valid YAML"),
]


@pytest.mark.parametrize(("rules", "words"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, rules: str, words: str) -> None:
    with pytest.raises(AuditError) as told:
        load(policy_file(tmp_path, rules))
    assert words in str(told.value)
    assert "policy.yaml" in str(told.value)


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config"
    with pytest.raises(AuditError, match="No such file"):
        load(file)
    file.write_text("apiVersion: v1\nkind: Config\n")
    with pytest.raises(AuditError, match=r"want apiVersion: audit.k8s.io/v1 and kind: Policy"):
        load(file)


def test_an_unknown_field_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(policy_file(tmp_path, "[{level: None, verb: [get], resources: [{resource: [pods]}]}]", "rulez: 1"))
    told = [record.getMessage() for record in caplog.records]
    for field in ("rulez", "rules[0].verb", "rules[0].resources[0].resource"):
        assert any(f"the field {field} is not known" in line for line in told), field
