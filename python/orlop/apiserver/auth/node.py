"""The Node authorizer: a kubelet may do what kubelets do, with the objects of its own node.

As plugin/pkg/auth/authorizer/node: what a pod on the node refers to may be read, and nothing else of its kind. Where
upstream keeps a graph of these references, they are read from the node's pods when asked: a kubelet asks once for each
object that it mounts.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import msgspec

from orlop.api import volumes
from orlop.api.types import core_v1
from orlop.apiserver.auth.attributes import NO_OPINION, Attributes, Decision, quote
from orlop.apiserver.auth.objects import Objects
from orlop.apiserver.auth.policy.cluster import node_rules
from orlop.apiserver.auth.rbac import matches
from orlop.apiserver.auth.user import User, node_of

NODE_LEASES = "kube-node-lease"
_ALLOW = Decision(True)
_READ = ("get", "list", "watch")
_OWN_BY_NAME = ("get", "create", "update", "patch", "delete")


class _Named(msgspec.Struct):
    name: str = ""


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


class _ValueFrom(msgspec.Struct, rename="camel"):
    config_map_key_ref: _Named | None = None
    secret_key_ref: _Named | None = None


class _Env(msgspec.Struct, rename="camel"):
    value_from: _ValueFrom | None = None


class _EnvFrom(msgspec.Struct, rename="camel"):
    config_map_ref: _Named | None = None
    secret_ref: _Named | None = None


class _Container(msgspec.Struct, rename="camel"):
    env: list[_Env] = []
    env_from: list[_EnvFrom] = []


class _Source(msgspec.Struct, rename="camel"):
    secret: _Named | None = None
    config_map: _Named | None = None


class _Projected(msgspec.Struct):
    sources: list[_Source] = []


class _SecretVolume(msgspec.Struct, rename="camel"):
    secret_name: str = ""


class _Csi(msgspec.Struct, rename="camel"):
    node_publish_secret_ref: _Named | None = None


class _Claim(msgspec.Struct, rename="camel"):
    claim_name: str = ""


class _Volume(msgspec.Struct, rename="camel"):
    name: str = ""
    secret: _SecretVolume | None = None
    config_map: _Named | None = None
    projected: _Projected | None = None
    csi: _Csi | None = None
    persistent_volume_claim: _Claim | None = None
    ephemeral: dict[str, msgspec.Raw] | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    service_account_name: str = ""
    image_pull_secrets: list[_Named] = []
    init_containers: list[_Container] = []
    containers: list[_Container] = []
    ephemeral_containers: list[_Container] = []
    volumes: list[_Volume] = []


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class Pod(msgspec.Struct):
    metadata: _Metadata
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


class _VolumeSpec(msgspec.Struct, rename="camel"):
    volume_name: str = ""


class _LocalPathMetadata(msgspec.Struct):
    annotations: dict[str, str] = {}


class _LocalPath(msgspec.Struct):
    metadata: _LocalPathMetadata = msgspec.field(default_factory=_LocalPathMetadata)


class _BoundClaim(msgspec.Struct):
    spec: _VolumeSpec = msgspec.field(default_factory=_VolumeSpec)


def references(pod: Pod | core_v1.Pod) -> Iterator[tuple[str, str]]:
    """Resource and name of everything in its namespace that the pod refers to."""
    spec = pod.spec
    if spec.service_account_name:
        yield "serviceaccounts", spec.service_account_name
    for pull in spec.image_pull_secrets:
        yield "secrets", pull.name
    for container in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        for source in container.env_from:
            yield from _two(source.config_map_ref, source.secret_ref)
        for env in container.env:
            if env.value_from:
                yield from _two(env.value_from.config_map_key_ref, env.value_from.secret_key_ref)
    for volume in spec.volumes:
        yield from _two(volume.config_map, volume.csi.node_publish_secret_ref if volume.csi else None)
        if volume.secret:
            yield "secrets", volume.secret.secret_name
        if volume.projected:
            for part in volume.projected.sources:
                yield from _two(part.config_map, part.secret)
        if volume.persistent_volume_claim:
            yield "persistentvolumeclaims", volume.persistent_volume_claim.claim_name
        if volume.ephemeral is not None:
            yield "persistentvolumeclaims", f"{pod.metadata.name}-{volume.name}"


def _two(config_map: _HasName | None, secret: _HasName | None) -> Iterator[tuple[str, str]]:
    if config_map:
        yield "configmaps", config_map.name
    if secret:
        yield "secrets", secret.name


class NodeAuthorizer:
    """Decides for users named `system:node:NAME` in the group `system:nodes`; has no opinion on anyone else."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._rules = node_rules()
        self._pods = msgspec.json.Decoder(Pod)
        self._claims = msgspec.json.Decoder(_BoundClaim)
        self._local_paths = msgspec.json.Decoder(_LocalPath)

    def authorize(self, user: User, asked: Attributes, field_selector: str = "") -> Decision:
        """`field_selector` is that of a list or watch: pods may be listed only for the kubelet's own node."""
        node = node_of(user)
        if not node:
            return NO_OPINION
        if asked.is_resource:
            match asked.group, asked.resource:
                case "", "secrets" | "configmaps":
                    return self._read(node, asked)
                case "", "persistentvolumeclaims" | "persistentvolumes":
                    return self._volume(node, asked)
                case "", "serviceaccounts":
                    return self._service_account(node, asked)
                case "", "nodes":
                    return _node(node, asked)
                case "", "pods":
                    return self._pod(node, asked, field_selector)
                case "coordination.k8s.io", "leases":
                    return _lease(node, asked)
                case "storage.k8s.io", "csinodes":
                    return _csi_node(node, asked)
        return _ALLOW if any(matches(rule, asked) for rule in self._rules) else NO_OPINION

    def _read(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in _READ:
            return Decision(False, "can only read resources of this type")
        if asked.subresource:
            return Decision(False, "cannot read subresource")
        if not asked.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, asked)

    def _volume(self, node: str, asked: Attributes) -> Decision:
        if asked.resource == "persistentvolumeclaims" and asked.subresource == "status":
            if asked.verb not in ("update", "patch"):
                return Decision(False, "can only get/update/patch this type")
        elif self._keeps(node, asked):
            return _ALLOW
        elif asked.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        elif asked.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, asked)

    def _keeps(self, node: str, asked: Attributes) -> bool:
        """Whether the volume is a directory of the node, whose kubelet follows and releases it. Not upstream's.

        What it may change is NodeRestriction's matter."""
        if asked.resource != "persistentvolumes" or asked.subresource or asked.verb not in (*_READ, "patch"):
            return False
        found = self._objects.get(asked.resource, "", asked.name) if asked.name else None
        return found is not None and is_kept_by(node, self._local_paths.decode(found[0]).metadata.annotations)

    def _service_account(self, node: str, asked: Attributes) -> Decision:
        if asked.verb == "get" and not asked.subresource:
            return self._related(node, asked)
        if asked.verb != "create" or not asked.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._related(node, asked)

    def _pod(self, node: str, asked: Attributes, field_selector: str) -> Decision:
        verb = asked.verb
        if asked.subresource == "status":
            return _ALLOW if verb in ("update", "patch") else NO_OPINION
        if asked.subresource == "eviction":
            return _ALLOW if verb == "create" else NO_OPINION
        if asked.subresource:
            return NO_OPINION
        if verb in ("create", "delete"):
            return _ALLOW
        if verb in ("list", "watch"):
            if _selects(field_selector, "spec.nodeName", node):
                return _ALLOW
            if not asked.name:
                return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        elif verb != "get":
            return NO_OPINION
        return self._related(node, asked)

    def _related(self, node: str, asked: Attributes) -> Decision:
        if not asked.name:
            return Decision(False, "No Object name found")
        wanted = (asked.resource, asked.name)
        if asked.resource == "persistentvolumes":
            related = self._mounts(node, asked.name)
        elif asked.resource == "pods":
            named = f"spec.nodeName={node},metadata.name={asked.name}"
            related = bool(self._objects.list("pods", asked.namespace, "", named, 1).items)
        else:
            related = any(wanted == reference for _, reference in self._of(node, asked.namespace))
        if related:
            return _ALLOW
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _mounts(self, node: str, volume: str) -> bool:
        for namespace, (resource, name) in self._of(node, None):
            if resource == "persistentvolumeclaims":
                try:
                    claim = self._objects.get(resource, namespace, name)
                except LookupError:
                    return False  # a server that serves no claims
                if claim is not None and self._claims.decode(claim[0]).spec.volume_name == volume:
                    return True
        return False

    def _of(self, node: str, namespace: str | None) -> Iterator[tuple[str, tuple[str, str]]]:
        for item in self._objects.list("pods", namespace, "", f"spec.nodeName={node}").items:
            pod = self._pods.decode(item)
            for reference in references(pod):
                yield pod.metadata.namespace, reference


def is_kept_by(node: str, annotations: Mapping[str, str]) -> bool:
    """Whether a volume with these annotations is a directory of the node."""
    made_by = annotations.get(volumes.PROVISIONED_BY)
    return made_by == volumes.LOCAL_PATH and annotations.get(volumes.LOCAL_PATH_NODE) == node


def _selects(selector: str, field: str, value: str) -> bool:
    """Whether a field selector limits `field` to `value`."""
    return any(term in (f"{field}={value}", f"{field}=={value}") for term in selector.split(","))


def _node(node: str, asked: Attributes) -> Decision:
    if asked.subresource == "status":
        return _ALLOW if asked.verb in ("update", "patch") else NO_OPINION
    if asked.subresource:
        return NO_OPINION
    if asked.verb in ("create", "update", "patch"):
        return _ALLOW
    if asked.verb not in _READ:
        return NO_OPINION
    if asked.name == node:
        return _ALLOW
    if not asked.name:
        return Decision(False, f"node '{node}' cannot read all nodes, only its own Node object")
    return Decision(False, f"node '{node}' cannot read '{asked.name}', only its own Node object")


def _lease(node: str, asked: Attributes) -> Decision:
    if asked.verb not in _OWN_BY_NAME:
        return Decision(False, "can only get, create, update, patch, or delete a node lease")
    if asked.namespace != NODE_LEASES:
        return Decision(False, f"can only access leases in the {quote(NODE_LEASES)} system namespace")
    # the name of a new object is not known here: NodeRestriction looks at it
    if asked.verb != "create" and asked.name != node:
        return Decision(False, "can only access node lease with the same name as the requesting node")
    return _ALLOW


def _csi_node(node: str, asked: Attributes) -> Decision:
    if asked.verb not in _OWN_BY_NAME:
        return Decision(False, "can only get, create, update, patch, or delete a CSINode")
    if asked.subresource:
        return Decision(False, "cannot authorize CSINode subresources")
    if asked.verb != "create" and asked.name != node:
        return Decision(False, "can only access CSINode with the same name as the requesting node")
    return _ALLOW
