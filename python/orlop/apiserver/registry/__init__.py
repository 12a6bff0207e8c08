"""The rules of each kind, one file a resource where it differs, and the registry that applies them.

`STRATEGIES` is the list: a kind that is not in it has the base's rules.
"""

from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver.registry.configuration import ConfigMaps, Secrets, ServiceAccounts
from orlop.apiserver.registry.endpointslices import EndpointSlices
from orlop.apiserver.registry.events import Events
from orlop.apiserver.registry.misc import Endpoints, Leases, PodDisruptionBudgets, PriorityClasses
from orlop.apiserver.registry.namespaces import Namespaces
from orlop.apiserver.registry.networking import IPAddresses, ServiceCIDRs
from orlop.apiserver.registry.nodes import Nodes
from orlop.apiserver.registry.pods import Pods
from orlop.apiserver.registry.rbac import ClusterRoleBindings, ClusterRoles, RoleBindings, Roles
from orlop.apiserver.registry.services import Services
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.registry.workloads import ControllerRevisions, Deployments, ReplicaSets

STRATEGIES: dict[str, type[Strategy]] = {
    "configmaps": ConfigMaps,
    "endpoints": Endpoints,
    "events": Events,
    "namespaces": Namespaces,
    "nodes": Nodes,
    "pods": Pods,
    "secrets": Secrets,
    "serviceaccounts": ServiceAccounts,
    "services": Services,
    "apps/controllerrevisions": ControllerRevisions,
    "apps/deployments": Deployments,
    "apps/replicasets": ReplicaSets,
    "coordination.k8s.io/leases": Leases,
    "discovery.k8s.io/endpointslices": EndpointSlices,
    "networking.k8s.io/ipaddresses": IPAddresses,
    "networking.k8s.io/servicecidrs": ServiceCIDRs,
    "policy/poddisruptionbudgets": PodDisruptionBudgets,
    "rbac.authorization.k8s.io/clusterrolebindings": ClusterRoleBindings,
    "rbac.authorization.k8s.io/clusterroles": ClusterRoles,
    "rbac.authorization.k8s.io/rolebindings": RoleBindings,
    "rbac.authorization.k8s.io/roles": Roles,
    "scheduling.k8s.io/priorityclasses": PriorityClasses,
}


def strategy_of(kind: Kind) -> Strategy:
    """The rules of a kind."""
    return STRATEGIES.get(kind.resource, Strategy)(kind)


def all_strategies() -> dict[str, Strategy]:
    """The rules of every stored kind by its type key."""
    return {kind.type_key: strategy_of(kind) for kind in scheme.KINDS if kind.stored and not kind.storage}
