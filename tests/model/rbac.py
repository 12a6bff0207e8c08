"""RBAC as its documentation states it: every rule of every binding, looked at anew for each question."""

from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject
from orlop.apiserver.auth import Access, User

Key = tuple[str, str, str]


class Model:
    """Keeps objects by kind, namespace and name."""

    def __init__(self) -> None:
        self.objects: dict[Key, ClusterRole | ClusterRoleBinding | Role | RoleBinding] = {}

    def allowed(self, user: User, asked: Access) -> bool:
        for obj in self.objects.values():
            if not isinstance(obj, ClusterRoleBinding | RoleBinding):
                continue
            home = obj.metadata.namespace
            if home and home != asked.namespace:
                continue
            if not any(self._is(subject, home, user) for subject in obj.subjects):
                continue
            ref = obj.role_ref
            role = self.objects.get((ref.kind, home if ref.kind == "Role" else "", ref.name))
            if isinstance(role, ClusterRole | Role) and any(self._grants(rule, asked) for rule in role.rules):
                return True
        return False

    def _is(self, subject: Subject, home: str, user: User) -> bool:
        if subject.kind == "User":
            return subject.name == user.name
        if subject.kind == "Group":
            return subject.name in user.groups
        return user.name == f"system:serviceaccount:{subject.namespace or home}:{subject.name}"

    def _grants(self, rule: PolicyRule, asked: Access) -> bool:
        def has(values: list[str], value: str) -> bool:
            return "*" in values or value in values

        if not has(rule.verbs, asked.verb):
            return False
        if asked.path:
            return any(
                asked.path == url or (url.endswith("*") and asked.path.startswith(url[:-1]))
                for url in rule.non_resource_urls
            )
        whole = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
        return (
            has(rule.api_groups, asked.group)
            and (has(rule.resources, whole) or (asked.subresource != "" and f"*/{asked.subresource}" in rule.resources))
            and (not rule.resource_names or asked.name in rule.resource_names)
        )
