"""Services and where they lead."""

from typing import Any

import msgspec

from orlop.api.types import meta_v1
from orlop.apiserver.table.printer import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    Fields,
    Loose,
    Metadata,
    Object,
    Printer,
    age,
    labels,
    selector,
    some,
    wide,
)


class _Port(Fields):
    port: int = 0
    node_port: int = 0
    protocol: str = ""

    def __str__(self) -> str:
        inside = f"{self.port}:{self.node_port}" if self.node_port else str(self.port)
        return f"{inside}/{self.protocol}"


class _ServiceSpec(Fields):
    type: str = ""
    cluster_ips: list[str] = msgspec.field(default_factory=list, name="clusterIPs")
    external_ips: list[str] = msgspec.field(default_factory=list, name="externalIPs")
    external_name: str = ""
    ports: tuple[_Port, ...] = ()
    selector: dict[str, str] = msgspec.field(default_factory=dict)


class _Ingress(Fields):
    ip: str = ""
    hostname: str = ""


class _LoadBalancer(Fields):
    ingress: tuple[_Ingress, ...] = ()


class _ServiceStatus(Fields):
    load_balancer: _LoadBalancer = msgspec.field(default_factory=_LoadBalancer)


class _Service(Object):
    spec: _ServiceSpec = msgspec.field(default_factory=_ServiceSpec)
    status: _ServiceStatus = msgspec.field(default_factory=_ServiceStatus)


def _external(service: _Service) -> str:
    spec = service.spec
    match spec.type:
        case "ClusterIP" | "NodePort":
            return ",".join(spec.external_ips) or NONE
        case "LoadBalancer":
            given = {i.ip or i.hostname for i in service.status.load_balancer.ingress} - {""}
            return ",".join([*sorted(given), *spec.external_ips]) or "<pending>"
        case "ExternalName":
            return spec.external_name
    return "<unknown>"


def _service(obj: _Service, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    return [
        metadata.name,
        spec.type,
        spec.cluster_ips[0] if spec.cluster_ips else NONE,
        _external(obj),
        ",".join(map(str, spec.ports)) or NONE,
        age(metadata, now),
        labels(spec.selector),
    ]


SERVICE = Printer(
    _Service,
    _service,
    NAME,
    Column("Type", description="How the Service is reached: ClusterIP, NodePort, LoadBalancer or ExternalName."),
    Column("Cluster-IP", description="The Service's address within the cluster."),
    Column("External-IP", description="The Service's addresses from outside."),
    Column("Port(s)", description="The Service's ports, with the nodes' ports where it has any."),
    AGE,
    wide("Selector", "Labels of the pods that the Service leads to."),
)


class _EndpointAddress(Fields):
    ip: str = ""


class _EndpointPort(Fields):
    port: int = 0


class _Subset(Fields):
    addresses: tuple[_EndpointAddress, ...] = ()
    ports: tuple[_EndpointPort, ...] = ()


class _Endpoints(Object):
    subsets: tuple[_Subset, ...] = ()


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _endpoints(obj: _Endpoints, metadata: Metadata, now: float) -> list[Any]:
    shown = []
    for subset in obj.subsets:
        if not subset.ports:
            shown += [address.ip for address in subset.addresses]
        for port in subset.ports:
            shown += [_host_port(address.ip, port.port) for address in subset.addresses]
    return [metadata.name, some(shown) if obj.subsets else NONE, age(metadata, now)]


ENDPOINTS = Printer(
    _Endpoints,
    _endpoints,
    NAME,
    Column("Endpoints", description="Addresses and ports that the Service leads to."),
    AGE,
)


class _SlicePort(Fields):
    name: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        return str(self.port) if self.port is not None else "*" if self.name is None else self.name


class _Endpoint(Fields):
    addresses: tuple[str, ...] = ()


class _Slice(Object):
    address_type: str = ""
    ports: tuple[_SlicePort, ...] = ()
    endpoints: tuple[_Endpoint, ...] = ()


def _endpoint_slice(obj: _Slice, metadata: Metadata, now: float) -> list[Any]:
    return [
        metadata.name,
        obj.address_type,
        some([str(port) for port in obj.ports]) or UNSET,
        some([address for endpoint in obj.endpoints for address in endpoint.addresses]) or UNSET,
        age(metadata, now),
    ]


ENDPOINT_SLICE = Printer(
    _Slice,
    _endpoint_slice,
    NAME,
    Column("AddressType", description="What the addresses are: IPv4, IPv6 or FQDN."),
    Column("Ports", description="Ports of all the slice's endpoints."),
    Column("Endpoints", description="Addresses that the Service leads to."),
    AGE,
)


class _CidrSpec(Fields):
    cidrs: tuple[str, ...] = ()


class _ServiceCidr(Object):
    spec: _CidrSpec = msgspec.field(default_factory=_CidrSpec)


def _service_cidr(obj: _ServiceCidr, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, ",".join(obj.spec.cidrs), age(metadata, now)]


SERVICE_CIDR = Printer(
    _ServiceCidr, _service_cidr, NAME, Column("CIDRs", description="Ranges that Services get addresses from."), AGE
)


class _Parent(Fields):
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        return "/".join(part for part in (resource.lower(), self.namespace, self.name) if part)


class _AddressSpec(Fields):
    parent_ref: _Parent | None = None


class _IPAddress(Object):
    spec: _AddressSpec = msgspec.field(default_factory=_AddressSpec)


def _ip_address(obj: _IPAddress, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, NONE if obj.spec.parent_ref is None else str(obj.spec.parent_ref)]


IP_ADDRESS = Printer(
    _IPAddress, _ip_address, NAME, Column("ParentRef", description="Who has the address: resource, namespace, name.")
)


class _IngressRule(Fields):
    host: str = ""


class _IngressPoint(Fields):
    ip: str = ""
    hostname: str = ""


class _Points(Fields):
    ingress: tuple[_IngressPoint, ...] = ()


class _IngressSpec(Fields):
    ingress_class_name: str | None = None
    tls: tuple[msgspec.Raw, ...] = ()
    rules: tuple[_IngressRule, ...] = ()


class _IngressStatus(Fields):
    load_balancer: _Points = msgspec.field(default_factory=_Points)


class _Routes(Object):
    spec: _IngressSpec = msgspec.field(default_factory=_IngressSpec)
    status: _IngressStatus = msgspec.field(default_factory=_IngressStatus)


def _ingress(obj: _Routes, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    hosts = [rule.host for rule in spec.rules if rule.host]
    points = [point.ip or point.hostname for point in obj.status.load_balancer.ingress]
    return [
        metadata.name,
        NONE if spec.ingress_class_name is None else spec.ingress_class_name,
        some(hosts) or "*",
        ",".join(sorted({*points} - {""})),
        "80, 443" if spec.tls else "80",
        age(metadata, now),
    ]


INGRESS = Printer(
    _Routes,
    _ingress,
    NAME,
    Column(
        "Class", description="The name of the IngressClass resource that should be used for additional configuration"
    ),
    Column("Hosts", description="Hosts that incoming requests are matched against before the ingress rule"),
    Column("Address", description="Address is a list containing ingress points for the load-balancer"),
    Column("Ports", description="Ports of TLS configurations that open"),
    AGE,
)


def _ingress_class(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    parameters = obj.spec.get("parameters")
    shown = NONE
    if parameters:
        group = parameters.get("apiGroup")
        kind = f"{parameters.get('kind', '')}.{group}" if group else parameters.get("kind", "")
        shown = f"{kind}/{parameters.get('name', '')}"
    return [metadata.name, obj.spec.get("controller", ""), shown, age(metadata, now)]


INGRESS_CLASS = Printer(
    Loose,
    _ingress_class,
    NAME,
    Column("Controller", description="Who serves Ingresses of this class"),
    Column("Parameters", description="More that the controller is told"),
    AGE,
)


class _PolicySpec(Fields):
    pod_selector: meta_v1.LabelSelector | None = None


class _Policy(Object):
    spec: _PolicySpec = msgspec.field(default_factory=_PolicySpec)


def _policy(obj: _Policy, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, selector(obj.spec.pod_selector), age(metadata, now)]


NETWORK_POLICY = Printer(
    _Policy, _policy, NAME, Column("Pod-Selector", description="Pods that the policy is for."), AGE
)
