"""policy/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class Eviction(ApiStruct):
    api_version: str = _f(default_factory=lambda: "policy/v1")
    kind: str = _f(default_factory=lambda: "Eviction")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    delete_options: meta_v1.DeleteOptions | None = None


class PodDisruptionBudgetSpec(ApiStruct):
    min_available: int | str | None = None
    selector: meta_v1.LabelSelector | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class PodDisruptionBudgetStatus(ApiStruct):
    observed_generation: int = 0
    disrupted_pods: dict[str, str] = _f(default_factory=dict)
    disruptions_allowed: int = _f(default_factory=int)
    current_healthy: int = _f(default_factory=int)
    desired_healthy: int = _f(default_factory=int)
    expected_pods: int = _f(default_factory=int)
    conditions: list[meta_v1.Condition] = _f(default_factory=list)


class PodDisruptionBudget(ApiStruct):
    api_version: str = _f(default_factory=lambda: "policy/v1")
    kind: str = _f(default_factory=lambda: "PodDisruptionBudget")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PodDisruptionBudgetSpec = _f(default_factory=lambda: PodDisruptionBudgetSpec())
    status: PodDisruptionBudgetStatus = _f(default_factory=lambda: PodDisruptionBudgetStatus())


class PodDisruptionBudgetList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "policy/v1")
    kind: str = _f(default_factory=lambda: "PodDisruptionBudgetList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PodDisruptionBudget] = _f(default_factory=lambda: list())
