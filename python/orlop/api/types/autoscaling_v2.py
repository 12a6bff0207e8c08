"""autoscaling/v2, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class MetricTarget(ApiStruct):
    type: str = _f(default_factory=str)
    value: str | None = None
    average_value: str | None = None
    average_utilization: int | None = None


class ContainerResourceMetricSource(ApiStruct):
    name: str = _f(default_factory=str)
    target: MetricTarget = _f(default_factory=lambda: MetricTarget())
    container: str = _f(default_factory=str)


class MetricValueStatus(ApiStruct):
    value: str | None = None
    average_value: str | None = None
    average_utilization: int | None = None


class ContainerResourceMetricStatus(ApiStruct):
    name: str = _f(default_factory=str)
    current: MetricValueStatus = _f(default_factory=lambda: MetricValueStatus())
    container: str = _f(default_factory=str)


class CrossVersionObjectReference(ApiStruct):
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    api_version: str = ""


class MetricIdentifier(ApiStruct):
    name: str = _f(default_factory=str)
    selector: meta_v1.LabelSelector | None = None


class ExternalMetricSource(ApiStruct):
    metric: MetricIdentifier = _f(default_factory=lambda: MetricIdentifier())
    target: MetricTarget = _f(default_factory=lambda: MetricTarget())


class ExternalMetricStatus(ApiStruct):
    metric: MetricIdentifier = _f(default_factory=lambda: MetricIdentifier())
    current: MetricValueStatus = _f(default_factory=lambda: MetricValueStatus())


class HPAScalingPolicy(ApiStruct):
    type: str = _f(default_factory=str)
    value: int = _f(default_factory=int)
    period_seconds: int = _f(default_factory=int)


class HPAScalingRules(ApiStruct):
    stabilization_window_seconds: int | None = None
    select_policy: str | None = None
    policies: list[HPAScalingPolicy] = _f(default_factory=list)
    tolerance: str | None = None


class HorizontalPodAutoscalerBehavior(ApiStruct):
    scale_up: HPAScalingRules | None = None
    scale_down: HPAScalingRules | None = None


class ObjectMetricSource(ApiStruct):
    described_object: CrossVersionObjectReference = _f(default_factory=lambda: CrossVersionObjectReference())
    target: MetricTarget = _f(default_factory=lambda: MetricTarget())
    metric: MetricIdentifier = _f(default_factory=lambda: MetricIdentifier())


class PodsMetricSource(ApiStruct):
    metric: MetricIdentifier = _f(default_factory=lambda: MetricIdentifier())
    target: MetricTarget = _f(default_factory=lambda: MetricTarget())


class ResourceMetricSource(ApiStruct):
    name: str = _f(default_factory=str)
    target: MetricTarget = _f(default_factory=lambda: MetricTarget())


class MetricSpec(ApiStruct):
    type: str = _f(default_factory=str)
    object: ObjectMetricSource | None = None
    pods: PodsMetricSource | None = None
    resource: ResourceMetricSource | None = None
    container_resource: ContainerResourceMetricSource | None = None
    external: ExternalMetricSource | None = None


class HorizontalPodAutoscalerSpec(ApiStruct):
    scale_target_ref: CrossVersionObjectReference = _f(default_factory=lambda: CrossVersionObjectReference())
    min_replicas: int | None = None
    max_replicas: int = _f(default_factory=int)
    metrics: list[MetricSpec] = _f(default_factory=list)
    behavior: HorizontalPodAutoscalerBehavior | None = None


class HorizontalPodAutoscalerCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""
    observed_generation: int | None = None


class ObjectMetricStatus(ApiStruct):
    metric: MetricIdentifier = _f(default_factory=lambda: MetricIdentifier())
    current: MetricValueStatus = _f(default_factory=lambda: MetricValueStatus())
    described_object: CrossVersionObjectReference = _f(default_factory=lambda: CrossVersionObjectReference())


class PodsMetricStatus(ApiStruct):
    metric: MetricIdentifier = _f(default_factory=lambda: MetricIdentifier())
    current: MetricValueStatus = _f(default_factory=lambda: MetricValueStatus())


class ResourceMetricStatus(ApiStruct):
    name: str = _f(default_factory=str)
    current: MetricValueStatus = _f(default_factory=lambda: MetricValueStatus())


class MetricStatus(ApiStruct):
    type: str = _f(default_factory=str)
    object: ObjectMetricStatus | None = None
    pods: PodsMetricStatus | None = None
    resource: ResourceMetricStatus | None = None
    container_resource: ContainerResourceMetricStatus | None = None
    external: ExternalMetricStatus | None = None


class HorizontalPodAutoscalerStatus(ApiStruct):
    observed_generation: int | None = None
    last_scale_time: str | None = None
    current_replicas: int = 0
    desired_replicas: int = _f(default_factory=int)
    current_metrics: list[MetricStatus] = _f(default_factory=lambda: list())
    conditions: list[HorizontalPodAutoscalerCondition] = _f(default_factory=list)


class HorizontalPodAutoscaler(ApiStruct):
    api_version: str = _f(default_factory=lambda: "autoscaling/v2")
    kind: str = _f(default_factory=lambda: "HorizontalPodAutoscaler")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: HorizontalPodAutoscalerSpec = _f(default_factory=lambda: HorizontalPodAutoscalerSpec())
    status: HorizontalPodAutoscalerStatus = _f(default_factory=lambda: HorizontalPodAutoscalerStatus())


class HorizontalPodAutoscalerList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "autoscaling/v2")
    kind: str = _f(default_factory=lambda: "HorizontalPodAutoscalerList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[HorizontalPodAutoscaler] = _f(default_factory=lambda: list())
