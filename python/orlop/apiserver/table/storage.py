"""Volumes, claims, classes and CSI's kinds."""

from collections.abc import Sequence
from typing import Any

import msgspec

from orlop.apiserver.table.printer import (
    AGE,
    NAME,
    UNSET,
    Column,
    Fields,
    Loose,
    Metadata,
    Object,
    Printer,
    age,
    wide,
)

SHORT_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
DEFAULT_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
DEFAULT_ATTRIBUTES = "volumeattributesclass.alpha.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def _modes(modes: Sequence[str]) -> str:
    return ",".join(short for mode, short in SHORT_MODES.items() if mode in modes)


class _Reference(Fields):
    namespace: str = ""
    name: str = ""


class _VolumeSpec(Fields):
    capacity: dict[str, str] = msgspec.field(default_factory=dict)
    access_modes: tuple[str, ...] = ()
    persistent_volume_reclaim_policy: str = ""
    claim_ref: _Reference | None = None
    storage_class_name: str = ""
    volume_attributes_class_name: str | None = None
    volume_mode: str | None = None


class _Status(Fields):
    phase: str = ""
    reason: str = ""
    capacity: dict[str, str] = msgspec.field(default_factory=dict)
    access_modes: tuple[str, ...] = ()


class _Volume(Object):
    spec: _VolumeSpec = msgspec.field(default_factory=_VolumeSpec)
    status: _Status = msgspec.field(default_factory=_Status)


def _volume(obj: _Volume, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    claim = f"{spec.claim_ref.namespace}/{spec.claim_ref.name}" if spec.claim_ref is not None else ""
    return [
        metadata.name,
        spec.capacity.get("storage", "0"),
        _modes(spec.access_modes),
        spec.persistent_volume_reclaim_policy,
        "Terminating" if metadata.deletion_timestamp else obj.status.phase,
        claim,
        spec.storage_class_name,
        spec.volume_attributes_class_name or UNSET,
        obj.status.reason,
        age(metadata, now),
        spec.volume_mode or UNSET,
    ]


PERSISTENT_VOLUME = Printer(
    _Volume,
    _volume,
    NAME,
    Column("Capacity", description="How much it holds."),
    Column("Access Modes", description="How it can be mounted."),
    Column("Reclaim Policy", description="What becomes of it when its claim is gone."),
    Column("Status", description="Whether it is bound."),
    Column("Claim", description="The claim it is bound to."),
    Column("StorageClass", description="StorageClass of the pv"),
    Column("VolumeAttributesClass", description="VolumeAttributesClass of the pv"),
    Column("Reason", description="Why it is in its state."),
    AGE,
    wide("VolumeMode", "Whether it is a file system or a block device."),
)


class _ClaimSpec(Fields):
    volume_name: str = ""
    storage_class_name: str | None = None
    volume_attributes_class_name: str | None = None
    volume_mode: str | None = None


class _Claim(Object):
    spec: _ClaimSpec = msgspec.field(default_factory=_ClaimSpec)
    status: _Status = msgspec.field(default_factory=_Status)


def _claim(obj: _Claim, metadata: Metadata, now: float) -> list[Any]:
    spec, status = obj.spec, obj.status
    bound = bool(spec.volume_name)
    return [
        metadata.name,
        "Terminating" if metadata.deletion_timestamp else status.phase,
        spec.volume_name,
        status.capacity.get("storage", "0") if bound else "",
        _modes(status.access_modes) if bound else "",
        metadata.annotations.get(CLASS_ANNOTATION, spec.storage_class_name or ""),
        spec.volume_attributes_class_name or UNSET,
        age(metadata, now),
        spec.volume_mode or UNSET,
    ]


CLAIM = Printer(
    _Claim,
    _claim,
    NAME,
    Column("Status", description="Whether it is bound."),
    Column("Volume", description="The volume it is bound to."),
    Column("Capacity", description="How much the volume holds."),
    Column("Access Modes", description="How the volume can be mounted."),
    Column("StorageClass", description="StorageClass of the pvc"),
    Column("VolumeAttributesClass", description="VolumeAttributesClass of the pvc"),
    AGE,
    wide("VolumeMode", "Whether it is a file system or a block device."),
)


class _Class(Object):
    provisioner: str = ""
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"
    allow_volume_expansion: bool = False


def _class(obj: _Class, metadata: Metadata, now: float) -> list[Any]:
    default = any(metadata.annotations.get(key) == "true" for key in DEFAULT_CLASS)
    return [
        f"{metadata.name} (default)" if default else metadata.name,
        obj.provisioner,
        obj.reclaim_policy,
        obj.volume_binding_mode,
        obj.allow_volume_expansion,
        age(metadata, now),
    ]


STORAGE_CLASS = Printer(
    _Class,
    _class,
    NAME,
    Column("Provisioner", description="Who makes the volumes."),
    Column("ReclaimPolicy", description="What becomes of the volumes when their claims are gone."),
    Column("VolumeBindingMode", description="When volumes are made and bound."),
    Column("AllowVolumeExpansion", description="Whether claims may grow."),
    AGE,
)


class _AttributesClass(Object):
    driver_name: str = ""


def _attributes_class(obj: _AttributesClass, metadata: Metadata, now: float) -> list[Any]:
    name = f"{metadata.name} (default)" if metadata.annotations.get(DEFAULT_ATTRIBUTES) == "true" else metadata.name
    return [name, obj.driver_name, age(metadata, now)]


VOLUME_ATTRIBUTES_CLASS = Printer(
    _AttributesClass, _attributes_class, NAME, Column("DriverName", description="Name of the CSI driver."), AGE
)


def _attachment(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    return [
        metadata.name,
        spec.get("attacher", ""),
        (spec.get("source") or {}).get("persistentVolumeName", ""),
        spec.get("nodeName", ""),
        bool(obj.status.get("attached")),
        age(metadata, now),
    ]


VOLUME_ATTACHMENT = Printer(
    Loose,
    _attachment,
    NAME,
    Column("Attacher", format="name", description="The CSI driver that attaches."),
    Column("PV", description="The volume."),
    Column("Node", description="The node that it shall be attached to."),
    Column("Attached", "boolean", description="Whether it is attached."),
    AGE,
)


def _driver(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    tokens = [token.get("audience", "") for token in spec.get("tokenRequests") or ()]
    return [
        metadata.name,
        spec.get("attachRequired", True),
        spec.get("podInfoOnMount", False),
        spec.get("storageCapacity", False),
        ",".join(tokens) if tokens else UNSET,
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or "<none>",
        age(metadata, now),
    ]


CSI_DRIVER = Printer(
    Loose,
    _driver,
    NAME,
    Column("AttachRequired", "boolean", description="Whether volumes are attached before they are mounted."),
    Column("PodInfoOnMount", "boolean", description="Whether the driver is told of the pod."),
    Column("StorageCapacity", "boolean", description="Whether the scheduler looks at capacities."),
    Column("TokenRequests", description="Audiences of the tokens that the driver gets."),
    Column("RequiresRepublish", "boolean", description="Whether volumes are published again and again."),
    Column("Modes", description="Persistent, ephemeral or both."),
    AGE,
)


def _csi_node(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, len(obj.spec.get("drivers") or ()), age(metadata, now)]


CSI_NODE = Printer(
    Loose, _csi_node, NAME, Column("Drivers", "integer", description="How many drivers the node has."), AGE
)


def _migration(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    resource = obj.spec.get("resource") or {}
    true = [c.get("type", "") for c in obj.status.get("conditions") or () if c.get("status") == "True"]
    state = next((t for t in ("Running", "Succeeded", "Failed") if t in true), "Unknown")
    return [metadata.name, ".".join(filter(None, (resource.get("resource"), resource.get("group")))), state]


MIGRATION = Printer(
    Loose,
    _migration,
    Column("Name", description="Name of the object, unique of its kind in a namespace."),
    Column("Resource", description="Whose objects are written anew."),
    Column("Status", description="How far that is."),
)
