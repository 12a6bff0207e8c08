"""The order in which access is decided: system:masters, then kubelets, then RBAC."""

from orlop.apiserver.auth.attributes import Attributes, Decision, forbidden
from orlop.apiserver.auth.node import NodeAuthorizer
from orlop.apiserver.auth.objects import Objects
from orlop.apiserver.auth.rbac import Rbac
from orlop.apiserver.auth.user import MASTERS, User

_MASTER = Decision(True)


class Authorizer:
    """Decides every request, in-process ones too."""

    def __init__(self, objects: Objects) -> None:
        self.rbac = Rbac(objects)
        self._nodes = NodeAuthorizer(objects)

    def authorize(self, user: User, asked: Attributes, field_selector: str = "") -> Decision:
        """Whether `user` may do `asked`. `field_selector` limits a kubelet's lists to what concerns its node."""
        if MASTERS in user.groups:
            return _MASTER
        decision = self._nodes.authorize(user, asked, field_selector)
        if decision.allowed:
            return decision
        by_role = self.rbac.authorize(user, asked)
        if by_role.allowed or not decision.reason:
            return by_role
        reason = f"node: {decision.reason}"
        return Decision(False, f"{reason}, {by_role.reason}" if by_role.reason else reason)

    def require(self, user: User, asked: Attributes, field_selector: str = "") -> None:
        """Raises Forbidden in upstream's words unless `user` may do `asked`."""
        decision = self.authorize(user, asked, field_selector)
        if not decision.allowed:
            raise forbidden(user, asked, decision.reason)
