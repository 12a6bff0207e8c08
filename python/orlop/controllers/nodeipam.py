"""Gives each node a range of pod addresses (pkg/controller/nodeipam, the range allocator)."""

import contextlib
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result

NODE_MASK_V4 = 24
"""Prefix length of a node's range (upstream: --node-cidr-mask-size-ipv4)."""
NODE_MASK_V6 = 64
"""Upstream: --node-cidr-mask-size-ipv6."""

Network = IPv4Network | IPv6Network


class RangeExhausted(Exception):
    """The cluster's range has no piece left."""


class NodeIPAMController(Controller):
    """One key at a time, so that no range is given twice."""

    name = "node-ipam-controller"
    account = "node-controller"
    component = "cidrAllocator"

    def __init__(self, cluster_cidrs: list[str], service_cidrs: list[str] | None = None) -> None:
        """`cluster_cidrs`: one for each address family. Raises ValueError for what is not a range."""
        self.ranges = [Range(ip_network(cidr)) for cidr in cluster_cidrs]
        self.services = [ip_network(cidr) for cidr in service_cidrs or []]

    def setup(self, builder: Builder) -> None:
        self.nodes = builder.for_(core_v1.Node, changed=lambda old, new: old.spec.pod_cidrs != new.spec.pod_cidrs)
        builder.workers(1)

    async def reconcile(self, key: Key) -> Result | None:
        node = self.nodes.get("", key.name)
        if node is None:
            # What it had is free: those that found none may have it.
            for other in self.nodes.items():
                if not other.spec.pod_cidrs:
                    self.context.enqueue(Key("", other.metadata.name), 0)
            return None
        if node.spec.pod_cidrs:
            return None
        taken = [ip_network(cidr) for n in self.nodes.items() for cidr in n.spec.pod_cidrs] + self.services
        try:
            chosen = [str(range_.free(taken)) for range_ in self.ranges]
        except RangeExhausted as error:
            status = "CIDRNotAvailable"
            self.context.recorder.event(node, "Normal", status, f"Node {key.name} status is now: {status}")
            self.context.log.error("no pod addresses for a node", extra={"node": key.name, "error": str(error)})
            return None
        patch = {"metadata": {"uid": node.metadata.uid}, "spec": {"podCIDR": chosen[0], "podCIDRs": chosen}}
        with contextlib.suppress(errors.NotFound):
            await self.context.client.patch(core_v1.Node, key.name, None, patch, type="merge")
        return None


class Range:
    """A cluster's addresses of one family, in pieces for nodes."""

    def __init__(self, network: Network) -> None:
        self.network = network
        mask = max(network.prefixlen, NODE_MASK_V4 if network.version == 4 else NODE_MASK_V6)
        self.size = 1 << (network.max_prefixlen - mask)
        self.mask = mask
        self.count = 1 << (mask - network.prefixlen)
        self.next = 0
        """Where the search begins: behind the last one given, so that what a node has just left is not used at once."""

    def free(self, taken: Iterable[Network]) -> Network:
        """A piece that overlaps nothing of `taken`. Raises RangeExhausted."""
        used: set[int] = set()
        first = int(self.network.network_address)
        for other in taken:
            if other.version == self.network.version and other.overlaps(self.network):
                low = (int(other.network_address) - first) // self.size
                high = (int(other.broadcast_address) - first) // self.size
                used.update(range(max(low, 0), min(high, self.count - 1) + 1))
        for position in range(self.count):
            index = (self.next + position) % self.count
            if index not in used:
                self.next = (index + 1) % self.count
                return ip_network((first + index * self.size, self.mask))
        raise RangeExhausted(
            "CIDR allocation failed; there are no remaining CIDRs left to allocate in the accepted range"
        )
