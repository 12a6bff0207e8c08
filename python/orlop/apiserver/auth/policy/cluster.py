"""The ClusterRoles that every cluster has, for people and for components.

What each may do is upstream's plugin/pkg/auth/authorizer/rbac/bootstrappolicy at 1.37.
"""

from orlop.api import scheme
from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule
from orlop.apiserver.auth.policy.build import (
    EVENTS,
    READ,
    READ_WRITE,
    WRITE,
    account,
    aggregated,
    allow,
    cluster_binding,
    cluster_role,
    group,
    urls,
    user,
)

AUTHN, AUTHZ = "authentication.k8s.io", "authorization.k8s.io"
CERTIFICATES, COORDINATION, DISCOVERY = "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io"
NETWORKING, RBAC, RESOURCE, STORAGE = (
    "networking.k8s.io",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "storage.k8s.io",
)

_ASK_WHO_AND_WHETHER = (allow("create", AUTHN, "tokenreviews"), allow("create", AUTHZ, "subjectaccessreviews"))


def node_rules() -> list[PolicyRule]:
    """What a kubelet needs; the Node authorizer holds them to their own node's objects."""
    return [
        allow("create", AUTHN, "tokenreviews"),
        allow("create", AUTHZ, "localsubjectaccessreviews subjectaccessreviews"),
        allow(READ, "core", "services"),
        allow(f"create {READ}", "core", "nodes"),
        allow("patch update", "core", "nodes/status"),
        allow("patch update", "core", "nodes"),
        EVENTS,
        allow(READ, "core", "pods"),
        allow("create delete", "core", "pods"),
        allow("patch update", "core", "pods/status"),
        allow("create", "core", "pods/eviction"),
        allow(READ, "core", "configmaps secrets"),
        allow("get", "core", "persistentvolumeclaims persistentvolumes"),
        allow("get", "core", "endpoints"),
        allow(f"create {READ}", CERTIFICATES, "certificatesigningrequests"),
        allow("create delete get patch update", COORDINATION, "leases"),
        allow("get", STORAGE, "volumeattachments"),
        allow("create", "core", "serviceaccounts/token"),
        allow("get", "core", "serviceaccounts"),
        allow("get patch update", "core", "persistentvolumeclaims/status"),
        allow(READ, STORAGE, "csidrivers"),
        allow("create delete get patch update", STORAGE, "csinodes"),
        allow(READ, "node.k8s.io", "runtimeclasses"),
        allow("get", RESOURCE, "resourceclaims"),
        allow(READ_WRITE, RESOURCE, "resourceslices"),
        allow(READ, CERTIFICATES, "clustertrustbundles"),
        allow(f"create {READ}", CERTIFICATES, "podcertificaterequests"),
    ]


def _for_people() -> list[ClusterRole]:
    workloads = "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
    old_workloads = (
        "daemonsets deployments deployments/scale replicasets replicasets/scale replicationcontrollers/scale"
    )
    parts = [
        cluster_role(
            "system:aggregate-to-admin",
            allow("create", AUTHZ, "localsubjectaccessreviews"),
            allow(READ_WRITE, RBAC, "rolebindings roles"),
            joins="admin",
        ),
        cluster_role(
            "system:aggregate-to-edit",
            # reading these lets one act as another, so `view` does not have them
            allow(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
            allow("impersonate", "core", "serviceaccounts"),
            allow(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
            allow("create", "core", "pods/eviction"),
            allow(
                WRITE,
                "core",
                "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
                "serviceaccounts services services/proxy",
            ),
            allow("create", "core", "serviceaccounts/token"),
            allow(WRITE, "events.k8s.io", "events"),
            allow(WRITE, "apps", f"{workloads} deployments/rollback"),
            allow(WRITE, "autoscaling", "horizontalpodautoscalers"),
            allow(WRITE, "batch", "cronjobs jobs"),
            allow(WRITE, "extensions", f"{old_workloads} deployments/rollback ingresses networkpolicies"),
            allow(WRITE, "policy", "poddisruptionbudgets"),
            allow(WRITE, NETWORKING, "ingresses networkpolicies"),
            allow(READ_WRITE, COORDINATION, "leases"),
            allow(WRITE, RESOURCE, "resourceclaims resourceclaimtemplates"),
            joins="edit",
        ),
        cluster_role(
            "system:aggregate-to-view",
            allow(READ, "metrics.k8s.io", "nodes pods"),
            allow(
                READ,
                "core",
                "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
                "replicationcontrollers/scale serviceaccounts services services/status",
            ),
            allow(
                READ,
                "core",
                "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
                "resourcequotas resourcequotas/status",
            ),
            allow(READ, "events.k8s.io", "events"),
            # within a namespace this means that one namespace
            allow(READ, "core", "namespaces"),
            allow(READ, DISCOVERY, "endpointslices"),
            allow(
                READ,
                "apps",
                f"{workloads} controllerrevisions daemonsets/status deployments/status replicasets/status "
                "statefulsets/status",
            ),
            allow(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
            allow(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
            allow(
                READ,
                "extensions",
                f"{old_workloads} daemonsets/status deployments/status ingresses ingresses/status networkpolicies "
                "replicasets/status",
            ),
            allow(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
            allow(READ, NETWORKING, "ingresses ingresses/status networkpolicies"),
            allow(READ, RESOURCE, "resourceclaims resourceclaims/status resourceclaimtemplates"),
            joins="view",
        ),
    ]
    view = aggregated("view", parts, joins="edit")
    edit = aggregated("edit", [*parts, view], joins="admin")
    admin = aggregated("admin", [*parts, edit])
    return [
        cluster_role("cluster-admin", allow("*", "*", "*"), urls("*", "*")),
        admin,
        edit,
        view,
        *parts,
        cluster_role(
            "system:discovery",
            urls("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
        ),
        cluster_role(
            "system:basic-user",
            allow("create", AUTHZ, "selfsubjectaccessreviews selfsubjectrulesreviews"),
            allow("create", AUTHN, "selfsubjectreviews"),
        ),
        cluster_role("system:public-info-viewer", urls("get", "/healthz /livez /readyz /version /version/")),
        cluster_role(
            "system:monitoring",
            urls("get", "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz"),
            allow("get", "core", "nodes/metrics"),
        ),
        cluster_role(
            "system:service-account-issuer-discovery",
            urls(
                "get",
                "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
            ),
        ),
        cluster_role("system:cluster-trust-bundle-discovery", allow(READ, CERTIFICATES, "clustertrustbundles")),
    ]


def _for_components() -> list[ClusterRole]:
    return [
        cluster_role("system:node", *node_rules()),
        cluster_role(
            "system:node-proxier",
            allow("list watch", "core", "endpoints services"),
            allow(READ, "core", "nodes"),
            EVENTS,
            allow("list watch", DISCOVERY, "endpointslices"),
            allow("list watch", NETWORKING, "servicecidrs"),
        ),
        cluster_role(
            "system:node-problem-detector",
            allow("get", "core", "nodes"),
            allow("patch", "core", "nodes/status"),
            EVENTS,
        ),
        cluster_role("system:node-bootstrapper", allow(f"create {READ}", CERTIFICATES, "certificatesigningrequests")),
        cluster_role(
            "system:kubelet-api-admin",
            allow(READ, "core", "nodes"),
            allow("proxy", "core", "nodes"),
            allow(
                "*",
                "core",
                "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats",
            ),
        ),
        cluster_role("system:auth-delegator", *_ASK_WHO_AND_WHETHER),
        cluster_role(
            "system:heapster",
            allow(READ, "core", "events namespaces nodes pods"),
            allow(READ, "extensions", "deployments"),
        ),
        cluster_role("system:kube-aggregator", allow(READ, "core", "endpoints services")),
        cluster_role(
            "system:node-dns",
            allow(READ, "core", "namespaces nodes pods services"),
            allow(READ, DISCOVERY, "endpointslices"),
        ),
        cluster_role(
            "system:node-network-policy",
            allow(READ, "core", "namespaces nodes pods"),
            allow(READ, NETWORKING, "networkpolicies"),
        ),
        cluster_role("system:kube-dns", allow("list watch", "core", "endpoints services")),
        cluster_role(
            "system:kube-controller-manager",
            EVENTS,
            allow("create", COORDINATION, "leases"),
            allow("get update", COORDINATION, "leases", names="kube-controller-manager"),
            allow("create", "core", "secrets serviceaccounts"),
            allow("delete", "core", "secrets"),
            allow("get", "core", "configmaps namespaces secrets serviceaccounts"),
            allow("update", "core", "secrets serviceaccounts"),
            *_ASK_WHO_AND_WHETHER,
            allow("list watch", "*", "*"),
            allow("create", "core", "serviceaccounts/token"),
        ),
        cluster_role(
            "system:kube-scheduler",
            EVENTS,
            allow("create", COORDINATION, "leases"),
            allow(f"{READ} update", COORDINATION, "leases", names="kube-scheduler"),
            allow(f"create delete deletecollection {READ} patch update", COORDINATION, "leasecandidates"),
            allow(READ, "core", "nodes"),
            allow(f"delete {READ}", "core", "pods"),
            allow("create", "core", "bindings pods/binding"),
            allow("patch update", "core", "pods/status"),
            allow(READ, "core", "replicationcontrollers services"),
            allow(READ, "apps extensions", "replicasets"),
            allow(READ, "apps", "statefulsets"),
            allow(READ, "policy", "poddisruptionbudgets"),
            allow(READ, "core", "persistentvolumeclaims persistentvolumes"),
            *_ASK_WHO_AND_WHETHER,
            allow(READ, STORAGE, "csinodes"),
            allow(READ, "core", "namespaces"),
            allow(READ, STORAGE, "csidrivers"),
            allow(READ, STORAGE, "csistoragecapacities"),
            allow(READ, STORAGE, "volumeattachments"),
            allow(READ, RESOURCE, "deviceclasses devicetaintrules"),
            allow("patch update", RESOURCE, "resourceclaims/binding"),
            allow(f"create delete {READ} patch update", RESOURCE, "resourceclaims"),
            allow(f"{READ} patch update", RESOURCE, "resourceclaims/status"),
            allow("update", "core", "pods/finalizers"),
            allow(READ, RESOURCE, "resourceslices"),
            *_of_groups(),
        ),
        cluster_role(
            "system:volume-scheduler",
            allow(f"{READ} patch update", "core", "persistentvolumes"),
            allow(READ, STORAGE, "storageclasses"),
            allow(f"{READ} patch update", "core", "persistentvolumeclaims"),
        ),
        cluster_role(
            "system:persistent-volume-provisioner",
            allow(f"create delete {READ}", "core", "persistentvolumes"),
            allow(f"{READ} update", "core", "persistentvolumeclaims"),
            allow(READ, STORAGE, "storageclasses"),
            allow("watch", "core", "events"),
            EVENTS,
        ),
    ]


def _of_groups() -> list[PolicyRule]:
    """What the scheduler reads of gangs, where their groups are served."""
    served = scheme.by_kind("scheduling.k8s.io/v1beta1", "PodGroup") is not None
    return [allow(READ, "scheduling.k8s.io", "podgroups")] if served else []


def _for_signers() -> list[ClusterRole]:
    prefix = "system:certificates.k8s.io:"
    requests = [
        cluster_role(
            f"{prefix}certificatesigningrequests:{kind}",
            allow("create", CERTIFICATES, f"certificatesigningrequests/{kind}"),
        )
        for kind in ("nodeclient", "selfnodeclient")
    ]
    approvers = [
        cluster_role(
            f"{prefix}{name}-approver", allow("approve", CERTIFICATES, "signers", names=f"kubernetes.io/{name}")
        )
        for name in ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving", "legacy-unknown")
    ]
    return [*requests, *approvers]


def cluster_roles() -> list[ClusterRole]:
    """All but those of the controllers."""
    return [*_for_people(), *_for_components(), *_for_signers()]


def cluster_role_bindings() -> list[ClusterRoleBinding]:
    """All but those of the controllers. system:node is bound to nobody: the Node authorizer applies its rules."""
    everyone = group("system:authenticated")
    service_accounts = group("system:serviceaccounts")
    scheduler = user("system:kube-scheduler")
    return [
        cluster_binding("cluster-admin", group("system:masters")),
        cluster_binding("system:monitoring", group("system:monitoring")),
        cluster_binding("system:discovery", everyone),
        cluster_binding("system:basic-user", everyone),
        cluster_binding("system:public-info-viewer", everyone, group("system:unauthenticated")),
        cluster_binding("system:service-account-issuer-discovery", service_accounts),
        cluster_binding("system:cluster-trust-bundle-discovery", service_accounts),
        cluster_binding("system:node"),
        cluster_binding("system:node-proxier", user("system:kube-proxy")),
        cluster_binding("system:node-dns", user("system:node-dns")),
        cluster_binding("system:node-network-policy", user("system:node-network-policy")),
        cluster_binding("system:kube-controller-manager", user("system:kube-controller-manager")),
        cluster_binding("system:kube-dns", account("kube-dns")),
        cluster_binding("system:kube-scheduler", scheduler),
        cluster_binding("system:volume-scheduler", scheduler),
    ]
