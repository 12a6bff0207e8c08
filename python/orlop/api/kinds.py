"""The rows of the scheme: every kind of Kubernetes 1.37's stable groups. Adding a resource starts here."""

from typing import Any

from msgspec.structs import replace

from orlop.api.kind import STANDARD_VERBS, Kind

_ALL = ("all",)
_EXTENSIONS = ("api-extensions",)
_REVIEW = ("create",)
_STATUS = ("status",)
_SCALED = ("scale", "status")
_NO_COLLECTION = tuple(v for v in STANDARD_VERBS if v != "deletecollection")

_POD_SUBRESOURCES = (
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "resize",
    "status",
)

_RESOURCE_GROUPS = {
    "admissionregistration": "admissionregistration.k8s.io",
    "apiextensions": "apiextensions.k8s.io",
    "apiregistration": "apiregistration.k8s.io",
    "authentication": "authentication.k8s.io",
    "authorization": "authorization.k8s.io",
    "certificates": "certificates.k8s.io",
    "coordination": "coordination.k8s.io",
    "core": "",
    "discovery": "discovery.k8s.io",
    "events": "events.k8s.io",
    "flowcontrol": "flowcontrol.apiserver.k8s.io",
    "networking": "networking.k8s.io",
    "node": "node.k8s.io",
    "rbac": "rbac.authorization.k8s.io",
    "resource": "resource.k8s.io",
    "scheduling": "scheduling.k8s.io",
    "storage": "storage.k8s.io",
    "storagemigration": "storagemigration.k8s.io",
}
"""A folder's API group where it is not the folder's own name."""


def _rows(folder: str, *rows: Kind, version: str = "v1") -> list[Kind]:
    """Rows of one group-version."""
    return [_of(row, folder, version) for row in rows]


def _of(row: Kind, folder: str, version: str) -> Kind:
    return replace(row, group=_RESOURCE_GROUPS.get(folder, folder), folder=folder, version=version)


def _in(kind: str, plural: str, *short: str, sub: tuple[str, ...] = (), namespaced: bool = True, **more: Any) -> Kind:
    """A kind whose objects live in namespaces; `_rows` says in which group-version."""
    return Kind(
        group="",
        version="",
        folder="",
        kind=kind,
        plural=plural,
        namespaced=namespaced,
        short_names=short,
        subresources=sub,
        **more,
    )


def _cluster(kind: str, plural: str, *short: str, **more: Any) -> Kind:
    """A kind of the whole cluster."""
    return _in(kind, plural, *short, namespaced=False, **more)


def _also(folder: str, version: str, *rows: Kind) -> list[Kind]:
    """Another version of stable kinds, of the same form: stored as the stable one."""
    return [replace(row, storage=replace(row, version="v1").resource) for row in _rows(folder, *rows, version=version)]


KINDS: list[Kind] = [
    *_rows(
        "core",
        _in("Binding", "bindings", verbs=_REVIEW),
        _cluster("ComponentStatus", "componentstatuses", "cs", verbs=("get", "list")),
        _in("ConfigMap", "configmaps", "cm"),
        _in("Endpoints", "endpoints", "ep"),
        _in("Event", "events", "ev"),
        _in("LimitRange", "limitranges", "limits"),
        _cluster("Namespace", "namespaces", "ns", sub=("finalize", "status"), verbs=_NO_COLLECTION),
        _cluster("Node", "nodes", "no", sub=("proxy", "status")),
        _in("PersistentVolumeClaim", "persistentvolumeclaims", "pvc", sub=_STATUS),
        _cluster("PersistentVolume", "persistentvolumes", "pv", sub=_STATUS),
        _in("Pod", "pods", "po", categories=_ALL, sub=_POD_SUBRESOURCES),
        _in("PodTemplate", "podtemplates"),
        _in("ReplicationController", "replicationcontrollers", "rc", categories=_ALL, sub=_SCALED),
        _in("ResourceQuota", "resourcequotas", "quota", sub=_STATUS),
        _in("Secret", "secrets"),
        _in("Service", "services", "svc", categories=_ALL, sub=("proxy", "status")),
        _in("ServiceAccount", "serviceaccounts", "sa", sub=("token",)),
    ),
    *_rows(
        "admissionregistration",
        _cluster("MutatingAdmissionPolicy", "mutatingadmissionpolicies", categories=_EXTENSIONS),
        _cluster("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", categories=_EXTENSIONS),
        _cluster("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", categories=_EXTENSIONS),
        _cluster("ValidatingAdmissionPolicy", "validatingadmissionpolicies", categories=_EXTENSIONS, sub=_STATUS),
        _cluster("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", categories=_EXTENSIONS),
        _cluster("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", categories=_EXTENSIONS),
    ),
    *_rows(
        "apiextensions",
        _cluster(
            "CustomResourceDefinition",
            "customresourcedefinitions",
            "crd",
            "crds",
            categories=_EXTENSIONS,
            sub=_STATUS,
        ),
    ),
    *_rows(
        "apiregistration",
        _cluster("APIService", "apiservices", categories=_EXTENSIONS, sub=_STATUS),
    ),
    *_rows(
        "apps",
        _in("ControllerRevision", "controllerrevisions"),
        _in("DaemonSet", "daemonsets", "ds", categories=_ALL, sub=_STATUS),
        _in("Deployment", "deployments", "deploy", categories=_ALL, sub=_SCALED),
        _in("ReplicaSet", "replicasets", "rs", categories=_ALL, sub=_SCALED),
        _in("StatefulSet", "statefulsets", "sts", categories=_ALL, sub=_SCALED),
    ),
    *_rows(
        "authentication",
        _cluster("SelfSubjectReview", "selfsubjectreviews", verbs=_REVIEW),
        _cluster("TokenReview", "tokenreviews", verbs=_REVIEW),
    ),
    *_rows(
        "authorization",
        _in("LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=_REVIEW),
        _cluster("SelfSubjectAccessReview", "selfsubjectaccessreviews", verbs=_REVIEW),
        _cluster("SelfSubjectRulesReview", "selfsubjectrulesreviews", verbs=_REVIEW),
        _cluster("SubjectAccessReview", "subjectaccessreviews", verbs=_REVIEW),
    ),
    *_rows(
        "autoscaling",
        _in("HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", categories=_ALL, sub=_STATUS),
        version="v2",
    ),
    *_rows(
        "autoscaling",
        _in(
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "hpa",
            categories=_ALL,
            sub=_STATUS,
            storage="autoscaling/horizontalpodautoscalers",
        ),
    ),
    *_rows(
        "batch",
        _in("CronJob", "cronjobs", "cj", categories=_ALL, sub=_STATUS),
        _in("Job", "jobs", categories=_ALL, sub=_STATUS),
    ),
    *_rows(
        "certificates",
        _cluster("CertificateSigningRequest", "certificatesigningrequests", "csr", sub=("approval", "status")),
        _cluster("ClusterTrustBundle", "clustertrustbundles"),
        _in("PodCertificateRequest", "podcertificaterequests", sub=_STATUS),
    ),
    *_rows("coordination", _in("Lease", "leases")),
    *_rows("discovery", _in("EndpointSlice", "endpointslices")),
    *_rows("events", _in("Event", "events", "ev", storage="events")),
    *_rows(
        "flowcontrol",
        _cluster("FlowSchema", "flowschemas", sub=_STATUS),
        _cluster("PriorityLevelConfiguration", "prioritylevelconfigurations", sub=_STATUS),
    ),
    *_rows(
        "networking",
        _cluster("IPAddress", "ipaddresses", "ip"),
        _cluster("IngressClass", "ingressclasses"),
        _in("Ingress", "ingresses", "ing", sub=_STATUS),
        _in("NetworkPolicy", "networkpolicies", "netpol"),
        _cluster("ServiceCIDR", "servicecidrs", sub=_STATUS),
    ),
    *_rows("node", _cluster("RuntimeClass", "runtimeclasses")),
    *_rows("policy", _in("PodDisruptionBudget", "poddisruptionbudgets", "pdb", sub=_STATUS)),
    *_rows(
        "rbac",
        _cluster("ClusterRole", "clusterroles"),
        _cluster("ClusterRoleBinding", "clusterrolebindings"),
        _in("Role", "roles"),
        _in("RoleBinding", "rolebindings"),
    ),
    *_rows(
        "resource",
        _cluster("DeviceClass", "deviceclasses"),
        _cluster("DeviceTaintRule", "devicetaintrules", sub=_STATUS),
        _in("ResourceClaim", "resourceclaims", sub=_STATUS),
        _in("ResourceClaimTemplate", "resourceclaimtemplates"),
        _cluster("ResourceSlice", "resourceslices"),
    ),
    *_rows("scheduling", _cluster("PriorityClass", "priorityclasses", "pc")),
    *_rows(
        "storage",
        _cluster("CSIDriver", "csidrivers"),
        _cluster("CSINode", "csinodes", sub=_STATUS),
        _in("CSIStorageCapacity", "csistoragecapacities"),
        _cluster("StorageClass", "storageclasses", "sc"),
        _cluster("VolumeAttachment", "volumeattachments", sub=_STATUS),
        _cluster("VolumeAttributesClass", "volumeattributesclasses", "vac"),
    ),
    *_rows("storagemigration", _cluster("StorageVersionMigration", "storageversionmigrations", sub=_STATUS)),
]

OPTIONAL: list[Kind] = [
    *_also(
        "admissionregistration",
        "v1beta1",
        _cluster("MutatingAdmissionPolicy", "mutatingadmissionpolicies", categories=_EXTENSIONS),
        _cluster("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", categories=_EXTENSIONS),
    ),
    *_also("certificates", "v1beta1", _cluster("ClusterTrustBundle", "clustertrustbundles")),
    *_rows("coordination", _in("LeaseCandidate", "leasecandidates"), version="v1beta1"),
    *_also(
        "networking",
        "v1beta1",
        _cluster("IPAddress", "ipaddresses", "ip"),
        _cluster("ServiceCIDR", "servicecidrs", sub=_STATUS),
    ),
    *_also(
        "resource",
        "v1beta2",
        _cluster("DeviceClass", "deviceclasses"),
        _cluster("DeviceTaintRule", "devicetaintrules", sub=_STATUS),
        _in("ResourceClaim", "resourceclaims", sub=_STATUS),
        _in("ResourceClaimTemplate", "resourceclaimtemplates"),
        _cluster("ResourceSlice", "resourceslices"),
    ),
    *_rows(
        "scheduling",
        _in("PodGroup", "podgroups", sub=_STATUS),
        _in("Workload", "workloads"),
        version="v1beta1",
    ),
    *_also("storage", "v1beta1", _cluster("VolumeAttributesClass", "volumeattributesclasses", "vac")),
    *_also(
        "storagemigration",
        "v1beta1",
        _cluster("StorageVersionMigration", "storageversionmigrations", sub=_STATUS),
    ),
]
"""Kinds of groups that are not stable: served where `--runtime-config` asks for their group-version."""
