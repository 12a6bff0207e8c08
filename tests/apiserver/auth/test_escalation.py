import pytest

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.api.types.rbac_v1 import ClusterRole, PolicyRule, Role, RoleBinding, RoleRef, Subject
from orlop.apiserver.auth import Authorizer, User
from orlop.apiserver.auth.escalation import check_binding, check_role
from orlop.apiserver.auth.policy import bootstrap_policy
from orlop.apiserver.auth.policy.build import allow

ALICE = User("alice", ("dev", "system:authenticated"))


def role(*rules: PolicyRule, name: str = "new") -> Role:
    return Role(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), rules=list(rules))


def binding(name: str, kind: str = "ClusterRole", subject: str = "alice") -> RoleBinding:
    return RoleBinding(
        metadata=meta_v1.ObjectMeta(name="new", namespace="default"),
        subjects=[Subject(kind="User", name=subject)],
        role_ref=RoleRef(kind=kind, name=name),
    )


@pytest.fixture
def access(hub):
    for obj in bootstrap_policy():
        hub.put(obj)
    given = binding("admin")
    given.metadata.name = "alice-is-admin"
    hub.put(given)
    return Authorizer(hub)


def test_what_is_held_may_be_granted(access):
    check_role(access, ALICE, role(allow("get list", "core", "pods secrets")), None)
    check_binding(access, ALICE, binding("edit"))
    check_binding(access, ALICE, binding("admin"))


def test_what_is_not_held_may_not(access):
    with pytest.raises(errors.Forbidden) as caught:
        check_role(access, ALICE, role(allow("get list", "core", "nodes"), allow("get", "core", "pods")), None)
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "new" is forbidden: user "alice" (groups=["dev" "system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}'
    )
    with pytest.raises(errors.Forbidden, match="attempting to grant"):
        check_binding(access, ALICE, binding("cluster-admin"))


def test_masters_may_grant_anything(access):
    check_binding(access, User("root", ("system:masters",)), binding("cluster-admin"))
    check_role(access, User("root", ("system:masters",)), role(allow("*", "*", "*")), None)


def test_a_write_that_leaves_the_rules_alone_is_free(access):
    there = role(allow("*", "*", "*"))
    check_role(access, ALICE, role(allow("*", "*", "*")), there)
    with pytest.raises(errors.Forbidden):
        check_role(access, ALICE, role(allow("*", "*", "*")), role())


def test_bind_and_escalate_lift_it(access, hub):
    hub.put(role(allow("bind", "rbac.authorization.k8s.io", "clusterroles", names="cluster-admin"), name="binder"))
    given = binding("binder", kind="Role")
    given.metadata.name = "alice-binds"
    hub.put(given)
    check_binding(access, ALICE, binding("cluster-admin"))
    with pytest.raises(errors.Forbidden):
        check_binding(access, ALICE, binding("system:node"))
    hub.put(role(allow("escalate", "rbac.authorization.k8s.io", "roles"), name="binder"))
    check_role(access, ALICE, role(allow("*", "*", "*")), None)


def test_an_aggregated_role_needs_everything(access):
    admin = next(obj for obj in bootstrap_policy() if isinstance(obj, ClusterRole) and obj.aggregation_rule)
    admin.rules = []
    with pytest.raises(errors.Forbidden, match="attempting to grant"):
        check_role(access, ALICE, admin, None)


def test_a_role_that_is_not_there_is_named(access):
    with pytest.raises(errors.NotFound, match=r'clusterroles.rbac.authorization.k8s.io "none" not found'):
        check_binding(access, ALICE, binding("none"))
