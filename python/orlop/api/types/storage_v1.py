"""storage.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class TokenRequest(ApiStruct):
    audience: str = _f(default_factory=str)
    expiration_seconds: int | None = None


class CSIDriverSpec(ApiStruct):
    attach_required: bool | None = None
    pod_info_on_mount: bool | None = None
    volume_lifecycle_modes: list[str] = _f(default_factory=list)
    storage_capacity: bool | None = None
    fs_group_policy: str | None = None
    token_requests: list[TokenRequest] = _f(default_factory=list)
    requires_republish: bool | None = None
    se_linux_mount: bool | None = None
    node_allocatable_update_period_seconds: int | None = None
    service_account_token_in_secrets: bool | None = None
    prevent_pod_scheduling_if_missing: bool | None = None


class CSIDriver(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CSIDriver")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: CSIDriverSpec = _f(default_factory=lambda: CSIDriverSpec())


class CSIDriverList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CSIDriverList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[CSIDriver] = _f(default_factory=lambda: list())


class VolumeNodeResources(ApiStruct):
    count: int | None = None


class CSINodeDriver(ApiStruct):
    name: str = _f(default_factory=str)
    node_id: str = _f(default_factory=str, name="nodeID")
    topology_keys: list[str] = _f(default_factory=lambda: list())
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(ApiStruct):
    drivers: list[CSINodeDriver] = _f(default_factory=lambda: list())


class StorageHealthCondition(ApiStruct):
    status: str = _f(default_factory=str)
    reason: str = _f(default_factory=str)
    message: str = ""
    access_mode: str | None = None
    volume_mode: str | None = None
    last_transition_time: str | None = _f(default_factory=_none)


class StorageHealth(ApiStruct):
    name: str = _f(default_factory=str)
    health_conditions: list[StorageHealthCondition] = _f(default_factory=list)


class CSINodeStatus(ApiStruct):
    storage_health: list[StorageHealth] = _f(default_factory=list)


class CSINode(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CSINode")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: CSINodeSpec = _f(default_factory=lambda: CSINodeSpec())
    status: CSINodeStatus = _f(default_factory=lambda: CSINodeStatus())


class CSINodeList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CSINodeList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[CSINode] = _f(default_factory=lambda: list())


class CSIStorageCapacity(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CSIStorageCapacity")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    node_topology: meta_v1.LabelSelector | None = None
    storage_class_name: str = _f(default_factory=str)
    capacity: str | None = None
    maximum_volume_size: str | None = None


class CSIStorageCapacityList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CSIStorageCapacityList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[CSIStorageCapacity] = _f(default_factory=lambda: list())


class StorageClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "StorageClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    provisioner: str = _f(default_factory=str)
    parameters: dict[str, str] = _f(default_factory=dict)
    reclaim_policy: str | None = None
    mount_options: list[str] = _f(default_factory=list)
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = None
    allowed_topologies: list[core_v1.TopologySelectorTerm] = _f(default_factory=list)


class StorageClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "StorageClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[StorageClass] = _f(default_factory=lambda: list())


class VolumeAttachmentSource(ApiStruct):
    persistent_volume_name: str | None = None
    inline_volume_spec: core_v1.PersistentVolumeSpec | None = None


class VolumeAttachmentSpec(ApiStruct):
    attacher: str = _f(default_factory=str)
    source: VolumeAttachmentSource = _f(default_factory=lambda: VolumeAttachmentSource())
    node_name: str = _f(default_factory=str)


class VolumeError(ApiStruct):
    time: str | None = _f(default_factory=_none)
    message: str = ""
    error_code: int | None = None


class VolumeAttachmentStatus(ApiStruct):
    attached: bool = _f(default_factory=bool)
    attachment_metadata: dict[str, str] = _f(default_factory=dict)
    attach_error: VolumeError | None = None
    detach_error: VolumeError | None = None


class VolumeAttachment(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "VolumeAttachment")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: VolumeAttachmentSpec = _f(default_factory=lambda: VolumeAttachmentSpec())
    status: VolumeAttachmentStatus = _f(default_factory=lambda: VolumeAttachmentStatus())


class VolumeAttachmentList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "VolumeAttachmentList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[VolumeAttachment] = _f(default_factory=lambda: list())


class VolumeAttributesClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "VolumeAttributesClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    driver_name: str = _f(default_factory=str)
    parameters: dict[str, str] = _f(default_factory=dict)


class VolumeAttributesClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "VolumeAttributesClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[VolumeAttributesClass] = _f(default_factory=lambda: list())
