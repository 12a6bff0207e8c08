"""Addresses of load balancers on real links: a node and its neighbour, in network namespaces made for them."""

import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.cluster import eventually

from orlop.clock import SystemClock
from orlop.kubelet.network import balancers, netns
from orlop.kubelet.network.announce import gratuitous_arp
from orlop.kubelet.network.netlink import Netlink

pytestmark = [pytest.mark.root, pytest.mark.network]

POOL = ["192.0.2.8/29", "2001:db8:2::/120"]
LAN = ["10.7.0.240/28"]
ETH_P_ALL = 3


class Node:
    """A machine with a link `eth0` to its neighbour (10.7.0.0/24) and one, `br0`, that only it is on."""

    def __init__(self, path: str, neighbour: str) -> None:
        self.path, self.neighbour = path, neighbour
        with Netlink() as inner:
            inner.add_veth("eth0", "eth0", neighbour)
            inner.add_bridge("br0", "0a:58:0a:00:00:01")
            for name, address in (("eth0", "10.7.0.1"), ("br0", "10.8.0.1")):
                link = inner.need(name)
                Path(f"/proc/sys/net/ipv6/conf/{name}/accept_dad").write_text("0")
                inner.set_link(link.index, up=True)
                inner.add_address(link.index, address, 24)
            inner.set_link(inner.need("lo").index, up=True)
            self.hardware = bytes.fromhex(inner.need("eth0").address.replace(":", ""))
        netns.inside(neighbour, _settle)

    def ip(self, *words: str) -> str:
        return ip(self.path, *words)

    def shown(self) -> tuple[str, ...]:
        """Its addresses and routes; whether a link has a carrier yet is not told."""
        routes = self.ip("route") + self.ip("-6", "route", "show", "proto", str(balancers.PROTOCOL))
        found = self.ip("-4", "address"), self.ip("-6", "address", "show", "scope", "global"), routes
        return tuple(text.replace("linkdown", "").replace(" ", "") for text in found)

    def program(self, pool: list[str], *wanted: str) -> list[str]:
        return netns.inside(self.path, lambda: sorted(balancers.program(pool, "br0", set(wanted))))


def _settle() -> None:
    with Netlink() as netlink:
        link = netlink.need("eth0")
        netlink.set_link(link.index, up=True)
        netlink.add_address(link.index, "10.7.0.2", 24)


def ip(path: str, *words: str) -> str:
    command = ["ip", "-n", Path(path).name, "-o", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def node() -> Iterator[Node]:
    made = [f"/run/netns/orlop-test-{SystemClock().uuid()[:8]}" for _ in range(2)]
    for path in made:
        netns.create(path)
    yield netns.inside(made[0], lambda: Node(made[0], made[1]))
    for path in made:
        netns.remove(path)


def test_addresses_come_move_and_go(node: Node) -> None:
    before = node.shown()
    assert node.program(POOL, "192.0.2.9", "2001:db8:2::9") == ["192.0.2.9", "2001:db8:2::9"]
    assert node.program(POOL, "192.0.2.9", "2001:db8:2::9") == []
    assert "192.0.2.8/29 dev br0 proto 80 scope link" in node.ip("route")
    assert "2001:db8:2::/120 dev br0 proto 80" in node.ip("-6", "route")
    assert node.program(POOL, "192.0.2.10") == ["192.0.2.10"]
    shown = node.ip("address", "show", "br0")
    assert "192.0.2.10/32" in shown
    assert "192.0.2.9/" not in shown
    assert "2001:db8:2::9/" not in shown
    netns.inside(node.path, lambda: balancers.release(POOL))
    assert node.shown() == before


def test_only_addresses_that_stand_alone_on_links_of_the_pool_are_ours_to_take(node: Node) -> None:
    node.ip("link", "add", "other", "type", "bridge")  # as the proxy's device, which has them all in IPVS mode
    node.ip("link", "set", "other", "up")
    node.ip("address", "add", "10.7.0.243/32", "dev", "other")
    node.ip("address", "add", "10.7.0.244/32", "dev", "eth0")
    node.ip("address", "add", "10.7.0.245/24", "dev", "eth0")
    assert node.program(LAN, "10.7.0.243") == ["10.7.0.243"]
    shown = node.ip("address", "show", "eth0")
    assert "10.7.0.243/32" in shown
    assert "10.7.0.244/" not in shown
    assert "10.7.0.245/24" in shown
    assert "10.7.0.243/32" in node.ip("address", "show", "other")
    assert "proto 80" not in node.ip("route"), "a network of the machine's own holds the pool"


def test_a_pool_follows_its_link(node: Node) -> None:
    node.program(POOL, "192.0.2.9")
    assert netns.inside(node.path, lambda: balancers.program(POOL, "eth0", {"192.0.2.9"})) == ["192.0.2.9"]
    assert "192.0.2.9/32" in node.ip("address", "show", "eth0")
    assert "192.0.2.9/32" not in node.ip("address", "show", "br0")
    assert "192.0.2.8/29 dev eth0" in node.ip("route")
    assert "dev br0 proto 80" not in node.ip("route")


def test_neighbours_hear_of_an_address_and_reach_it(node: Node) -> None:
    node.program(LAN, "10.7.0.241")
    ip(node.neighbour, "neigh", "replace", "10.7.0.241", "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "stale")
    ear = netns.inside(node.neighbour, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)))
    with ear:
        ear.settimeout(10)
        netns.inside(node.path, lambda: balancers.announce_all("br0", ["10.7.0.241"]))
        address = socket.inet_aton("10.7.0.241")
        heard = {ear.recv(100)[:42] for _ in range(2)}
        assert heard == {gratuitous_arp(operation, node.hardware, address) for operation in (1, 2)}
    eventually(
        "the neighbour sends to where the address is now",
        lambda: node.hardware.hex(":") in ip(node.neighbour, "neigh", "show", "10.7.0.241"),
    )
    # And asked for it by one who has never heard of it, the kernel answers.
    ip(node.neighbour, "neigh", "flush", "all")
    with netns.inside(node.path, lambda: socket.create_server(("10.7.0.241", 0))) as server:
        at = server.getsockname()
        with netns.inside(node.neighbour, lambda: socket.create_connection(at, timeout=10)):
            pass


def test_neighbours_hear_of_an_ipv6_address(node: Node) -> None:
    netns.inside(node.path, lambda: balancers.program(["2001:db8:2::/120"], "eth0", {"2001:db8:2::9"}))
    ear = netns.inside(
        node.neighbour, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    )
    wanted = socket.inet_pton(socket.AF_INET6, "2001:db8:2::9")
    with ear:
        ear.settimeout(10)
        netns.inside(node.path, lambda: balancers.announce_all("eth0", ["2001:db8:2::9"]))
        while True:
            frame = ear.recv(2000)
            if frame[12:14] == b"\x86\xdd" and frame[54:55] == b"\x88" and frame[62:78] == wanted:
                break
    assert frame[21] == 255  # hops
    assert frame[22:38] == wanted
    assert struct.unpack_from("!I", frame, 58)[0] == 0x20000000
    assert frame[78:86] == b"\x02\x01" + node.hardware
