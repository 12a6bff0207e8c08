"""Rules of roles and bindings: pkg/apis/rbac/validation. Who may grant what is access control's own check."""

from typing import Any, ClassVar

from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, not_supported, required
from orlop.api.types import rbac_v1
from orlop.apiserver.registry import names, podtemplate
from orlop.apiserver.registry.strategy import Strategy

GROUP = "rbac.authorization.k8s.io"


class _Rbac(Strategy):
    create_on_update = True

    def name_rule(self, name: str) -> list[str]:
        return names.path_segment(name)


def _rules(rules: list[rbac_v1.PolicyRule], namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, rule in enumerate(rules):
        path = f"rules[{i}]"
        if not rule.verbs:
            errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
        if rule.non_resource_urls:
            if namespaced:
                errors.append(
                    invalid_value(
                        f"{path}.nonResourceURLs",
                        rule.non_resource_urls,
                        "namespaced rules cannot apply to non-resource URLs",
                    )
                )
            if rule.api_groups or rule.resources or rule.resource_names:
                errors.append(
                    invalid_value(
                        f"{path}.nonResourceURLs",
                        rule.non_resource_urls,
                        "rules cannot apply to both regular resources and non-resource URLs",
                    )
                )
            continue
        if not rule.api_groups:
            errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
        if not rule.resources:
            errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


class Roles(_Rbac):
    """Rules inside one namespace."""

    def validate(self, obj: rbac_v1.Role) -> list[FieldError]:
        return _rules(obj.rules, True)


class ClusterRoles(_Rbac):
    """Rules everywhere, perhaps gathered from others."""

    def validate(self, obj: rbac_v1.ClusterRole) -> list[FieldError]:
        errors = _rules(obj.rules, False)
        if obj.aggregation_rule is not None:
            path = "aggregationRule.clusterRoleSelectors"
            if not obj.aggregation_rule.cluster_role_selectors:
                errors.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
            for i, selector in enumerate(obj.aggregation_rule.cluster_role_selectors):
                errors += podtemplate.validate_selector(selector, f"{path}[{i}]")
        return errors


def _default_binding(obj: Any) -> None:
    if not obj.role_ref.api_group:
        obj.role_ref.api_group = GROUP
    for subject in obj.subjects:
        if not subject.api_group and subject.kind in ("User", "Group"):
            subject.api_group = GROUP


def _binding(obj: Any, kinds: tuple[str, ...], namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    ref = obj.role_ref
    if ref.api_group != GROUP:
        errors.append(not_supported("roleRef.apiGroup", ref.api_group, [GROUP]))
    if ref.kind not in kinds:
        errors.append(not_supported("roleRef.kind", ref.kind, kinds))
    if not ref.name:
        errors.append(required("roleRef.name"))
    else:
        errors += [invalid_value("roleRef.name", ref.name, m) for m in names.path_segment(ref.name)]
    for i, subject in enumerate(obj.subjects):
        errors += _subject(subject, f"subjects[{i}]", namespaced)
    return errors


def _subject(subject: rbac_v1.Subject, path: str, namespaced: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if not subject.name:
        errors.append(required(f"{path}.name"))
    if subject.kind == "ServiceAccount":
        if subject.name:
            errors += [invalid_value(f"{path}.name", subject.name, m) for m in names.subdomain(subject.name)]
        if subject.api_group:
            errors.append(not_supported(f"{path}.apiGroup", subject.api_group, [""]))
        if not namespaced and not subject.namespace:
            errors.append(required(f"{path}.namespace"))
    elif subject.kind in ("User", "Group"):
        if subject.api_group != GROUP:
            errors.append(not_supported(f"{path}.apiGroup", subject.api_group, [GROUP]))
    else:
        errors.append(not_supported(f"{path}.kind", subject.kind, ["ServiceAccount", "User", "Group"]))
    return errors


class _Bindings(_Rbac):
    kinds: ClassVar[tuple[str, ...]]

    def default(self, obj: Any) -> None:
        _default_binding(obj)

    def validate(self, obj: Any) -> list[FieldError]:
        return _binding(obj, self.kinds, self.kind.namespaced)

    def validate_update(self, new: Any, old: Any) -> list[FieldError]:
        errors = self.validate(new)
        if new.role_ref != old.role_ref:
            ref = new.role_ref
            shown = {"APIGroup": ref.api_group, "Kind": ref.kind, "Name": ref.name}
            errors.append(invalid_value("roleRef", shown, IMMUTABLE))
        return errors


class RoleBindings(_Bindings):
    """A role given to subjects in one namespace."""

    kinds = ("Role", "ClusterRole")


class ClusterRoleBindings(_Bindings):
    """A cluster role given to subjects everywhere."""

    kinds = ("ClusterRole",)
