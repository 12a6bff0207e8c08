"""The rules of each kind, one file a resource where it differs, and the registry that applies them.

`STRATEGIES` is the list: a kind that is not in it has the base's rules.
"""

from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver.registry.attachments import VolumeAttachments
from orlop.apiserver.registry.autoscaling import HorizontalPodAutoscalers
from orlop.apiserver.registry.budgets import PodDisruptionBudgets
from orlop.apiserver.registry.certificates import (
    CertificateSigningRequests,
    ClusterTrustBundles,
    PodCertificateRequests,
)
from orlop.apiserver.registry.claims import PersistentVolumeClaims
from orlop.apiserver.registry.configuration import ConfigMaps, Secrets, ServiceAccounts
from orlop.apiserver.registry.cronjobs import CronJobs
from orlop.apiserver.registry.daemonsets import DaemonSets
from orlop.apiserver.registry.devices import (
    DeviceClasses,
    DeviceTaintRules,
    ResourceClaims,
    ResourceClaimTemplates,
    ResourceSlices,
)
from orlop.apiserver.registry.endpointslices import EndpointSlices
from orlop.apiserver.registry.events import Events
from orlop.apiserver.registry.extensions import APIServices, CustomResourceDefinitions
from orlop.apiserver.registry.flowcontrol import FlowSchemas, PriorityLevels
from orlop.apiserver.registry.groups import PodGroups, Workloads
from orlop.apiserver.registry.ingresses import IngressClasses, Ingresses
from orlop.apiserver.registry.jobs import Jobs
from orlop.apiserver.registry.misc import Endpoints, LeaseCandidates, Leases, StorageVersionMigrations
from orlop.apiserver.registry.namespaces import Namespaces
from orlop.apiserver.registry.networking import IPAddresses, ServiceCIDRs
from orlop.apiserver.registry.networkpolicies import NetworkPolicies
from orlop.apiserver.registry.nodes import Nodes
from orlop.apiserver.registry.persistentvolumes import PersistentVolumes
from orlop.apiserver.registry.pods import Pods
from orlop.apiserver.registry.policies import (
    MutatingAdmissionPolicies,
    MutatingAdmissionPolicyBindings,
    ValidatingAdmissionPolicies,
    ValidatingAdmissionPolicyBindings,
)
from orlop.apiserver.registry.priorityclasses import PriorityClasses
from orlop.apiserver.registry.quotas import LimitRanges, ResourceQuotas
from orlop.apiserver.registry.rbac import ClusterRoleBindings, ClusterRoles, RoleBindings, Roles
from orlop.apiserver.registry.replication import PodTemplates, ReplicationControllers
from orlop.apiserver.registry.runtimeclasses import RuntimeClasses
from orlop.apiserver.registry.services import Services
from orlop.apiserver.registry.statefulsets import StatefulSets
from orlop.apiserver.registry.storage import (
    CSIDrivers,
    CSINodes,
    CSIStorageCapacities,
    StorageClasses,
    VolumeAttributesClasses,
)
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.registry.webhooks import WebhookConfigurations
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
    "limitranges": LimitRanges,
    "persistentvolumeclaims": PersistentVolumeClaims,
    "persistentvolumes": PersistentVolumes,
    "podtemplates": PodTemplates,
    "replicationcontrollers": ReplicationControllers,
    "resourcequotas": ResourceQuotas,
    "admissionregistration.k8s.io/mutatingadmissionpolicies": MutatingAdmissionPolicies,
    "admissionregistration.k8s.io/mutatingadmissionpolicybindings": MutatingAdmissionPolicyBindings,
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": WebhookConfigurations,
    "admissionregistration.k8s.io/validatingadmissionpolicies": ValidatingAdmissionPolicies,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": ValidatingAdmissionPolicyBindings,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": WebhookConfigurations,
    "apiextensions.k8s.io/customresourcedefinitions": CustomResourceDefinitions,
    "apiregistration.k8s.io/apiservices": APIServices,
    "apps/controllerrevisions": ControllerRevisions,
    "apps/daemonsets": DaemonSets,
    "apps/deployments": Deployments,
    "apps/replicasets": ReplicaSets,
    "apps/statefulsets": StatefulSets,
    "autoscaling/horizontalpodautoscalers": HorizontalPodAutoscalers,
    "batch/cronjobs": CronJobs,
    "batch/jobs": Jobs,
    "certificates.k8s.io/certificatesigningrequests": CertificateSigningRequests,
    "certificates.k8s.io/clustertrustbundles": ClusterTrustBundles,
    "certificates.k8s.io/podcertificaterequests": PodCertificateRequests,
    "coordination.k8s.io/leasecandidates": LeaseCandidates,
    "coordination.k8s.io/leases": Leases,
    "discovery.k8s.io/endpointslices": EndpointSlices,
    "flowcontrol.apiserver.k8s.io/flowschemas": FlowSchemas,
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": PriorityLevels,
    "networking.k8s.io/ingressclasses": IngressClasses,
    "networking.k8s.io/ingresses": Ingresses,
    "networking.k8s.io/ipaddresses": IPAddresses,
    "networking.k8s.io/networkpolicies": NetworkPolicies,
    "networking.k8s.io/servicecidrs": ServiceCIDRs,
    "node.k8s.io/runtimeclasses": RuntimeClasses,
    "policy/poddisruptionbudgets": PodDisruptionBudgets,
    "rbac.authorization.k8s.io/clusterrolebindings": ClusterRoleBindings,
    "rbac.authorization.k8s.io/clusterroles": ClusterRoles,
    "rbac.authorization.k8s.io/rolebindings": RoleBindings,
    "rbac.authorization.k8s.io/roles": Roles,
    "resource.k8s.io/deviceclasses": DeviceClasses,
    "resource.k8s.io/devicetaintrules": DeviceTaintRules,
    "resource.k8s.io/resourceclaims": ResourceClaims,
    "resource.k8s.io/resourceclaimtemplates": ResourceClaimTemplates,
    "resource.k8s.io/resourceslices": ResourceSlices,
    "scheduling.k8s.io/podgroups": PodGroups,
    "scheduling.k8s.io/priorityclasses": PriorityClasses,
    "scheduling.k8s.io/workloads": Workloads,
    "storage.k8s.io/csidrivers": CSIDrivers,
    "storage.k8s.io/csinodes": CSINodes,
    "storage.k8s.io/csistoragecapacities": CSIStorageCapacities,
    "storage.k8s.io/storageclasses": StorageClasses,
    "storage.k8s.io/volumeattachments": VolumeAttachments,
    "storage.k8s.io/volumeattributesclasses": VolumeAttributesClasses,
    "storagemigration.k8s.io/storageversionmigrations": StorageVersionMigrations,
}


def strategy_of(kind: Kind) -> Strategy:
    """The rules of a kind."""
    return STRATEGIES.get(kind.resource, Strategy)(kind)


def all_strategies() -> dict[str, Strategy]:
    """The rules of every stored kind by its type key."""
    return {kind.type_key: strategy_of(kind) for kind in scheme.KINDS if kind.stored and not kind.storage}
