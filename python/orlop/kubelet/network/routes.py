"""Routes to the pods of the other nodes on the same link, kept by a watch of the Nodes.

What flannel's host-gw does: a node's pod CIDRs lead to its InternalIP. Nodes whose address is not on the link are
reached by the default route.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec

from orlop import logging
from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.client.client import Client
from orlop.client.decode import Meta
from orlop.client.informer import Informer
from orlop.kubelet.network.netlink import Netlink
from orlop.tasks import run_all

PROTOCOL = 79
"""rtm_protocol: marks our routes, so that no other is ever taken away. Free in linux/rtnetlink.h ("O")."""

log = logging.get("kubelet")


class _Spec(ApiStruct):
    pod_cidrs: list[str] = msgspec.field(default_factory=list, name="podCIDRs")


class _Status(ApiStruct):
    addresses: list[core_v1.NodeAddress] = msgspec.field(default_factory=list)


class _Node(ApiStruct):
    """What a route needs of a Node."""

    __kind__ = core_v1.Node

    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class NodeRoutes:
    """One node's routes over `link`, on which the addresses of `on_link` are neighbours."""

    def __init__(self, client: Client, node_name: str, link: str, on_link: Sequence[str]) -> None:
        self._node_name = node_name
        self._link = link
        self._on_link = [ipaddress.ip_network(cidr) for cidr in on_link]
        self._nodes: Informer[Any] = Informer(client, _Node)
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Follows until cancelled; the routes stay. Raises OSError where the kernel refuses one."""
        self._nodes.on_change(lambda old, new: self._news.set())
        await run_all(self._nodes.run(), self._follow())

    async def _follow(self) -> None:
        await self._nodes.synced()
        while True:
            self._news.clear()
            await asyncio.to_thread(program, self._link, self._wanted())
            await self._news.wait()

    def _wanted(self) -> dict[str, str]:
        """pod CIDR → next hop."""
        wanted: dict[str, str] = {}
        for node in self._nodes.list():
            if node.metadata.name == self._node_name:
                continue
            addresses = [a.address for a in node.status.addresses if a.type == "InternalIP"]
            for cidr in node.spec.pod_cidrs:
                version = ipaddress.ip_network(cidr).version
                for address in map(ipaddress.ip_address, addresses):
                    if address.version == version and any(address in network for network in self._on_link):
                        wanted[cidr] = str(address)
        return wanted


def program(link: str, wanted: dict[str, str]) -> None:
    """Makes our routes over `link` those of `wanted` (CIDR → next hop). Blocks; raises OSError."""
    with Netlink() as netlink:
        index = netlink.need(link).index
        try:
            ours = [r for r in netlink.routes() if r.link == index and r.protocol == PROTOCOL]
            present = {route.destination: route.gateway for route in ours}
            for cidr in present.keys() - wanted.keys():
                netlink.delete_route(index, cidr, protocol=PROTOCOL)
            for cidr, hop in wanted.items():
                if present.get(cidr) != hop:
                    netlink.add_route(index, cidr, hop, protocol=PROTOCOL, replace=True)
                    log.debug("route to the pods of a node", extra={"cidr": cidr, "via": hop})
        except OSError as error:
            raise OSError(error.errno, f"cannot set a route over {link}: {error.strerror}") from error
