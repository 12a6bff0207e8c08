"""apiregistration.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ServiceReference(ApiStruct):
    namespace: str = ""
    name: str = ""
    port: int | None = None


class APIServiceSpec(ApiStruct):
    service: ServiceReference | None = None
    group: str = ""
    version: str = ""
    insecure_skip_tls_verify: bool = _f(default=False, name="insecureSkipTLSVerify")
    ca_bundle: bytes = b""
    group_priority_minimum: int = _f(default_factory=int)
    version_priority: int = _f(default_factory=int)


class APIServiceCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class APIServiceStatus(ApiStruct):
    conditions: list[APIServiceCondition] = _f(default_factory=list)


class APIService(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apiregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "APIService")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: APIServiceSpec = _f(default_factory=lambda: APIServiceSpec())
    status: APIServiceStatus = _f(default_factory=lambda: APIServiceStatus())


class APIServiceList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apiregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "APIServiceList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[APIService] = _f(default_factory=lambda: list())
