"""metrics.k8s.io/v1beta1 (k8s.io/metrics): what nodes and pods use, as `kubectl top` and autoscalers read it."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class ContainerMetrics(ApiStruct):
    name: str = _f(default_factory=str)
    usage: dict[str, str] = _f(default_factory=lambda: dict())


class NodeMetrics(ApiStruct):
    api_version: str = _f(default_factory=lambda: "metrics.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "NodeMetrics")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    timestamp: str = _f(default_factory=str)
    window: str = _f(default_factory=str)
    usage: dict[str, str] = _f(default_factory=lambda: dict())


class PodMetrics(ApiStruct):
    api_version: str = _f(default_factory=lambda: "metrics.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "PodMetrics")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    timestamp: str = _f(default_factory=str)
    window: str = _f(default_factory=str)
    containers: list[ContainerMetrics] = _f(default_factory=lambda: list())
