"""apidiscovery.k8s.io/v2, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class APISubresourceDiscovery(ApiStruct):
    subresource: str = _f(default_factory=str)
    response_kind: meta_v1.GroupVersionKind | None = None
    accepted_types: list[meta_v1.GroupVersionKind] = _f(default_factory=list)
    verbs: list[str] = _f(default_factory=lambda: list())


class APIResourceDiscovery(ApiStruct):
    resource: str = _f(default_factory=str)
    response_kind: meta_v1.GroupVersionKind | None = None
    scope: str = _f(default_factory=str)
    singular_resource: str = _f(default_factory=str)
    verbs: list[str] = _f(default_factory=lambda: list())
    short_names: list[str] = _f(default_factory=list)
    categories: list[str] = _f(default_factory=list)
    subresources: list[APISubresourceDiscovery] = _f(default_factory=list)


class APIVersionDiscovery(ApiStruct):
    version: str = _f(default_factory=str)
    resources: list[APIResourceDiscovery] = _f(default_factory=list)
    freshness: str = ""


class APIGroupDiscovery(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apidiscovery.k8s.io/v2")
    kind: str = _f(default_factory=lambda: "APIGroupDiscovery")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    versions: list[APIVersionDiscovery] = _f(default_factory=list)


class APIGroupDiscoveryList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apidiscovery.k8s.io/v2")
    kind: str = _f(default_factory=lambda: "APIGroupDiscoveryList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[APIGroupDiscovery] = _f(default_factory=lambda: list())
