"""Nobody gives away rights they do not have: writes of roles and bindings (upstream does this in their registries)."""

from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.auth.escalation import check_binding, check_role

_GROUP = "rbac.authorization.k8s.io"
_BINDINGS = ("clusterrolebindings", "rolebindings")


class RbacEscalation(Admission):
    """Refuses roles with rules that their writer lacks, and bindings to roles that their writer could not give."""

    resources = tuple(f"{_GROUP}/{name}" for name in ("clusterroles", "roles", *_BINDINGS))

    async def validate(self, a: Attributes) -> None:
        if a.kind.plural in _BINDINGS:
            if a.old is None or a.old != a.object:
                check_binding(self.authorizer, a.user, a.object)
        else:
            check_role(self.authorizer, a.user, a.object, a.old)
