"""NodeRestriction: a kubelet writes what is its own node's, and nothing by which it could draw pods to itself.

As plugin/pkg/admission/noderestriction. Where the Node authorizer sees only names, this sees the objects.
"""

from typing import Any, NoReturn

from msgspec.structs import replace

from orlop.api import errors, scheme
from orlop.api.types import authentication_v1, core_v1
from orlop.api.volumes import LOCAL_PATH_FINALIZER
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.auth.attributes import Access, quote
from orlop.apiserver.auth.node import NODE_LEASES, is_kept_by, references
from orlop.apiserver.auth.user import node_of

MIRROR = "kubernetes.io/config.mirror"
RESTRICTED = "node-restriction.kubernetes.io"
OWN_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
    }
)
"""Labels of Kubernetes' own prefixes that a kubelet sets on its node."""
OWN_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
RESERVED_PREFIXES = ("kubernetes.io", "k8s.io")
REQUEST_AUDIENCE = "request-serviceaccounts-token-audience"
"""The verb by which a rule lets kubelets ask for tokens for an audience (the rule's resource) that no pod mounts."""
_RESOURCES = (
    "pods",
    "nodes",
    "serviceaccounts",
    "persistentvolumes",
    "coordination.k8s.io/leases",
    "storage.k8s.io/csinodes",
    "resource.k8s.io/resourceslices",
)
_POD = scheme.by_resource("", "v1", "pods")
_NODE = scheme.by_resource("", "v1", "nodes")


def _refuse(a: Attributes, why: str) -> NoReturn:
    raise errors.forbidden(a.kind.plural, a.kind.group, a.name, why)


class NodeRestriction(Admission):
    """Refuses what a kubelet may not write. Concerns nobody else."""

    operations = ("CREATE", "UPDATE", "DELETE")
    resources = _RESOURCES
    subresources = None

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return None if node_of(a.user) else ()

    async def admit(self, a: Attributes) -> None:
        node = node_of(a.user)
        if not node:
            return
        match a.kind.plural, a.subresource:
            case "pods", "":
                self._pod(node, a)
            case "pods", "status":
                self._pod_status(node, a)
            case "pods", "eviction":
                if self._live(a, a.name).spec.node_name != node:
                    _refuse(a, f"node {node} can only evict pods with spec.nodeName set to itself")
            case "pods", _:
                _refuse(
                    a, f"unexpected pod subresource {quote(a.subresource)}, only 'status' and 'eviction' are allowed"
                )
            case "nodes", _:
                _own_node(node, a)
            case "serviceaccounts", "token":
                self._token(node, a, a.object)
            case "leases", _:
                _own_lease(node, a)
            case "csinodes", _:
                if a.name != node:
                    _refuse(a, "can only access CSINode with the same name as the requesting node")
            case "resourceslices", _:
                _own_slice(node, a)
            case "persistentvolumes", _:
                _own_directory(node, a)

    def _pod(self, node: str, a: Attributes) -> None:
        if a.operation == "CREATE":
            self._mirror(node, a, a.object)
        elif a.operation == "DELETE":
            if self._live(a, a.name).spec.node_name != node:
                _refuse(a, f"node {quote(node)} can only delete pods with spec.nodeName set to itself")
        else:
            _refuse(
                a,
                f"unexpected operation {quote(a.operation)}, node {quote(node)} can only create and delete mirror pods",
            )

    def _mirror(self, node: str, a: Attributes, pod: core_v1.Pod) -> None:
        """A pod that a kubelet makes stands for one from its own files: it may use no other object."""
        it = quote(node)
        if MIRROR not in pod.metadata.annotations:
            _refuse(a, f"pod does not have {quote(MIRROR)} annotation, node {it} can only create mirror pods")
        if pod.spec.node_name != node:
            _refuse(a, f"node {it} can only create pods with spec.nodeName set to itself")
        owners = pod.metadata.owner_references
        if len(owners) > 1:
            _refuse(a, f"node {it} can only create pods with a single owner reference set to itself")
        if not owners or (owners[0].api_version, owners[0].kind, owners[0].name) != ("v1", "Node", node):
            _refuse(a, f"node {it} can only create pods with an owner reference set to itself")
        if not owners[0].controller:
            _refuse(a, f"node {it} can only create pods with a controller owner reference set to itself")
        if owners[0].block_owner_deletion:
            _refuse(a, f"node {it} must not set blockOwnerDeletion on an owner reference")
        assert _NODE is not None
        found = self.objects.get(_NODE, "", node)
        if found is None:
            raise errors.not_found("nodes", "", node)
        if owners[0].uid != found.metadata.uid:
            _refuse(a, f"node {node} UID mismatch: expected {owners[0].uid} got {found.metadata.uid}")
        words = {"serviceaccounts": "a service account", "persistentvolumeclaims": "persistentvolumeclaims"}
        for resource, _ in references(pod):
            _refuse(a, f"node {it} can not create pods that reference {words.get(resource, resource)}")

    def _pod_status(self, node: str, a: Attributes) -> None:
        if a.operation != "UPDATE":
            _refuse(a, f"unexpected operation {quote(a.operation)}")
        old: core_v1.Pod = a.old
        new: core_v1.Pod = a.object
        if old.spec.node_name != node:
            _refuse(a, f"node {quote(node)} can only update pod status for pods with spec.nodeName set to itself")
        if old.metadata.labels != new.metadata.labels:
            _refuse(a, f"node {quote(node)} cannot update labels through pod status")
        if old.status.resource_claim_statuses != new.status.resource_claim_statuses:
            _refuse(a, f"node {quote(node)} cannot update resource claim statues")

    def _token(self, node: str, a: Attributes, request: authentication_v1.TokenRequest) -> None:
        ref = request.spec.bound_object_ref
        if ref is None or ref.api_version != "v1" or ref.kind != "Pod" or not ref.name:
            _refuse(a, "node requested token not bound to a pod")
        if not ref.uid:
            _refuse(a, "node requested token with a pod binding without a uid")
        pod = self._live(a, ref.name)
        if ref.uid != pod.metadata.uid:
            _refuse(
                a,
                f"the UID in the bound object reference ({ref.uid}) does not match the UID in record. "
                "The object might have been deleted and then recreated",
            )
        if pod.spec.node_name != node:
            _refuse(a, "node requested token bound to a pod scheduled on a different node")
        if len(request.spec.audiences) > 1:
            _refuse(a, "node may only request 0 or 1 audiences")
        audience = request.spec.audiences[0] if request.spec.audiences else ""
        if audience not in _audiences(pod):
            asked = Access(REQUEST_AUDIENCE, audience, "", a.namespace, pod.spec.service_account_name, version="v1")
            if not self.authorizer.authorize(a.user, asked).allowed:
                _refuse(
                    a,
                    f"audience {quote(audience)} not found in pod spec volume, {a.user.name} is not authorized to "
                    "request tokens for this audience",
                )

    def _live(self, a: Attributes, name: str) -> core_v1.Pod:
        assert _POD is not None
        pod: core_v1.Pod | None = self.objects.get(_POD, a.namespace, name)
        if pod is None:
            raise errors.not_found("pod", "", name)  # the word of upstream's listers
        return pod


def _audiences(pod: core_v1.Pod) -> set[str]:
    """Whom the tokens are for that the pod mounts; "" is the API server."""
    return {
        source.service_account_token.audience
        for volume in pod.spec.volumes
        if volume.projected
        for source in volume.projected.sources
        if source.service_account_token
    }


def _own_directory(node: str, a: Attributes) -> None:
    """Of a volume that is its directory a kubelet says that the directory is there, and is not any more."""
    old: core_v1.PersistentVolume | None = a.old
    if a.operation != "UPDATE" or old is None or not is_kept_by(node, old.metadata.annotations):
        _refuse(a, f"node {quote(node)} can only update persistent volumes that are its own directories")
    if _without_ours(a.object) != _without_ours(old):
        _refuse(a, f"node {quote(node)} can only set the finalizer {quote(LOCAL_PATH_FINALIZER)}")


def _without_ours(volume: core_v1.PersistentVolume) -> core_v1.PersistentVolume:
    meta = volume.metadata
    finalizers = [f for f in meta.finalizers if f != LOCAL_PATH_FINALIZER]
    kept = replace(meta, finalizers=finalizers, managed_fields=[], resource_version="", generation=0)
    return replace(volume, metadata=kept)


def _own_node(node: str, a: Attributes) -> None:
    if a.name != node:
        _refuse(a, f"node {quote(node)} is not allowed to modify node {quote(a.name)}")
    if a.operation == "CREATE":
        forbidden = _forbidden_labels(a.object.metadata.labels, {})
        if forbidden:
            _refuse(a, f"node {quote(node)} is not allowed to set the following labels: {', '.join(forbidden)}")
    elif a.operation == "UPDATE":
        new: Any = a.object
        old: Any = a.old
        if new.spec.taints != old.spec.taints:
            _refuse(a, f"node {quote(node)} is not allowed to modify taints")
        forbidden = _forbidden_labels(new.metadata.labels, old.metadata.labels)
        if forbidden:
            _refuse(a, f"is not allowed to modify labels: {', '.join(forbidden)}")
        if new.metadata.owner_references != old.metadata.owner_references:
            _refuse(a, f"node {quote(node)} is not allowed to modify ownerReferences")


def _forbidden_labels(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Labels that differ and by which a node could draw to itself what is not meant for it."""
    changed = {key for key in {**new, **old} if new.get(key) != old.get(key)}
    return sorted(key for key in changed if _forbidden(key))


def _forbidden(label: str) -> bool:
    prefix = label.partition("/")[0] if "/" in label else ""
    if _within(prefix, RESTRICTED):
        return True
    reserved = any(_within(prefix, domain) for domain in RESERVED_PREFIXES)
    return reserved and label not in OWN_LABELS and not any(_within(prefix, domain) for domain in OWN_PREFIXES)


def _within(prefix: str, domain: str) -> bool:
    return prefix == domain or prefix.endswith(f".{domain}")


def _own_slice(node: str, a: Attributes) -> None:
    """A kubelet tells of its own node's devices."""
    written = {"CREATE": "create", "UPDATE": "update", "DELETE": "delete"}
    if any(slice is not None and slice.spec.node_name != node for slice in (a.object, a.old)):
        words = f"can only {written[a.operation]} ResourceSlice with the same NodeName as the requesting node"
        _refuse(a, words)


def _own_lease(node: str, a: Attributes) -> None:
    if a.namespace != NODE_LEASES:
        _refuse(a, f"can only access leases in the {quote(NODE_LEASES)} system namespace")
    if a.name != node:
        _refuse(a, "can only access node lease with the same name as the requesting node")
