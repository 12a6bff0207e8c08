"""A DNS server over a real API server in this process, asked over real sockets on loopback; a resolver beside it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from prometheus_client import CollectorRegistry

from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.apiserver.auth import User
from orlop.apiserver.server import ApiServer
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import Clock, SystemClock
from orlop.dns import DnsConfig, DnsServer
from orlop.dns.metrics import Metrics
from orlop.pki import ADMIN, DNS

WAIT = 10.0
DOMAIN = "cluster.local"


def client_as(server: ApiServer, name: str, *groups: str) -> Client:
    user = User(name, (*groups, "system:authenticated"))
    return Client(ASGITransport(server.app, user), clock=SystemClock(), user_agent="test")


class World:
    """`server` answers; `admin` changes the cluster; `api` is the API server."""

    def __init__(self, api: ApiServer, clock: Clock, config: DnsConfig) -> None:
        self.api = api
        self.admin = client_as(api, ADMIN.user, *ADMIN.groups)
        self.registry = CollectorRegistry()
        self.client = client_as(api, DNS.user)
        self.server = DnsServer(self.client, clock, config, metrics=Metrics(self.registry))

    @property
    def port(self) -> int:
        return self.server.listeners[0].port

    async def ask(self, name: str, type_: str = "A", *, tcp: bool = False, **options: Any) -> dns.message.Message:
        """The answer to one question, as dnspython reads it."""
        return await self.send(dns.message.make_query(name, type_, **options), tcp=tcp)

    async def send(self, query: dns.message.Message, *, tcp: bool = False) -> dns.message.Message:
        way = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        address = self.server.listeners[0].address
        return await way(query, address, port=self.port, timeout=WAIT)

    async def texts(self, name: str, type_: str = "A", **options: Any) -> set[str]:
        """The data of the records that answer."""
        return texts(await self.ask(name, type_, **options))

    async def becomes(self, expected: object, name: str, type_: str = "A") -> None:
        """Waits until that is the answer."""
        await self.comes(lambda answer: outcome(answer) == expected, name, type_)

    async def comes(
        self, holds: Callable[[dns.message.Message], bool], name: str, type_: str = "A", *, tcp: bool = False
    ) -> None:
        """Waits until the answer is such."""
        async with asyncio.timeout(WAIT):
            while True:
                if holds(await self.ask(name, type_, tcp=tcp)):
                    return
                await asyncio.sleep(0.005)

    def value(self, name: str, **labels: str) -> float:
        """A metric; 0 where it is not there."""
        return self.registry.get_sample_value(name, labels) or 0.0


def texts(message: dns.message.Message) -> set[str]:
    return {record.to_text() for rrset in message.answer for record in rrset}


def outcome(message: dns.message.Message) -> object:
    """The records, or the code where there are none."""
    return texts(message) or dns.rcode.to_text(message.rcode())


@asynccontextmanager
async def world(api: ApiServer, clock: Clock | None = None, **options: Any) -> AsyncIterator[World]:
    config = DnsConfig(**{"addresses": ("127.0.0.1",), "port": 0, "resolv_conf": None, **options})
    one = World(api, clock or SystemClock(), config)
    running = asyncio.ensure_future(one.server.run())
    try:
        done, _ = await asyncio.wait(
            {running, ready := asyncio.ensure_future(one.server.ready.wait())},
            timeout=WAIT,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if running in done:
            running.result()
        assert ready in done, "the server is not ready"
        yield one
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await one.admin.close()
        await one.client.close()


# --- objects


def service(name: str = "web", namespace: str = "default", *, ports: Any = (("http", "TCP", 80),), **spec: Any) -> Any:
    """A ClusterIP Service; `cluster_ip="None"` makes it headless."""
    made = [core_v1.ServicePort(name=n, protocol=p, port=port) for n, p, port in ports]
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=name, namespace=namespace), spec=core_v1.ServiceSpec(ports=made, **spec)
    )


def endpoint(ip: str, hostname: str | None = None, *, ready: bool | None = True) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[ip], hostname=hostname, conditions=discovery_v1.EndpointConditions(ready=ready)
    )


def slice_(
    of: str,
    *endpoints: discovery_v1.Endpoint,
    name: str = "",
    namespace: str = "default",
    ports: Any = (("http", "TCP", 8080),),
) -> discovery_v1.EndpointSlice:
    ipv6 = any(":" in a for e in endpoints for a in e.addresses)
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            name=name or f"{of}-1", namespace=namespace, labels={"kubernetes.io/service-name": of}
        ),
        address_type="IPv6" if ipv6 else "IPv4",
        endpoints=list(endpoints),
        ports=[discovery_v1.EndpointPort(name=n, protocol=p, port=port) for n, p, port in ports],
    )


# --- a resolver outside of the cluster


class Upstream:
    """Answers from `zone`, by UDP and TCP at one port of loopback; `asked` is what it was asked, as (type, name)."""

    def __init__(self) -> None:
        self.zone: dict[tuple[str, str], list[str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.dnssec: list[bool] = []
        """Whether it was asked for signatures."""
        self.by_tcp = 0
        self.ttl = 30
        self.change: Callable[[dns.message.Message], dns.message.Message | bytes | None] = lambda answer: answer
        """What is sent instead of the answer; None for nothing."""
        self.rcode = dns.rcode.NXDOMAIN
        """For names that are not in the zone."""
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1#{self.port}"

    def answer(self, data: bytes, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        type_ = dns.rdatatype.to_text(question.rdtype)
        name = question.name.to_text()
        self.by_tcp += tcp
        if type_ != "HINFO":  # by which a server finds out whether we ask it
            self.asked.append((type_, name))
            self.dnssec.append(bool(query.ednsflags & dns.flags.DO))
        answer = dns.message.make_response(query, recursion_available=True)
        found = self.zone.get((type_, name))
        if found is not None:
            answer.answer.append(dns.rrset.from_text(name, self.ttl, "IN", type_, *found))
        elif (cname := self.zone.get(("CNAME", name))) is not None:
            answer.answer.append(dns.rrset.from_text(name, self.ttl, "IN", "CNAME", *cname))
            target = self.zone.get((type_, cname[0]), [])
            if target:
                answer.answer.append(dns.rrset.from_text(cname[0], self.ttl, "IN", type_, *target))
        elif not any(n == name for _, n in self.zone):
            answer.set_rcode(self.rcode)
        if not answer.answer and answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            soa = f"ns.example. host.example. 1 2 3 4 {self.ttl}"
            answer.authority.append(dns.rrset.from_text("example.", 300, "IN", "SOA", soa))
        changed = self.change(answer)
        if changed is None or isinstance(changed, bytes):
            return changed
        return changed.to_wire(max_size=65535 if tcp else 1232, prefer_truncation=True)


@asynccontextmanager
async def upstream() -> AsyncIterator[Upstream]:
    one = Upstream()
    loop = asyncio.get_running_loop()

    class Datagrams(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, peer: Any) -> None:
            answer = one.answer(data, tcp=False)
            if answer is not None:
                self.transport.sendto(answer, peer)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = one.answer(await reader.readexactly(size), tcp=True)
        if answer is not None:
            writer.write(len(answer).to_bytes(2, "big") + answer)
            await writer.drain()
        writer.close()

    while True:
        transport, _ = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
        one.port = transport.get_extra_info("sockname")[1]
        try:
            server = await asyncio.start_server(connection, "127.0.0.1", one.port)
            break
        except OSError:  # somebody's connection has that port
            transport.close()
    try:
        yield one
    finally:
        transport.close()
        server.close()
        await server.wait_closed()
