"""The bridge network between real network namespaces. All names and ranges are the tests' own."""

import asyncio
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from tests.support import docker_engine, machine

from orlop.kubelet.network import links
from orlop.kubelet.network.base import NetworkError, PortMapping
from orlop.kubelet.network.bridge import BridgeNetwork
from orlop.kubelet.network.netns import inside

pytestmark = [pytest.mark.root, pytest.mark.network]

CIDR = "10.213.7.0/24"
CLUSTER = "10.213.0.0/16"
RANGES = ("10.213.", "fd00:213:", "198.51.100.")
OUTSIDE, OUTSIDE_NODE = "198.51.100.9", "198.51.100.1"


def sh(command: str, netns: str = "", check: bool = True) -> str:
    words = ["ip", "netns", "exec", netns] if netns else []
    done = subprocess.run([*words, "sh", "-c", command], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


class Site:
    """A node's network with namespaces in the place of sandboxes."""

    def __init__(self, state: Path) -> None:
        self.name = f"ot{uuid4().hex[:8]}"
        self.state = state
        self.spaces: list[str] = []
        self.network = self.make()

    def make(self) -> BridgeNetwork:
        return BridgeNetwork(self.name, self.state, cluster_cidrs=[CLUSTER])

    def space(self) -> str:
        name = f"{self.name}-{len(self.spaces)}"
        sh(f"ip netns add {name}")
        self.spaces.append(name)
        return name

    async def pod(self, *ports: PortMapping) -> tuple[str, str]:
        """(namespace, address); the sandbox's id is the namespace's name."""
        name = self.space()
        found = await self.network.attach(name, f"/run/netns/{name}", pod=f"default/{name}", port_mappings=ports)
        return name, found.ips[0]

    def listen(self, netns: str, port: int, text: str) -> subprocess.Popen[bytes]:
        """Answers every connection with the text and its peer's address."""
        command = ["ip", "netns", "exec", netns, sys.executable, "-c", SERVER, str(port), text]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process


SERVER = """
import socket, sys
with socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True) as server:
    print("ready", flush=True)
    while True:
        connection, peer = server.accept()
        with connection:
            connection.sendall(f"{sys.argv[2]} {peer[0].removeprefix('::ffff:')}".encode())
"""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for tool, package in (("nft", "nftables"), ("ip", "iproute2")):
        if shutil.which(tool) is None:
            docker_engine.apt_install(package)
    site = Site(tmp_path / "state")
    assert machine.traces(site.name, *RANGES) == []
    try:
        await site.network.configure([CIDR])
        assert {line.partition(":")[0] for line in machine.traces(site.name)} >= {"nft", "ip"}
        yield site
    finally:
        await site.network.cleanup()
        for name in site.spaces:
            sh(f"ip netns del {name}", check=False)
    assert machine.traces(site.name, *RANGES) == []
    assert not (site.state / "network.json").exists()


@pytest.fixture
def servers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def ipv6_forwarding() -> Iterator[None]:
    """As it was, afterwards."""
    switch = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    before = switch.read_text()
    yield
    switch.write_text(before)


async def answer(address: str, port: int, netns: str = "self") -> str:
    """What a server says; "" when nothing answers."""

    def ask() -> str:
        try:
            with socket.create_connection((address, port), timeout=1) as connection:
                return connection.recv(100).decode()
        except OSError:
            return ""

    path = "/proc/self/ns/net" if netns == "self" else f"/run/netns/{netns}"
    return await asyncio.to_thread(inside, path, ask)


async def test_pods_reach_each_other_the_node_and_themselves(
    site: Site, servers: list[subprocess.Popen[bytes]]
) -> None:
    (first, first_ip), (second, second_ip) = await site.pod(), await site.pod()
    assert (first_ip, second_ip) == ("10.213.7.2", "10.213.7.3")
    servers.append(site.listen(first, 8080, "one"))
    assert await answer(first_ip, 8080, second) == f"one {second_ip}"
    assert await answer(first_ip, 8080, first) == f"one {first_ip}"
    assert await answer(first_ip, 8080) == "one 10.213.7.1"
    assert await answer("127.0.0.1", 8080, first) == "one 127.0.0.1"


async def test_what_a_pod_sees(site: Site) -> None:
    netns, ip = await site.pod()
    attachment = site.network.attachment(netns)
    assert attachment is not None
    assert (attachment.interface, attachment.gateway) == ("eth0", "10.213.7.1")
    shown = sh("ip -o addr show dev eth0; ip link show eth0; ip route", netns)
    assert f"inet {ip}/32" in shown
    assert attachment.mac in shown
    assert "default via 10.213.7.1 dev eth0" in shown
    assert f"mtu {await asyncio.to_thread(links.default_mtu)} " in shown
    assert "hairpin on" in sh(f"ip -d link show {links.veth_name(netns)}")


async def test_traffic_that_leaves_is_masqueraded_and_only_that(
    site: Site, servers: list[subprocess.Popen[bytes]]
) -> None:
    netns, ip = await site.pod()
    outside = site.space()
    cable = f"{site.name}x"
    sh(f"ip link add {cable} type veth peer name eth0 netns {outside}")
    sh(f"ip addr add {OUTSIDE_NODE}/24 dev {cable}; ip link set {cable} up")
    sh(
        f"ip addr add {OUTSIDE}/24 dev eth0; ip addr add 10.213.9.9/32 dev lo; ip link set eth0 up; ip link set lo up",
        outside,
    )
    sh(f"ip route add default via {OUTSIDE_NODE}", outside)
    sh(f"ip route add 10.213.9.0/24 via {OUTSIDE}")
    servers.append(site.listen(outside, 80, "out"))
    assert await answer(OUTSIDE, 80, netns) == f"out {OUTSIDE_NODE}"
    assert await answer("10.213.9.9", 80, netns) == f"out {ip}"
    sh(f"ip link del {cable}")


async def test_host_ports(site: Site, servers: list[subprocess.Popen[bytes]]) -> None:
    port = PortMapping(container_port=80, host_port=28080)
    only_local = PortMapping(container_port=80, host_port=28081, host_ip="127.0.0.1")
    netns, _ = await site.pod(port, only_local)
    client, client_ip = await site.pod()
    servers.append(site.listen(netns, 80, "web"))
    assert await answer("10.213.7.1", 28080, client) == f"web {client_ip}"
    assert await answer("10.213.7.1", 28080, netns) == "web 10.213.7.1"
    assert await answer("127.0.0.1", 28080) == "web 10.213.7.1"
    assert await answer("127.0.0.1", 28081) == "web 10.213.7.1"
    assert await answer("10.213.7.1", 28081, client) == ""
    with pytest.raises(NetworkError, match=f"host port 28080/TCP is already used by sandbox {netns}"):
        await site.pod(port)
    await site.network.detach(netns)
    assert await answer("10.213.7.1", 28080, client) == ""
    await site.pod(port)


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
async def test_host_ports_of_other_protocols(site: Site, protocol: Any) -> None:
    netns, ip = await site.pod(PortMapping(protocol=protocol, container_port=80, host_port=28082))
    rule = f"{protocol.lower()} dport 28082 dnat ip to {ip}:80"
    assert rule in sh(f"nft list table inet {site.name}"), "the kernel took the rule"
    if protocol == "UDP":
        client, _ = await site.pod()
        answered = asyncio.create_task(asyncio.to_thread(inside, f"/run/netns/{netns}", echo_once))
        assert await asyncio.to_thread(inside, f"/run/netns/{client}", lambda: datagram("10.213.7.1", 28082)) == b"hi"
        await answered
    await site.network.detach(netns)
    assert rule not in sh(f"nft list table inet {site.name}")


@pytest.mark.kernel
async def test_an_sctp_host_port_carries_traffic(site: Site) -> None:
    netns, ip = await site.pod(PortMapping(protocol="SCTP", container_port=80, host_port=28084))
    client, client_ip = await site.pod()
    with await asyncio.to_thread(inside, f"/run/netns/{netns}", sctp) as server:
        server.bind(("0.0.0.0", 80))
        server.listen()

        async def peer(netns: str, address: str, port: int) -> str:
            """Whom the server sees when it is asked there, and has an answer come back."""
            with await asyncio.to_thread(inside, netns, sctp) as asker:
                await asyncio.to_thread(asker.connect, (address, port))
                connection, (host, _) = await asyncio.to_thread(server.accept)
                with connection:
                    connection.settimeout(SCTP_SECONDS)
                    asker.sendall(b"question")
                    assert await asyncio.to_thread(connection.recv, 100) == b"question"
                    connection.sendall(b"answer")
                    assert await asyncio.to_thread(asker.recv, 100) == b"answer"
                return str(host)

        assert await peer(f"/run/netns/{client}", ip, 80) == client_ip
        assert await peer(f"/run/netns/{client}", "10.213.7.1", 28084) == client_ip
        assert await peer("/proc/self/ns/net", "10.213.7.1", 28084) == "10.213.7.1"
        assert await peer(f"/run/netns/{netns}", "10.213.7.1", 28084) == "10.213.7.1", "a pod by its own host port"
        await site.network.detach(netns)
        with pytest.raises(OSError):
            await peer(f"/run/netns/{client}", "10.213.7.1", 28084)


SCTP_SECONDS = 10.0


def sctp() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
    made.settimeout(SCTP_SECONDS)
    return made


def echo_once() -> None:
    """Answers one datagram on port 80."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.settimeout(20)
        server.bind(("0.0.0.0", 80))
        data, peer = server.recvfrom(100)
        server.sendto(data, peer)


def datagram(address: str, port: int) -> bytes:
    """What comes back from a datagram, sent until something does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect((address, port))
        for _ in range(50):
            try:
                client.send(b"hi")
                return client.recv(100)
            except OSError:
                continue
    raise AssertionError(f"no datagram came back from {address}:{port}")


async def test_pods_do_not_reach_the_nodes_localhost(site: Site) -> None:
    netns, _ = await site.pod()
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    # A pod with NET_ADMIN could send packets for 127.0.0.0/8 to the gateway's hardware address.
    sh("sysctl -qw net.ipv4.conf.all.route_localnet=1; ip addr del 127.0.0.1/8 dev lo; ip rule del table local", netns)
    sh("ip route add 127.0.0.1 via 10.213.7.1; ip route add local 10.213.7.2 dev eth0 table 99", netns)
    sh("ip rule add iif eth0 table 99 pref 1", netns)
    answered: list[bool] = []
    server.close()
    server = await asyncio.start_server(lambda *_: answered.append(True), "127.0.0.1", port)
    await answer("127.0.0.1", port, netns)
    assert answered == []
    server.close()


async def test_an_address_comes_back_late(site: Site) -> None:
    netns, ip = await site.pod()
    again = await site.network.attach(netns, f"/run/netns/{netns}", pod="default/again")
    assert again.ips == (ip,)
    await site.network.detach(netns)
    await site.network.detach(netns)
    assert sh("ip -o link show type veth", netns) == ""
    _, next_ip = await site.pod()
    assert next_ip == "10.213.7.3"


async def test_a_restart_keeps_what_lives_and_frees_the_rest(
    site: Site, servers: list[subprocess.Popen[bytes]]
) -> None:
    port = PortMapping(container_port=80, host_port=28080)
    (alive, alive_ip), (dead, _), (other, _) = await site.pod(port), await site.pod(), await site.pod()
    servers.append(site.listen(alive, 80, "web"))
    assert (await answer(alive_ip, 80, other)).startswith("web")
    site.network = site.make()
    await site.network.recover({name: f"/run/netns/{name}" for name in (alive, other)})
    assert site.network.attachment(dead) is None
    assert sh("ip -o link show type veth", dead) == ""
    assert (await answer(alive_ip, 80, other)).startswith("web")
    await site.network.configure([CIDR])
    attachment = site.network.attachment(alive)
    assert attachment is not None
    assert attachment.ips == (alive_ip,)
    assert (await answer("10.213.7.1", 28080, other)).startswith("web")
    fresh, fresh_ip = await site.pod()
    assert fresh_ip not in {alive_ip}
    assert (await answer(alive_ip, 80, fresh)).startswith("web")


async def test_a_lost_state_is_read_back_from_the_pods(site: Site) -> None:
    (first, first_ip), (second, second_ip) = await site.pod(), await site.pod()
    (site.state / "network.json").write_text("not json")
    site.network = site.make()
    await site.network.recover({name: f"/run/netns/{name}" for name in (first, second)})
    await site.network.configure([CIDR])
    held = [site.network.attachment(name) for name in (first, second)]
    assert [a.ips for a in held if a] == [(first_ip,), (second_ip,)]
    _, third_ip = await site.pod()
    assert third_ip == "10.213.7.4"


async def test_a_deleted_bridge_is_made_again(site: Site, servers: list[subprocess.Popen[bytes]]) -> None:
    (first, first_ip), (second, _) = await site.pod(), await site.pod()
    servers.append(site.listen(first, 80, "web"))
    sh(f"ip link del {site.name}")
    site.network = site.make()
    await site.network.recover({name: f"/run/netns/{name}" for name in (first, second)})
    await site.network.configure([CIDR])
    assert (await answer(first_ip, 80, second)).startswith("web")


async def test_attach_to_a_namespace_that_is_gone(site: Site) -> None:
    with pytest.raises(NetworkError, match="/run/netns/nowhere"):
        await site.network.attach("nowhere", "/run/netns/nowhere", pod="default/nowhere")
    assert site.network.attachment("nowhere") is None


async def test_a_range_that_is_taken(site: Site, tmp_path: Path) -> None:
    other = BridgeNetwork(f"{site.name}b", tmp_path / "other")
    with pytest.raises(NetworkError, match=rf"{CIDR} overlaps {CIDR} on {site.name}"):
        await other.configure([CIDR])
    assert (other.status().ready, CIDR in other.status().message) == (False, True), "the node's condition says why"
    with pytest.raises(NetworkError, match="invalid pod CIDR"):
        await other.configure(["10.1.2.3/24"])


async def test_two_families(site: Site, servers: list[subprocess.Popen[bytes]], ipv6_forwarding: None) -> None:
    network = site.network = BridgeNetwork(site.name, site.state)
    await network.configure([CIDR, "fd00:213::/64"])
    names = [site.space(), site.space()]
    first, second = [await network.attach(n, f"/run/netns/{n}", pod=f"default/{n}") for n in names]
    assert first.ips == ("10.213.7.2", "fd00:213::2")
    servers.append(site.listen(names[0], 8080, "six"))
    assert await answer("fd00:213::2", 8080, names[1]) == f"six {second.ips[1]}"
    assert await answer("fd00:213::2", 8080) == "six fd00:213::1"
    site.network = BridgeNetwork(site.name, site.state)
    (site.state / "network.json").unlink()
    await site.network.recover({n: f"/run/netns/{n}" for n in names})
    held = site.network.attachment(names[0])
    assert held is not None
    assert held.ips == first.ips


def frame(source: tuple[str, str], destination: tuple[str, str], text: bytes) -> bytes:
    """A datagram to port 9999 between (hardware address, IP address), as it stands on a cable."""
    udp = struct.pack("!HHHH", 9999, 9999, 8 + len(text), 0) + text
    ends = socket.inet_aton(source[1]) + socket.inet_aton(destination[1])
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ends
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:]
    hardware = b"".join(bytes.fromhex(end[0].replace(":", "")) for end in (destination, source))
    return hardware + b"\x08\x00" + head + udp


async def test_a_pods_frames_reach_its_neighbour_by_the_gateway_alone(site: Site) -> None:
    names = [(await site.pod())[0] for _ in range(2)]
    held = [site.network.attachment(name) for name in names]
    assert held[0] is not None
    assert held[1] is not None
    one, other = ((a.mac, a.ips[0]) for a in held if a is not None)
    gateway = sh(f"cat /sys/class/net/{site.name}/address").strip()

    def listen() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(("", 9999))
        made.settimeout(10)
        return made

    def send(hardware: str, text: bytes) -> None:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as cable:
            cable.bind(("eth0", 0))
            cable.send(frame(one, (hardware, other[1]), text))

    with inside(f"/run/netns/{names[1]}", listen) as listener:
        for hardware, text in ((other[0], b"around"), (gateway, b"routed")):
            inside(f"/run/netns/{names[0]}", partial(send, hardware, text))
        assert await asyncio.to_thread(listener.recv, 100) == b"routed", "the other one came first on the same cable"
        sh(f"nft delete table bridge {site.name}")
        inside(f"/run/netns/{names[0]}", partial(send, other[0], b"around"))
        assert await asyncio.to_thread(listener.recv, 100) == b"around", "nothing else would have kept it"
