"""What is read of the objects that decide: projections of Pods, Namespaces and Nodes."""

from ipaddress import ip_address

import msgspec

from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.client.decode import Meta

ENDED = ("Succeeded", "Failed")
"""Phases of pods whose addresses may be another's by now."""


class LabelledMeta(Meta):
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class NamespaceView(ApiStruct):
    __kind__ = core_v1.Namespace
    metadata: LabelledMeta = msgspec.field(default_factory=LabelledMeta)


class _Port(ApiStruct):
    container_port: int = 0
    name: str = ""
    protocol: str = ""


class _Container(ApiStruct):
    ports: list[_Port] = msgspec.field(default_factory=list)
    restart_policy: str = ""


class _PodSpec(ApiStruct):
    node_name: str = ""
    host_network: bool = False
    containers: list[_Container] = msgspec.field(default_factory=list)
    init_containers: list[_Container] = msgspec.field(default_factory=list)


class _PodIP(ApiStruct):
    ip: str = ""


class _PodStatus(ApiStruct):
    phase: str = ""
    pod_ips: list[_PodIP] = msgspec.field(default_factory=list, name="podIPs")


class PodView(ApiStruct):
    """What is asked of a Pod."""

    __kind__ = core_v1.Pod
    metadata: LabelledMeta = msgspec.field(default_factory=LabelledMeta)
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)

    @property
    def ended(self) -> bool:
        return self.status.phase in ENDED

    @property
    def ips(self) -> tuple[str, ...]:
        """Its addresses, written as the kernel's tools write them."""
        return tuple(str(ip_address(one.ip)) for one in self.status.pod_ips if one.ip)

    @property
    def named_ports(self) -> dict[tuple[str, str], frozenset[int]]:
        """(protocol, name) → numbers, of its containers and of init containers that go on beside them."""
        sidecars = [c for c in self.spec.init_containers if c.restart_policy == "Always"]
        found: dict[tuple[str, str], set[int]] = {}
        for container in (*self.spec.containers, *sidecars):
            for port in container.ports:
                if port.name:
                    found.setdefault((port.protocol or "TCP", port.name), set()).add(port.container_port)
        return {key: frozenset(numbers) for key, numbers in found.items()}


class _NodeSpec(ApiStruct):
    pod_cidrs: list[str] = msgspec.field(default_factory=list, name="podCIDRs")


class NodeView(ApiStruct):
    __kind__ = core_v1.Node
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
