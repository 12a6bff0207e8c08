"""The network between the nodes of one machine: a bridge on the host, a cable from it into each node's namespace.

The host is the nodes' router: their default route leads to it, and what leaves the machine goes out under its address.
Every function blocks and is safe to repeat.
"""

import asyncio
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path

from orlop import logging
from orlop.cluster.nodes import RealNode
from orlop.cluster.runtimes import bridge_name
from orlop.cluster.settings import Settings, SettingsError
from orlop.kubelet.dns import host_config
from orlop.kubelet.network import firewall, links
from orlop.kubelet.network.base import NetworkError
from orlop.kubelet.network.ipam import Pool
from orlop.kubelet.network.netlink import Netlink
from orlop.kubelet.network.netns import create, enter, inside, remove

INTERFACE = "eth0"
"""A node's end of its cable."""

RESOLV_CONFS = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
"""The second has what systemd-resolved asks itself; the first then names 127.0.0.53."""

CANDIDATES = [(f"10.245.{i}.0/24", f"fd00:10:245:{i:x}::/64") for i in range(256)]
"""Where the nodes' own addresses are looked for: next to the default range of pods, one piece a cluster."""

BALANCER_CANDIDATES = [(f"10.246.{i}.0/24", f"fd00:10:246:{i:x}::/64") for i in range(256)]
"""Where the addresses of load balancers are looked for."""

log = logging.get("cluster")


def uplink_name(settings: Settings) -> str:
    """The bridge that the nodes' cables end in."""
    return links.scoped_name("up", settings.scope)


def cable_name(node: RealNode) -> str:
    """The host's end of a node's cable."""
    return links.digest_name("vn", node.scope)


def choose_cidrs(settings: Settings) -> str:
    """Ranges for the nodes' addresses that nothing on this machine uses. Raises SettingsError."""
    versions: set[int] = {ip_network(cidr).version for cidr in settings.pod_cidrs} | {4}
    if chosen := _free(settings, CANDIDATES, versions, uplink_name(settings)):
        return chosen
    raise SettingsError("no free range for the nodes' addresses in 10.245.0.0/16: name one with --node-cidr")


def choose_pool(settings: Settings) -> str:
    """Ranges for load balancers that nothing on this machine uses, one per IP family; "none" where there is none."""
    versions: set[int] = {ip_network(cidr).version for cidr in settings.service_cidrs}
    return _free(settings, BALANCER_CANDIDATES, versions) or "none"


def _free(settings: Settings, candidates: Sequence[tuple[str, str]], versions: set[int], own: str = "") -> str:
    taken = [ip_network(c) for c in (*settings.pod_cidrs, *settings.service_cidrs, *settings.node_cidrs)]
    for pair in candidates:
        chosen = [cidr for cidr in pair if ip_network(cidr).version in versions]
        free = not any(
            a.version == b.version and a.overlaps(b) for a in taken for b in (ip_network(cidr) for cidr in chosen)
        )
        if free and not links.conflict([Pool(cidr) for cidr in chosen], own):
            return ",".join(chosen)
    return ""


def balancer_link(settings: Settings, node: RealNode) -> str:
    """Where a node binds the addresses of load balancers that are in no network of the machine's."""
    if node.netns:
        return INTERFACE
    return uplink_name(settings) if settings.nodes > 1 else bridge_name(settings.scope)


def host_addresses(settings: Settings) -> list[str]:
    """The host's own on the bridge: the nodes' default routes lead there."""
    return [str(ip_network(cidr)[1]) for cidr in settings.node_cidrs]


def ensure_host(settings: Settings) -> None:
    """The bridge with the host's addresses, and the rules for what passes it. Raises NetworkError."""
    name, pools = uplink_name(settings), [Pool(cidr) for cidr in settings.node_cidrs]
    with _turn(settings):
        if taken := links.conflict(pools, name):
            raise NetworkError(f"the range of the nodes {taken}; choose another with --node-cidr")
        versions: set[int] = {pool.network.version for pool in pools}
        links.enable_forwarding(versions)
        links.ensure_bridge(name, pools, links.default_mtu())
        asyncio.run(_rules(name, pools, settings.pod_cidrs, versions))


async def _rules(name: str, pools: Sequence[Pool], pod_cidrs: Sequence[str], versions: set[int]) -> None:
    await firewall.apply(firewall.render_uplink(name, pools, pod_cidrs))
    await firewall.accept(name, versions)


def ensure_node(settings: Settings, node: RealNode) -> None:
    """The node's namespace with its cable plugged in. Raises NetworkError."""
    name = cable_name(node)
    with _turn(settings), Netlink() as netlink:
        try:
            if not _alive(node.netns_path):
                _remove_space(node)
                create(node.netns_path)
                links.remove(name)
            if netlink.link(name) is None:
                netlink.add_veth(name, INTERFACE, node.netns_path)
            index = netlink.need(name).index
            bridge = netlink.need(uplink_name(settings))
            netlink.set_link(index, master=bridge.index, mtu=bridge.mtu, up=True, alias=node.netns)
            links.set_hairpin(netlink, index)
            inside(node.netns_path, lambda: _configure(settings, node, bridge.mtu))
        except OSError as error:
            raise NetworkError(f"cannot set up the network of node {node.name}: {error}") from error


def _configure(settings: Settings, node: RealNode, mtu: int) -> None:
    with Netlink() as netlink:
        netlink.set_link(netlink.need("lo").index, up=True)
        index = netlink.need(INTERFACE).index
        links.skip_detection(INTERFACE)
        links.refuse_redirects(INTERFACE)
        netlink.set_link(index, mtu=mtu, up=True)
        for address, cidr in zip(node.addresses, settings.node_cidrs, strict=True):
            network = ip_network(cidr)
            links.add_address(netlink, index, address, network.prefixlen)
            netlink.add_route(index, gateway=str(network[1]), replace=True)


def enter_node(node: RealNode) -> None:
    """Moves this process into the node's namespace, before it has other threads. Raises NetworkError."""
    enter(node.netns_path)


def cut(node: RealNode) -> None:
    """Pulls the node's cable; `heal` plugs it in again."""
    _set_cable(node, False)


def heal(node: RealNode) -> None:
    _set_cable(node, True)


def _set_cable(node: RealNode, up: bool) -> None:
    with Netlink() as netlink:
        if (cable := netlink.link(cable_name(node))) is not None:
            netlink.set_link(cable.index, up=up)


def remove_node(node: RealNode) -> None:
    """Takes a namespace and its cable away; what was within goes with it."""
    links.remove(cable_name(node))
    _remove_space(node)


def remove_host(settings: Settings) -> None:
    """Takes the bridge and its rules away."""
    name = uplink_name(settings)
    links.remove(name)
    asyncio.run(_unrule(name))


async def _unrule(name: str) -> None:
    await firewall.unaccept(name)
    await firewall.remove(name)


def resolv_conf(paths: Sequence[Path] = RESOLV_CONFS) -> Path:
    """The file with name servers that a namespace can reach: the machine's own loopback it cannot."""
    for path in paths:
        servers = host_config(path).servers
        if any(not ip_address(server.partition("%")[0]).is_loopback for server in servers):
            return path
    return paths[0]


def pids_inside(node: RealNode) -> list[int]:
    """Every process within the node's namespace (not in those of its pods)."""
    try:
        space = os.stat(node.netns_path).st_ino
    except FileNotFoundError:
        return []
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "ns/net").stat().st_ino == space:
                    found.append(int(process.name))
            except OSError:
                continue
    return found


def _alive(path: str) -> bool:
    try:
        inside(path, lambda: None)
    except NetworkError:
        return False
    return True


def _remove_space(node: RealNode) -> None:
    if Path(node.netns_path).exists():
        remove(node.netns_path)


@contextmanager
def _turn(settings: Settings) -> Iterator[None]:
    """One process at a time: nodes start side by side."""
    with (settings.data_dir / "run" / "nodenet.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
