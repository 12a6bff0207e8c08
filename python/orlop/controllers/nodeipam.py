"""Gives each node a range of pod addresses (pkg/controller/nodeipam, the range allocator)."""

import contextlib
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
    component = "cidrAllocator"

    def __init__(self, cluster_cidrs: list[str]) -> None:
        self.cluster_cidrs = [ip_network(cidr) for cidr in cluster_cidrs]

    def setup(self, builder: Builder) -> None:
        self.nodes = builder.for_(core_v1.Node, changed=lambda old, new: old.spec.pod_cidrs != new.spec.pod_cidrs)
        builder.workers(1)

    async def reconcile(self, key: Key) -> Result | None:
        node = self.nodes.get("", key.name)
        if node is None or node.spec.pod_cidrs:
            return None
        taken = {ip_network(cidr) for n in self.nodes.items() for cidr in n.spec.pod_cidrs}
        try:
            chosen = [str(free(cluster, taken)) for cluster in self.cluster_cidrs]
        except RangeExhausted:
            self.context.recorder.event(
                node, "Normal", "CIDRNotAvailable", f"Node {key.name} status is now: CIDRNotAvailable"
            )
            raise
        patch = {"metadata": {"uid": node.metadata.uid}, "spec": {"podCIDR": chosen[0], "podCIDRs": chosen}}
        with contextlib.suppress(errors.NotFound):
            await self.context.client.patch(core_v1.Node, key.name, None, patch, type="merge")
        return None


def free(cluster: Network, taken: set[Network]) -> Network:
    """The first piece of `cluster` that nobody has. Raises RangeExhausted."""
    mask = max(cluster.prefixlen, NODE_MASK_V4 if cluster.version == 4 else NODE_MASK_V6)
    for piece in cluster.subnets(new_prefix=mask):
        if not any(piece.overlaps(other) for other in taken if other.version == piece.version):
            return piece
    raise RangeExhausted(f"CIDR allocation failed; there are no remaining CIDRs left to allocate in {cluster}")
