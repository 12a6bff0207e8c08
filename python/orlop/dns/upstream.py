"""One exchange with a resolver outside of the cluster: by UDP, by TCP where the answer does not fit."""

import asyncio
import contextlib
import ipaddress
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from orlop import logging
from orlop.clock import Clock, timeout
from orlop.dns import names, wire

if TYPE_CHECKING:
    import dns.message

TRUNCATED = 0x0200
"""The TC flag (RFC 1035, 4.1.1)."""

UDP_SIZE = 1232
"""Bytes that resolvers may send by UDP: what no path on the Internet cuts (dnsflagday.net/2020)."""
LOOK_SECONDS = 5.0
"""A question that others have to answer makes us look whether their list has changed, at most this often."""
MAX_SERVERS = 3
"""What the C library reads of resolv.conf."""


_log = logging.get("dns")


class Server(NamedTuple):
    """Where a resolver listens."""

    address: str
    port: int

    def __str__(self) -> str:
        return self.address if self.port == 53 else f"{self.address}#{self.port}"


class ResolvConf:
    """The name servers of a resolv.conf as it is now: a network manager may write it at any time."""

    def __init__(self, path: Path, clock: Clock, without: Callable[[Server], bool]) -> None:
        """`without` says of a server that it is not to be asked."""
        self._path = path
        self._clock = clock
        self._without = without
        self._looked = -LOOK_SECONDS
        self._servers: list[Server] = []

    async def servers(self) -> list[Server]:
        """Reads the file again where the last look is some seconds ago."""
        now = self._clock.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            found = await asyncio.to_thread(read_resolv_conf, self._path)
            servers = [server for server in found if not self._without(server)]
            if not servers and self._servers:
                _log.warning("%s no longer names a resolver to ask about other domains", self._path)
            self._servers = servers
        return self._servers


class Failed(Exception):
    """No answer that could be read; the text says why."""


def parse_server(text: str) -> Server:
    """`ADDRESS` or `ADDRESS#PORT`. Raises ValueError."""
    address, _, port = text.partition("#")
    ipaddress.ip_address(address.partition("%")[0])
    if port and not (port.isdigit() and 0 < int(port) < 65536):
        raise ValueError("the port must be between 1 and 65535")
    return Server(address, int(port or 53))


def parse_stub(text: str) -> tuple[bytes, tuple[Server, ...]]:
    """`DOMAIN=ADDRESS[#PORT][,…]`: a domain and whom to ask about it and all below it. Raises ValueError."""
    domain, equals, servers = text.partition("=")
    found = tuple(parse_server(part.strip()) for part in servers.split(",") if part.strip())
    if not equals or not domain or not found:
        raise ValueError("must be DOMAIN=ADDRESS[#PORT],…")
    return names.wire(domain), found


def read_resolv_conf(path: Path) -> list[Server]:
    """Its name servers; none where the file is missing or names none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    servers = []
    for address in re.findall(r"^[ \t]*nameserver[ \t]+(\S+)", text, re.MULTILINE):
        with contextlib.suppress(ValueError):
            servers.append(parse_server(address))
    return servers[:MAX_SERVERS]


async def ask(
    server: Server, question: bytes, flags: int, dnssec: bool, clock: Clock, seconds: float, *, tcp: bool = False
) -> "dns.message.Message":
    """The server's answer to one question (name, type, class). Raises Failed within `seconds`."""
    number = int.from_bytes(clock.token(2), "big")
    header = struct.pack("!HHHHHH", number, flags, 1, 0, 0, 1)
    asked = header + question + struct.pack("!BHHBBHH", 0, wire.OPT, UDP_SIZE, 0, 0, wire.DO if dnssec else 0, 0)
    try:
        async with timeout(clock, seconds):
            if not tcp:
                answer = await _by_udp(server, asked)
                if not answer.flags & TRUNCATED:
                    return answer
            return await _by_tcp(server, asked)
    except TimeoutError:
        raise Failed(f"{server} did not answer within {seconds:g} s") from None
    except (OSError, EOFError) as error:
        raise Failed(f"{server}: {error}") from error


async def _by_udp(server: Server, asked: bytes) -> "dns.message.Message":
    """From a port of its own: with the ID, what a forger would have to guess (RFC 5452). Others' datagrams the kernel
    keeps away, since the socket is connected."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(server)
        await loop.sock_sendall(sock, asked)
        while True:
            data = await loop.sock_recv(sock, wire.MAX_TCP)
            if _belongs(data, asked):
                return _read(server, data)


async def _by_tcp(server: Server, asked: bytes) -> "dns.message.Message":
    reader, writer = await asyncio.open_connection(server.address, server.port)
    try:
        writer.write(len(asked).to_bytes(2, "big") + asked)
        size = int.from_bytes(await reader.readexactly(2), "big")
        data = await reader.readexactly(size)
        if not _belongs(data, asked):
            raise Failed(f"{server} answered another question")
        return _read(server, data)
    finally:
        writer.close()


def _belongs(data: bytes, asked: bytes) -> bool:
    """Same ID, an answer, and the same question where there is one (errors may leave it out)."""
    if len(data) < wire.HEADER or data[:2] != asked[:2] or not data[2] & 0x80:
        return False
    if data[4:6] == b"\0\0":
        return data[3] & 15 != wire.NOERROR
    end = asked.index(0, wire.HEADER)
    while not _at_root(asked, end):
        end = asked.index(0, end + 1)
    question = asked[wire.HEADER : end + 5]
    return data[wire.HEADER : wire.HEADER + len(question)].lower() == question.lower()


def _at_root(message: bytes, end: int) -> bool:
    """Whether the zero at `end` is the question's root label, not part of another."""
    at = wire.HEADER
    while at < end and message[at]:
        at += message[at] + 1
    return at == end


def _read(server: Server, data: bytes) -> "dns.message.Message":
    import dns.exception  # here: 9 MiB that a node takes only where names outside of the cluster are asked for
    import dns.message

    try:
        return dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False)
    except dns.exception.DNSException as error:
        raise Failed(f"{server}: cannot read its answer: {error}") from error
