import pytest

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.api.types.rbac_v1 import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from orlop.apiserver.auth import Access, Authorizer, User
from orlop.apiserver.auth.policy import bootstrap_policy

LEASES = ("leases", "coordination.k8s.io", "kube-system")
ALICE = User("alice", ("dev", "system:authenticated"))


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> PolicyRule:
    return PolicyRule(
        verbs=verbs.split(), api_groups=[group], resources=resources.split(), resource_names=names.split()
    )


def role(name: str, *rules: PolicyRule, namespace: str = "default") -> Role:
    return Role(metadata=meta_v1.ObjectMeta(name=name, namespace=namespace), rules=list(rules))


def bind(role: str, *subjects: Subject, kind: str = "Role", namespace: str = "default") -> RoleBinding:
    return RoleBinding(
        metadata=meta_v1.ObjectMeta(name=f"{role}-binding", namespace=namespace),
        subjects=list(subjects),
        role_ref=RoleRef(kind=kind, name=role),
    )


def bind_cluster(role: str, *subjects: Subject) -> ClusterRoleBinding:
    return ClusterRoleBinding(
        metadata=meta_v1.ObjectMeta(name=f"{role}-binding"),
        subjects=list(subjects),
        role_ref=RoleRef(kind="ClusterRole", name=role),
    )


def user(name: str) -> Subject:
    return Subject(kind="User", name=name)


@pytest.fixture
def bootstrapped(hub):
    for obj in bootstrap_policy():
        hub.put(obj)
    return Authorizer(hub)


def test_nothing_is_allowed_without_a_rule(hub):
    with pytest.raises(errors.Forbidden) as caught:
        Authorizer(hub).require(ALICE, Access("list", "pods", namespace="default"))
    assert caught.value.message == (
        'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "default"'
    )
    assert caught.value.status.details.kind == "pods"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            Access("get", "pods", namespace="default", name="web"),
            'pods "web" is forbidden: User "alice" cannot get resource "pods" in API group "" in the namespace '
            '"default"',
        ),
        (
            Access("update", "deployments", "apps", "default", "web", "scale"),
            'deployments.apps "web" is forbidden: User "alice" cannot update resource "deployments/scale" in API group '
            '"apps" in the namespace "default"',
        ),
        (
            Access("list", "nodes"),
            'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (Access("get", path="/metrics"), 'forbidden: User "alice" cannot get path "/metrics"'),
    ],
)
def test_refusals_are_worded_as_upstream(hub, asked, message):
    with pytest.raises(errors.Forbidden) as caught:
        Authorizer(hub).require(ALICE, asked)
    assert caught.value.message == message


def test_a_role_holds_in_its_namespace_only(hub):
    hub.put(role("reader", rule("get list", "pods")))
    hub.put(bind("reader", user("alice")))
    access = Authorizer(hub)
    assert access.authorize(ALICE, Access("list", "pods", namespace="default")) == (
        True,
        'RBAC: allowed by RoleBinding "reader-binding/default" of Role "reader" to User "alice"',
    )
    assert not access.authorize(ALICE, Access("list", "pods", namespace="other")).allowed
    assert not access.authorize(ALICE, Access("list", "pods")).allowed
    assert not access.authorize(ALICE, Access("delete", "pods", namespace="default")).allowed
    assert not access.authorize(ALICE, Access("get", "pods", namespace="default", subresource="log")).allowed
    assert not access.authorize(User("bob"), Access("list", "pods", namespace="default")).allowed


def test_every_kind_of_subject(hub):
    hub.put(ClusterRole(metadata=meta_v1.ObjectMeta(name="r"), rules=[rule("get", "pods")]))
    hub.put(
        bind_cluster(
            "r",
            Subject(kind="Group", name="dev"),
            Subject(kind="ServiceAccount", name="app", namespace="ns"),
        )
    )
    access = Authorizer(hub)
    asked = Access("get", "pods", namespace="x", name="p")
    assert access.authorize(ALICE, asked).allowed
    assert access.authorize(User("system:serviceaccount:ns:app"), asked).reason == (
        'RBAC: allowed by ClusterRoleBinding "r-binding" of ClusterRole "r" to ServiceAccount "app/ns"'
    )
    assert not access.authorize(User("dev"), asked).allowed
    assert not access.authorize(User("system:serviceaccount:other:app"), asked).allowed


@pytest.mark.parametrize(
    ("given", "asked", "allowed"),
    [
        (rule("*", "*", "*"), Access("create", "pods", namespace="n", subresource="exec"), True),
        (rule("get", "*"), Access("get", "pods", namespace="n", subresource="log"), True),
        (rule("get", "*"), Access("get", "deployments", "apps", "n"), False),
        (rule("get", "pods"), Access("get", "pods", namespace="n", subresource="log"), False),
        (rule("get", "pods/log"), Access("get", "pods", namespace="n", subresource="log"), True),
        (rule("get", "pods/log"), Access("get", "pods", namespace="n"), False),
        (rule("get", "*/scale", "*"), Access("get", "deployments", "apps", "n", subresource="scale"), True),
        (rule("get", "*/scale", "*"), Access("get", "deployments", "apps", "n", subresource="status"), False),
        (rule("get", "secrets", names="a b"), Access("get", "secrets", namespace="n", name="b"), True),
        (rule("get", "secrets", names="a b"), Access("get", "secrets", namespace="n", name="c"), False),
        (rule("list", "secrets", names="a"), Access("list", "secrets", namespace="n"), False),
        (rule("create", "secrets", names="a"), Access("create", "secrets", namespace="n"), False),
        (PolicyRule(verbs=["get"], non_resource_urls=["/healthz/*"]), Access("get", path="/healthz/ping"), True),
        (PolicyRule(verbs=["get"], non_resource_urls=["/healthz/*"]), Access("get", path="/healthz"), False),
        (PolicyRule(verbs=["get"], non_resource_urls=["/healthz"]), Access("post", path="/healthz"), False),
    ],
)
def test_rules_match_as_upstream(hub, given, asked, allowed):
    hub.put(ClusterRole(metadata=meta_v1.ObjectMeta(name="r"), rules=[given]))
    hub.put(bind_cluster("r", user("alice")))
    assert Authorizer(hub).authorize(ALICE, asked).allowed is allowed


def test_names_from_several_rules_add_up(hub):
    hub.put(role("r", rule("get", "secrets", names="a"), rule("get", "secrets", names="b")))
    hub.put(bind("r", user("alice")))
    access = Authorizer(hub)
    for name, allowed in (("a", True), ("b", True), ("c", False), ("a", True)):
        assert access.authorize(ALICE, Access("get", "secrets", namespace="default", name=name)).allowed is allowed


def test_changes_hold_at_once(hub):
    access = Authorizer(hub)
    asked = Access("get", "pods", namespace="default", name="p")
    hub.put(bind("later", user("alice")))
    assert access.authorize(ALICE, asked) == (
        False,
        'RBAC: role.rbac.authorization.k8s.io "later" not found',
    )
    hub.put(role("later", rule("get", "pods")))
    assert access.authorize(ALICE, asked).allowed
    hub.put(role("later", rule("list", "pods")))
    assert not access.authorize(ALICE, asked).allowed
    hub.remove("rbac.authorization.k8s.io/rolebindings", "default", "later-binding")
    assert not access.authorize(ALICE, Access("list", "pods", namespace="default")).allowed


def test_masters_may_do_everything(hub):
    Authorizer(hub).require(User("x", ("system:masters",)), Access("delete", path="/anything"))


@pytest.mark.parametrize(
    ("who", "asked", "allowed"),
    [
        (User("system:anonymous", ("system:unauthenticated",)), Access("get", path="/readyz"), True),
        (User("system:anonymous", ("system:unauthenticated",)), Access("get", path="/api"), False),
        (User("system:anonymous", ("system:unauthenticated",)), Access("list", "pods"), False),
        (ALICE, Access("get", path="/apis/apps/v1"), True),
        (ALICE, Access("create", "selfsubjectaccessreviews", "authorization.k8s.io"), True),
        (ALICE, Access("list", "pods"), False),
        (User("system:kube-scheduler"), Access("create", "pods", "", "default", "p", "binding"), True),
        (User("system:kube-scheduler"), Access("patch", "pods", "", "default", "p", "status"), True),
        (User("system:kube-scheduler"), Access("update", *LEASES, "kube-scheduler"), True),
        (User("system:kube-scheduler"), Access("create", "pods", "", "default"), False),
        (User("system:kube-scheduler"), Access("get", "secrets", "", "default", "s"), False),
        (User("system:kube-proxy"), Access("watch", "endpointslices", "discovery.k8s.io"), True),
        (User("system:kube-proxy"), Access("watch", "services"), True),
        (User("system:kube-proxy"), Access("list", "pods"), False),
        (User("system:kube-controller-manager"), Access("create", "pods", "", "default"), True),
        (User("system:kube-controller-manager"), Access("update", "deployments", "apps", "d", "x", "status"), True),
        (User("system:kube-controller-manager"), Access("create", "endpointslices", "discovery.k8s.io", "d"), True),
        (User("system:kube-controller-manager"), Access("update", "namespaces", "", "n", "n", "finalize"), True),
        (User("system:kube-controller-manager"), Access("create", "configmaps", "", "n"), True),
        (User("system:kube-controller-manager"), Access("create", "clusterroles", "rbac.authorization.k8s.io"), False),
        (User("system:serviceaccount:d:x", ("system:serviceaccounts",)), Access("get", path="/openid/v1/jwks"), True),
        (User("system:serviceaccount:d:x", ("system:serviceaccounts",)), Access("list", "pods", "", "d"), False),
    ],
)  # fmt: skip
def test_bootstrap_policy(bootstrapped, who, asked, allowed):
    assert bootstrapped.authorize(who, asked).allowed is allowed


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("view", {("get", "pods"), ("get", "configmaps")}),
        ("edit", {("get", "pods"), ("get", "configmaps"), ("create", "pods"), ("get", "secrets")}),
        (
            "admin",
            {("get", "pods"), ("get", "configmaps"), ("create", "pods"), ("get", "secrets"), ("create", "roles")},
        ),
    ],
)
def test_the_people_s_roles_are_complete_from_the_start(hub, bootstrapped, name, allowed):
    hub.put(bind(name, user("alice"), kind="ClusterRole"))
    groups = {"roles": "rbac.authorization.k8s.io"}
    probes = [
        ("get", "pods"),
        ("get", "configmaps"),
        ("create", "pods"),
        ("get", "secrets"),
        ("create", "roles"),
        ("delete", "nodes"),
        ("update", "resourcequotas"),
    ]
    found = {
        (verb, resource)
        for verb, resource in probes
        if bootstrapped.authorize(ALICE, Access(verb, resource, groups.get(resource, ""), "default")).allowed
    }
    assert found == allowed
