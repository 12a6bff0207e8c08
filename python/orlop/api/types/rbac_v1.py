"""rbac.authorization.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class AggregationRule(ApiStruct):
    cluster_role_selectors: list[meta_v1.LabelSelector] = _f(default_factory=list)


class PolicyRule(ApiStruct):
    verbs: list[str] = _f(default_factory=lambda: list())
    api_groups: list[str] = _f(default_factory=list)
    resources: list[str] = _f(default_factory=list)
    resource_names: list[str] = _f(default_factory=list)
    non_resource_urls: list[str] = _f(default_factory=list, name="nonResourceURLs")


class ClusterRole(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ClusterRole")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    rules: list[PolicyRule] = _f(default_factory=lambda: list())
    aggregation_rule: AggregationRule | None = None


class RoleRef(ApiStruct):
    api_group: str = _f(default_factory=str)
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)


class Subject(ApiStruct):
    kind: str = _f(default_factory=str)
    api_group: str = ""
    name: str = _f(default_factory=str)
    namespace: str = ""


class ClusterRoleBinding(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ClusterRoleBinding")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    subjects: list[Subject] = _f(default_factory=list)
    role_ref: RoleRef = _f(default_factory=lambda: RoleRef())


class ClusterRoleBindingList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ClusterRoleBindingList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ClusterRoleBinding] = _f(default_factory=lambda: list())


class ClusterRoleList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ClusterRoleList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ClusterRole] = _f(default_factory=lambda: list())


class Role(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "Role")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    rules: list[PolicyRule] = _f(default_factory=lambda: list())


class RoleBinding(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "RoleBinding")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    subjects: list[Subject] = _f(default_factory=list)
    role_ref: RoleRef = _f(default_factory=lambda: RoleRef())


class RoleBindingList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "RoleBindingList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[RoleBinding] = _f(default_factory=lambda: list())


class RoleList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "RoleList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Role] = _f(default_factory=lambda: list())
