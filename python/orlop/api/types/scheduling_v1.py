"""scheduling.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class PriorityClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "PriorityClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    value: int = _f(default_factory=int)
    global_default: bool = False
    description: str = ""
    preemption_policy: str | None = None


class PriorityClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "scheduling.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "PriorityClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PriorityClass] = _f(default_factory=lambda: list())
