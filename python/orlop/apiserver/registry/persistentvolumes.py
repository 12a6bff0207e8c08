"""Rules of PersistentVolumes: pkg/apis/core/validation, pkg/registry/core/persistentvolume."""

from posixpath import normpath
from typing import Any

from msgspec import structs

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import nodelabels, persistentsources, scheduling
from orlop.apiserver.registry.claims import VOLUME_MODES, class_annotation, validate_access_modes
from orlop.apiserver.registry.common import POSITIVE_QUANTITY, immutable, quantity, subdomain
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.specdiff import diff
from orlop.apiserver.registry.strategy import Strategy

NOT_SOURCES = frozenset(
    {
        "capacity",
        "access_modes",
        "claim_ref",
        "persistent_volume_reclaim_policy",
        "storage_class_name",
        "mount_options",
        "volume_mode",
        "node_affinity",
        "volume_attributes_class_name",
    }
)
SOURCES = {
    field.name: field.encode_name
    for field in structs.fields(core_v1.PersistentVolumeSpec)
    if field.name not in NOT_SOURCES
}
"""Attributes that are a volume's source, with their JSON names."""
_GO_SOURCES = (
    "GCEPersistentDisk",
    "AWSElasticBlockStore",
    "HostPath",
    "Glusterfs",
    "NFS",
    "RBD",
    "Quobyte",
    "ISCSI",
    "FlexVolume",
    "Cinder",
    "CephFS",
    "FC",
    "Flocker",
    "AzureFile",
    "VsphereVolume",
    "AzureDisk",
    "PhotonPersistentDisk",
    "PortworxVolume",
    "ScaleIO",
    "Local",
    "StorageOS",
    "CSI",
)
"""Their names in Go, in the order of upstream's inner type."""
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
RECYCLED = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
OLD_SOURCES = (
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photon_persistent_disk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scale_io", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)
"""Sources that no longer work: attribute, field, since when."""


class PersistentVolumes(Strategy):
    """A piece of storage."""

    returns_deleted = True

    def default(self, obj: core_v1.PersistentVolume) -> None:
        spec = obj.spec
        if not obj.status.phase:
            obj.status.phase = "Pending"
        spec.persistent_volume_reclaim_policy = spec.persistent_volume_reclaim_policy or "Retain"
        if spec.volume_mode is None:
            spec.volume_mode = "Filesystem"
        if spec.host_path is not None and spec.host_path.type is None:
            spec.host_path.type = ""
        if spec.csi is not None and spec.claim_ref is not None and not spec.claim_ref.kind:
            spec.claim_ref.kind = "PersistentVolumeClaim"
        if spec.iscsi is not None and not spec.iscsi.iscsi_interface:
            spec.iscsi.iscsi_interface = "default"
        if spec.rbd is not None:
            spec.rbd.pool = spec.rbd.pool or "rbd"
            spec.rbd.user = spec.rbd.user or "admin"
            spec.rbd.keyring = spec.rbd.keyring or "/etc/ceph/keyring"
        if spec.azure_disk is not None:
            disk = spec.azure_disk
            disk.caching_mode = disk.caching_mode or "ReadWrite"
            disk.kind = disk.kind or "Shared"
            disk.fs_type = disk.fs_type or "ext4"
            disk.read_only = bool(disk.read_only)

    def prepare_create(self, obj: core_v1.PersistentVolume) -> None:
        obj.status.phase = "Pending"
        obj.status.last_phase_transition_time = obj.metadata.creation_timestamp

    def validate(self, obj: core_v1.PersistentVolume) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if not spec.access_modes:
            errors.append(required("spec.accessModes"))
        errors += validate_access_modes(spec.access_modes, "spec.accessModes")
        if not spec.capacity:
            errors.append(required("spec.capacity"))
        if "storage" not in spec.capacity or len(spec.capacity) > 1:
            errors.append(unsupported("spec.capacity", spec.capacity or None, ("storage",)))
        for name, value in sorted(spec.capacity.items()):
            errors += quantity(value, f"spec.capacity[{name}]", POSITIVE_QUANTITY)
        policy = spec.persistent_volume_reclaim_policy
        if policy and policy not in RECLAIM_POLICIES:
            errors.append(unsupported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES))
        errors += _affinity(spec)
        errors += _source(spec, "spec")
        if spec.storage_class_name:
            errors += subdomain(spec.storage_class_name, "spec.storageClassName")
        if spec.volume_mode is not None and spec.volume_mode not in VOLUME_MODES:
            errors.append(unsupported("spec.volumeMode", spec.volume_mode, VOLUME_MODES))
        if spec.volume_attributes_class_name is not None:
            path = "spec.volumeAttributesClassName"
            if not spec.volume_attributes_class_name:
                errors.append(required(path, "an empty string is disallowed"))
            else:
                errors += subdomain(spec.volume_attributes_class_name, path)
            if spec.csi is None:
                errors.append(required("spec.csi", "has to be specified when using volumeAttributesClassName"))
        return errors

    def validate_update(self, new: core_v1.PersistentVolume, old: core_v1.PersistentVolume) -> list[FieldError]:
        errors = self.validate(new)
        if any(_frozen(getattr(new.spec, s), getattr(old.spec, s)) for s in SOURCES):
            shown = diff(_go_source(old.spec), _go_source(new.spec))
            words = f"spec.persistentvolumesource is immutable after creation\n{shown}"
            errors.append(forbidden_field("spec.persistentvolumesource", words))
        errors += immutable(new.spec.volume_mode, old.spec.volume_mode, "volumeMode")
        if old.spec.node_affinity is not None and new.spec.node_affinity != old.spec.node_affinity:
            words = "field is immutable, except for updating from beta label to GA"
            errors.append(invalid_value("nodeAffinity", go_form(new.spec.node_affinity), words))
        if old.spec.volume_attributes_class_name is not None and new.spec.volume_attributes_class_name is None:
            words = "update from non-nil value to nil is forbidden"
            errors.append(forbidden_field("spec.volumeAttributesClassName", words))
        return errors

    def validate_status(self, new: core_v1.PersistentVolume, old: core_v1.PersistentVolume) -> list[FieldError]:
        return []

    def warnings(self, new: core_v1.PersistentVolume, old: core_v1.PersistentVolume | None = None) -> list[str]:
        spec, found = new.spec, class_annotation(new.metadata)
        if spec.persistent_volume_reclaim_policy == "Recycle":
            found.append(f"spec.persistentVolumeReclaimPolicy: {RECYCLED}")
        if spec.node_affinity is not None and spec.node_affinity.required is not None:
            for i, term in enumerate(spec.node_affinity.required.node_selector_terms):
                found += nodelabels.term(term, f"spec.nodeAffinity.required.nodeSelectorTerms[{i}]")
        return found + [f"spec.{json}: {why}" for name, json, why in OLD_SOURCES if getattr(spec, name) is not None]


def _go_source(spec: core_v1.PersistentVolumeSpec) -> dict[str, Any]:
    """The source as upstream keeps it, apart from the rest."""
    shown = go_form(spec)
    return {name: shown[name] for name in _GO_SOURCES}


def _frozen(new: Any, old: Any) -> bool:
    if isinstance(new, core_v1.CSIPersistentVolumeSource) and isinstance(old, core_v1.CSIPersistentVolumeSource):
        # Expansion may bring secrets of its own to a volume that was made without.
        if old.controller_expand_secret_ref is None:
            new = structs.replace(new, controller_expand_secret_ref=None)
        if old.node_expand_secret_ref is None:
            new = structs.replace(new, node_expand_secret_ref=None)
    return bool(new != old)


def _affinity(spec: core_v1.PersistentVolumeSpec) -> list[FieldError]:
    affinity = spec.node_affinity
    if affinity is None:
        return []
    if affinity.required is None:
        return [required("spec.nodeAffinity.required", "must specify required node constraints")]
    path = "spec.nodeAffinity.required.nodeSelectorTerms"
    terms = affinity.required.node_selector_terms
    if not terms:
        return [required(path, "must have at least one node selector term")]
    return [error for i, term in enumerate(terms) for error in scheduling.node_term(term, f"{path}[{i}]")]


def _source(spec: core_v1.PersistentVolumeSpec, path: str) -> list[FieldError]:
    errors = persistentsources.validate(spec, path)
    root = spec.host_path is not None and normpath(spec.host_path.path or ".") in ("/", "//")
    if root and spec.persistent_volume_reclaim_policy == "Recycle":
        words = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden_field(f"{path}.persistentVolumeReclaimPolicy", words))
    return errors


INLINE = "may not be specified in the context of inline volumes"


def validate_inline(spec: core_v1.PersistentVolumeSpec, path: str) -> list[FieldError]:
    """What is wrong with a volume that stands in an attachment, where only its source counts."""
    errors = [
        forbidden_field(f"{path}.{name}", INLINE)
        for name, value in (("claimRef", spec.claim_ref), ("capacity", spec.capacity))
        if value
    ]
    if spec.csi is None:
        errors.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    if not spec.access_modes:
        errors.append(required(f"{path}.accessModes"))
    errors += validate_access_modes(spec.access_modes, f"{path}.accessModes")
    if spec.persistent_volume_reclaim_policy not in ("", "Retain"):
        words = "may only be Retain in the context of inline volumes"
        errors.append(forbidden_field(f"{path}.persistentVolumeReclaimPolicy", words))
    if spec.node_affinity is not None:
        errors.append(forbidden_field(f"{path}.nodeAffinity", INLINE))
    errors += _source(spec, path)
    if spec.storage_class_name:
        errors.append(forbidden_field(f"{path}.storageClassName", INLINE))
    if spec.volume_mode not in (None, "Filesystem"):
        words = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.append(forbidden_field(f"{path}.volumeMode", words))
    return errors
