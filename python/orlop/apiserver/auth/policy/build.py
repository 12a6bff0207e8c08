"""Short words for rules, roles and bindings, so that the tables beside this file read as tables."""

from collections.abc import Iterable

from orlop.api.types import meta_v1, rbac_v1
from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject

GROUP = "rbac.authorization.k8s.io"
CORE = "core"
"""How the tables write the group whose name is empty."""
READ = "get list watch"
WRITE = "create delete deletecollection patch update"
READ_WRITE = f"{READ} {WRITE}"
AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
AGGREGATE_TO = "rbac.authorization.k8s.io/aggregate-to-"


def allow(verbs: str, groups: str, resources: str, names: str = "") -> PolicyRule:
    """A rule about resources; all arguments are lists separated by blanks."""
    return PolicyRule(
        verbs=sorted(verbs.split()),
        api_groups=["" if group == CORE else group for group in groups.split()],
        resources=sorted(resources.split()),
        resource_names=names.split(),
    )


def urls(verbs: str, paths: str) -> PolicyRule:
    """A rule about paths that are no resources."""
    return PolicyRule(verbs=verbs.split(), non_resource_urls=sorted(paths.split()))


EVENTS = allow("create patch update", "core events.k8s.io", "events")
"""Everyone who acts tells of it."""


def _metadata(name: str, namespace: str = "", labels: dict[str, str] | None = None) -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(
        name=name,
        namespace=namespace,
        labels={"kubernetes.io/bootstrapping": "rbac-defaults", **(labels or {})},
        annotations={AUTO_UPDATE: "true"},
    )


def cluster_role(name: str, *rules: PolicyRule, joins: str = "") -> ClusterRole:
    """`joins` names the role that this one's rules become part of."""
    labels = {AGGREGATE_TO + joins: "true"} if joins else None
    return ClusterRole(metadata=_metadata(name, labels=labels), rules=list(rules))


def aggregated(name: str, parts: Iterable[ClusterRole], joins: str = "") -> ClusterRole:
    """A role made of all those that join it, its rules filled in as the aggregation controller would."""
    selector = meta_v1.LabelSelector(match_labels={AGGREGATE_TO + name: "true"})
    role = cluster_role(name, joins=joins)
    role.aggregation_rule = rbac_v1.AggregationRule(cluster_role_selectors=[selector])
    for part in sorted(parts, key=lambda part: part.metadata.name):
        if part.metadata.labels.get(AGGREGATE_TO + name) == "true":
            role.rules.extend(rule for rule in part.rules if rule not in role.rules)
    return role


def role(namespace: str, name: str, *rules: PolicyRule) -> Role:
    return Role(metadata=_metadata(name, namespace), rules=list(rules))


def user(name: str) -> Subject:
    return Subject(kind="User", api_group=GROUP, name=name)


def group(name: str) -> Subject:
    return Subject(kind="Group", api_group=GROUP, name=name)


def account(name: str, namespace: str = "kube-system") -> Subject:
    return Subject(kind="ServiceAccount", name=name, namespace=namespace)


def cluster_binding(name: str, *subjects: Subject) -> ClusterRoleBinding:
    """Binds the ClusterRole of the same name."""
    return ClusterRoleBinding(
        metadata=_metadata(name),
        subjects=list(subjects),
        role_ref=RoleRef(api_group=GROUP, kind="ClusterRole", name=name),
    )


def binding(namespace: str, name: str, *subjects: Subject, role: str = "") -> RoleBinding:
    """Binds the Role `role`, or the one of the same name."""
    return RoleBinding(
        metadata=_metadata(name, namespace),
        subjects=list(subjects),
        role_ref=RoleRef(api_group=GROUP, kind="Role", name=role or name),
    )
