"""ClusterRoles with an aggregation rule get the rules of all the roles that it selects.

Upstream: pkg/controller/clusterroleaggregation.
"""

import msgspec

from orlop.api import selectors
from orlop.api.types import rbac_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result


class ClusterRoleAggregationController(Controller):
    """One aggregated role a key."""

    name = "clusterrole-aggregation-controller"

    def setup(self, builder: Builder) -> None:
        # There are few roles, and a role may be part of roles that are part of others: each change looks at all.
        self.roles = builder.watches(rbac_v1.ClusterRole, lambda _: self._aggregated())

    def _aggregated(self) -> list[Key]:
        return [Key("", role.metadata.name) for role in self.roles.items() if role.aggregation_rule is not None]

    async def reconcile(self, key: Key) -> Result | None:
        role = self.roles.get("", key.name)
        if role is None or role.aggregation_rule is None:
            return None
        rules = union(role, self.roles.list())
        if rules != role.rules:
            await self.context.client.update(msgspec.structs.replace(role, rules=rules))
        return None


def union(role: rbac_v1.ClusterRole, roles: list[rbac_v1.ClusterRole]) -> list[rbac_v1.PolicyRule]:
    """The rules that the aggregation rule of `role` selects, selector by selector, by name of role, each once."""
    assert role.aggregation_rule is not None
    rules: list[rbac_v1.PolicyRule] = []
    for struct in role.aggregation_rule.cluster_role_selectors:
        selector = selectors.from_struct(struct)
        for other in sorted(roles, key=lambda r: r.metadata.name):
            if other.metadata.name != role.metadata.name and selector.matches(other.metadata.labels):
                rules += [rule for rule in other.rules if rule not in rules]
    return rules
