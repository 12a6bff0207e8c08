"""What each controller may do, a ClusterRole `system:controller:NAME` for each.

Controllers have a service account each, if they are told to use it (--use-service-account-credentials). For those that
are not, and all act as `system:kube-controller-manager`, that user is bound to every one of these roles too.
"""

from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule
from orlop.apiserver.auth.policy.build import EVENTS, READ, account, allow, cluster_binding, cluster_role, user
from orlop.apiserver.auth.policy.cluster import (
    AUTHZ,
    CERTIFICATES,
    COORDINATION,
    DISCOVERY,
    NETWORKING,
    RBAC,
    RESOURCE,
    STORAGE,
)

_SIGNERS = (
    "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving "
    "kubernetes.io/legacy-unknown"
)

_METRICS = [
    allow("list watch", "metrics.k8s.io", "pods"),
    allow(READ, "custom.metrics.k8s.io", "*"),
    allow(READ, "external.metrics.k8s.io", "*"),
]


OWN = ("local-path-provisioner", "service-address-repair-controller")
"""Those that upstream has no role for: what they do is no controller's work there."""


def _rules() -> dict[str, list[PolicyRule]]:
    return {
        "attachdetach-controller": [
            allow("list watch", "core", "persistentvolumeclaims persistentvolumes"),
            allow(READ, "core", "nodes"),
            allow("patch update", "core", "nodes/status"),
            allow("list watch", "core", "pods"),
            EVENTS,
            allow(f"create delete {READ}", STORAGE, "volumeattachments"),
            allow(READ, STORAGE, "csidrivers"),
            allow(READ, STORAGE, "csinodes"),
        ],
        "certificate-controller": [
            allow(f"delete {READ}", CERTIFICATES, "certificatesigningrequests"),
            allow("update", CERTIFICATES, "certificatesigningrequests/approval certificatesigningrequests/status"),
            allow("approve", CERTIFICATES, "signers", names="kubernetes.io/kube-apiserver-client-kubelet"),
            allow("sign", CERTIFICATES, "signers", names=_SIGNERS),
            allow("create", AUTHZ, "subjectaccessreviews"),
            EVENTS,
        ],
        "kube-apiserver-serving-clustertrustbundle-publisher": [
            allow("attest", CERTIFICATES, "signers", names="kubernetes.io/kube-apiserver-serving"),
            allow(f"create delete {READ} update", CERTIFICATES, "clustertrustbundles"),
            EVENTS,
        ],
        "podcertificaterequestcleaner": [allow(f"delete {READ}", CERTIFICATES, "podcertificaterequests")],
        "clusterrole-aggregation-controller": [allow(f"escalate {READ} patch update", RBAC, "clusterroles")],
        "cronjob-controller": [
            allow(f"{READ} update", "batch", "cronjobs"),
            allow(f"create delete {READ} patch update", "batch", "jobs"),
            allow("update", "batch", "cronjobs/status"),
            allow("update", "batch", "cronjobs/finalizers"),
            allow("delete list watch", "core", "pods"),
            EVENTS,
        ],
        "daemon-set-controller": [
            allow(READ, "extensions apps", "daemonsets"),
            allow("update", "extensions apps", "daemonsets/status"),
            allow("update", "extensions apps", "daemonsets/finalizers"),
            allow("list watch", "core", "nodes"),
            allow("create delete list patch watch", "core", "pods"),
            allow("create", "core", "pods/binding"),
            allow(f"create delete {READ} patch update", "apps", "controllerrevisions"),
            EVENTS,
        ],
        "deployment-controller": [
            allow(f"{READ} update", "extensions apps", "deployments"),
            allow("update", "extensions apps", "deployments/status"),
            allow("update", "extensions apps", "deployments/finalizers"),
            allow(f"create delete {READ} patch update", "apps extensions", "replicasets"),
            allow(f"{READ} update", "core", "pods"),
            EVENTS,
        ],
        "device-taint-eviction-controller": [
            allow(f"delete {READ}", "core", "pods"),
            allow("patch update", "core", "pods/status"),
            allow(READ, RESOURCE, "deviceclasses devicetaintrules resourceclaims resourceslices"),
            allow("update patch", RESOURCE, "devicetaintrules/status"),
            EVENTS,
        ],
        "disruption-controller": [
            allow(READ, "extensions apps", "deployments"),
            allow(READ, "apps extensions", "replicasets"),
            allow(READ, "core", "replicationcontrollers"),
            allow(READ, "policy", "poddisruptionbudgets"),
            allow(READ, "apps", "statefulsets"),
            allow("update", "policy", "poddisruptionbudgets/status"),
            allow("patch update", "core", "pods/status"),
            allow("get", "*", "*/scale"),
            EVENTS,
        ],
        "endpoint-controller": [
            allow(READ, "core", "pods services"),
            allow(f"create delete {READ} update", "core", "endpoints"),
            allow("create", "core", "endpoints/restricted"),
            EVENTS,
        ],
        "endpointslice-controller": [
            allow(READ, "core", "nodes pods services"),
            # to own a slice and block its owner's deletion
            allow("update", "core", "services/finalizers"),
            allow(f"create delete {READ} update", DISCOVERY, "endpointslices"),
            EVENTS,
        ],
        "endpointslicemirroring-controller": [
            allow(READ, "core", "endpoints services"),
            allow("update", "core", "services/finalizers"),
            allow("update", "core", "endpoints/finalizers"),
            allow(f"create delete {READ} update", DISCOVERY, "endpointslices"),
            EVENTS,
        ],
        "ephemeral-volume-controller": [
            allow(READ, "core", "pods"),
            allow("update", "core", "pods/finalizers"),
            allow(f"create {READ}", "core", "persistentvolumeclaims"),
            EVENTS,
        ],
        "expand-controller": [
            allow(f"{READ} patch update", "core", "persistentvolumes"),
            allow("patch update", "core", "persistentvolumeclaims/status"),
            allow(READ, "core", "persistentvolumeclaims"),
            EVENTS,
        ],
        "generic-garbage-collector": [allow(f"delete {READ} patch update", "*", "*"), EVENTS],
        "horizontal-pod-autoscaler": [
            allow(READ, "autoscaling", "horizontalpodautoscalers"),
            allow("update", "autoscaling", "horizontalpodautoscalers/status"),
            allow("get update", "*", "*/scale"),
            allow("list watch", "core", "pods"),
            *_METRICS,
            EVENTS,
        ],
        "job-controller": [
            allow(f"{READ} patch update", "batch", "jobs"),
            allow("update", "batch", "jobs/status"),
            allow("update", "batch", "jobs/finalizers"),
            allow("create delete list patch watch", "core", "pods"),
            EVENTS,
        ],
        "legacy-service-account-token-cleaner": [
            allow("get", "core", "configmaps", names="kube-apiserver-legacy-service-account-token-tracking"),
            allow("delete patch", "core", "secrets"),
        ],
        # orlop's own: volumes that are directories of nodes
        "local-path-provisioner": [
            allow(f"create delete {READ} update", "core", "persistentvolumes"),
            allow(f"{READ} update", "core", "persistentvolumeclaims"),
            allow("update", "core", "persistentvolumeclaims/status"),
            allow(f"create {READ}", STORAGE, "storageclasses"),
            allow(READ, "core", "nodes"),
            EVENTS,
        ],
        "namespace-controller": [
            allow(f"delete {READ}", "core", "namespaces"),
            allow("update", "core", "namespaces/finalize namespaces/status"),
            allow(f"delete deletecollection {READ}", "*", "*"),
        ],
        "node-controller": [
            allow(f"delete {READ} patch update", "core", "nodes"),
            allow("patch update", "core", "nodes/status"),
            allow("patch update", "core", "pods/status"),
            allow(f"delete {READ}", "core", "pods"),
            allow(READ, COORDINATION, "leases"),
            EVENTS,
        ],
        "persistent-volume-binder": [
            allow(f"create delete {READ} update", "core", "persistentvolumes"),
            allow("update", "core", "persistentvolumes/status"),
            allow(f"{READ} update", "core", "persistentvolumeclaims"),
            allow("update", "core", "persistentvolumeclaims/status"),
            allow(f"create delete {READ}", "core", "pods"),
            allow(READ, STORAGE, "storageclasses"),
            allow("list watch", "core", "nodes"),
            EVENTS,
            allow("watch", "core", "events"),
        ],
        "pod-garbage-collector": [
            allow("delete list watch", "core", "pods"),
            allow(READ, "core", "nodes"),
            allow("patch", "core", "pods/status"),
        ],
        "pv-protection-controller": [allow(f"{READ} update", "core", "persistentvolumes"), EVENTS],
        "pvc-protection-controller": [
            allow(f"{READ} update", "core", "persistentvolumeclaims"),
            allow("update", "core", "persistentvolumeclaims/status"),
            allow(READ, "core", "pods"),
            EVENTS,
        ],
        "replicaset-controller": [
            allow(f"{READ} update", "apps extensions", "replicasets"),
            allow("update", "apps extensions", "replicasets/status"),
            allow("update", "apps extensions", "replicasets/finalizers"),
            allow("create delete list patch watch", "core", "pods"),
            EVENTS,
        ],
        "replication-controller": [
            allow(f"{READ} update", "core", "replicationcontrollers"),
            allow("update", "core", "replicationcontrollers/status"),
            allow("update", "core", "replicationcontrollers/finalizers"),
            allow("create delete list patch watch", "core", "pods"),
            EVENTS,
        ],
        "resource-claim-controller": [
            allow(READ, "core", "pods"),
            allow("update", "core", "pods/finalizers"),
            allow(f"create delete {READ}", RESOURCE, "resourceclaims"),
            allow("patch update", RESOURCE, "resourceclaims resourceclaims/binding resourceclaims/status"),
            allow("patch update", "core", "pods/status"),
            EVENTS,
        ],
        "resourcequota-controller": [
            allow("list watch", "*", "*"),
            allow("update", "core", "resourcequotas/status"),
            EVENTS,
        ],
        "root-ca-cert-publisher": [allow("create update", "core", "configmaps"), EVENTS],
        "route-controller": [allow("list watch", "core", "nodes"), allow("patch", "core", "nodes/status"), EVENTS],
        "selinux-warning-controller": [
            EVENTS,
            allow(READ, "core", "persistentvolumeclaims persistentvolumes pods"),
            allow(READ, STORAGE, "csidrivers"),
        ],
        "service-account-controller": [allow("create", "core", "serviceaccounts"), EVENTS],
        # upstream's API server repairs addresses itself, with all rights
        "service-address-repair-controller": [
            allow(READ, "core", "services"),
            allow(f"create delete {READ}", NETWORKING, "ipaddresses"),
            allow(READ, NETWORKING, "servicecidrs"),
            EVENTS,
        ],
        "service-cidrs-controller": [
            allow(f"{READ} patch update", NETWORKING, "servicecidrs"),
            allow("patch update", NETWORKING, "servicecidrs/finalizers"),
            allow("patch update", NETWORKING, "servicecidrs/status"),
            allow(READ, NETWORKING, "ipaddresses"),
            EVENTS,
        ],
        "service-controller": [
            allow(READ, "core", "services"),
            allow("patch update", "core", "services/status"),
            allow("list watch", "core", "nodes"),
            EVENTS,
        ],
        "statefulset-controller": [
            allow("list watch", "core", "pods"),
            allow(READ, "apps", "statefulsets"),
            allow("update", "apps", "statefulsets/status"),
            allow("update", "apps", "statefulsets/finalizers"),
            allow("create delete get patch update", "core", "pods"),
            allow(f"create delete {READ} patch update", "apps", "controllerrevisions"),
            allow(f"create {READ}", "core", "persistentvolumeclaims"),
            allow("delete update", "core", "persistentvolumeclaims"),
            allow("update", "core", "pods/finalizers"),
            EVENTS,
        ],
        "storage-version-migrator-controller": [
            allow("list patch", "*", "*"),
            allow("get", "apiextensions.k8s.io", "customresourcedefinitions"),
            allow("patch", "apiextensions.k8s.io", "customresourcedefinitions/status"),
            allow(READ, "storagemigration.k8s.io", "storageversionmigrations"),
            allow("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
        ],
        "taint-eviction-controller": [
            allow(READ, "core", "nodes"),
            allow(f"delete {READ}", "core", "pods"),
            allow("patch update", "core", "pods/status"),
            EVENTS,
        ],
        "ttl-after-finished-controller": [allow(f"delete {READ}", "batch", "jobs"), EVENTS],
        "ttl-controller": [allow("list patch update watch", "core", "nodes"), EVENTS],
        "validatingadmissionpolicy-status-controller": [
            allow(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
            allow("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
            EVENTS,
        ],
        "volumeattributesclass-protection-controller": [
            allow(READ, "core", "persistentvolumeclaims persistentvolumes"),
            allow(f"{READ} update", STORAGE, "volumeattributesclasses"),
            EVENTS,
        ],
    }


def controller_roles() -> list[ClusterRole]:
    return [cluster_role(f"system:controller:{name}", *rules) for name, rules in _rules().items()]


def own_roles() -> list[ClusterRole | ClusterRoleBinding]:
    """What orlop's own controllers need on an API server that does not make it by itself, as upstream's."""
    names = {f"system:controller:{name}" for name in OWN}
    made: list[ClusterRole | ClusterRoleBinding] = [*controller_roles(), *controller_role_bindings()]
    return [found for found in made if found.metadata.name in names]


def controller_role_bindings() -> list[ClusterRoleBinding]:
    manager = user("system:kube-controller-manager")
    return [cluster_binding(f"system:controller:{name}", account(name), manager) for name in _rules()]
