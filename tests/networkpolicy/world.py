"""Two nodes with pods and an outside, each a network namespace, and single packets between them.

```text
 outside ──── node here ──── node there
               │ │ │           │ │
               a b c           d e        pods with host addresses, routed, in both IP families
```
A probe is one packet that bears its number where no translation changes it. It arrives, or the tables of policies
count it as dropped: so a test knows that all is over without waiting for a time.
"""

import contextlib
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.proxy.world import Namespace

SETTLED = 30.0
"""Seconds in which all probes of a batch must have arrived or been dropped."""
FIRST_PORT = 20000
SO_RCVBUFFORCE = 33
"""asm-generic/socket.h"""
NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}
MARKS = {"TCP": 4, "UDP": 8, "SCTP": 16}
"""Where a probe's number is: the sequence number, the data, the tag of an INIT. It is the source port too, at first."""
OUTSIDE = ("198.51.100.2", "2001:db8:51::2")
HERE = ("198.51.100.1", "2001:db8:51::1")
THERE = ("192.0.2.2", "2001:db8:52::2")
CIDRS = {"here": ("10.244.0.0/24", "fd00:10:244::/64"), "there": ("10.244.1.0/24", "fd00:10:244:1::/64")}
PODS = {"a": "here", "b": "here", "c": "here", "d": "there", "e": "there"}
ADDRESSES = {
    "a": ("10.244.0.2", "fd00:10:244::2"),
    "b": ("10.244.0.3", "fd00:10:244::3"),
    "c": ("10.244.0.4", "fd00:10:244::4"),
    "d": ("10.244.1.2", "fd00:10:244:1::2"),
    "e": ("10.244.1.3", "fd00:10:244:1::3"),
    "outside": OUTSIDE,
    "here": HERE,
    "there": THERE,
}


@dataclass(frozen=True)
class Probe:
    """One packet from a namespace to an address."""

    source: str
    destination: str
    protocol: str
    port: int


class World:
    """Everything, made and taken away."""

    def __init__(self) -> None:
        self._listeners: dict[tuple[str, str, int], socket.socket] = {}
        self._senders: dict[tuple[str, str, int], socket.socket] = {}
        self._translated: Mapping[str, str] = {}
        self.spaces = {name: Namespace(name) for name in ADDRESSES}

    def open(self) -> None:
        """Builds it."""
        self.nodes = {name: self.spaces[name] for name in ("here", "there")}
        for space in self.spaces.values():
            space.ip("link", "set", "lo", "up")
        for node in self.nodes.values():
            node.output("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self._cable("here", "out", "outside", "eth0")
        self._address("here", "out", HERE[0] + "/24", HERE[1] + "/64")
        self._address("outside", "eth0", OUTSIDE[0] + "/24", OUTSIDE[1] + "/64")
        self._gateway("outside", "eth0", *HERE)
        self._gateway("here", "out", *OUTSIDE)
        self._cable("here", "peer", "there", "peer")
        self._address("here", "peer", "192.0.2.1/24", "2001:db8:52::1/64")
        self._address("there", "peer", THERE[0] + "/24", THERE[1] + "/64")
        self._gateway("there", "peer", "192.0.2.1", "2001:db8:52::1")
        for cidr, via in zip(CIDRS["there"], THERE, strict=True):
            self.nodes["here"].ip("route", "add", cidr, "via", via)
        for name, node in PODS.items():
            cable = f"to-{name}"
            self._cable(node, cable, name, "eth0")
            four, six = ADDRESSES[name]
            self._address(node, cable, "169.254.1.1/32", "fe80::1/64")
            self._address(name, "eth0", four + "/32", six + "/128")
            self.nodes[node].ip("route", "add", four, "dev", cable)
            self.nodes[node].ip("-6", "route", "add", six, "dev", cable)
            self._gateway(name, "eth0", "169.254.1.1", "fe80::1")
        self._listeners = {
            (name, protocol, family): space.run(_listen, protocol, family)
            for name, space in self.spaces.items()
            for protocol in NUMBERS
            for family in (socket.AF_INET, socket.AF_INET6)
        }
        self._settle()

    def _settle(self) -> None:
        """Until every way is open: the kernel may take seconds to notice that a link is up."""
        wanted = {
            Probe(source, address, "UDP", 9)
            for source in ADDRESSES
            for name in ADDRESSES
            for address in ADDRESSES[name]
            if name != source
        }
        deadline = time.monotonic() + SETTLED
        while wanted:
            assert time.monotonic() < deadline, f"no way for {wanted}"
            wanted -= self.send(sorted(wanted, key=str), wait=False)
            time.sleep(0.02)
            self._collect({})

    def _cable(self, one: str, one_name: str, other: str, other_name: str) -> None:
        spaces = self.spaces
        peer = ("type", "veth", "peer", "name", other_name, "netns", spaces[other].name)
        spaces[one].ip("link", "add", one_name, *peer)
        for space, link in ((spaces[one], one_name), (spaces[other], other_name)):
            space.ip("link", "set", link, "up")

    def _address(self, name: str, link: str, *addresses: str) -> None:
        for address in addresses:
            ipv6 = ["nodad"] if ":" in address else []
            self.spaces[name].ip("addr", "add", address, "dev", link, *ipv6)

    def _gateway(self, name: str, link: str, *gateways: str) -> None:
        for gateway in gateways:
            family = "-6" if ":" in gateway else "-4"
            self.spaces[name].ip(family, "route", "add", "default", "via", gateway, "dev", link, "onlink")

    # --- probes

    def send(
        self, probes: Sequence[Probe], *, wait: bool = True, reached: Mapping[str, str] | None = None
    ) -> set[Probe]:
        """Sends each once; those that arrived. Until all others are counted as dropped, where `wait`. `reached` says
        whose address it is that an address is translated to."""
        before = self.dropped()
        self._translated = reached or {}
        self._collect({})
        numbered = {FIRST_PORT + number: probe for number, probe in enumerate(probes)}
        arrived: set[Probe] = set()
        for number, probe in numbered.items():
            self._send(probe, number)
        deadline = time.monotonic() + SETTLED
        while True:
            more = self._collect(numbered)
            arrived |= more
            if not wait or len(arrived) == len(probes):
                return arrived
            if not more and len(arrived) + self.dropped() - before >= len(probes):
                return arrived | self._collect(numbered)
            assert time.monotonic() < deadline, f"neither arrived nor dropped: {set(probes) - arrived}"

    def _send(self, probe: Probe, number: int) -> None:
        family = socket.AF_INET6 if ":" in probe.destination else socket.AF_INET
        key = (probe.source, probe.protocol, family)
        if key not in self._senders:
            self._senders[key] = self.spaces[probe.source].run(_raw, probe.protocol, family)
        own = ADDRESSES[probe.source][0 if family == socket.AF_INET else 1]
        source = self._senders[key]
        with contextlib.suppress(OSError):  # what is dropped on the way out of its own machine is an error to some
            source.sendto(_packet(probe, number, own), (probe.destination, 0))

    def _collect(self, numbered: dict[int, Probe]) -> set[Probe]:
        found = set()
        for (name, protocol, family), listener in self._listeners.items():
            while True:
                try:
                    data = listener.recv(2000)
                except BlockingIOError:
                    break
                if family == socket.AF_INET:
                    data = data[(data[0] & 15) * 4 :]
                (number,) = struct.unpack_from("!I", data.ljust(MARKS[protocol] + 4, b"\0"), MARKS[protocol])
                probe = numbered.get(number)
                if probe is None:
                    continue
                if self._translated.get(probe.destination, probe.destination) in ADDRESSES[name]:
                    found.add(probe)
        return found

    def dropped(self) -> int:
        """How many packets the policies of both nodes have dropped so far."""
        return sum(_dropped(node) for node in self.nodes.values())

    def close(self) -> None:
        for one in (*self._listeners.values(), *self._senders.values()):
            one.close()
        for space in self.spaces.values():
            space.delete()


def _raw(protocol: str, family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_RAW, NUMBERS[protocol])


def _listen(protocol: str, family: int) -> socket.socket:
    one = _raw(protocol, family)
    one.setblocking(False)
    one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23)
    return one


def _packet(probe: Probe, number: int, source: str) -> bytes:
    ports = struct.pack("!HH", number, probe.port)
    if probe.protocol == "SCTP":
        init = struct.pack("!BBHIIHHI", 1, 0, 20, number, 65536, 1, 1, number)
        return ports + bytes(4) + struct.pack("<I", _crc32c(ports + bytes(8) + init)) + init
    if probe.protocol == "UDP":
        head, tail = ports + struct.pack("!H", 12), struct.pack("!I", number)
    else:
        head, tail = ports + struct.pack("!IIBBH", number, 0, 5 << 4, 2, 1000), bytes(2)
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, probe.destination)
    pseudo = ends + struct.pack("!II", len(head) + 2 + len(tail), NUMBERS[probe.protocol])
    return head + struct.pack("!H", _checksum(pseudo + head + bytes(2) + tail)) + tail


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def _dropped(node: Namespace) -> int:
    asked = [*node.prefix, "nft", "-j", "list", "table", "inet", "orlop-policy"]
    answer = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    if "No such file" in answer.stderr:
        return 0
    rules = json.loads(answer.stdout)["nftables"]
    return sum(
        part["counter"]["packets"]
        for item in rules
        for part in item.get("rule", {}).get("expr", [])
        if isinstance(part, dict) and isinstance(part.get("counter"), dict)
    )


@contextlib.contextmanager
def world() -> Iterator[World]:
    made = World()
    try:
        made.open()
        yield made
    finally:
        made.close()
