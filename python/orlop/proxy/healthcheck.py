"""`spec.healthCheckNodePort`: where a load balancer asks whether this node has an endpoint of a Service whose external
policy is Local, so that it sends nothing to a node that would drop it. Answers are kube-proxy's."""

import asyncio
import ctypes
import ipaddress
import os
import socket
import threading
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web

from orlop import logging
from orlop.clock import Clock
from orlop.native import ForwardChanges, ServicePort
from orlop.proxy.backends.programmed import Id
from orlop.proxy.config import ProxyConfig
from orlop.tasks import in_thread

RETRY = 5.0
"""Seconds until a port that is taken is tried again."""
CLONE_NEWNET = 0x40000000
"""linux/sched.h"""
BACKLOG = 128

_log = logging.get("proxy")


class HealthChecks:
    """One node's. What is programmed is what it tells."""

    def __init__(
        self, config: ProxyConfig, healthy: Callable[[], bool], clock: Clock, *, prefix: Sequence[str] = ()
    ) -> None:
        """`prefix` must be `("ip", "netns", "exec", NAME)` if there is one: ports are opened there."""
        self._namespace = f"/run/netns/{prefix[3]}" if prefix else None
        self._chosen = [ipaddress.ip_network(cidr) for cidr in config.nodeport_addresses]
        self._healthy = healthy
        self._clock = clock
        self._ports: dict[Id, ServicePort] = {}
        self._changed = asyncio.Event()
        self._sites: dict[int, web.SockSite] = {}

    def replace(self, ports: Sequence[ServicePort]) -> None:
        """These are programmed, and nothing else."""
        self._ports = {port.id: port for port in ports if port.health_port}
        self._changed.set()

    def take(self, changes: ForwardChanges) -> None:
        """These have changed."""
        for id in (*changes.removed, *(port.id for port in changes.set)):
            if self._ports.pop(id, None):
                self._changed.set()
        for port in changes.set:
            if port.health_port:
                self._ports[port.id] = port
                self._changed.set()

    async def run(self) -> None:
        """Serves until cancelled."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                if not await self._listen(runner):
                    await self._clock.sleep(RETRY)
                    self._changed.set()
        finally:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> bool:
        """Opens and closes ports; False where one is taken."""
        wanted = {port.health_port for port in self._ports.values()}
        for number in self._sites.keys() - wanted:
            await self._sites.pop(number).stop()
        whole = True
        for number in wanted - self._sites.keys():
            try:
                site = web.SockSite(runner, await in_thread(None, _open, self._namespace, number))
                await site.start()
            except OSError as error:
                _log.error("cannot listen for health checks", extra={"port": number, "error": str(error)})
                whole = False
            else:
                self._sites[number] = site
        return whole

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        address, number, *_ = request.transport.get_extra_info("sockname")
        ports = [port for port in self._ports.values() if port.health_port == number]
        if not ports or not self._is_chosen(address):
            raise web.HTTPNotFound
        endpoints = {address for port in ports if not port.local_going for address, *_ in port.local}
        healthy = self._healthy()
        namespace, name, *_ = ports[0].id
        body = {
            "service": {"namespace": namespace, "name": name},
            "localEndpoints": len(endpoints),
            "serviceProxyHealthy": healthy,
        }
        return web.Response(
            status=200 if endpoints and healthy else 503,
            body=msgspec.json.encode(body),
            content_type="application/json",
            headers={"X-Content-Type-Options": "nosniff", "X-Load-Balancing-Endpoint-Weight": str(len(endpoints))},
        )

    def _is_chosen(self, text: str) -> bool:
        """Whether node ports are served on this address of the node."""
        address = ipaddress.ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        cidrs = [cidr for cidr in self._chosen if cidr.version == address.version]
        return any(address in cidr for cidr in cidrs) if cidrs else True


def _open(namespace: str | None, port: int) -> socket.socket:
    """A listening socket for both IP versions, in the network namespace of this file or in this process' own."""
    if namespace is None:
        return _listening(port)
    found: list[socket.socket] = []
    errors: list[OSError] = []

    def work() -> None:
        try:
            with open(namespace, "rb") as file:
                if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), namespace)
            found.append(_listening(port))
        except OSError as error:
            errors.append(error)

    # A thread of its own, which ends with its namespace.
    thread = threading.Thread(target=work, name="health-check-port")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


def _listening(port: int) -> socket.socket:
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    return socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=BACKLOG)
