"""scheduling.k8s.io/v1beta1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class CompositeDisruptionMode(ApiStruct):
    single: Any = None
    all: Any = None


class CompositeGangSchedulingPolicy(ApiStruct):
    min_group_count: int = _f(default_factory=int)


class TopologyConstraint(ApiStruct):
    key: str = _f(default_factory=str)


class CompositePodGroupSchedulingConstraints(ApiStruct):
    topology: list[TopologyConstraint] = _f(default_factory=list)


class CompositePodGroupSchedulingPolicy(ApiStruct):
    basic: Any = None
    gang: CompositeGangSchedulingPolicy | None = None


class DisruptionMode(ApiStruct):
    single: Any = None
    all: Any = None


class PodGroupResourceClaim(ApiStruct):
    name: str = _f(default_factory=str)
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodGroupSchedulingConstraints(ApiStruct):
    topology: list[TopologyConstraint] = _f(default_factory=list)


class GangSchedulingPolicy(ApiStruct):
    min_count: int = _f(default_factory=int)


class PodGroupSchedulingPolicy(ApiStruct):
    basic: Any = None
    gang: GangSchedulingPolicy | None = None


class PodGroupTemplate(ApiStruct):
    name: str = _f(default_factory=str)
    scheduling_policy: PodGroupSchedulingPolicy = _f(default_factory=lambda: PodGroupSchedulingPolicy())
    scheduling_constraints: PodGroupSchedulingConstraints | None = _f(default_factory=_none)
    resource_claims: list[PodGroupResourceClaim] = _f(default_factory=list)
    disruption_mode: DisruptionMode | None = None
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None


class CompositePodGroupTemplate(ApiStruct):
    name: str = _f(default_factory=str)
    scheduling_policy: CompositePodGroupSchedulingPolicy = _f(
        default_factory=lambda: CompositePodGroupSchedulingPolicy()
    )
    scheduling_constraints: CompositePodGroupSchedulingConstraints | None = None
    disruption_mode: CompositeDisruptionMode | None = None
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None
    pod_group_templates: list[PodGroupTemplate] = _f(default_factory=list)
    composite_pod_group_templates: list["CompositePodGroupTemplate"] = _f(default_factory=list)


class WorkloadReference(ApiStruct):
    workload_name: str = _f(default_factory=str)
    template_name: str = _f(default_factory=str)


class PodGroupSpec(ApiStruct):
    parent_composite_pod_group_name: str | None = None
    workload_ref: WorkloadReference | None = None
    scheduling_policy: PodGroupSchedulingPolicy = _f(default_factory=lambda: PodGroupSchedulingPolicy())
    scheduling_constraints: PodGroupSchedulingConstraints | None = None
    resource_claims: list[PodGroupResourceClaim] = _f(default_factory=list)
    disruption_mode: DisruptionMode | None = None
    priority_class_name: str = ""
    priority: int | None = None
    preemption_policy: str | None = None


class PodGroupResourceClaimStatus(ApiStruct):
    name: str = _f(default_factory=str)
    resource_claim_name: str | None = None


class PodGroupStatus(ApiStruct):
    conditions: list[meta_v1.Condition] = _f(default_factory=list)
    resource_claim_statuses: list[PodGroupResourceClaimStatus] = _f(default_factory=list)


class PodGroup(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "PodGroup")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PodGroupSpec = _f(default_factory=lambda: PodGroupSpec())
    status: PodGroupStatus = _f(default_factory=lambda: PodGroupStatus())


class PodGroupList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "PodGroupList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PodGroup] = _f(default_factory=lambda: list())


class PriorityClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "PriorityClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    value: int = _f(default_factory=int)
    global_default: bool = False
    description: str = ""
    preemption_policy: str | None = None


class PriorityClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "PriorityClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PriorityClass] = _f(default_factory=lambda: list())


class TypedLocalObjectReference(ApiStruct):
    api_group: str = ""
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)


class WorkloadSpec(ApiStruct):
    controller_ref: TypedLocalObjectReference | None = None
    pod_group_templates: list[PodGroupTemplate] = _f(default_factory=lambda: list())
    composite_pod_group_templates: list[CompositePodGroupTemplate] = _f(default_factory=list)


class Workload(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "Workload")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: WorkloadSpec = _f(default_factory=lambda: WorkloadSpec())


class WorkloadList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "WorkloadList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Workload] = _f(default_factory=lambda: list())
