"""RBAC: who may do what, from the ClusterRoles, Roles and bindings that the hub holds now.

The meaning is that of k8s.io/kubernetes' plugin/pkg/auth/authorizer/rbac. What a user may do is looked up once and
remembered until any of the four kinds changes, so a repeated check is two dictionary look-ups.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from orlop.api.types import rbac_v1
from orlop.api.types.rbac_v1 import PolicyRule
from orlop.apiserver import nulls
from orlop.apiserver.auth.attributes import Attributes, Decision, quote
from orlop.apiserver.auth.objects import Changes, Objects
from orlop.apiserver.auth.user import User, service_account_name

GROUP = "rbac.authorization.k8s.io"
MAX_USERS = 4096
"""Users whose decisions are remembered; each new service account token is a user of its own."""
MAX_DECISIONS = 1024
"""Remembered per user. A client asks for far fewer kinds of access; one that probes shall not fill the memory."""
EVENTS_AT_ONCE = 1024

CLUSTER_ROLES = f"{GROUP}/clusterroles"
CLUSTER_ROLE_BINDINGS = f"{GROUP}/clusterrolebindings"
ROLES = f"{GROUP}/roles"
ROLE_BINDINGS = f"{GROUP}/rolebindings"
_KINDS: dict[str, type[Any]] = {
    CLUSTER_ROLES: rbac_v1.ClusterRole,
    CLUSTER_ROLE_BINDINGS: rbac_v1.ClusterRoleBinding,
    ROLES: rbac_v1.Role,
    ROLE_BINDINGS: rbac_v1.RoleBinding,
}
_DECODERS = {resource: nulls.Decoder(kind) for resource, kind in _KINDS.items()}

Subject = tuple[str, str]
"""("User", name) or ("Group", name)."""


class Grant(NamedTuple):
    """A binding, seen from one of its subjects."""

    rules: list[PolicyRule]
    reason: str
    error: str = ""
    """Set where the role that the binding refers to is not there."""


class _Verdict(NamedTuple):
    """What is remembered of an access but for the object's name: whether it is granted, or for which names."""

    general: Decision
    named: dict[str, Decision]


class Rbac:
    """Decides from the objects in the hub. Every change that the hub has is in force at the next call."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._seen = -1
        self._watches: dict[str, Changes] = {}
        self._found: dict[str, dict[tuple[str, str], Any]] = {}
        self._grants: dict[str, dict[Subject, list[Grant]]] = {}
        self._decisions: dict[User, dict[tuple[str, ...], _Verdict]] = {}

    def authorize(self, user: User, asked: Attributes) -> Decision:
        """Whether a rule grants `asked`; `reason` names the binding, or the roles that are missing."""
        if self._objects.revision != self._seen:
            self._refresh()
        remembered = self._decisions.get(user)
        if remembered is None:
            if len(self._decisions) >= MAX_USERS:
                self._decisions.clear()
            remembered = self._decisions[user] = {}
        if not asked.is_resource:
            key: tuple[str, ...] = (asked.verb, asked.path)
        else:
            key = (asked.verb, asked.group, asked.resource, asked.subresource, asked.namespace)
        verdict = remembered.get(key)
        if verdict is None:
            if len(remembered) >= MAX_DECISIONS:
                remembered.clear()
            verdict = remembered[key] = self._decide(user, asked)
        if verdict.named and not verdict.general.allowed:
            return verdict.named.get(asked.name, verdict.general)
        return verdict.general

    def rules(self, user: User, namespace: str) -> tuple[list[PolicyRule], list[str]]:
        """Every rule that holds for `user` cluster-wide and in `namespace`, and the roles that were missing."""
        self._refresh()
        found: list[PolicyRule] = []
        missing: list[str] = []
        for grant in self._of(user, namespace):
            found.extend(grant.rules)
            if grant.error:
                missing.append(grant.error)
        return found, missing

    def role_rules(self, ref: rbac_v1.RoleRef, namespace: str) -> list[PolicyRule] | None:
        """The rules of the role that a binding in `namespace` ("" for a ClusterRoleBinding) refers to."""
        self._refresh()
        return self._rules_of(ref, namespace)

    def _decide(self, user: User, asked: Attributes) -> _Verdict:
        named: dict[str, Decision] = {}
        missing: dict[str, None] = {}
        for grant in self._of(user, asked.namespace if asked.is_resource else ""):
            if grant.error:
                missing[grant.error] = None
            for rule in grant.rules:
                if not matches(rule, asked):
                    continue
                if not rule.resource_names or not asked.is_resource:
                    return _Verdict(Decision(True, grant.reason), {})
                for name in rule.resource_names:
                    named.setdefault(name, Decision(True, grant.reason))
        return _Verdict(Decision(False, f"RBAC: {aggregate(list(missing))}" if missing else ""), named)

    def _of(self, user: User, namespace: str) -> Iterator[Grant]:
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        for scope in ("", namespace) if namespace else ("",):
            by_subject = self._grants.get(scope)
            if by_subject:
                for subject in subjects:
                    yield from by_subject.get(subject, ())

    def _refresh(self) -> None:
        """Takes up what has changed since the last call."""
        revision = self._objects.revision
        if revision == self._seen:
            return
        touched: set[str] = set()
        for resource, watch in self._watches.items():
            while events := watch.events(EVENTS_AT_ONCE):
                for type_, _, value in events:
                    touched.add(self._take(resource, type_, value))
        if not self._watches or any(watch.state != "live" for watch in self._watches.values()):
            self._read_all()
        elif touched:
            self._compile(None if "" in touched else touched)
        self._seen = revision

    def _read_all(self) -> None:
        """Begins anew: at the start, and when more has happened than the hub remembers."""
        for resource in _KINDS:
            # the watch first: what comes between the two is seen twice rather than never
            self._watches[resource] = self._objects.watch(resource, None)
            self._found[resource] = {}
            for value in self._objects.list(resource, None).items:
                self._take(resource, "ADDED", value)
        self._compile(None)

    def _take(self, resource: str, type_: str, value: bytes) -> str:
        """Notes an object's change; the namespace that it concerns, "" for all of them."""
        if type_ == "ERROR":
            return ""
        obj = _DECODERS[resource].decode(value)
        key = obj.metadata.namespace, obj.metadata.name
        if type_ == "DELETED":
            self._found[resource].pop(key, None)
        else:
            self._found[resource][key] = obj
        namespace: str = obj.metadata.namespace
        return namespace

    def _compile(self, namespaces: set[str] | None) -> None:
        """Makes the grants of these namespaces anew, or all."""
        self._decisions.clear()
        for namespace in self._grants if namespaces is None else namespaces:
            self._grants[namespace] = {}
        for resource in (CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS):
            for (namespace, _), binding in self._found[resource].items():
                if namespaces is None or namespace in namespaces:
                    self._grant(binding)

    def _rules_of(self, ref: rbac_v1.RoleRef, namespace: str) -> list[PolicyRule] | None:
        resource, scope = (ROLES, namespace) if ref.kind == "Role" else (CLUSTER_ROLES, "")
        role = self._found[resource].get((scope, ref.name))
        return None if role is None else role.rules

    def _grant(self, binding: rbac_v1.ClusterRoleBinding | rbac_v1.RoleBinding) -> None:
        namespace, ref = binding.metadata.namespace, binding.role_ref
        rules = self._rules_of(ref, namespace)
        error = "" if rules is not None else f"{ref.kind.lower()}.{GROUP} {quote(ref.name)} not found"
        by_subject = self._grants.setdefault(namespace, {})
        for subject in binding.subjects:
            who = (subject.kind, subject.name)
            shown = f"{subject.kind} {quote(subject.name)}"
            if subject.kind == "ServiceAccount":
                account_namespace = subject.namespace or namespace
                if not account_namespace:
                    continue
                who = ("User", service_account_name(account_namespace, subject.name))
                shown = f"{subject.kind} {quote(f'{subject.name}/{account_namespace}')}"
            full_name = f"{binding.metadata.name}/{namespace}" if namespace else binding.metadata.name
            reason = f"RBAC: allowed by {binding.kind} {quote(full_name)} of {ref.kind} {quote(ref.name)} to {shown}"
            by_subject.setdefault(who, []).append(Grant(rules or [], reason, error))


def matches(rule: PolicyRule, asked: Attributes) -> bool:
    """Whether `rule` is about `asked`, its resource names left aside."""
    if asked.verb not in rule.verbs and "*" not in rule.verbs:
        return False
    if not asked.is_resource:
        return any(
            url == "*" or url == asked.path or (url.endswith("*") and asked.path.startswith(url.rstrip("*")))
            for url in rule.non_resource_urls
        )
    if asked.group not in rule.api_groups and "*" not in rule.api_groups:
        return False
    resources = rule.resources
    if "*" in resources:
        return True
    if not asked.subresource:
        return asked.resource in resources
    return f"{asked.resource}/{asked.subresource}" in resources or f"*/{asked.subresource}" in resources


def aggregate(messages: list[str]) -> str:
    """Several errors in one line, as apimachinery's aggregate shows them."""
    return messages[0] if len(messages) == 1 else "[" + ", ".join(messages) + "]"
