"""A node with pods and an outside, each a network namespace of the test's own, and traffic between them.

```text
 outside 198.51.100.2 ──veth── node 198.51.100.1 ──bridge 10.244.0.1── pods 10.244.0.2 … (and the same in IPv6)
```
Sockets are made in a thread that has entered the namespace, so no program has to be started for them.
"""

import contextlib
import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, TypeVar

from tests.kernel import tests as kernel

from orlop.kubelet.network.netns import enter

T = TypeVar("T")
POD_CIDR = "10.244.0.0/24"
POD_CIDR6 = "fd00:10:244::/64"
NODE, NODE6 = "198.51.100.1", "2001:db8:51::1"
TIMEOUT = 20.0 if kernel.is_inside() else 1.5
"""Seconds for one exchange: far above what it takes, below TCP's patience, so that a black hole is seen as one. In the
emulated machine an exchange takes more than that while programs start beside it."""

PATIENCE = 300.0 if kernel.is_inside() else 60.0
"""Seconds for one program, which may have to load modules first."""

SETTLED = 30.0
"""Seconds until a new world's links must work."""


_numbers = count()
"""Two worlds of one process have namespaces of their own."""


class Namespace:
    """One network namespace and a thread that lives in it."""

    def __init__(self, name: str) -> None:
        self.name = f"orlop-{os.getpid()}-{next(_numbers)}-{name}"
        self.prefix = ("ip", "netns", "exec", self.name)
        self.addresses: list[str] = []
        ip("netns", "add", self.name)
        self._thread = ThreadPoolExecutor(1, initializer=enter, initargs=(f"/run/netns/{self.name}",))

    def run(self, work: Callable[..., T], *args: Any) -> T:
        """Runs `work` inside."""
        return self._thread.submit(work, *args).result(TIMEOUT * 10)

    def ip(self, *arguments: str) -> None:
        ip("-n", self.name, *arguments)

    def output(self, *command: str) -> str:
        return subprocess.run(
            [*self.prefix, *command], check=True, capture_output=True, text=True, timeout=PATIENCE
        ).stdout

    def rules(self) -> str:
        """What proxies program: nftables, and IPVS with the addresses of services where the kernel has it."""
        found = self.output("nft", "--stateless", "list", "ruleset")
        if os.path.exists("/proc/net/ip_vs"):
            found += self.output("ipvsadm", "-Sn")
            addresses = self.output("ip", "-o", "addr", "show", "type", "dummy", "scope", "global")
            # Without the link's number, which is another each time it is made.
            found += "".join(" ".join(line.split()[1:4]) + "\n" for line in addresses.splitlines())
        return found

    def delete(self) -> None:
        self._thread.shutdown()
        ip("netns", "del", self.name)

    # --- clients

    def ask(self, address: str, port: int, protocol: str = "TCP", source_port: int = 0) -> str:
        """One question: "NAME CLIENT-ADDRESS" from whoever answers. Raises OSError."""
        return self.run(_ask, address, port, protocol, source_port)

    def connect(self, address: str, port: int) -> "Talk":
        """A connection that stays."""
        return Talk(self.run(socket.create_connection, (address, port), TIMEOUT))


class Talk:
    """A TCP connection to a server below."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def ask(self) -> str:
        self._connection.sendall(b"?\n")
        return self._connection.recv(200).decode().strip()

    def close(self) -> None:
        self._connection.close()


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _ask(address: str, port: int, protocol: str, source_port: int) -> str:
    kind = socket.SOCK_DGRAM if protocol == "UDP" else socket.SOCK_STREAM
    with socket.socket(_family(address), kind) as client:
        client.settimeout(TIMEOUT)
        if source_port:
            client.bind(("", source_port))
        client.connect((address, port))
        client.sendall(b"?\n")
        return client.recv(200).decode().strip()


class _Tcp(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Udp(socketserver.UDPServer):
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Answers must leave from the address that was asked, also on a node with several.
        super().server_bind()


class Servers:
    """TCP and UDP on one port of a namespace: each line is answered with the server's name and the client's address."""

    def __init__(self, namespace: Namespace, name: str, port: int) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while self.rfile.readline():
                        self.wfile.write(_answer(name, self.client_address))

        class Datagram(socketserver.DatagramRequestHandler):
            def handle(self) -> None:
                self.wfile.write(_answer(name, self.client_address))

        self._servers: list[socketserver.BaseServer] = [
            namespace.run(_Tcp, ("::", port), Handler),
            namespace.run(_Udp, ("::", port), Datagram),
        ]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _answer(name: str, client: Any) -> bytes:
    return f"{name} {client[0].removeprefix('::ffff:')}\n".encode()


class World:
    """Everything, made and taken away."""

    def __init__(self, pods: int) -> None:
        self.node = Namespace("node")
        self.outside = Namespace("outside")
        self.pods = [Namespace(f"pod{i}") for i in range(pods)]
        self._servers: list[Servers] = []
        self._served: set[tuple[str, int]] = set()
        node = self.node
        if kernel.is_inside():
            # Or a pod gets the answer of another one on its bridge from that one's address, which it never asked. Built
            # into many kernels, a module in this one; loaded by whoever makes such a bridge.
            subprocess.run(["modprobe", "br_netfilter"], check=True, capture_output=True)
        node.ip("link", "set", "lo", "up")
        for iptables in ("iptables", "ip6tables"):
            for table in ("nat", "filter"):
                # Where iptables writes nftables it makes these tables and never takes them away.
                node.output("sh", "-c", f"{iptables} -t {table} -N made; {iptables} -t {table} -X made")
        # Without snooping, or the first neighbour solicitations are lost and take a second to be sent again.
        node.ip("link", "add", "pods", "type", "bridge", "mcast_snooping", "0")
        node.ip("addr", "add", "10.244.0.1/24", "dev", "pods")
        node.ip("addr", "add", "fd00:10:244::1/64", "dev", "pods", "nodad")
        node.ip("link", "set", "pods", "up")
        node.output("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self._wire(self.outside, "out", ["198.51.100.2/24", "2001:db8:51::2/64"], [NODE, NODE6])
        node.ip("addr", "add", f"{NODE}/24", "dev", "out")
        node.ip("addr", "add", f"{NODE6}/64", "dev", "out", "nodad")
        node.ip("route", "add", "default", "via", "198.51.100.2")
        node.ip("-6", "route", "add", "default", "via", "2001:db8:51::2")
        for index, pod in enumerate(self.pods):
            addresses = [f"10.244.0.{index + 2}", f"fd00:10:244::{index + 2}"]
            pod.addresses = addresses
            name = f"pod{index}"
            self._wire(pod, name, [f"{addresses[0]}/24", f"{addresses[1]}/64"], ["10.244.0.1", "fd00:10:244::1"])
            node.ip("link", "set", name, "master", "pods")
            node.output("bridge", "link", "set", "dev", name, "hairpin", "on")
            self.serve(pod, name, 8080)
        self._settle()

    def _settle(self) -> None:
        """Waits until every pod answers in both families: the kernel may take seconds to notice that a link is up."""
        deadline = time.monotonic() + SETTLED
        for pod in self.pods:
            for client in (pod, self.node, self.outside):
                for address in pod.addresses:
                    while True:
                        try:
                            client.ask(address, 8080)
                            break
                        except OSError:
                            assert time.monotonic() < deadline, f"{client.name} cannot reach {address}"

    def _wire(self, namespace: Namespace, name: str, addresses: list[str], gateways: list[str]) -> None:
        self.node.ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", namespace.name)
        self.node.ip("link", "set", name, "up")
        namespace.ip("link", "set", "lo", "up")
        namespace.ip("link", "set", "eth0", "up")
        for address, gateway in zip(addresses, gateways, strict=True):
            ipv6 = ["nodad"] if ":" in address else []
            namespace.ip("addr", "add", address, "dev", "eth0", *ipv6)
            namespace.ip("route", "add", "default", "via", gateway)

    def serve(self, namespace: Namespace, name: str, port: int) -> None:
        """Answers there from now on; again is no more than once."""
        if (namespace.name, port) not in self._served:
            self._served.add((namespace.name, port))
            self._servers.append(Servers(namespace, name, port))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for namespace in [*self.pods, self.outside, self.node]:
            namespace.delete()


@contextlib.contextmanager
def world(pods: int) -> Iterator[World]:
    made = World(pods)
    try:
        yield made
    finally:
        made.close()


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)
