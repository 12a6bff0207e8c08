"""The kubelet's HTTPS server: logs, exec, attach, port-forward, stats. Paths are upstream's (pkg/kubelet/server)."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from orlop import logging, metrics
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.client.informer import Informer
from orlop.clock import Clock, parse_time
from orlop.kubelet.access import Access, User, subject
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.podworker import PodWorker
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.stats import resource_metrics, summary
from orlop.streaming import channels

log = logging.get("kubelet")

READ_SIZE = 65536
"""Bytes per message of a forwarded port."""

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
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        app.router.add_get("/exec/{namespace}/{pod}/{container}", self._exec)
        app.router.add_get("/attach/{namespace}/{pod}/{container}", self._attach)
        app.router.add_get("/portForward/{namespace}/{pod}", self._port_forward)
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
        text = resource_metrics(await self._runtime.list_pod_sandbox_stats())
        return web.Response(text=text, headers={"Content-Type": metrics.CONTENT_TYPE})

    async def _summary(self, _: web.Request) -> web.Response:
        body = summary(self._config.node_name, await self._runtime.list_pod_sandbox_stats())
        return web.json_response(body, dumps=lambda o: msgspec.json.encode(o).decode())

    # Containers

    async def _find(self, request: web.Request, *, previous: bool = False) -> v.Container:
        """The newest container the path names, or the one before it. Raises HTTP errors in upstream's words."""
        namespace, pod, name = (request.match_info[k] for k in ("namespace", "pod", "container"))
        wanted = {
            base.LABEL_POD_NAMESPACE: namespace,
            base.LABEL_POD_NAME: pod,
            base.LABEL_CONTAINER_NAME: name,
        }
        current = self._pods.get(namespace, pod)
        if current is not None:
            wanted[base.LABEL_POD_UID] = current.metadata.uid
        found = await self._runtime.list_containers(labels=wanted)
        found.sort(key=lambda c: (c.metadata.attempt, c.created_at), reverse=True)
        if previous:
            found = found[1:] if found and found[0].state in ("running", "created") else found[1:] or found
            if not found:
                raise web.HTTPBadRequest(text=f'previous terminated container "{name}" in pod "{pod}" not found')
        if not found:
            if current is None:
                raise web.HTTPNotFound(text=f'pod "{pod}" not found')
            reason = _waiting_reason(current, name)
            raise web.HTTPBadRequest(
                text=f'container "{name}" in pod "{pod}" is waiting to start: {reason or "ContainerCreating"}'
            )
        return found[0]

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        container = await self._find(request, previous=_flag(query.get("previous")))
        since = 0
        if query.get("sinceTime"):
            since = int(parse_time(query["sinceTime"]) * 1e9)
        elif query.get("sinceSeconds"):
            since = int((self._clock.now() - float(query["sinceSeconds"])) * 1e9)
        stream = {"Stdout": "stdout", "Stderr": "stderr"}.get(query.get("stream", ""))
        options = v.LogOptions(
            follow=_flag(query.get("follow")),
            tail_lines=int(query["tailLines"]) if query.get("tailLines") else None,
            since=since,
            timestamps=_flag(query.get("timestamps")),
            limit_bytes=int(query["limitBytes"]) if query.get("limitBytes") else None,
            stream=stream,  # type: ignore[arg-type]
        )
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await answer.prepare(request)
        chunks = self._runtime.logs(container.id, options)
        async for chunk in chunks:
            await answer.write(chunk)
        await answer.write_eof()
        return answer

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        container = await self._find(request)
        if container.state != "running":
            raise web.HTTPBadRequest(text=f'container not found ("{container.metadata.name}")')
        query = request.query
        stdin, tty = _flag(query.get("input")), _flag(query.get("tty"))
        command = query.getall("command", [])
        socket = await self._socket(request)
        try:
            session = await self._runtime.exec(container.id, command, stdin=stdin, tty=tty)
        except base.RuntimeFailure as error:
            await _send(socket, channels.ERROR, channels.failure(str(error)))
            await socket.close()
            return socket
        await _relay(socket, session, stdin=stdin)
        return socket

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        container = await self._find(request)
        stdin = _flag(request.query.get("input"))
        socket = await self._socket(request)
        try:
            session = await self._runtime.attach(container.id, stdin=stdin)
        except base.RuntimeFailure as error:
            await _send(socket, channels.ERROR, channels.failure(str(error)))
            await socket.close()
            return socket
        await _relay(socket, session, stdin=stdin)
        return socket

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=channels.PROTOCOLS, max_msg_size=0, compress=False)
        await socket.prepare(request)
        return socket

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        """One forwarded connection: binary messages both ways (the API server speaks the clients' protocol)."""
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        port = int(request.query.get("port", "0"))
        sandboxes = await self._runtime.list_pod_sandbox(
            {base.LABEL_POD_NAMESPACE: namespace, base.LABEL_POD_NAME: pod}
        )
        ready = [s for s in sandboxes if s.state == "ready"]
        if not ready:
            raise web.HTTPNotFound(text=f'pod "{pod}" is not running')
        reader, writer = await self._runtime.port_forward(ready[0].id, port)
        socket = web.WebSocketResponse(max_msg_size=0, compress=False)
        await socket.prepare(request)

        async def outward() -> None:
            while data := await reader.read(READ_SIZE):
                await socket.send_bytes(data)
            await socket.close()

        task = asyncio.ensure_future(outward())
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY:
                    writer.write(message.data)
                    await writer.drain()
        finally:
            task.cancel()
            writer.close()
            await asyncio.gather(task, return_exceptions=True)
        return socket


def _flag(text: str | None) -> bool:
    return text in ("1", "true", "True")


def _waiting_reason(pod: core_v1.Pod, name: str) -> str:
    for status in [*pod.status.container_statuses, *pod.status.init_container_statuses]:
        if status.name == name and status.state.waiting:
            return status.state.waiting.reason
    return ""


async def _send(socket: web.WebSocketResponse, channel: int, data: bytes) -> None:
    await socket.send_bytes(bytes([channel]) + data)


async def _relay(socket: web.WebSocketResponse, session: base.Session, *, stdin: bool) -> None:
    """Moves bytes between a client's channels and a command until the command or the client ends."""

    async def outward() -> None:
        while (piece := await session.read()) is not None:
            stream, data = piece
            await _send(socket, channels.STDOUT if stream == "stdout" else channels.STDERR, data)
        await _send(socket, channels.ERROR, channels.exit_status(await session.wait()))
        await socket.close()

    async def inward() -> None:
        async for message in socket:
            if message.type != WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == channels.STDIN and stdin:
                if data:
                    await session.write(data)
            elif channel == channels.CLOSE and data[:1] == bytes([channels.STDIN]):
                await session.close_stdin()
            elif channel == channels.RESIZE and (size := channels.resize_of(data)) is not None:
                await session.resize(size.width, size.height)

    async with session:
        tasks = [asyncio.ensure_future(outward()), asyncio.ensure_future(inward())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, base.RuntimeFailure) and not socket.closed:
                await _send(socket, channels.ERROR, channels.failure(str(result)))
                await socket.close()
