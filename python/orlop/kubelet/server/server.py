"""The kubelet's HTTPS server: logs, exec, attach, port-forward, stats. Paths are upstream's (pkg/kubelet/server)."""

import ssl
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from orlop import metrics
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.client.informer import Informer
from orlop.clock import Clock
from orlop.kubelet.access import Access, User, subject
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.podworker import PodWorker
from orlop.kubelet.runtime import base
from orlop.kubelet.server.commands import Commands
from orlop.kubelet.server.containers import Finder
from orlop.kubelet.server.logs import Logs
from orlop.kubelet.server.ports import Ports
from orlop.kubelet.stats import node_usage, resource_metrics, summary

SHUTDOWN_SECONDS = 1.0
"""How long open streams may end by themselves when the kubelet stops."""


class Server:
    """Serves one node's pods."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        config: KubeletConfig,
        runtime: base.Runtime,
        pods: Informer[core_v1.Pod],
        workers: Callable[[], Mapping[str, PodWorker]],
    ) -> None:
        self._config = config
        self._clock = clock
        self._runtime = runtime
        self._pods = pods
        self._workers = workers
        self._access = Access(client, clock, config.node_name)
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listens; returns the port. Raises OSError if it is taken."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/pods", self._list_pods)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/metrics/resource", self._resource)
        app.router.add_get("/stats/summary", self._summary)
        finder = Finder(self._runtime, self._pods)
        commands = Commands(self._runtime, finder, self._clock)
        app.router.add_get(
            "/containerLogs/{namespace}/{pod}/{container}", Logs(self._runtime, finder, self._clock).serve
        )
        for path, handler in (
            ("/exec/{namespace}/{pod}/{container}", commands.exec),
            ("/attach/{namespace}/{pod}/{container}", commands.attach),
            ("/portForward/{namespace}/{pod}", Ports(self._runtime, finder).forward),
        ):
            app.router.add_get(path, handler)
            app.router.add_post(path, handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._config.address, self._config.port, ssl_context=self._tls())
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        """Stops listening and ends open streams."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _tls(self) -> ssl.SSLContext:
        config = self._config
        assert config.tls_cert_file is not None
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(config.tls_cert_file, config.tls_private_key_file)
        if config.client_ca_file is not None:
            context.load_verify_locations(config.client_ca_file)
            context.verify_mode = ssl.CERT_OPTIONAL
        return context

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        user = await self._who(request)
        if user is None:
            return web.Response(status=401, text="Unauthorized")
        if not await self._access.allowed(user, request.method, request.path):
            return web.Response(status=403, text=f"Forbidden (user={user.name}, path={request.path})")
        try:
            answer: web.StreamResponse = await handler(request)
        except base.NotFound as error:
            return web.Response(status=404, text=str(error))
        except base.RuntimeFailure as error:
            return web.Response(status=500, text=str(error))
        return answer

    async def _who(self, request: web.Request) -> User | None:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        if certificate:
            return subject(certificate)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return await self._access.user_of_token(token)
        return None

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _list_pods(self, _: web.Request) -> web.Response:
        body = core_v1.PodList(items=self._pods.list())
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _resource(self, _: web.Request) -> web.Response:
        text = resource_metrics(node_usage(self._clock.now()), await self._runtime.list_pod_sandbox_stats())
        return web.Response(text=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _summary(self, _: web.Request) -> web.Response:
        node = node_usage(self._clock.now())
        body = summary(self._config.node_name, node, await self._runtime.list_pod_sandbox_stats())
        return web.json_response(body, dumps=lambda o: msgspec.json.encode(o).decode())
