"""Links, addresses and routes of the bridge network, by netlink. Every function blocks: call it in a thread."""

import hashlib
import ipaddress
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orlop.kubelet.network.base import NetworkError
from orlop.kubelet.network.ipam import Pool
from orlop.kubelet.network.netlink import MAIN_TABLE, SCOPE_LINK, Netlink
from orlop.kubelet.network.netns import inside

POD_INTERFACE = "eth0"
DEFAULT_MTU = 1500
GROUPS = 0x4F000000
"""The first of our numbers of link groups: far from those that people choose."""
LONGEST_SCOPE = 10
"""A link's name has at most 15 characters (IFNAMSIZ), some of which its rules' names need."""


def veth_name(sandbox_id: str) -> str:
    """The node's end of a sandbox's cable: found again without any state."""
    return digest_name("vo", sandbox_id)


def digest_name(prefix: str, what: str) -> str:
    """A link's name that is found again without any state (the kernel allows 15 characters)."""
    return f"{prefix}{hashlib.sha256(what.encode()).hexdigest()[:11]}"


def scoped_name(prefix: str, scope: str) -> str:
    """A link's name of two letters and a scope: readable where the scope is short, else told apart by a digest."""
    if len(scope) <= LONGEST_SCOPE:
        return f"{prefix}-{scope}"
    return f"{prefix}-{hashlib.sha256(scope.encode()).hexdigest()[:LONGEST_SCOPE]}"


def default_mtu() -> int:
    """The MTU of the link that leads out of the machine, so that no packet of a pod needs to be cut there."""
    with Netlink() as netlink:
        out = {route.link for route in netlink.routes() if not route.destination and route.table == MAIN_TABLE}
        for link in netlink.links():
            if link.index in out:
                return link.mtu
    return DEFAULT_MTU


def conflict(pools: Sequence[Pool], bridge: str) -> str:
    """Which other link already has (part of) these ranges; "" when none has."""
    with Netlink() as netlink:
        names = {link.index: link.name for link in netlink.links()}
        for route in netlink.routes():
            link = names.get(route.link, "")
            if not route.destination or link in ("", bridge) or route.table != MAIN_TABLE:
                continue
            taken = ipaddress.ip_network(route.destination, strict=False)
            for pool in pools:
                if taken.version != pool.network.version or not taken.overlaps(pool.network):
                    continue
                if route.scope == SCOPE_LINK or taken.prefixlen >= pool.network.prefixlen:
                    return f"{pool.cidr} overlaps {taken} on {link}"
    return ""


def ensure_bridge(name: str, pools: Sequence[Pool], mtu: int) -> None:
    """The bridge, up, with the gateway address of each pool."""
    with Netlink() as netlink:
        if netlink.link(name) is None:
            # A fixed hardware address: else it would follow those of the cables as they come and go.
            netlink.add_bridge(name, hardware_address(pools[0]))
        index = netlink.need(name).index
        skip_detection(name)
        netlink.set_link(index, mtu=mtu, up=True)
        for pool in pools:
            add_address(netlink, index, str(pool.gateway), pool.network.prefixlen)
    conf = Path("/proc/sys/net/ipv4/conf") / name
    # Published ports answer on 127.0.0.1 too; the firewall's guard chain keeps pods away from the node's localhost.
    (conf / "route_localnet").write_text("1")
    (conf / "send_redirects").write_text("0")


def enable_forwarding(versions: set[int]) -> None:
    """Lets the kernel route between links. Left on by `cleanup`: others may have come to rely on it."""
    for version, path in ((4, "ipv4/ip_forward"), (6, "ipv6/conf/all/forwarding")):
        switch = Path("/proc/sys/net") / path
        if version in versions and switch.read_text().strip() == "0":
            switch.write_text("1")


def plumb(sandbox_id: str, netns: str, bridge: str, addresses: Sequence[tuple[str, Pool]], mtu: int) -> str:
    """A cable from the bridge to the namespace, with these addresses; returns the pod's hardware address.

    The pod has host addresses and reaches everything, its neighbours too, through the gateway: so each packet passes
    the node's routing, where service addresses are translated in both directions, whatever bridge-nf-call says.
    """
    name = veth_name(sandbox_id)
    try:
        with Netlink() as netlink:
            if (stale := netlink.link(name)) is not None:
                netlink.delete_link(stale.index)
            netlink.add_veth(name, POD_INTERFACE, netns, mtu)
            index = netlink.need(name).index
            master = netlink.need(bridge).index
            netlink.set_link(index, master=master, group=group(bridge), mtu=mtu, up=True)
            set_hairpin(netlink, index)
        return inside(netns, lambda: _configure_pod(addresses))
    except OSError as error:
        unplug(sandbox_id)
        raise NetworkError(f"cannot connect {netns} to {bridge}: {error}") from error


def _configure_pod(addresses: Sequence[tuple[str, Pool]]) -> str:
    with Netlink() as netlink:
        netlink.set_link(netlink.need("lo").index, up=True)
        index = netlink.need(POD_INTERFACE).index
        if any(pool.network.version == 6 for _, pool in addresses):
            _enable_ipv6()
        skip_detection(POD_INTERFACE)
        netlink.set_link(index, up=True)
        # The gateway answers for the neighbours; hints that they are on the same link would lead around it.
        refuse_redirects(POD_INTERFACE)
        for address, pool in addresses:
            gateway = str(pool.gateway)
            add_address(netlink, index, address, pool.network.max_prefixlen)
            netlink.add_route(index, f"{gateway}/{pool.network.max_prefixlen}", scope=SCOPE_LINK)
            netlink.add_route(index, gateway=gateway)
        return netlink.need(POD_INTERFACE).address


def replug(sandbox_ids: Sequence[str], bridge: str) -> None:
    """Puts cables that lost their bridge (somebody deleted it) back on, and into its group."""
    with Netlink() as netlink:
        master = netlink.need(bridge).index
        names = {veth_name(sandbox_id) for sandbox_id in sandbox_ids}
        for link in netlink.links():
            if link.name in names:
                netlink.set_link(link.index, master=master, group=group(bridge))
                if link.master != master:
                    set_hairpin(netlink, link.index)


def pod_addresses(netns: str) -> tuple[str, ...]:
    """The addresses `plumb` gave, read back; empty when there is no interface. Raises NetworkError."""

    def read() -> tuple[str, ...]:
        with Netlink() as netlink:
            found = netlink.link(POD_INTERFACE)
            rows = netlink.addresses(found.index) if found is not None else []
            return tuple(row.address for row in rows if row.scope == 0)

    return inside(netns, read)


def unplug(sandbox_id: str) -> None:
    """Takes a sandbox's cable away; both ends go."""
    remove(veth_name(sandbox_id))


def remove(name: str) -> None:
    """Takes a link away; fine when there is none."""
    with Netlink() as netlink, suppress(OSError):
        if (found := netlink.link(name)) is not None:
            netlink.delete_link(found.index)


def cables(bridge: str) -> list[str]:
    """The names of the links on the bridge."""
    with Netlink() as netlink:
        found = netlink.link(bridge)
        return [link.name for link in netlink.links() if link.master == found.index] if found is not None else []


def set_hairpin(netlink: Netlink, index: int) -> None:
    """What came from this port of a bridge may go out there again: through a service or host port, to itself.

    Where bridge-nf-call is on the bridge itself turns such packets round. By netlink: /sys may show another namespace.
    """
    netlink.set_hairpin(index)


def add_address(netlink: Netlink, index: int, address: str, prefix: int) -> None:
    """Gives a link an address; fine where it has it."""
    with suppress(FileExistsError):
        netlink.add_address(index, address, prefix)


def _enable_ipv6() -> None:
    """dockerd turns IPv6 off in the namespaces that it makes without a network."""
    for conf in ("all", "default", "lo", POD_INTERFACE):
        switch = Path(f"/proc/sys/net/ipv6/conf/{conf}/disable_ipv6")
        if switch.read_text().strip() != "0":
            switch.write_text("0")


def refuse_redirects(name: str) -> None:
    """ICMP redirects change no route of this link: they know nothing of translated addresses."""
    for family in ("ipv4", "ipv6"):
        for conf in ("all", name):
            with suppress(OSError):
                Path(f"/proc/sys/net/{family}/conf/{conf}/accept_redirects").write_text("0")


def skip_detection(name: str) -> None:
    """No IPv6 duplicate detection on a link of our own: until it ends nothing would be forwarded there."""
    with suppress(OSError):  # a kernel without IPv6
        Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")


def group(bridge: str) -> int:
    """The number (IFLA_GROUP) of the cables of a bridge, by which rules tell them from all other links."""
    return GROUPS + int.from_bytes(hashlib.sha256(bridge.encode()).digest()[:3])


def hardware_address(pool: Pool) -> str:
    """Locally administered, made from the gateway's last four bytes."""
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + pool.gateway.packed[-4:])
