"""node.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class Overhead(ApiStruct):
    pod_fixed: dict[str, str] = _f(default_factory=dict)


class Scheduling(ApiStruct):
    node_selector: dict[str, str] = _f(default_factory=dict)
    tolerations: list[core_v1.Toleration] = _f(default_factory=list)


class RuntimeClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "node.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "RuntimeClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    handler: str = _f(default_factory=str)
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None


class RuntimeClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "node.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "RuntimeClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[RuntimeClass] = _f(default_factory=lambda: list())
