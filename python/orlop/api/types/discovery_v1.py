"""discovery.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct


class EndpointConditions(ApiStruct):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForNode(ApiStruct):
    name: str = _f(default_factory=str)


class ForZone(ApiStruct):
    name: str = _f(default_factory=str)


class EndpointHints(ApiStruct):
    for_zones: list[ForZone] = _f(default_factory=list)
    for_nodes: list[ForNode] = _f(default_factory=list)


class Endpoint(ApiStruct):
    addresses: list[str] = _f(default_factory=lambda: list())
    conditions: EndpointConditions = _f(default_factory=lambda: EndpointConditions())
    hostname: str | None = None
    target_ref: core_v1.ObjectReference | None = None
    deprecated_topology: dict[str, str] = _f(default_factory=dict)
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


class EndpointPort(ApiStruct):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(ApiStruct):
    api_version: str = _f(default_factory=lambda: "discovery.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "EndpointSlice")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    address_type: str = _f(default_factory=str)
    endpoints: list[Endpoint] = _f(default_factory=lambda: list())
    ports: list[EndpointPort] = _f(default_factory=lambda: list())


class EndpointSliceList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "discovery.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "EndpointSliceList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[EndpointSlice] = _f(default_factory=lambda: list())
