"""The DNS server of one node."""

import asyncio
import ipaddress
from collections.abc import Sequence

import msgspec

from orlop import logging
from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer
from orlop.client.decode import Meta
from orlop.clock import Clock
from orlop.dns import names, records, upstream
from orlop.dns.config import DnsConfig
from orlop.dns.follow import Follower
from orlop.dns.forward import Forwarder
from orlop.dns.health import serve
from orlop.dns.metrics import Metrics, process_metrics
from orlop.dns.publish import Publisher
from orlop.dns.resolver import Resolver
from orlop.dns.sockets import Listener
from orlop.dns.upstream import ResolvConf, Server
from orlop.dns.zone import Named, Zone
from orlop.tasks import first, run_all

BIND_RETRY = 2.0
"""Seconds until an address that another program holds is tried again."""

_log = logging.get("dns")


class _NodeSpec(ApiStruct):
    pod_cidrs: list[str] = msgspec.field(default_factory=list, name="podCIDRs")


class _NodeView(ApiStruct):
    __kind__ = core_v1.Node
    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)


class DnsServer:
    """Answers at the node's addresses, from the API's watches, until `run` is cancelled."""

    def __init__(self, client: Client, clock: Clock, config: DnsConfig, *, metrics: Metrics | None = None) -> None:
        self.config = config
        self.metrics = metrics or process_metrics()
        self._client = client
        self._clock = clock
        self.zone = Zone(config.cluster_domain)
        self._named: list[Server] | None = None
        self._resolv_conf: ResolvConf | None = None
        if config.upstreams:
            self._named = [upstream.parse_server(text) for text in config.upstreams]
        elif config.resolv_conf is not None:
            self._resolv_conf = ResolvConf(config.resolv_conf, clock, self._is_us)
        self._stubs = dict(map(upstream.parse_stub, config.stub_domains))
        self.forwarder = Forwarder(self._upstreams, clock, self.metrics)
        self.resolver = Resolver(
            self.zone,
            self.forwarder,
            self.metrics,
            ttl=config.ttl,
            pods=config.pods,
            ranges=[ipaddress.ip_network(cidr) for cidr in config.cluster_cidrs],
            autopath=config.autopath,
        )
        self._follower = Follower(client, self.zone, self._changed, pods=config.pods == "verified")
        self.listeners: list[Listener] = []
        self.ready = asyncio.Event()
        """Set once it listens at all its addresses and knows everything that was there."""

    async def run(self) -> None:
        """Works until cancelled."""
        work = [self._follower.run(), self._serve()]
        if self.config.healthz_bind_address:
            work.append(serve(self, self.config.healthz_bind_address, ("/health", "/ready"), self._clock))
        if self.config.metrics_bind_address:
            work.append(serve(self, self.config.metrics_bind_address, ("/metrics",), self._clock))
        try:
            await run_all(*work)
        finally:
            await self.forwarder.close()
            for listener in self.listeners:
                listener.close()

    def _changed(self, names: set[bytes]) -> None:
        for listener in self.listeners:
            listener.replies.changed(names)
        self.metrics.names.set(len(self.zone))

    async def _serve(self) -> None:
        config = self.config
        addresses = config.addresses or await self._node_addresses()
        self._changed(self.zone.replace("domain", self._domain(addresses)))
        for address in addresses:
            self.listeners.append(await self._listen(address))
        await self._follower.synced()
        _log.info("answering", extra={"addresses": ", ".join(addresses), "domain": config.cluster_domain})
        work = [listener.run() for listener in self.listeners]
        if config.service_ip and config.node_name:
            port = self.listeners[0].port
            publisher = Publisher(self._client, self._clock, config.node_name, config.service_ip, addresses, port)
            self._follower.on_published(publisher.wake)
            work.append(publisher.run())
        await run_all(*work, self._announce())

    async def _announce(self) -> None:
        self.ready.set()

    def _domain(self, addresses: Sequence[str]) -> Named:
        return records.of_domain(self.zone.origin, addresses, int(self._clock.now()), self.config.ttl)

    async def _node_addresses(self) -> list[str]:
        """The node's ends of its pod CIDRs, once it has some."""
        told: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

        def changed(_old: _NodeView | None, new: _NodeView | None) -> None:
            if new is not None and new.spec.pod_cidrs and not told.done():
                told.set_result(gateways(new.spec.pod_cidrs))

        informer = Informer(self._client, _NodeView, fields=f"metadata.name={self.config.node_name}")
        informer.on_change(changed)

        async def follow() -> list[str]:
            await informer.run()
            return []

        async def tell() -> list[str]:
            return await told

        return await first(follow(), tell())

    async def _listen(self, address: str) -> Listener:
        said = ""
        while True:
            try:
                return Listener(address, self.config.port, self.resolver, self._clock)
            except OSError as error:
                if str(error) != said:
                    said = str(error)
                    _log.error(
                        "cannot listen at %s port %s (%s): pods have no DNS until the program that does ends",
                        address,
                        self.config.port,
                        error.strerror,
                    )
            await self._clock.sleep(BIND_RETRY)

    async def _upstreams(self, name: bytes) -> Sequence[Server]:
        """Those of the longest stub domain that has the name; else the resolvers that the node uses itself, or those
        that are named instead."""
        for above in (name, *names.parents(name)) if self._stubs else ():
            if (stub := self._stubs.get(above)) is not None:
                return stub
        if self._named is not None:
            return self._named
        return await self._resolv_conf.servers() if self._resolv_conf is not None else ()

    def _is_us(self, server: Server) -> bool:
        own = {(listener.address, listener.port) for listener in self.listeners} | {(self.config.service_ip, 53)}
        if (server.address, server.port) not in own:
            return False
        _log.error("the resolver %s is this server itself: it is not asked", server)
        return True


def gateways(pod_cidrs: Sequence[str]) -> list[str]:
    """The node's own end of each of its pod CIDRs: the first address."""
    return [str(ipaddress.ip_network(cidr).network_address + 1) for cidr in pod_cidrs]
