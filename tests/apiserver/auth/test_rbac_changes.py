"""Changes of roles and bindings hold at the next check, however many there are."""

from orlop.api.types import meta_v1
from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject
from orlop.apiserver.auth import Access, Authorizer, User

from .conftest import Objects

ALICE = User("alice")
PODS = Access("list", "pods", namespace="ns-7")
READ = [PolicyRule(verbs=["list"], api_groups=[""], resources=["pods"])]


def binding(namespace: str, kind: str = "Role") -> RoleBinding:
    return RoleBinding(
        metadata=meta_v1.ObjectMeta(name="b", namespace=namespace),
        subjects=[Subject(kind="User", name="alice")],
        role_ref=RoleRef(kind=kind, name="r"),
    )


def test_after_more_changes_than_the_hub_remembers() -> None:
    hub = Objects(ring=8)
    access = Authorizer(hub)
    assert not access.authorize(ALICE, PODS).allowed
    for index in range(50):
        hub.put(binding(f"ns-{index}"))
        hub.put(Role(metadata=meta_v1.ObjectMeta(name="r", namespace=f"ns-{index}"), rules=READ))
    assert access.authorize(ALICE, PODS).allowed
    for index in range(50):
        hub.remove("rbac.authorization.k8s.io/rolebindings", f"ns-{index}", "b")
    assert not access.authorize(ALICE, PODS).allowed


def test_a_cluster_role_counts_in_every_namespace_that_binds_it(hub: Objects) -> None:
    access = Authorizer(hub)
    hub.put(binding("ns-7", kind="ClusterRole"))
    assert not access.authorize(ALICE, PODS).allowed
    hub.put(ClusterRole(metadata=meta_v1.ObjectMeta(name="r"), rules=READ))
    assert access.authorize(ALICE, PODS).allowed
    assert not access.authorize(ALICE, PODS._replace(namespace="ns-8")).allowed
    hub.remove("rbac.authorization.k8s.io/clusterroles", "", "r")
    assert access.authorize(ALICE, PODS).reason == ('RBAC: clusterrole.rbac.authorization.k8s.io "r" not found')


def test_one_namespace_s_change_leaves_the_others_alone(hub: Objects) -> None:
    access = Authorizer(hub)
    for namespace in ("ns-7", "ns-8"):
        hub.put(binding(namespace))
        hub.put(Role(metadata=meta_v1.ObjectMeta(name="r", namespace=namespace), rules=READ))
    assert access.authorize(ALICE, PODS).allowed
    hub.put(Role(metadata=meta_v1.ObjectMeta(name="r", namespace="ns-8"), rules=[]))
    assert access.authorize(ALICE, PODS).allowed
    assert not access.authorize(ALICE, PODS._replace(namespace="ns-8")).allowed
    hub.put(
        ClusterRoleBinding(
            metadata=meta_v1.ObjectMeta(name="all"),
            subjects=[Subject(kind="User", name="alice")],
            role_ref=RoleRef(kind="ClusterRole", name="all"),
        )
    )
    hub.put(ClusterRole(metadata=meta_v1.ObjectMeta(name="all"), rules=READ))
    assert access.authorize(ALICE, PODS._replace(namespace="ns-8")).allowed


def test_rules_of_a_removed_namespace_are_forgotten(hub: Objects) -> None:
    access = Authorizer(hub)
    hub.put(binding("ns-7"))
    hub.put(Role(metadata=meta_v1.ObjectMeta(name="r", namespace="ns-7"), rules=READ))
    assert [rule.resources for rule in access.rbac.rules(ALICE, "ns-7")[0]] == [["pods"]]
    hub.remove("rbac.authorization.k8s.io/roles", "ns-7", "r")
    hub.remove("rbac.authorization.k8s.io/rolebindings", "ns-7", "b")
    assert access.rbac.rules(ALICE, "ns-7") == ([], [])
