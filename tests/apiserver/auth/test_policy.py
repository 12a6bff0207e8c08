"""Bringing a cluster's roles up to the bootstrap policy."""

import msgspec
import pytest

from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, RoleRef, Subject
from orlop.apiserver.auth.policy import bootstrap_policy, reconcile
from orlop.apiserver.auth.policy.build import AUTO_UPDATE, allow


def key(obj):
    return obj.kind, obj.metadata.namespace, obj.metadata.name


@pytest.fixture
def there():
    """The objects that are there, by kind, namespace and name; as stored, so that tests change copies."""
    return {key(obj): obj for obj in bootstrap_policy()}


def changes(there):
    def current(wanted):
        found = there.get(key(wanted))
        return None if found is None else msgspec.json.decode(msgspec.json.encode(found), type=type(found))

    return list(reconcile(current))


def test_at_the_first_start_everything_is_made():
    made = changes({})
    assert [write.object for write in made] == bootstrap_policy()
    assert all(write.replaces is None for write in made)


def test_roles_come_before_what_binds_them():
    seen = set()
    for obj in bootstrap_policy():
        if obj.kind.endswith("Binding"):
            ref = obj.role_ref
            assert (ref.kind, obj.metadata.namespace if ref.kind == "Role" else "", ref.name) in seen
        seen.add(key(obj))


def test_names_are_unique():
    names = [key(obj) for obj in bootstrap_policy()]
    assert len(names) == len(set(names))


def test_all_carry_upstream_s_marks():
    for obj in bootstrap_policy():
        assert obj.metadata.labels["kubernetes.io/bootstrapping"] == "rbac-defaults"
        assert obj.metadata.annotations[AUTO_UPDATE] == "true"


def test_afterwards_there_is_nothing_to_do(there):
    assert changes(there) == []


def test_what_is_missing_comes_back_and_what_people_added_stays(there):
    role = there["ClusterRole", "", "system:kube-dns"]
    added = allow("get", "example.com", "things")
    role.rules = [added]
    role.metadata.labels = {"mine": "1"}
    (write,) = changes(there)
    assert write.replaces is not None
    assert write.object.rules[0] == added
    assert {(rule.verbs[0], rule.resources[0]) for rule in write.object.rules[1:]} == {
        (verb, resource) for verb in ("list", "watch") for resource in ("endpoints", "services")
    }
    assert write.object.metadata.labels == {"mine": "1", "kubernetes.io/bootstrapping": "rbac-defaults"}


def test_a_wider_rule_covers_what_is_wanted(there):
    there["ClusterRole", "", "system:kube-dns"].rules = [allow("*", "*", "*")]
    assert changes(there) == []


def test_a_lost_subject_comes_back(there):
    binding = there["ClusterRoleBinding", "", "system:kube-scheduler"]
    binding.subjects = [Subject(kind="User", name="mine")]
    (write,) = changes(there)
    assert [subject.name for subject in write.object.subjects] == ["mine", "system:kube-scheduler"]


def test_a_binding_to_another_role_is_made_anew(there):
    binding = there["ClusterRoleBinding", "", "system:kube-dns"]
    binding.role_ref = RoleRef(api_group=binding.role_ref.api_group, kind="ClusterRole", name="cluster-admin")
    (write,) = changes(there)
    assert write.recreate
    assert isinstance(write.object, ClusterRoleBinding)
    assert write.object.role_ref.name == "system:kube-dns"


@pytest.mark.parametrize("value", ["false", None])
def test_who_opts_out_is_left_alone(there, value):
    role = there["ClusterRole", "", "system:kube-dns"]
    role.rules = []
    role.metadata.annotations = {} if value is None else {AUTO_UPDATE: value}
    assert changes(there) == []


def test_aggregated_roles_hold_what_joins_them(there):
    def rules(name):
        return there["ClusterRole", "", name].rules

    for whole, part in (("view", "system:aggregate-to-view"), ("edit", "view"), ("admin", "edit")):
        assert all(rule in rules(whole) for rule in rules(part))
        assert isinstance(there["ClusterRole", "", whole], ClusterRole)
        (selector,) = there["ClusterRole", "", whole].aggregation_rule.cluster_role_selectors
        assert selector.match_labels == {f"rbac.authorization.k8s.io/aggregate-to-{whole}": "true"}


UPSTREAM = {
    ("ClusterRole", "", "system:aggregate-to-edit"): [("create", "events.k8s.io", "events")],
    ("ClusterRole", "", "system:aggregate-to-view"): [("get", "events.k8s.io", "events")],
    ("ClusterRole", "", "system:node"): [("patch", "events.k8s.io", "events")],
    ("ClusterRole", "", "system:monitoring"): [("get", "", "nodes/metrics")],
    ("ClusterRole", "", "system:kube-scheduler"): [
        ("watch", "coordination.k8s.io", "leases"),
        ("deletecollection", "coordination.k8s.io", "leasecandidates"),
        ("watch", "resource.k8s.io", "devicetaintrules"),
        ("update", "resource.k8s.io", "resourceclaims/binding"),
    ],
    ("ClusterRole", "", "system:controller:node-controller"): [("watch", "coordination.k8s.io", "leases")],
    ("ClusterRole", "", "system:controller:pvc-protection-controller"): [
        ("update", "", "persistentvolumeclaims/status")
    ],
    ("ClusterRole", "", "system:controller:resource-claim-controller"): [
        ("patch", "resource.k8s.io", "resourceclaims/binding")
    ],
    ("Role", "kube-system", "system::leader-locking-kube-scheduler"): [
        ("update", "coordination.k8s.io", "leasecandidates")
    ],
}


@pytest.mark.parametrize("name", UPSTREAM, ids=lambda name: name[2])
def test_roles_allow_what_upstream_s_do(there, name):
    rules = there[name].rules
    for verb, group, resource in UPSTREAM[name]:
        assert any(verb in r.verbs and group in r.api_groups and resource in r.resources for r in rules), resource


def test_who_leads_is_not_kept_in_config_maps(there):
    for component in ("kube-controller-manager", "kube-scheduler"):
        rules = there["Role", "kube-system", f"system::leader-locking-{component}"].rules
        assert not any("configmaps" in rule.resources for rule in rules)
