"""The addresses of load balancers that this node bears, kept by a watch of the Services.

An address is bound to the link that its neighbours are on, where the kernel answers for it (ARP, NDP), and is announced
there when it comes. Who bears which address is decided by the Services' controller and told by their annotation; every
address of the pool that is bound here and is not said to be, is taken away, whoever bound it.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any

import msgspec

from orlop import logging
from orlop.api import loadbalancers
from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.client.client import Client
from orlop.client.decode import Meta
from orlop.client.informer import Informer
from orlop.clock import Clock, timeout
from orlop.kubelet.network.announce import announce
from orlop.kubelet.network.netlink import MAIN_TABLE, SCOPE_LINK, Link, Netlink, Route
from orlop.tasks import run_all

Network = IPv4Network | IPv6Network

PROTOCOL = 80
"""rtm_protocol: marks our routes, so that no other is ever taken away. Free in linux/rtnetlink.h ("P")."""
ANNOUNCEMENTS, ANNOUNCE_SECONDS = 3, 1.0
"""How often neighbours are told, and the seconds between: one telling may be lost."""
RETRY_SECONDS = 1.0
"""Before it is looked again for a link that is not there yet."""

log = logging.get("kubelet")


class _Meta(Meta):
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class _Status(ApiStruct):
    load_balancer: core_v1.LoadBalancerStatus = msgspec.field(default_factory=core_v1.LoadBalancerStatus)


class _Service(ApiStruct):
    """What is asked of a Service."""

    __kind__ = core_v1.Service

    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


class LoadBalancerAddresses:
    """One node's, out of the ranges of `pool`; those that no network of this machine holds are bound to `link`."""

    def __init__(self, client: Client, clock: Clock, node_name: str, pool: Sequence[str], link: str) -> None:
        self._clock = clock
        self._node_name = node_name
        self._pool = list(pool)
        self._link = link
        self._services: Informer[Any] = Informer(client, _Service)
        self._services.on_change(lambda old, new: self._news.set())
        self._news = asyncio.Event()
        self._to_tell: dict[str, int] = {}
        """How often each new address is still to be announced."""

    async def run(self) -> None:
        """Follows until cancelled; the addresses stay, as what is connected to them does."""
        await run_all(self._services.run(), self._follow())

    async def _follow(self) -> None:
        await self._services.synced()
        while True:
            self._news.clear()
            wanted = self._wanted()
            try:
                came = await asyncio.to_thread(program, self._pool, self._link, wanted)
            except OSError as error:
                log.info("cannot bind the addresses of load balancers yet", extra={"error": str(error)})
                await self._next(RETRY_SECONDS)
                continue
            self._to_tell = {one: left for one, left in self._to_tell.items() if one in wanted}
            self._to_tell |= dict.fromkeys(came, ANNOUNCEMENTS)
            await self._tell()

    async def _tell(self) -> None:
        """Announces what is new, until there is news."""
        while self._to_tell and not self._news.is_set():
            await asyncio.to_thread(announce_all, self._link, list(self._to_tell))
            self._to_tell = {one: left - 1 for one, left in self._to_tell.items() if left > 1}
            if self._to_tell:
                await self._next(ANNOUNCE_SECONDS)
        await self._news.wait()

    async def _next(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with timeout(self._clock, seconds):
                await self._news.wait()

    def _wanted(self) -> set[str]:
        return {
            str(ip_address(one.ip))
            for service in self._services.list()
            if service.metadata.annotations.get(loadbalancers.NODE) == self._node_name
            for one in service.status.load_balancer.ingress
            if one.ip and one.ip_mode != "Proxy"
        }


def program(pool: Sequence[str], link: str, wanted: set[str]) -> list[str]:
    """Makes the addresses of `pool` that are bound on this machine those of `wanted`, and the pool reachable over
    `link` where no network of this machine holds it. Those that came. Raises OSError."""
    with Netlink() as netlink:
        here = netlink.need(link).index
        stale = [r for r in netlink.routes() if r.protocol == PROTOCOL and r.link != here]
        near = _links([*_on_link(netlink), *stale], pool)
        for route in stale:
            netlink.delete_route(route.link, route.destination, protocol=PROTOCOL)
        for network in map(str, map(ip_network, pool)):
            if _leading(_on_link(netlink), network) is None:
                netlink.add_route(here, network, scope=SCOPE_LINK, protocol=PROTOCOL, replace=True)
        _answer_here_alone(link)
        routes = _on_link(netlink)
        places = {(address, _leading(routes, address) or here) for address in wanted}
        present = bound(netlink, pool, near | _links(routes, pool))
        for address, index in sorted(present - places):
            netlink.delete_address(index, address, ip_address(address).max_prefixlen)
            log.info("a load balancer's address is gone from here", extra={"address": address})
        for address, index in sorted(places - present):
            netlink.add_address(index, address, ip_address(address).max_prefixlen)
            log.info("a load balancer's address is here", extra={"address": address})
        return [address for address, _ in places - present]


def release(pool: Sequence[str]) -> None:
    """Takes all addresses of the pool, and our ways to it, away. Raises OSError."""
    with Netlink() as netlink:
        for address, index in bound(netlink, pool, _links(_on_link(netlink), pool)):
            netlink.delete_address(index, address, ip_address(address).max_prefixlen)
        networks = {str(ip_network(cidr)) for cidr in pool}
        for route in netlink.routes():
            if route.protocol == PROTOCOL and route.destination in networks:
                netlink.delete_route(route.link, route.destination, protocol=PROTOCOL)


def bound(netlink: Netlink, pool: Sequence[str], links: set[int]) -> set[tuple[str, int]]:
    """The addresses of the pool on these links, with the link. Only those that stand alone (/32, /128): an address with
    a network is the machine's own."""
    networks = [ip_network(cidr) for cidr in pool]
    found = set()
    for index in links:
        for one in netlink.addresses(index):
            address = ip_address(one.address)
            if one.prefix == address.max_prefixlen and any(address in network for network in networks):
                found.add((one.address, index))
    return found


def announce_all(link: str, addresses: Sequence[str]) -> None:
    """Tells the neighbours of each address; what cannot be told now is told the next time."""
    with Netlink() as netlink:
        links = {one.index: one for one in netlink.links()}
        routes = _on_link(netlink)
        fallback: Link = netlink.need(link)
        for address in addresses:
            try:
                announce(links.get(_leading(routes, address) or 0, fallback), address)
            except OSError as error:
                log.debug("an address could not be announced", extra={"address": address, "error": str(error)})


def _on_link(netlink: Netlink) -> list[Route]:
    """The networks that this machine is itself in."""
    return [
        route
        for route in netlink.routes()
        if route.table == MAIN_TABLE and route.destination and route.link and not route.gateway
        if ip_network(route.destination).prefixlen < ip_network(route.destination).max_prefixlen
    ]


def _links(routes: Sequence[Route], pool: Sequence[str]) -> set[int]:
    """Those where addresses of the pool may be bound: not those where the proxy has them all (IPVS), for itself."""
    networks = [ip_network(cidr) for cidr in pool]
    return {route.link for route in routes for network in networks if _overlap(ip_network(route.destination), network)}


def _overlap(a: Network, b: Network) -> bool:
    return a.version == b.version and a.overlaps(b)


def _leading(routes: Sequence[Route], what: str) -> int | None:
    """The link whose network holds an address or a range; the narrowest of several."""
    target = ip_network(what)
    holding = [
        (network.prefixlen, route.link)
        for route in routes
        if (network := ip_network(route.destination)).version == target.version
        and network.prefixlen <= target.prefixlen
        and target.network_address in network
    ]
    return max(holding)[1] if holding else None


def _answer_here_alone(link: str) -> None:
    """The link answers for its own addresses only: in IPVS mode every node has all of them, on another link."""
    for switch, value in (("arp_ignore", "1"), ("arp_announce", "2")):
        path = Path(f"/proc/sys/net/ipv4/conf/{link}/{switch}")
        if path.read_text().strip() != value:
            path.write_text(value)
