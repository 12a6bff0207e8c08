"""coordination.k8s.io/v1beta1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class LeaseSpec(ApiStruct):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None
    strategy: str | None = None
    preferred_holder: str | None = None


class Lease(ApiStruct):
    api_version: str = _f(default_factory=lambda: "coordination.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "Lease")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: LeaseSpec = _f(default_factory=lambda: LeaseSpec())


class LeaseCandidateSpec(ApiStruct):
    lease_name: str = _f(default_factory=str)
    ping_time: str | None = None
    renew_time: str | None = None
    binary_version: str = _f(default_factory=str)
    emulation_version: str = ""
    strategy: str = ""


class LeaseCandidate(ApiStruct):
    api_version: str = _f(default_factory=lambda: "coordination.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "LeaseCandidate")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: LeaseCandidateSpec = _f(default_factory=lambda: LeaseCandidateSpec())


class LeaseCandidateList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "coordination.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "LeaseCandidateList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[LeaseCandidate] = _f(default_factory=lambda: list())


class LeaseList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "coordination.k8s.io/v1beta1")
    kind: str = _f(default_factory=lambda: "LeaseList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Lease] = _f(default_factory=lambda: list())
