"""Load balancers without addresses of their own: ports of the nodes' addresses, as k3s' ServiceLB gives them.

For networks that take no address which they have not given. A port can then be one Service's only.
"""

from ipaddress import ip_address

from orlop.api import loadbalancers
from orlop.api.types import core_v1
from orlop.control.builder import Builder
from orlop.control.controller import Key
from orlop.controllers.serviceloadbalancer import (
    NO_NODE,
    VERSIONS,
    Decision,
    ServiceLoadBalancerController,
    eligible,
)

EVERY_NODE_POOL = "nodes"
"""What `--load-balancer-pool` says in the place of ranges."""

Port = tuple[str, int]
"""(protocol, number)."""


class NodeLoadBalancerController(ServiceLoadBalancerController):
    """Every Service has the addresses of all nodes."""

    def __init__(self) -> None:
        super().__init__([])
        self.ports: dict[Port, Key] = {}

    def setup(self, builder: Builder) -> None:
        super().setup(builder)
        self.nodes.on_change(self._addresses_changed)

    async def prepare(self) -> None:
        for service in self.services.items():
            if loadbalancers.wanted(service) and service.status.load_balancer.ingress:
                key = Key(service.metadata.namespace, service.metadata.name)
                self.bearers[key] = loadbalancers.EVERY_NODE
                for port in _ports(service):
                    self.ports.setdefault(port, key)

    def _decide(self, key: Key, service: core_v1.Service) -> Decision:
        wanted = _ports(service)
        self._release(key, wanted)
        self.bearers[key] = loadbalancers.EVERY_NODE
        if problem := self._taken(key, wanted):
            self._release(key, set())
            self.waiting.add(key)
            return Decision([], "", "PortInUse", problem)
        self.ports |= dict.fromkeys(wanted, key)
        self.waiting.discard(key)
        addresses = self._of_nodes(key, service)
        if not addresses:
            return Decision([], "", "NoNode", NO_NODE)
        return Decision(addresses, loadbalancers.EVERY_NODE, "Announced", f"{', '.join(addresses)}, of the nodes")

    def _forget(self, key: Key) -> None:
        self._release(key, set())

    def _release(self, key: Key, but: set[Port]) -> None:
        gone = [port for port, holder in self.ports.items() if holder == key and port not in but]
        for port in gone:
            del self.ports[port]
        if gone:
            for other in self.waiting - {key}:
                self.context.enqueue(other, 0)

    def _taken(self, key: Key, wanted: set[Port]) -> str:
        """Why the Service cannot have its ports; "" where it can."""
        for protocol, number in sorted(wanted):
            holder = self.ports.get((protocol, number), key)
            if holder != key:
                return f"port {number}/{protocol} of the nodes is held by Service {holder}"
            if (protocol, number) in self._of_the_api_server():
                return f"port {number}/{protocol} of the nodes is the API server's"
        return ""

    def _of_the_api_server(self) -> set[Port]:
        service = self.services.get("default", "kubernetes")
        return {(p.protocol, int(p.target_port)) for p in service.spec.ports} if service is not None else set()

    def _of_nodes(self, key: Key, service: core_v1.Service) -> list[str]:
        """The InternalIPs, in the order of the Service's families and of the nodes' names."""
        able = self._able(key, service)
        nodes = sorted((n for n in self.nodes.items() if n.metadata.name in able), key=lambda n: n.metadata.name)
        own = [a.address for node in nodes for a in node.status.addresses if a.type == "InternalIP"]
        return [
            one for family in service.spec.ip_families for one in own if ip_address(one).version == VERSIONS[family]
        ]

    def _addresses_changed(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if old is None or new is None or not (eligible(old) or eligible(new)):
            return
        if old.status.addresses != new.status.addresses:
            for key in self.bearers:
                self.context.enqueue(key, 0)


def _ports(service: core_v1.Service) -> set[Port]:
    return {(port.protocol, port.port) for port in service.spec.ports}


def load_balancer_controller(pool: str) -> ServiceLoadBalancerController:
    """The one for what `--load-balancer-pool` says. Raises ValueError for what is no range."""
    return NodeLoadBalancerController() if pool == EVERY_NODE_POOL else ServiceLoadBalancerController(pool.split(","))
