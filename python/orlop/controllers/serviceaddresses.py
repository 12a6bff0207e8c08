"""Repairs what the allocation of Service addresses has left wrong, and tells of what only a person can.

Upstream: pkg/registry/core/service/ipallocator/controller (RepairIPAddress) and portallocator/controller. A cluster IP
is taken by an IPAddress object of its name that refers to its Service: both directions are looked at. Node ports have
no objects: what Services hold is what is taken, so that none can leak and none can lack its allocation.
"""

import contextlib
from ipaddress import ip_address, ip_network

import msgspec

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1, networking_v1
from orlop.clock import parse_time
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result

MANAGER = "ipallocator.k8s.io"
FAMILY_LABEL = "ipaddress.kubernetes.io/ip-family"
MANAGED_BY_LABEL = "ipaddress.kubernetes.io/managed-by"

LEAK_PERIOD = 60.0
"""Seconds an address may be without its Service (upstream: as long as a request may take that makes both)."""

ADDRESSES = ""
"""The namespace of keys that name an IPAddress; those of Services have their own."""


class ServiceAddressRepairController(Controller):
    """Keys are Services and IPAddresses."""

    name = "service-address-repair-controller"
    component = "ipallocator-repair-controller"

    def __init__(self, node_ports: range) -> None:
        self.node_ports = node_ports
        self.told: dict[Key, set[str]] = {}
        """What has been said of each Service and still holds, so that it is said once."""

    def setup(self, builder: Builder) -> None:
        self.services = builder.for_(
            core_v1.Service,
            changed=lambda old, new: (
                old.spec.cluster_ips != new.spec.cluster_ips or node_ports_of(old) != node_ports_of(new)
            ),
            indexers={"port": lambda s: [f"{protocol}/{port}" for protocol, port in node_ports_of(s)]},
        )
        self.addresses = builder.watches(networking_v1.IPAddress, self._around)
        self.ranges = builder.watches(networking_v1.ServiceCIDR, lambda _: self._all_services())

    def _around(self, address: networking_v1.IPAddress) -> list[Key]:
        """The address itself and the Service that it is said to be of."""
        parent = address.spec.parent_ref
        keys = [Key(ADDRESSES, address.metadata.name)]
        if parent is not None and parent.namespace:
            keys.append(Key(parent.namespace, parent.name))
        return keys

    def _all_services(self) -> list[Key]:
        return [Key(s.metadata.namespace, s.metadata.name) for s in self.services.items()]

    async def reconcile(self, key: Key) -> Result | None:
        if key.namespace == ADDRESSES:
            return await self._address(key.name)
        service = self.services.get(key.namespace, key.name)
        if service is None:
            self.told.pop(key, None)
            return None
        before, self.told[key] = self.told.get(key, set()), set()
        if service.spec.cluster_ip not in ("", "None"):
            for ip in service.spec.cluster_ips:
                await self._cluster_ip(service, ip, before)
        self._node_ports(service, before)
        return None

    def _tell(self, service: core_v1.Service, reason: str, message: str, before: set[str], action: str = "") -> None:
        self.told[Key(service.metadata.namespace, service.metadata.name)].add(message)
        if message not in before:
            self.context.recorder.event(service, "Warning", reason, message, action=action)

    # --- addresses

    async def _cluster_ip(self, service: core_v1.Service, ip: str, before: set[str]) -> None:
        meta = service.metadata
        action = "ClusterIPAllocation"
        family = family_of(ip)
        where = f"[{family}]: {ip}"
        if not self._in_range(ip):
            message = f"Cluster IP {where} is not within any configured Service CIDR; please recreate service"
            self._tell(service, "ClusterIPOutOfRange", message, before, action)
            return
        address = self.addresses.get("", ip) or await self._read(ip)
        if address is None:
            if await self._still_holds(service, ip):
                message = f"Cluster IP {where} is not allocated; repairing"
                self._tell(service, "ClusterIPNotAllocated", message, set(), action)
                await self._allocate(service, ip)
            return
        parent = address.spec.parent_ref
        owner = None
        if parent is not None and (parent.group, parent.resource) == ("", "services"):
            owner = self.services.get(parent.namespace, parent.name)
        if owner is None:
            message = f"the ClusterIP {where} for Service {meta.namespace}/{meta.name} has a wrong reference; repairing"
            self._tell(service, "ClusterIPNotAllocated", message, set(), action)
            await self._reallocate(address, service)
        elif owner.metadata.uid != meta.uid and ip in owner.spec.cluster_ips:
            message = f"Cluster IP [{family}]:{ip} was assigned to multiple services; please recreate service"
            self._tell(service, "ClusterIPAlreadyAllocated", message, before, action)
        elif owner.metadata.uid == meta.uid and not _labelled(address):
            await self._reallocate(address, service)

    def _in_range(self, ip: str) -> bool:
        number = ip_address(ip)
        return any(number in ip_network(cidr) for r in self.ranges.items() for cidr in r.spec.cidrs)

    async def _read(self, ip: str) -> networking_v1.IPAddress | None:
        """Asks the server. Address and Service are made in one write, but two caches do not show it at once."""
        with contextlib.suppress(errors.NotFound):
            return await self.context.client.get(networking_v1.IPAddress, ip)
        return None

    async def _still_holds(self, service: core_v1.Service, ip: str) -> bool:
        """Whether the Service is there and has the address: they are removed in one write, too."""
        with contextlib.suppress(errors.NotFound):
            live = await self.context.client.get(core_v1.Service, service.metadata.name, service.metadata.namespace)
            return live.metadata.uid == service.metadata.uid and ip in live.spec.cluster_ips
        return False

    async def _allocate(self, service: core_v1.Service, ip: str) -> None:
        meta = service.metadata
        parent = networking_v1.ParentReference(group="", resource="services", namespace=meta.namespace, name=meta.name)
        await self.context.client.create(
            networking_v1.IPAddress(
                metadata=meta_v1.ObjectMeta(name=ip, labels={FAMILY_LABEL: family_of(ip), MANAGED_BY_LABEL: MANAGER}),
                spec=networking_v1.IPAddressSpec(parent_ref=parent),
            )
        )

    async def _reallocate(self, address: networking_v1.IPAddress, service: core_v1.Service) -> None:
        """What an address refers to cannot be changed: it is made anew."""
        await self._release(address)
        await self._allocate(service, address.metadata.name)

    async def _release(self, address: networking_v1.IPAddress) -> None:
        with contextlib.suppress(errors.NotFound):
            await self.context.client.delete(networking_v1.IPAddress, address.metadata.name, uid=address.metadata.uid)

    async def _address(self, name: str) -> Result | None:
        """Removes an address that is nobody's; of one that is gone, has the Services that hold it looked at."""
        address = self.addresses.get("", name)
        if address is None:
            for service in self.services.items():
                if name in service.spec.cluster_ips:
                    self.context.enqueue(Key(service.metadata.namespace, service.metadata.name), 0)
            return None
        if address.metadata.labels.get(MANAGED_BY_LABEL) != MANAGER:
            return None
        parent = address.spec.parent_ref
        if parent is None or (parent.group, parent.resource) != ("", "services"):
            shown = msgspec.json.encode(parent).decode()
            message = f"IPAddress {name} appears to have been modified, not referencing a Service {shown}: cleaning up"
            await self._clean_up(address, "IPAddressNotAllocated", message)
            return None
        owner = self.services.get(parent.namespace, parent.name)
        of = f"IPAddress: {name} for Service {parent.namespace}/{parent.name}"
        if owner is None:
            age = self.context.clock.now() - parse_time(address.metadata.creation_timestamp)
            if age <= LEAK_PERIOD:
                return Result(requeue_after=LEAK_PERIOD - age + 1)
            await self._clean_up(address, "IPAddressNotAllocated", f"{of} appears to have leaked: cleaning up")
        elif name not in owner.spec.cluster_ips:
            await self._clean_up(address, "IPAddressWrongReference", f"{of} has a wrong reference; cleaning up")
        return None

    async def _clean_up(self, address: networking_v1.IPAddress, reason: str, message: str) -> None:
        self.context.recorder.event(address, "Warning", reason, message, action="IPAddressAllocation")
        await self._release(address)

    # --- node ports

    def _node_ports(self, service: core_v1.Service, before: set[str]) -> None:
        low, high = self.node_ports.start, self.node_ports.stop - 1
        for protocol, port in sorted(node_ports_of(service)):
            if port not in self.node_ports:
                message = f"Port {port} is not within the port range {low}-{high}; please recreate service"
                self._tell(service, "PortOutOfRange", message, before)
            elif any(goes_before(s, service) for s in self.services.by_index("port", f"{protocol}/{port}")):
                message = f"Port {port} was assigned to multiple services; please recreate service"
                self._tell(service, "PortAlreadyAllocated", message, before)


def family_of(ip: str) -> str:
    return "IPv6" if ":" in ip else "IPv4"


def node_ports_of(service: core_v1.Service) -> set[tuple[str, int]]:
    """The node ports that a Service holds, by protocol; the one for health checks is TCP."""
    ports = {(port.protocol, port.node_port) for port in service.spec.ports if port.node_port}
    if service.spec.health_check_node_port:
        ports.add(("TCP", service.spec.health_check_node_port))
    return ports


def goes_before(other: core_v1.Service, service: core_v1.Service) -> bool:
    """Of two Services with one port the older has it."""

    def order(s: core_v1.Service) -> tuple[str, str, str]:
        return (s.metadata.creation_timestamp or "", s.metadata.namespace, s.metadata.name)

    return other.metadata.uid != service.metadata.uid and order(other) < order(service)


def _labelled(address: networking_v1.IPAddress) -> bool:
    """Whether the address carries what the allocator writes on it."""
    labels = address.metadata.labels
    name = address.metadata.name
    return labels.get(MANAGED_BY_LABEL) == MANAGER and labels.get(FAMILY_LABEL) == family_of(name)


def port_range(text: str) -> range:
    """`30000-32767` as a range, the end included. Raises ValueError."""
    low, dash, high = text.partition("-")
    if not dash or not low.isdecimal() or not high.isdecimal() or not 0 < int(low) <= int(high) < 65536:
        raise ValueError(f"{text!r} is not a range of ports: write for instance 30000-32767")
    return range(int(low), int(high) + 1)
