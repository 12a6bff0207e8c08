"""Where questions come in: datagrams and connections at one address.

Sockets are bound before there is anything to answer from, also to addresses that are not there yet (IP_FREEBIND), and
read only later: questions meanwhile wait in the kernel instead of failing.
"""

import asyncio
import contextlib
import socket
from typing import Any

from orlop import logging
from orlop.clock import Clock, timeout
from orlop.dns import wire
from orlop.dns.metrics import Kind, rcode_name, type_name
from orlop.dns.resolver import Replies, Resolver
from orlop.tasks import Group

IP_FREEBIND = 15
"""linux/in.h; for IPv6 it is IPV6_FREEBIND of linux/in6.h, 78."""
IPV6_FREEBIND = 78
BATCH = 64
"""Datagrams read before the event loop's other work gets its turn: below a millisecond."""
RECEIVE_BUFFER = 1 << 20
"""Bytes of questions that the kernel holds for us while we do something else: some thousand."""
MAX_WAITING = 2000
"""Questions that wait for other resolvers at once; more are dropped, and asked again by who still wants to know."""
IDLE_SECONDS = 10.0
"""A connection without a question is closed after this (RFC 7766, 6.2.3)."""
MAX_CONNECTIONS = 500
"""Connections open at once; further ones are closed at once."""
BACKLOG = 128

Peer = tuple[Any, ...]
"""A client's address, as the socket gives and takes it."""

_log = logging.get("dns")


class Listener:
    """One address. Raises OSError when it is taken."""

    def __init__(self, address: str, port: int, resolver: Resolver, clock: Clock) -> None:
        self._resolver = resolver
        self._clock = clock
        self._ipv6 = ":" in address
        self._family = "2" if self._ipv6 else "1"
        self.replies = Replies(resolver.metrics.answered)
        self._udp, self._tcp = _bind(address, port)
        self._group = Group(self._failed)
        self._connections: set[asyncio.Task[None] | None] = set()
        self.address, self.port = address, int(self._udp.getsockname()[1])

    async def run(self) -> None:
        """Answers until cancelled; the sockets are closed then."""
        loop = asyncio.get_running_loop()
        answered = self._resolver.metrics.answered
        answered.follow(self.replies)
        try:
            async with self._group:
                server = await asyncio.start_server(self._connection, sock=self._tcp, backlog=BACKLOG)
                loop.add_reader(self._udp.fileno(), self._readable)
                try:
                    await server.serve_forever()
                finally:
                    loop.remove_reader(self._udp.fileno())
                    server.close()
        finally:
            self.close()
            self.replies.settle()
            answered.unfollow(self.replies)

    def close(self) -> None:
        """Lets go of the address."""
        self._udp.close()
        self._tcp.close()

    # --- datagrams

    def _readable(self) -> None:
        receive, send, at = self._udp.recvfrom, self._udp.sendto, self.replies.at
        for _ in range(BATCH):
            try:
                data, peer = receive(wire.MAX_UDP)
            except OSError:  # nothing more, or word of a client that is gone
                return
            reply = at.get(data[2:])
            if reply is None:
                self._datagram(data, peer)
                continue
            body = reply.bodies[reply.count % len(reply.bodies)]
            reply.count += 1
            try:
                send(data[:2] + body, peer)
            except OSError:
                continue  # the client is gone, or the kernel's buffer is full: it will ask again

    def _datagram(self, data: bytes, peer: Peer) -> None:
        """A question that is not known byte for byte."""
        try:
            query = wire.parse(data)
        except wire.Refused as refused:
            self._count_error(refused, "udp")
            self._send(wire.error(data, refused), peer)
            return
        if query is None:
            return
        reply = self.replies.at.get(query.key)
        if reply is None:
            reply = self._resolver.reply(query, query.limit, "udp", self._family)
            if reply is None:
                self._elsewhere(query, data[:2], peer)
                return
            self.replies.put(query.key, reply)
        body = reply.bodies[reply.count % len(reply.bodies)]
        reply.count += 1
        self._send(data[:2] + wire.as_asked(query, body), peer)

    def _elsewhere(self, query: wire.Query, number: bytes, peer: Peer) -> None:
        if len(self._group) >= MAX_WAITING:
            self._resolver.metrics.refused.inc()
            return

        async def answer() -> None:
            self._send(number + await self._resolver.ask(query, query.limit, "udp", self._family), peer)

        self._group.start("question", answer())

    def _send(self, data: bytes, peer: Peer) -> None:
        with contextlib.suppress(OSError):
            self._udp.sendto(data, peer)

    # --- connections (RFC 7766)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._connections.add(task)
        try:
            if len(self._connections) <= MAX_CONNECTIONS:
                await self._answer_all(reader, writer)
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with timeout(self._clock, IDLE_SECONDS):
                size = int.from_bytes(await reader.readexactly(2), "big")
                data = await reader.readexactly(size)
            answer = await self._over_tcp(data)
            if answer is None:
                return
            writer.write(len(answer).to_bytes(2, "big") + answer)
            await writer.drain()

    async def _over_tcp(self, data: bytes) -> bytes | None:
        try:
            query = wire.parse(data)
        except wire.Refused as refused:
            self._count_error(refused, "tcp")
            return wire.error(data, refused)
        if query is None:
            return None
        reply = self._resolver.reply(query, wire.MAX_TCP, "tcp", self._family)
        if reply is None:
            return data[:2] + await self._resolver.ask(query, wire.MAX_TCP, "tcp", self._family)
        self._resolver.metrics.answered.add(reply.kind)
        return data[:2] + wire.as_asked(query, reply.bodies[0])

    def _count_error(self, refused: wire.Refused, proto: str) -> None:
        kind = Kind("dropped", proto, self._family, type_name(0), rcode_name(refused.rcode))
        self._resolver.metrics.answered.add(kind)

    def _failed(self, name: str, error: BaseException) -> None:
        self._resolver.metrics.panics.inc()
        _log.error("a question failed", exc_info=error)


def _bind(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Both sockets, at the same port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    tcp = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        for sock in (udp, tcp):
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind((address, port))
        tcp.bind((address, udp.getsockname()[1]))
        tcp.listen(BACKLOG)
    except OSError:
        udp.close()
        tcp.close()
        raise
    return udp, tcp
