"""Cluster IPs and node ports: chosen inside the write of the Service, so that both are there or neither.

An address is taken by an IPAddress object of its name, as upstream since 1.33: two servers cannot give out the same.
Node ports are what the Services hold.
"""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import chain
from typing import Any

from orlop.api import errors, scheme
from orlop.api.errors import invalid_value
from orlop.api.types import core_v1, meta_v1, networking_v1
from orlop.apiserver.registry.families import family_of, settle
from orlop.apiserver.registry.objects import Objects, split, split_stored
from orlop.apiserver.registry.services import EXTERNAL_TYPES, needs_health_port, needs_ip
from orlop.apiserver.registry.transactions import Hooks
from orlop.clock import rfc3339
from orlop.store.base import Key, Write

IP_RESOURCE = "networking.k8s.io/ipaddresses"
CIDR_RESOURCE = "networking.k8s.io/servicecidrs"
MANAGER = "ipallocator.k8s.io"
FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"
ALLOCATED = "provided IP is already allocated"
Network = IPv4Network | IPv6Network
MAX_RANGE = 1 << 20
"""Addresses of a range that are given out: upstream takes no larger range of Services than a /108."""
TRIES = 32
"""Random picks before a range is searched from its start."""
_SERVICE = scheme.by_resource("", "v1", "services")
_CIDR = scheme.of(networking_v1.ServiceCIDR)


class Reservation:
    """Addresses and ports that a write under way holds."""

    def __init__(self, addresses: "ServiceAddresses") -> None:
        self._addresses = addresses
        self.writes: list[Write] = []
        self.ips: set[str] = set()
        self.ports: set[tuple[str, int]] = set()

    async def committed(self) -> None:
        """Nothing follows."""

    def release(self) -> None:
        """Lets go of what is held; after a commit the objects themselves hold it."""
        self._addresses.pending_ips -= self.ips
        self._addresses.pending_ports -= self.ports


class ServiceAddresses(Hooks):
    """The allocator of one server."""

    def __init__(self, objects: Objects, networks: Sequence[Network], node_ports: range) -> None:
        """`networks`: one range per IP family, the default family's first."""
        self._objects = objects
        self._networks: dict[str, Network] = {family_of(str(network)): network for network in networks}
        self._node_ports = node_ports
        self.pending_ips: set[str] = set()
        self.pending_ports: set[tuple[str, int]] = set()

    async def create(self, new: core_v1.Service, dry_run: bool) -> Reservation | None:
        held = Reservation(self)
        self._settle(new, None)
        try:
            if needs_ip(new):
                self._take_ips(new, (), held)
            if new.spec.type in EXTERNAL_TYPES:
                self._take_ports(new, set(), held)
        except BaseException:
            held.release()
            raise
        return held

    async def update(self, new: core_v1.Service, old: core_v1.Service, dry_run: bool) -> Reservation | None:
        held = Reservation(self)
        self._settle(new, old)
        try:
            had = old.spec.cluster_ips if needs_ip(old) else []
            if needs_ip(new):
                self._take_ips(new, had, held)
            kept = new.spec.cluster_ips if needs_ip(new) else []
            self._give_back((ip for ip in had if ip not in kept), held)
            if new.spec.type in EXTERNAL_TYPES:
                self._take_ports(new, set(_ports_of(old)), held)
        except BaseException:
            held.release()
            raise
        return held

    async def delete(self, old: core_v1.Service) -> Reservation | None:
        held = Reservation(self)
        if needs_ip(old):
            self._give_back(old.spec.cluster_ips, held)
        return held

    def _settle(self, new: core_v1.Service, old: core_v1.Service | None) -> None:
        if wrong := settle(new, old, [family_of(str(network)) for network in self._networks.values()]):
            raise errors.invalid("Service", "", new.metadata.name, wrong)

    # --- addresses --------------------------------------------------------------------------------

    def _take_ips(self, service: core_v1.Service, had: Sequence[str], held: Reservation) -> None:
        """An address for each family of the service that has none yet."""
        spec = service.spec
        asked = spec.cluster_ips or ([spec.cluster_ip] if spec.cluster_ip else [])
        found = []
        for i, family in enumerate(spec.ip_families):
            ip = asked[i] if i < len(asked) else ""
            if ip not in had:
                ip = self._take_ip(service, self._ranges(family), ip, asked)
                held.ips.add(ip)
                self.pending_ips.add(ip)
                held.writes.append(self.address_write(ip, service.metadata))
            found.append(ip)
        spec.cluster_ip, spec.cluster_ips = found[0], found

    def _ranges(self, family: str) -> list[Network]:
        """The server's own range of a family, then those of ServiceCIDRs that are ready (KEP-1880)."""
        found = [self._networks[family]]
        for value in self._objects.hub.list(CIDR_RESOURCE, "", "", "", 0, None).items:
            more: networking_v1.ServiceCIDR = self._objects.decode(_CIDR, value)
            ready = any(c.type == "Ready" and c.status == "True" for c in more.status.conditions)
            if ready and more.metadata.deletion_timestamp is None:
                found += (ip_network(cidr) for cidr in more.spec.cidrs if family_of(cidr) == family)
        return list(dict.fromkeys(found))

    def _take_ip(self, service: core_v1.Service, ranges: list[Network], asked: str, all_asked: list[str]) -> str:
        if not asked:
            free = next((ip for ip in map(self._free_ip, ranges) if ip is not None), None)
            if free is None:
                raise errors.InternalError("failed to allocate a serviceIP: range is full")
            return free
        problems = [self._problem(network, asked) for network in ranges]
        if all(problems):
            problem = ALLOCATED if ALLOCATED in problems else problems[0]
            why = f"failed to allocate IP {asked}: {problem}"
            wrong = [invalid_value("spec.clusterIPs", all_asked, why)]
            raise errors.invalid("Service", "", service.metadata.name, wrong)
        return asked

    def address_write(self, ip: str, owner: meta_v1.ObjectMeta) -> Write:
        """The create of the address object of a Service."""
        clock = self._objects.clock
        parts = split(
            networking_v1.IPAddress(
                metadata=meta_v1.ObjectMeta(
                    name=ip,
                    uid=clock.uuid(),
                    creation_timestamp=rfc3339(clock.now()),
                    labels={FAMILY_LABEL: family_of(ip), MANAGED_BY_LABEL: MANAGER},
                ),
                spec=networking_v1.IPAddressSpec(
                    parent_ref=networking_v1.ParentReference(
                        group="", resource="services", namespace=owner.namespace, name=owner.name
                    )
                ),
            )
        )
        return Write(Key(IP_RESOURCE, "", ip), parts, 0)

    def _give_back(self, ips: Iterable[str], held: Reservation) -> None:
        """The address objects go with the write."""
        for ip in ips:
            found = self._objects.hub.get(IP_RESOURCE, "", ip)
            if found is None:
                continue
            value, revision = found
            parts = split_stored(value)
            held.writes.append(Write(Key(IP_RESOURCE, "", ip), parts, revision, delete=True))

    def _problem(self, network: Network, text: str) -> str:
        ip = ip_address(text)
        if ip not in network:
            return "the provided network does not match the current range"
        if ip in (network.network_address, network.broadcast_address):
            return f"the provided IP ({text}) is not in the valid range. The range of valid IPs is {network}"
        return ALLOCATED if self._taken(text) else ""

    def _taken(self, ip: str) -> bool:
        return ip in self.pending_ips or self._objects.hub.get(IP_RESOURCE, "", ip) is not None

    def _free_ip(self, network: Network) -> str | None:
        """An address by chance, from the upper part first: the lower is for those who choose (KEP-3070)."""
        size = min(network.num_addresses, MAX_RANGE)
        offset = min(max(16, size // 16), 256)
        if size < 32:
            offset = 0
        random = self._objects.clock.random

        for _ in range(TRIES):
            ip = str(network[random.randrange(max(offset, 1), size - 1)])
            if not self._taken(ip):
                return ip
        for position in chain(range(max(offset, 1), size - 1), range(1, offset)):
            ip = str(network[position])
            if not self._taken(ip):
                return ip
        return None

    # --- node ports -------------------------------------------------------------------------------

    def _take_ports(self, service: core_v1.Service, own: set[tuple[str, int]], held: Reservation) -> None:
        spec = service.spec
        if spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports is False:
            wanted = [p for p in spec.ports if p.node_port]
        else:
            wanted = list(spec.ports)
        if all((p.protocol, p.node_port) in own for p in wanted) and not needs_health_port(service):
            return
        used = self._used_ports()
        mine: dict[int, set[str]] = {}
        for i, port in enumerate(spec.ports):
            if port not in wanted or not port.node_port:
                continue
            if (port.protocol, port.node_port) not in own:
                self._check_port(service, i, port, used)
            mine.setdefault(port.node_port, set()).add(port.protocol)
            self._hold((port.protocol, port.node_port), used, held)
        by_number: dict[int, int] = {p.port: p.node_port for p in spec.ports if p.node_port}
        for port in wanted:
            if port.node_port:
                continue
            # TCP and UDP of one port number share their node port, as upstream gives them.
            shared = by_number.get(port.port, 0)
            if shared and port.protocol not in mine.get(shared, set()):
                port.node_port = shared
            else:
                port.node_port = self._free_port(service, used)
            mine.setdefault(port.node_port, set()).add(port.protocol)
            by_number[port.port] = port.node_port
            self._hold((port.protocol, port.node_port), used, held)
        if needs_health_port(service) and not spec.health_check_node_port:
            spec.health_check_node_port = self._free_port(service, used)
            self._hold(("", spec.health_check_node_port), used, held)

    def _hold(self, port: tuple[str, int], used: set[tuple[str, int]], held: Reservation) -> None:
        used.add(port)
        held.ports.add(port)
        self.pending_ports.add(port)

    def _check_port(
        self, service: core_v1.Service, i: int, port: core_v1.ServicePort, used: set[tuple[str, int]]
    ) -> None:
        number = port.node_port
        if number not in self._node_ports:
            low, high = self._node_ports.start, self._node_ports.stop - 1
            why = f"provided port is not in the valid range. The range of valid ports is {low}-{high}"
        elif (port.protocol, number) in used:
            why = "provided port is already allocated"
        else:
            return
        raise errors.invalid(
            "Service", "", service.metadata.name, [invalid_value(f"spec.ports[{i}].nodePort", number, why)]
        )

    def _used_ports(self) -> set[tuple[str, int]]:
        assert _SERVICE is not None
        used = set(self.pending_ports)
        for value in self._objects.hub.list("services", None, "", "", 0, None).items:
            if b'"nodePort"' in value or b'"healthCheckNodePort"' in value:
                used.update(_ports_of(self._objects.decode(_SERVICE, value)))
        return used

    def _free_port(self, service: core_v1.Service, used: set[tuple[str, int]]) -> int:
        numbers = {number for _, number in used}
        ports = self._node_ports
        offset = min(max(16, len(ports) // 32), 128)
        random = self._objects.clock.random
        for _ in range(TRIES):
            number: int = ports[random.randrange(offset, len(ports))]
            if number not in numbers:
                return number
        for number in [*ports[offset:], *ports[:offset]]:
            if number not in numbers:
                return number
        raise errors.InternalError("failed to allocate a nodePort: range is full")


def _ports_of(service: Any) -> Iterator[tuple[str, int]]:
    for port in service.spec.ports:
        if port.node_port:
            yield port.protocol, port.node_port
    if service.spec.health_check_node_port:
        yield "", service.spec.health_check_node_port
