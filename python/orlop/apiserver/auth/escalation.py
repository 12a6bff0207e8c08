"""Nobody grants what they do not hold: the check on writes of roles and bindings.

As pkg/registry/rbac/*/policybased: `escalate` on a role and `bind` on what a binding refers to lift it.
"""

from orlop.api import errors
from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding
from orlop.apiserver.auth.attributes import Access, quote
from orlop.apiserver.auth.authorizer import Authorizer
from orlop.apiserver.auth.rbac import GROUP
from orlop.apiserver.auth.rules import compact, shown, uncovered
from orlop.apiserver.auth.user import MASTERS, User

_EVERYTHING = [
    PolicyRule(verbs=["*"], api_groups=["*"], resources=["*"]),
    PolicyRule(verbs=["*"], non_resource_urls=["*"]),
]


def check_role(authorizer: Authorizer, user: User, new: ClusterRole | Role, old: ClusterRole | Role | None) -> None:
    """Raises Forbidden when `new` holds rules that `user` does not. A write that leaves the rules alone is free."""
    resource = "clusterroles" if isinstance(new, ClusterRole) else "roles"
    if MASTERS in user.groups or (old is not None and old.rules == new.rules and _aggregates(old) == _aggregates(new)):
        return
    namespace, name = new.metadata.namespace, new.metadata.name
    if authorizer.authorize(user, Access("escalate", resource, GROUP, namespace, name)).allowed:
        return
    _confirm(authorizer, user, resource, namespace, name, new.rules)
    if _aggregates(new):
        # whatever the selected roles will hold
        _confirm(authorizer, user, resource, namespace, name, _EVERYTHING)


def check_binding(authorizer: Authorizer, user: User, new: ClusterRoleBinding | RoleBinding) -> None:
    """Raises Forbidden when the role that `new` grants holds rules that `user` does not, NotFound when it is not there
    to be looked at."""
    if MASTERS in user.groups:
        return
    namespace, ref = new.metadata.namespace, new.role_ref
    referred = "clusterroles" if ref.kind == "ClusterRole" else "roles"
    if authorizer.authorize(user, Access("bind", referred, GROUP, namespace, ref.name)).allowed:
        return
    rules = authorizer.rbac.role_rules(ref, namespace)
    if rules is None:
        raise errors.not_found(referred, GROUP, ref.name)
    resource = "clusterrolebindings" if isinstance(new, ClusterRoleBinding) else "rolebindings"
    _confirm(authorizer, user, resource, namespace, new.metadata.name, rules)


def _aggregates(role: ClusterRole | Role) -> object:
    return role.aggregation_rule if isinstance(role, ClusterRole) else None


def _confirm(
    authorizer: Authorizer, user: User, resource: str, namespace: str, name: str, wanted: list[PolicyRule]
) -> None:
    held, unresolved = authorizer.rbac.rules(user, namespace)
    missing = uncovered(held, wanted)
    if not missing:
        return
    lines = "\n".join(sorted({shown(rule) for rule in compact(missing)}))
    groups = " ".join(quote(group) for group in user.groups)
    why = (
        f"user {quote(user.name)} (groups=[{groups}]) is attempting to grant RBAC permissions not currently held:\n"
        f"{lines}"
    )
    if unresolved:
        why += f"; resolution errors: [{', '.join(unresolved)}]"
    raise errors.forbidden(resource, GROUP, name, why)
