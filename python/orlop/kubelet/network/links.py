"""Links, addresses and routes of the bridge network, by netlink. Every function blocks: call it in a thread."""

import hashlib
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from orlop.kubelet.network.base import NetworkError
from orlop.kubelet.network.ipam import Pool
from orlop.kubelet.network.netns import inside

POD_INTERFACE = "eth0"
DEFAULT_MTU = 1500
LONGEST_SCOPE = 10
"""A link's name has at most 15 characters (IFNAMSIZ), some of which its rules' names need."""
IFA_F_NODAD = 0x02
"""An address nobody else can have needs no second of duplicate detection (IPv6)."""

_EEXIST = 17
_MAIN_TABLE = 254
_SCOPE_LINK = 253


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


def family_of(version: int) -> int:
    """The socket family of IP version 4 or 6."""
    return int(socket.AF_INET if version == 4 else socket.AF_INET6)


def default_mtu() -> int:
    """The MTU of the link that leads out of the machine, so that no packet of a pod needs to be cut there."""
    with IPRoute() as netlink:
        for route in netlink.get_default_routes():
            if (index := route.get_attr("RTA_OIF")) is not None:
                for link in netlink.get_links(index):
                    return int(link.get_attr("IFLA_MTU"))
    return DEFAULT_MTU


def conflict(pools: Sequence[Pool], bridge: str) -> str:
    """Which other link already has (part of) these ranges; "" when none has."""
    with IPRoute() as netlink:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in netlink.get_links()}
        for route in netlink.get_routes():
            target, link = route.get_attr("RTA_DST"), names.get(route.get_attr("RTA_OIF"), "")
            if target is None or link in ("", bridge) or route["table"] != _MAIN_TABLE:
                continue
            taken = ipaddress.ip_network(f"{target}/{route['dst_len']}", strict=False)
            for pool in pools:
                if taken.version != pool.network.version or not taken.overlaps(pool.network):
                    continue
                if route["scope"] == _SCOPE_LINK or taken.prefixlen >= pool.network.prefixlen:
                    return f"{pool.cidr} overlaps {taken} on {link}"
    return ""


def ensure_bridge(name: str, pools: Sequence[Pool], mtu: int) -> None:
    """The bridge, up, with the gateway address of each pool."""
    with IPRoute() as netlink:
        if not netlink.link_lookup(ifname=name):
            # A fixed hardware address: else it would follow those of the cables as they come and go.
            netlink.link("add", ifname=name, kind="bridge", address=_hardware_address(pools[0]))
        [index] = netlink.link_lookup(ifname=name)
        skip_detection(name)
        netlink.link("set", index=index, mtu=mtu, state="up")
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
        with IPRoute() as netlink:
            if stale := netlink.link_lookup(ifname=name):
                netlink.link("del", index=stale[0])
            peer = {"ifname": POD_INTERFACE, "net_ns_fd": netns, "mtu": mtu}
            netlink.link("add", ifname=name, kind="veth", peer=peer)
            [index] = netlink.link_lookup(ifname=name)
            [master] = netlink.link_lookup(ifname=bridge)
            netlink.link("set", index=index, master=master, mtu=mtu, state="up")
            set_hairpin(netlink, index)
        return inside(netns, lambda: _configure_pod(addresses))
    except (NetlinkError, OSError) as error:
        unplug(sandbox_id)
        raise NetworkError(f"cannot connect {netns} to {bridge}: {error}") from error


def _configure_pod(addresses: Sequence[tuple[str, Pool]]) -> str:
    with IPRoute() as netlink:
        [lo] = netlink.link_lookup(ifname="lo")
        netlink.link("set", index=lo, state="up")
        [index] = netlink.link_lookup(ifname=POD_INTERFACE)
        if any(pool.network.version == 6 for _, pool in addresses):
            _enable_ipv6()
        skip_detection(POD_INTERFACE)
        netlink.link("set", index=index, state="up")
        # The gateway answers for the neighbours; hints that they are on the same link would lead around it.
        refuse_redirects(POD_INTERFACE)
        for address, pool in addresses:
            gateway, version = str(pool.gateway), family_of(pool.network.version)
            add_address(netlink, index, address, pool.network.max_prefixlen)
            netlink.route(
                "add", dst=f"{gateway}/{pool.network.max_prefixlen}", oif=index, scope=_SCOPE_LINK, family=version
            )
            netlink.route("add", dst="default", gateway=gateway, oif=index, family=version)
        [link] = netlink.get_links(index)
        return str(link.get_attr("IFLA_ADDRESS"))


def replug(sandbox_ids: Sequence[str], bridge: str) -> None:
    """Puts cables that lost their bridge (somebody deleted it) back on."""
    with IPRoute() as netlink:
        [master] = netlink.link_lookup(ifname=bridge)
        for sandbox_id in sandbox_ids:
            for index in netlink.link_lookup(ifname=veth_name(sandbox_id)):
                [link] = netlink.get_links(index)
                if link.get_attr("IFLA_MASTER") != master:
                    netlink.link("set", index=index, master=master)
                    set_hairpin(netlink, index)


def pod_addresses(netns: str) -> tuple[str, ...]:
    """The addresses `plumb` gave, read back; empty when there is no interface. Raises NetworkError."""

    def read() -> tuple[str, ...]:
        with IPRoute() as netlink:
            found = netlink.link_lookup(ifname=POD_INTERFACE)
            rows = netlink.get_addr(index=found[0]) if found else []
            return tuple(str(row.get_attr("IFA_ADDRESS")) for row in rows if row["scope"] == 0)

    return inside(netns, read)


def unplug(sandbox_id: str) -> None:
    """Takes a sandbox's cable away; both ends go."""
    remove(veth_name(sandbox_id))


def remove(name: str) -> None:
    """Takes a link away; fine when there is none."""
    with IPRoute() as netlink, suppress(NetlinkError):
        for index in netlink.link_lookup(ifname=name):
            netlink.link("del", index=index)


def cables(bridge: str) -> list[str]:
    """The names of the links on the bridge."""
    with IPRoute() as netlink:
        found = netlink.link_lookup(ifname=bridge)
        return [str(link.get_attr("IFLA_IFNAME")) for link in netlink.get_links(master=found[0])] if found else []


def set_hairpin(netlink: IPRoute, index: int) -> None:
    """What came from this port of a bridge may go out there again: through a service or host port, to itself.

    Where bridge-nf-call is on the bridge itself turns such packets round. By netlink: /sys may show another namespace.
    """
    netlink.brport("set", index=index, mode=1)


def add_address(netlink: IPRoute, index: int, address: str, prefix: int) -> None:
    try:
        netlink.addr("add", index=index, address=address, prefixlen=prefix, flags=IFA_F_NODAD if ":" in address else 0)
    except NetlinkError as error:
        if error.code != _EEXIST:
            raise


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


def _hardware_address(pool: Pool) -> str:
    """Locally administered, made from the gateway's last four bytes."""
    return ":".join(f"{byte:02x}" for byte in b"\x0a\x58" + pool.gateway.packed[-4:])
