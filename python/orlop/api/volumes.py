"""What volumes, claims and classes mean to each other, for all who ask: binder, scheduler, kubelet, provisioner.

Upstream: component-helpers/storage/volume and storage/ephemeral, component-helpers/scheduling/corev1/nodeaffinity.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from orlop.api import nodeselectors, selectors
from orlop.api.quantity import parse
from orlop.api.types import core_v1, storage_v1

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
"""On a claim that was bound once."""
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
"""On a volume or claim whose half of the binding is not its user's."""
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""On a claim: the node that the scheduler wants its volume for."""
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
CLASS_BETA = "volume.beta.kubernetes.io/storage-class"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
PVC_PROTECTION = "kubernetes.io/pvc-protection"
PV_PROTECTION = "kubernetes.io/pv-protection"
VAC_PROTECTION = "kubernetes.io/vac-protection"

LOCAL_PATH = "orlop/local-path"
"""The provisioner of directories on nodes."""
LOCAL_PATH_ROOT = "orlop/local-path-directory"
"""On a Node: where its kubelet keeps such directories."""
LOCAL_PATH_NODE = "orlop/local-path-node"
"""On a volume: the node that has, or will have, its directory."""
LOCAL_PATH_FINALIZER = "orlop/local-path-directory"
"""On a volume whose directory exists: its node takes it off when the directory is gone."""


def claim_class(claim: core_v1.PersistentVolumeClaim) -> str:
    """The class a claim asks for; "" for none."""
    if CLASS_BETA in claim.metadata.annotations:
        return claim.metadata.annotations[CLASS_BETA]
    return claim.spec.storage_class_name or ""


def asks_no_class(claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether a claim says nothing of a class, not even that it wants none: the default class is for it."""
    return claim.spec.storage_class_name is None and CLASS_BETA not in claim.metadata.annotations


def volume_class(volume: core_v1.PersistentVolume) -> str:
    """The class a volume is of; "" for none."""
    return volume.metadata.annotations.get(CLASS_BETA) or volume.spec.storage_class_name


def is_default(found: storage_v1.StorageClass) -> bool:
    """Whether a class is marked as the default one."""
    annotations = found.metadata.annotations
    return "true" in (annotations.get(DEFAULT_CLASS), annotations.get(DEFAULT_CLASS_BETA))


def default_class(classes: Iterable[storage_v1.StorageClass]) -> storage_v1.StorageClass | None:
    """The class marked as default; of several the newest, of those the first by name."""
    marked = sorted((c for c in classes if is_default(c)), key=lambda c: c.metadata.name)
    return max(marked, key=lambda c: c.metadata.creation_timestamp or "", default=None)


def waits_for_consumer(found: storage_v1.StorageClass | None) -> bool:
    """Whether claims of the class are bound only when a pod uses them."""
    return found is not None and found.volume_binding_mode == "WaitForFirstConsumer"


def is_bound_to(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether a volume is bound to, or reserved for, the claim."""
    ref, meta = volume.spec.claim_ref, claim.metadata
    return (
        ref is not None
        and (ref.namespace, ref.name) == (meta.namespace, meta.name)
        and (not ref.uid or ref.uid == meta.uid)
    )


def reference_to(claim: core_v1.PersistentVolumeClaim) -> core_v1.ObjectReference:
    """What a volume's claimRef says of the claim."""
    meta = claim.metadata
    return core_v1.ObjectReference(
        api_version="v1",
        kind="PersistentVolumeClaim",
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
    )


def reserve(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> None:
    """Promises the volume, which is changed, to the claim. Upstream: volume.GetBindVolumeToClaim."""
    ref, meta = volume.spec.claim_ref, claim.metadata
    if not is_bound_to(volume, claim):
        volume.metadata.annotations.setdefault(BOUND_BY_CONTROLLER, "yes")
    if ref is None or (ref.namespace, ref.name, ref.uid) != (meta.namespace, meta.name, meta.uid):
        volume.spec.claim_ref = reference_to(claim)


def is_fully_bound(claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether both halves of the claim's binding are done."""
    return bool(claim.spec.volume_name) and BIND_COMPLETED in claim.metadata.annotations


def storage_of(claim: core_v1.PersistentVolumeClaim) -> str:
    """The quantity a claim asks for."""
    return claim.spec.resources.requests.get("storage", "0")


def mismatch(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> str:
    """Why a claim cannot have the volume that it names, in upstream's words; "" if it can."""
    if parse(volume.spec.capacity.get("storage", "0")) < parse(storage_of(claim)):
        return "requested PV is too small"
    if volume_class(volume) != claim_class(claim):
        return "storageClassName does not match"
    if not same_attributes_class(volume, claim):
        return "volumeAttributesClassName does not match"
    if modes_differ(volume, claim):
        return "incompatible volumeMode"
    if not set(claim.spec.access_modes) <= set(volume.spec.access_modes):
        return "incompatible accessMode"
    return ""


def modes_differ(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether one is a block device and the other a file system."""
    return (claim.spec.volume_mode or "Filesystem") != (volume.spec.volume_mode or "Filesystem")


def same_attributes_class(volume: core_v1.PersistentVolume, claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether both name the same VolumeAttributesClass, or none."""
    return (claim.spec.volume_attributes_class_name or "") == (volume.spec.volume_attributes_class_name or "")


def fitting(
    claim: core_v1.PersistentVolumeClaim, volumes: Iterable[core_v1.PersistentVolume], *, delayed: bool = False
) -> list[core_v1.PersistentVolume]:
    """The volumes that a claim may have wherever they are, the best first: the one reserved for it alone, else those
    available that fit, by size and name. `delayed` leaves out these, since the scheduler is to choose among them."""
    selector = selectors.from_struct(claim.spec.selector) if claim.spec.selector is not None else None
    wanted, asked, modes = parse(storage_of(claim)), claim_class(claim), set(claim.spec.access_modes)
    found: list[tuple[Decimal, str, core_v1.PersistentVolume]] = []
    for volume in volumes:
        spec = volume.spec
        reserved = is_bound_to(volume, claim)
        if spec.claim_ref is not None and not reserved:
            continue
        size = parse(spec.capacity.get("storage", "0"))
        if size < wanted or modes_differ(volume, claim) or volume.metadata.deletion_timestamp is not None:
            continue
        if not same_attributes_class(volume, claim):
            continue
        if reserved:
            return [volume]
        if (
            not delayed
            and volume.status.phase == "Available"
            and volume_class(volume) == asked
            and modes <= set(spec.access_modes)
            and (selector is None or selector.matches(volume.metadata.labels))
        ):
            found.append((size, volume.metadata.name, volume))
    return [volume for _, _, volume in sorted(found, key=lambda of: of[:2])]


def usable_on(volume: core_v1.PersistentVolume, labels: Mapping[str, str], name: str) -> bool:
    """Whether the volume's node affinity allows a node with these labels."""
    affinity = volume.spec.node_affinity
    return affinity is None or affinity.required is None or nodeselectors.selects(affinity.required, labels, name)


def topology_allows(found: storage_v1.StorageClass, labels: Mapping[str, str]) -> bool:
    """Whether a class makes volumes for nodes with these labels."""
    terms = found.allowed_topologies
    return not terms or any(all(labels.get(e.key) in e.values for e in term.match_label_expressions) for term in terms)


class HasClaims(Protocol):
    """A volume of a pod, whole or projected."""

    @property
    def name(self) -> str: ...
    @property
    def persistent_volume_claim(self) -> Any: ...
    @property
    def ephemeral(self) -> Any: ...


def claim_name(pod_name: str, volume: HasClaims) -> str:
    """The claim behind a pod's volume, named or made for it; "" if there is none."""
    if volume.persistent_volume_claim is not None:
        return str(volume.persistent_volume_claim.claim_name)
    return f"{pod_name}-{volume.name}" if volume.ephemeral is not None else ""


def is_made_for(claim: core_v1.PersistentVolumeClaim, pod_uid: str) -> bool:
    """Whether an ephemeral volume's claim belongs to the pod."""
    return any(ref.controller and ref.uid == pod_uid for ref in claim.metadata.owner_references)
