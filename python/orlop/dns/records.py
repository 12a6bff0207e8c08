"""Which records a Service has: the DNS-based service discovery specification, version 1.1.0
(docs/specification.md in kubernetes/dns)."""

import ipaddress
from collections.abc import Iterable, Iterator

import msgspec

from orlop import logging
from orlop.api.types import core_v1, discovery_v1
from orlop.api.types.base import ApiStruct
from orlop.client.decode import Meta
from orlop.dns import names, wire
from orlop.dns.zone import Named

SCHEMA_VERSION = "1.1.0"
WEIGHT = 100
"""Of every SRV record, with priority 0: the specification prescribes neither."""

_log = logging.get("dns")


class PortView(ApiStruct):
    name: str = ""
    protocol: str = ""
    port: int = 0


class ServiceSpecView(ApiStruct):
    ports: list[PortView] = msgspec.field(default_factory=list)
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    cluster_ips: list[str] = msgspec.field(default_factory=list, name="clusterIPs")
    type: str = ""
    external_name: str = ""
    publish_not_ready_addresses: bool = False


class ServiceView(ApiStruct):
    """What is asked of a Service."""

    __kind__ = core_v1.Service
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: ServiceSpecView = msgspec.field(default_factory=ServiceSpecView)


class LabelledMeta(Meta):
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class ConditionsView(ApiStruct):
    ready: bool | None = None


class EndpointView(ApiStruct):
    addresses: list[str] = msgspec.field(default_factory=list)
    conditions: ConditionsView = msgspec.field(default_factory=ConditionsView)
    hostname: str | None = None


class EndpointPortView(ApiStruct):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None


class SliceView(ApiStruct):
    """What is asked of an EndpointSlice."""

    __kind__ = discovery_v1.EndpointSlice
    metadata: LabelledMeta = msgspec.field(default_factory=LabelledMeta)
    address_type: str = ""
    endpoints: list[EndpointView] = msgspec.field(default_factory=list)
    ports: list[EndpointPortView] = msgspec.field(default_factory=list)


class _Book:
    """Records by name and type, in order, each once."""

    def __init__(self) -> None:
        self._at: dict[bytes, dict[int, dict[bytes, None]]] = {}

    def add(self, name: bytes, type_: int, data: bytes) -> None:
        self._at.setdefault(name, {}).setdefault(type_, {})[data] = None

    def named(self) -> Named:
        return {name: {type_: tuple(data) for type_, data in types.items()} for name, types in self._at.items()}


def of_service(service: ServiceView, slices: Iterable[SliceView], domain: bytes) -> Named:
    """The records of a Service; `domain` is the cluster's, as `names.wire` gives it."""
    meta, spec = service.metadata, service.spec
    book = _Book()
    try:
        at = names.label(meta.name) + names.label(meta.namespace) + names.label("svc") + domain
        if spec.type == "ExternalName":
            _external(book, at, spec.external_name)
        elif spec.cluster_ip == "None":
            _headless(book, at, slices, spec.publish_not_ready_addresses)
        else:
            _cluster_ip(book, at, spec, slices)
    except ValueError as error:
        _log.warning("a Service has no records: %s", error, extra={"service": f"{meta.namespace}/{meta.name}"})
        return {}
    return book.named()


def _cluster_ip(book: _Book, at: bytes, spec: ServiceSpecView, slices: Iterable[SliceView]) -> None:
    """Beyond the specification, as CoreDNS: every port at the Service's own name, and names of pods that have one (a
    StatefulSet may well name a Service with a cluster IP as its own)."""
    addresses = [ip for ip in spec.cluster_ips or [spec.cluster_ip] if ip]
    for ip in addresses:
        book.add(at, *address(ip))
        book.add(reverse(ip), wire.PTR, at)
    if addresses:
        for port in spec.ports:
            data = wire.srv(0, WEIGHT, port.port, at)
            book.add(at, wire.SRV, data)
            if port.name:
                book.add(service_port(port.name, port.protocol, at), wire.SRV, data)
        for endpoint in _ready(slices, spec.publish_not_ready_addresses):
            if endpoint.hostname:
                own = names.label(endpoint.hostname) + at
                for ip in endpoint.addresses:
                    book.add(own, *address(ip))


def _headless(book: _Book, at: bytes, slices: Iterable[SliceView], not_ready_too: bool) -> None:
    for one in slices:
        for endpoint in _ready([one], not_ready_too):
            for ip in endpoint.addresses:
                own = names.label(endpoint.hostname or dashed(ip)) + at
                type_, data = address(ip)
                book.add(at, type_, data)
                book.add(own, type_, data)
                book.add(reverse(ip), wire.PTR, own)
                for port in one.ports:
                    if port.port is not None:
                        target = wire.srv(0, WEIGHT, port.port, own)
                        book.add(at, wire.SRV, target)
                        if port.name:
                            book.add(service_port(port.name, port.protocol or "TCP", at), wire.SRV, target)


def _ready(slices: Iterable[SliceView], not_ready_too: bool) -> Iterator[EndpointView]:
    """The endpoints that get traffic; not knowing counts as ready."""
    for one in slices:
        if one.address_type in ("IPv4", "IPv6"):
            yield from (e for e in one.endpoints if not_ready_too or e.conditions.ready is not False)


def _external(book: _Book, at: bytes, target: str) -> None:
    try:
        ipaddress.ip_address(target)
    except ValueError:
        book.add(at, wire.CNAME, names.wire(target))
        return
    raise ValueError(f"externalName {target!r} is an address: use a headless Service with an EndpointSlice for it")


def service_port(port: str, protocol: str, at: bytes) -> bytes:
    """`_http._tcp` below a name."""
    return names.label("_" + port) + names.label("_" + (protocol or "TCP")) + at


def address(ip: str) -> tuple[int, bytes]:
    """A or AAAA, and its data."""
    parsed = ipaddress.ip_address(ip)
    return (wire.A if parsed.version == 4 else wire.AAAA), parsed.packed


def reverse(ip: str) -> bytes:
    """The name below in-addr.arpa or ip6.arpa."""
    return names.wire(ipaddress.ip_address(ip).reverse_pointer)


def reversed_ip(name: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a name below in-addr.arpa or ip6.arpa stands for; None when it stands for none."""
    parts = [part.decode("ascii", "replace") for part in reversed(names.labels(name)[:-2])]
    try:
        if len(parts) == 4:
            return ipaddress.IPv4Address(".".join(parts))
        if len(parts) == 32:
            return ipaddress.IPv6Address(int("".join(parts), 16))
    except ValueError:
        pass
    return None


def dashed(ip: str) -> str:
    """What an endpoint without a hostname is called: `10-244-0-3`, `fd00--3`."""
    return ip.replace(".", "-").replace(":", "-")


def undashed(text: str) -> str | None:
    """The address that a pod's name spells (`10-244-0-3.default.pod`); None when it spells none."""
    ipv4 = text.count("-") == 3 and "--" not in text
    try:
        return str(ipaddress.ip_address(text.replace("-", "." if ipv4 else ":")))
    except ValueError:
        return None


def of_namespace(name: str, domain: bytes) -> Named:
    """A namespace's names are there, also when nothing is in it."""
    return {names.label(name) + names.label(kind) + domain: {} for kind in ("svc", "pod")}


def of_domain(domain: bytes, addresses: Iterable[str], serial: int, ttl: int) -> Named:
    """The domain itself. `addresses`: where this server listens."""
    server = names.label("ns") + names.label("dns") + domain
    book = _Book()
    book.add(domain, wire.NS, server)
    mailbox = names.label("hostmaster") + domain
    book.add(domain, wire.SOA, wire.soa(server, mailbox, serial, 7200, 1800, 86400, ttl))
    book.add(names.label("dns-version") + domain, wire.TXT, wire.txt(SCHEMA_VERSION))
    for ip in addresses:
        book.add(server, *address(ip))
    return {names.label("svc") + domain: {}, names.label("pod") + domain: {}, **book.named()}
