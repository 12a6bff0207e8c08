"""Bringing the cluster's roles and bindings up to the bootstrap policy, without taking anything away.

As pkg/registry/rbac/reconciliation does: what is missing is made; an object that is annotated
`rbac.authorization.kubernetes.io/autoupdate: "true"` gets the rules, subjects, labels and annotations that it lacks;
what people have added stays, and an object with "false" or without the annotation is left as it is.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding
from orlop.apiserver.auth.policy.build import AUTO_UPDATE
from orlop.apiserver.auth.policy.cluster import cluster_role_bindings, cluster_roles
from orlop.apiserver.auth.policy.controllers import controller_role_bindings, controller_roles
from orlop.apiserver.auth.policy.namespaced import role_bindings, roles
from orlop.apiserver.auth.rules import uncovered

T = TypeVar("T")
Policy = ClusterRole | ClusterRoleBinding | Role | RoleBinding


class Write(NamedTuple):
    """An object to create, or to update (`replaces` is then what is there), or to delete and create again."""

    object: Policy
    replaces: Policy | None = None
    recreate: bool = False
    """A binding's roleRef cannot change: the old one must be deleted first."""


def bootstrap_policy() -> list[Policy]:
    """Every role and binding, roles first."""
    return [
        *cluster_roles(),
        *controller_roles(),
        *cluster_role_bindings(),
        *controller_role_bindings(),
        *roles(),
        *role_bindings(),
    ]


def reconcile(current: Callable[[Policy], Policy | None]) -> Iterator[Write]:
    """What must be written so that the bootstrap policy holds. `current` looks up the object of the same name."""
    for wanted in bootstrap_policy():
        found = current(wanted)
        if found is None:
            yield Write(wanted)
        elif found.metadata.annotations.get(AUTO_UPDATE) == "true":
            change = _update(wanted, found)
            if change:
                yield change


def _update(wanted: Policy, found: Policy) -> Write | None:
    if isinstance(wanted, ClusterRoleBinding | RoleBinding):
        assert isinstance(found, ClusterRoleBinding | RoleBinding)
        if found.role_ref != wanted.role_ref:
            wanted.subjects = _union(found.subjects, wanted.subjects)
            return Write(wanted, found, recreate=True)
        changed = _add_metadata(wanted, found)
        subjects = _union(found.subjects, wanted.subjects)
        if len(subjects) != len(found.subjects):
            found.subjects, changed = subjects, True
        return Write(found, found) if changed else None
    assert isinstance(found, ClusterRole | Role)
    changed = _add_metadata(wanted, found)
    if found.rules != wanted.rules:
        missing = _missing(wanted.rules, found.rules)
        if missing:
            found.rules, changed = [*found.rules, *missing], True
    if isinstance(wanted, ClusterRole) and isinstance(found, ClusterRole) and wanted.aggregation_rule:
        if found.aggregation_rule is None:
            found.aggregation_rule, changed = wanted.aggregation_rule, True
        else:
            selectors = _union(
                found.aggregation_rule.cluster_role_selectors, wanted.aggregation_rule.cluster_role_selectors
            )
            if len(selectors) != len(found.aggregation_rule.cluster_role_selectors):
                found.aggregation_rule.cluster_role_selectors, changed = selectors, True
    return Write(found, found) if changed else None


def _add_metadata(wanted: Policy, found: Policy) -> bool:
    labels = {**wanted.metadata.labels, **found.metadata.labels}
    annotations = {**wanted.metadata.annotations, **found.metadata.annotations}
    if labels == found.metadata.labels and annotations == found.metadata.annotations:
        return False
    found.metadata.labels, found.metadata.annotations = labels, annotations
    return True


def _missing(wanted: list[PolicyRule], found: list[PolicyRule]) -> list[PolicyRule]:
    return uncovered(owned=found, wanted=[rule for rule in wanted if rule not in found])


def _union(there: list[T], more: list[T]) -> list[T]:
    return [*there, *(item for item in more if item not in there)]
