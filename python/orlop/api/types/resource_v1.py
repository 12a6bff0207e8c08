"""resource.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class NetworkDeviceData(ApiStruct):
    interface_name: str = ""
    ips: list[str] = _f(default_factory=list)
    hardware_address: str = ""


class AllocatedDeviceStatus(ApiStruct):
    driver: str = _f(default_factory=str)
    pool: str = _f(default_factory=str)
    device: str = _f(default_factory=str)
    share_id: str | None = _f(default=None, name="shareID")
    conditions: list[meta_v1.Condition] = _f(default_factory=lambda: list())
    data: Any = None
    network_data: NetworkDeviceData | None = None


class OpaqueDeviceConfiguration(ApiStruct):
    driver: str = _f(default_factory=str)
    parameters: Any = _f(default_factory=_none)


class DeviceAllocationConfiguration(ApiStruct):
    source: str = _f(default_factory=str)
    requests: list[str] = _f(default_factory=list)
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceToleration(ApiStruct):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class DeviceRequestAllocationResult(ApiStruct):
    request: str = _f(default_factory=str)
    driver: str = _f(default_factory=str)
    pool: str = _f(default_factory=str)
    device: str = _f(default_factory=str)
    admin_access: bool | None = None
    tolerations: list[DeviceToleration] = _f(default_factory=list)
    binding_conditions: list[str] = _f(default_factory=list)
    binding_failure_conditions: list[str] = _f(default_factory=list)
    share_id: str | None = _f(default=None, name="shareID")
    consumed_capacity: dict[str, str] = _f(default_factory=dict)
    skip_node_operations: list[str] = _f(default_factory=list)


class DeviceAllocationResult(ApiStruct):
    results: list[DeviceRequestAllocationResult] = _f(default_factory=list)
    config: list[DeviceAllocationConfiguration] = _f(default_factory=list)


class AllocationResult(ApiStruct):
    devices: DeviceAllocationResult = _f(default_factory=lambda: DeviceAllocationResult())
    node_selector: core_v1.NodeSelector | None = None
    allocation_timestamp: str | None = None


class CELDeviceSelector(ApiStruct):
    expression: str = _f(default_factory=str)


class CapacityRequestPolicyRange(ApiStruct):
    min: str | None = None
    max: str | None = None
    step: str | None = None


class CapacityRequestPolicy(ApiStruct):
    default: str | None = _f(default_factory=_none)
    valid_values: list[str] = _f(default_factory=list)
    valid_range: CapacityRequestPolicyRange | None = None


class CapacityRequirements(ApiStruct):
    requests: dict[str, str] = _f(default_factory=dict)


class Counter(ApiStruct):
    value: str = _f(default_factory=lambda: "0")


class CounterSet(ApiStruct):
    name: str = _f(default_factory=str)
    counters: dict[str, Counter] = _f(default_factory=dict)


class DeviceAttribute(ApiStruct):
    int_: int | None = None
    bool_: bool | None = None
    string: str | None = None
    version: str | None = None
    ints: list[int] = _f(default_factory=list)
    bools: list[bool] = _f(default_factory=list)
    strings: list[str] = _f(default_factory=list)
    versions: list[str] = _f(default_factory=list)


class DeviceCapacity(ApiStruct):
    value: str = _f(default_factory=lambda: "0")
    request_policy: CapacityRequestPolicy | None = None


class DeviceCounterConsumption(ApiStruct):
    counter_set: str = _f(default_factory=str)
    counters: dict[str, Counter] = _f(default_factory=dict)
    compatibility_groups: list[str] = _f(default_factory=list)


class DeviceTaint(ApiStruct):
    key: str = _f(default_factory=str)
    value: str = ""
    effect: str = _f(default_factory=str)
    time_added: str | None = None


class NodeAllocatableMapping(ApiStruct):
    capacity_key: str | None = None
    capacity_multiplier: str | None = None
    device_multiplier: str | None = None


class NodeAllocatableOverhead(ApiStruct):
    per_pod: str | None = None
    per_container: str | None = None


class NodeAllocatableResource(ApiStruct):
    mapping: NodeAllocatableMapping | None = None
    overhead: NodeAllocatableOverhead | None = None


class Device(ApiStruct):
    name: str = _f(default_factory=str)
    attributes: dict[str, DeviceAttribute] = _f(default_factory=dict)
    capacity: dict[str, DeviceCapacity] = _f(default_factory=dict)
    consumes_counters: list[DeviceCounterConsumption] = _f(default_factory=list)
    node_name: str | None = None
    node_selector: core_v1.NodeSelector | None = None
    all_nodes: bool | None = None
    taints: list[DeviceTaint] = _f(default_factory=list)
    binds_to_node: bool | None = None
    binding_conditions: list[str] = _f(default_factory=list)
    binding_failure_conditions: list[str] = _f(default_factory=list)
    allow_multiple_allocations: bool | None = None
    node_allocatable_resources: dict[str, NodeAllocatableResource] = _f(default_factory=dict)


class DeviceClaimConfiguration(ApiStruct):
    requests: list[str] = _f(default_factory=list)
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceConstraint(ApiStruct):
    requests: list[str] = _f(default_factory=list)
    match_attribute: str | None = None
    distinct_attribute: str | None = None


class DeviceDerivedAttribute(ApiStruct):
    name: str = _f(default_factory=str)
    expression: str = _f(default_factory=str)


class DeviceSelector(ApiStruct):
    cel: CELDeviceSelector | None = None


class DeviceSubRequest(ApiStruct):
    name: str = _f(default_factory=str)
    device_class_name: str = _f(default_factory=str)
    selectors: list[DeviceSelector] = _f(default_factory=list)
    allocation_mode: str = ""
    count: int = 0
    tolerations: list[DeviceToleration] = _f(default_factory=list)
    capacity: CapacityRequirements | None = None
    derived_attributes: list[DeviceDerivedAttribute] = _f(default_factory=list)


class ExactDeviceRequest(ApiStruct):
    device_class_name: str = _f(default_factory=str)
    selectors: list[DeviceSelector] = _f(default_factory=list)
    allocation_mode: str = ""
    count: int = 0
    admin_access: bool | None = None
    tolerations: list[DeviceToleration] = _f(default_factory=list)
    capacity: CapacityRequirements | None = None
    derived_attributes: list[DeviceDerivedAttribute] = _f(default_factory=list)


class DeviceRequest(ApiStruct):
    name: str = _f(default_factory=str)
    exactly: ExactDeviceRequest | None = None
    first_available: list[DeviceSubRequest] = _f(default_factory=list)


class DeviceClaim(ApiStruct):
    requests: list[DeviceRequest] = _f(default_factory=lambda: list())
    constraints: list[DeviceConstraint] = _f(default_factory=list)
    config: list[DeviceClaimConfiguration] = _f(default_factory=list)


class DeviceClassConfiguration(ApiStruct):
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceClassSpec(ApiStruct):
    selectors: list[DeviceSelector] = _f(default_factory=list)
    config: list[DeviceClassConfiguration] = _f(default_factory=list)
    extended_resource_name: str | None = None


class DeviceClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "DeviceClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: DeviceClassSpec = _f(default_factory=lambda: DeviceClassSpec())


class DeviceClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "DeviceClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[DeviceClass] = _f(default_factory=lambda: list())


class DeviceConfiguration(ApiStruct):
    opaque: OpaqueDeviceConfiguration | None = None


class DeviceTaintSelector(ApiStruct):
    driver: str | None = None
    pool: str | None = None
    device: str | None = None


class DeviceTaintRuleSpec(ApiStruct):
    device_selector: DeviceTaintSelector | None = None
    taint: DeviceTaint = _f(default_factory=lambda: DeviceTaint())


class DeviceTaintRuleStatus(ApiStruct):
    conditions: list[meta_v1.Condition] = _f(default_factory=list)


class DeviceTaintRule(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "DeviceTaintRule")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: DeviceTaintRuleSpec = _f(default_factory=lambda: DeviceTaintRuleSpec())
    status: DeviceTaintRuleStatus = _f(default_factory=lambda: DeviceTaintRuleStatus())


class DeviceTaintRuleList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "DeviceTaintRuleList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[DeviceTaintRule] = _f(default_factory=lambda: list())


class ResourceClaimSpec(ApiStruct):
    devices: DeviceClaim = _f(default_factory=lambda: DeviceClaim())


class ResourceClaimConsumerReference(ApiStruct):
    api_group: str = ""
    resource: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    uid: str = _f(default_factory=str)


class ResourceClaimStatus(ApiStruct):
    allocation: AllocationResult | None = None
    reserved_for: list[ResourceClaimConsumerReference] = _f(default_factory=list)
    devices: list[AllocatedDeviceStatus] = _f(default_factory=list)


class ResourceClaim(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ResourceClaim")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ResourceClaimSpec = _f(default_factory=lambda: ResourceClaimSpec())
    status: ResourceClaimStatus = _f(default_factory=lambda: ResourceClaimStatus())


class ResourceClaimList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ResourceClaimList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ResourceClaim] = _f(default_factory=lambda: list())


class ResourceClaimTemplateSpec(ApiStruct):
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ResourceClaimSpec = _f(default_factory=lambda: ResourceClaimSpec())


class ResourceClaimTemplate(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ResourceClaimTemplate")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ResourceClaimTemplateSpec = _f(default_factory=lambda: ResourceClaimTemplateSpec())


class ResourceClaimTemplateList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ResourceClaimTemplateList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ResourceClaimTemplate] = _f(default_factory=lambda: list())


class ResourcePool(ApiStruct):
    name: str = _f(default_factory=str)
    generation: int = _f(default_factory=int)
    resource_slice_count: int = _f(default_factory=int)


class ResourceSliceSpec(ApiStruct):
    driver: str = _f(default_factory=str)
    pool: ResourcePool = _f(default_factory=lambda: ResourcePool())
    node_name: str | None = None
    node_selector: core_v1.NodeSelector | None = None
    all_nodes: bool | None = None
    devices: list[Device] = _f(default_factory=list)
    per_device_node_selection: bool | None = None
    shared_counters: list[CounterSet] = _f(default_factory=list)
    partition_type_attribute: str | None = None
    skip_node_operations: list[str] = _f(default_factory=list)


class ResourceSlice(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ResourceSlice")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ResourceSliceSpec = _f(default_factory=lambda: ResourceSliceSpec())


class ResourceSliceList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "resource.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ResourceSliceList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ResourceSlice] = _f(default_factory=lambda: list())
