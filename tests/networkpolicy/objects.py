"""Pods, Namespaces and NetworkPolicies, and two nodes that enforce them in the world's kernels."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from tests.networkpolicy.world import ADDRESSES, CIDRS, PODS, Probe, World

from orlop.api.types import networking_v1
from orlop.networkpolicy.semantics import End, verdict
from orlop.networkpolicy.table import Table
from orlop.networkpolicy.views import PodView
from orlop.networkpolicy.wanted import Wanted
from orlop.nftables.ruleset import Ruleset

TABLE = "inet orlop-policy"
NAMES = {"x/a": "a", "x/b": "b", "y/a": "c", "y/b": "d", "z/a": "e"}
"""Pod → whose address it has in the world."""
OWNERS = {address: name for name, addresses in ADDRESSES.items() for address in addresses}
HOSTS = {name: msgspec.convert({"spec": {"nodeName": name, "hostNetwork": True}}, PodView) for name in CIDRS}
"""What stands for the nodes themselves."""


def pod(
    name: str, address_of: str, labels: Mapping[str, str], ports: Iterable[Mapping[str, Any]] = (), **spec: Any
) -> PodView:
    """NAMESPACE/NAME with the addresses of one of the world's."""
    namespace, _, own = name.partition("/")
    return msgspec.convert(
        {
            "metadata": {"name": own, "namespace": namespace, "uid": name, "labels": dict(labels)},
            "spec": {"nodeName": PODS[address_of], "containers": [{"ports": list(ports)}], **spec},
            "status": {"phase": "Running", "podIPs": [{"ip": ip} for ip in ADDRESSES[address_of]]},
        },
        PodView,
    )


def policy(name: str, spec: Mapping[str, Any]) -> networking_v1.NetworkPolicy:
    """NAMESPACE/NAME."""
    namespace, _, own = name.partition("/")
    return msgspec.convert(
        {"metadata": {"name": own, "namespace": namespace}, "spec": spec}, networking_v1.NetworkPolicy
    )


class State:
    """What the API has: read by the plain semantics, and told to the nodes."""

    def __init__(self) -> None:
        self.policies: dict[str, networking_v1.NetworkPolicy] = {}
        self.pods: dict[str, PodView] = {}
        self.namespaces: dict[str, dict[str, str]] = {}

    def allows(self, probe: Probe) -> bool:
        """By the plain semantics."""
        end = self._end(probe.source, ":" in probe.destination)
        other = OWNERS[probe.destination]
        destination = self._end(other, ":" in probe.destination)
        policies = list(self.policies.values())
        return verdict(policies, self.namespaces, end, destination, probe.protocol, probe.port).allowed

    def _end(self, name: str, six: bool) -> End:
        address = ADDRESSES[name][six]
        if name in CIDRS:
            return End(address, HOSTS[name])
        return End(address, next((one for one in self.pods.values() if address in one.ips), None))


class Nodes:
    """Both nodes' enforcement, each change one transaction; `restart` forgets what is programmed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state = State()
        self._wanted: dict[str, Wanted] = {}
        self._tables: dict[str, Table] = {}
        for node in CIDRS:
            self._start(node)

    def _start(self, node: str) -> None:
        wanted = self._wanted[node] = Wanted(node)
        wanted.set_ranges(CIDRS[node])
        for name, labels in self.state.namespaces.items():
            wanted.set_namespace(name, labels)
        for one in self.state.pods.values():
            wanted.set_pod(one)
        for each in self.state.policies.values():
            assert not wanted.set_policy(each)
        self._tables[node] = Table(TABLE, self._world.nodes[node].prefix)

    def namespace(self, name: str, labels: Mapping[str, str]) -> None:
        self.state.namespaces[name] = {"kubernetes.io/metadata.name": name, **labels}
        for wanted in self._wanted.values():
            wanted.set_namespace(name, self.state.namespaces[name])

    def pod(self, name: str, view: PodView) -> None:
        self.state.pods[name] = view
        for wanted in self._wanted.values():
            wanted.set_pod(view)

    def delete_pod(self, name: str) -> None:
        del self.state.pods[name]
        for wanted in self._wanted.values():
            wanted.delete_pod(*name.split("/"))

    def policy(self, name: str, spec: Mapping[str, Any]) -> None:
        self.state.policies[name] = policy(name, spec)
        for wanted in self._wanted.values():
            assert not wanted.set_policy(self.state.policies[name])

    def delete_policy(self, name: str) -> None:
        del self.state.policies[name]
        for wanted in self._wanted.values():
            wanted.delete_policy(*name.split("/"))

    async def sync(self) -> bool:
        """All of it, as after a start."""
        changed = False
        for node, wanted in self._wanted.items():
            wanted.drain()
            changed |= await self._tables[node].sync(wanted.rules)
        return changed

    async def apply(self) -> None:
        """What differs."""
        for node, wanted in self._wanted.items():
            await self._tables[node].apply(*wanted.drain())

    def changes(self, node: str = "here") -> tuple[Ruleset, Ruleset]:
        """What a node would be told of now, as it was and as it is."""
        return self._wanted[node].drain()

    def restart(self) -> None:
        for node in CIDRS:
            self._start(node)

    async def remove(self) -> None:
        for table in self._tables.values():
            await table.remove()
