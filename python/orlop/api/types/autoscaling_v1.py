"""autoscaling/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ContainerResourceMetricSource(ApiStruct):
    name: str = _f(default_factory=str)
    target_average_utilization: int | None = None
    target_average_value: str | None = None
    container: str = _f(default_factory=str)


class ContainerResourceMetricStatus(ApiStruct):
    name: str = _f(default_factory=str)
    current_average_utilization: int | None = None
    current_average_value: str = _f(default_factory=lambda: "0")
    container: str = _f(default_factory=str)


class CrossVersionObjectReference(ApiStruct):
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    api_version: str = ""


class ExternalMetricSource(ApiStruct):
    metric_name: str = _f(default_factory=str)
    metric_selector: meta_v1.LabelSelector | None = None
    target_value: str | None = None
    target_average_value: str | None = None


class ExternalMetricStatus(ApiStruct):
    metric_name: str = _f(default_factory=str)
    metric_selector: meta_v1.LabelSelector | None = None
    current_value: str = _f(default_factory=lambda: "0")
    current_average_value: str | None = None


class HorizontalPodAutoscalerSpec(ApiStruct):
    scale_target_ref: CrossVersionObjectReference = _f(default_factory=lambda: CrossVersionObjectReference())
    min_replicas: int | None = None
    max_replicas: int = _f(default_factory=int)
    target_cpu_utilization_percentage: int | None = _f(default=None, name="targetCPUUtilizationPercentage")


class HorizontalPodAutoscalerStatus(ApiStruct):
    observed_generation: int | None = None
    last_scale_time: str | None = None
    current_replicas: int = _f(default_factory=int)
    desired_replicas: int = _f(default_factory=int)
    current_cpu_utilization_percentage: int | None = _f(default=None, name="currentCPUUtilizationPercentage")


class HorizontalPodAutoscaler(ApiStruct):
    api_version: str = _f(default_factory=lambda: "autoscaling/v1")
    kind: str = _f(default_factory=lambda: "HorizontalPodAutoscaler")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: HorizontalPodAutoscalerSpec = _f(default_factory=lambda: HorizontalPodAutoscalerSpec())
    status: HorizontalPodAutoscalerStatus = _f(default_factory=lambda: HorizontalPodAutoscalerStatus())


class HorizontalPodAutoscalerCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""
    observed_generation: int | None = None


class HorizontalPodAutoscalerList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "autoscaling/v1")
    kind: str = _f(default_factory=lambda: "HorizontalPodAutoscalerList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[HorizontalPodAutoscaler] = _f(default_factory=lambda: list())


class ObjectMetricSource(ApiStruct):
    target: CrossVersionObjectReference = _f(default_factory=lambda: CrossVersionObjectReference())
    metric_name: str = _f(default_factory=str)
    target_value: str = _f(default_factory=lambda: "0")
    selector: meta_v1.LabelSelector | None = None
    average_value: str | None = None


class PodsMetricSource(ApiStruct):
    metric_name: str = _f(default_factory=str)
    target_average_value: str = _f(default_factory=lambda: "0")
    selector: meta_v1.LabelSelector | None = None


class ResourceMetricSource(ApiStruct):
    name: str = _f(default_factory=str)
    target_average_utilization: int | None = None
    target_average_value: str | None = None


class MetricSpec(ApiStruct):
    type: str = _f(default_factory=str)
    object: ObjectMetricSource | None = None
    pods: PodsMetricSource | None = None
    resource: ResourceMetricSource | None = None
    container_resource: ContainerResourceMetricSource | None = None
    external: ExternalMetricSource | None = None


class ObjectMetricStatus(ApiStruct):
    target: CrossVersionObjectReference = _f(default_factory=lambda: CrossVersionObjectReference())
    metric_name: str = _f(default_factory=str)
    current_value: str = _f(default_factory=lambda: "0")
    selector: meta_v1.LabelSelector | None = None
    average_value: str | None = None


class PodsMetricStatus(ApiStruct):
    metric_name: str = _f(default_factory=str)
    current_average_value: str = _f(default_factory=lambda: "0")
    selector: meta_v1.LabelSelector | None = None


class ResourceMetricStatus(ApiStruct):
    name: str = _f(default_factory=str)
    current_average_utilization: int | None = None
    current_average_value: str = _f(default_factory=lambda: "0")


class MetricStatus(ApiStruct):
    type: str = _f(default_factory=str)
    object: ObjectMetricStatus | None = None
    pods: PodsMetricStatus | None = None
    resource: ResourceMetricStatus | None = None
    container_resource: ContainerResourceMetricStatus | None = None
    external: ExternalMetricStatus | None = None


class ScaleSpec(ApiStruct):
    replicas: int = 0


class ScaleStatus(ApiStruct):
    replicas: int = _f(default_factory=int)
    selector: str = ""


class Scale(ApiStruct):
    api_version: str = _f(default_factory=lambda: "autoscaling/v1")
    kind: str = _f(default_factory=lambda: "Scale")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ScaleSpec = _f(default_factory=lambda: ScaleSpec())
    status: ScaleStatus = _f(default_factory=lambda: ScaleStatus())
