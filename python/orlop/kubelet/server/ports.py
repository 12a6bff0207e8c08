"""Port-forward: connections to a pod's own localhost, for as long as the pod lives."""

import asyncio
from contextlib import aclosing

from aiohttp import web

from orlop import tasks
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.server import upgrade
from orlop.kubelet.server.containers import Finder
from orlop.streaming import portforward
from orlop.streaming.portforward import CannotForward, ChannelForwarding, Connection, SpdyForwarding


class Ports:
    """The handler."""

    def __init__(self, runtime: base.Runtime, finder: Finder) -> None:
        self._runtime = runtime
        self._finder = finder

    async def forward(self, request: web.Request) -> web.StreamResponse:
        """Serves one client's forwarded ports until it leaves or the pod ends."""
        sandbox = await self._finder.sandbox(request)

        async def dial(port: int) -> Connection:
            try:
                return await self._runtime.port_forward(sandbox.id, port)
            except base.RuntimeFailure as error:
                m = sandbox.metadata
                raise CannotForward(f"error forwarding port {port} to pod {m.name}, uid {m.uid}: {error}") from error

        if not upgrade.is_websocket(request):
            protocol = upgrade.spdy_protocol(request, portforward.SPDY)
            await self._serve(sandbox, SpdyForwarding(upgrade.open_spdy(request, protocol), dial))
            return web.Response()
        protocol = upgrade.websocket_protocol(request, portforward.WEBSOCKET, "v4.channel.k8s.io")
        ports = [] if protocol == portforward.TUNNEL else _ports(request)
        socket = await upgrade.open_websocket(request, protocol)
        if protocol == portforward.TUNNEL:
            await self._serve(sandbox, SpdyForwarding(upgrade.Tunnel(socket), dial))
        else:
            await self._serve(sandbox, ChannelForwarding(socket, protocol, dial, ports))
        await socket.close()
        return socket

    async def _serve(self, sandbox: v.PodSandbox, forwarding: SpdyForwarding | ChannelForwarding) -> None:
        await tasks.first(forwarding.run(), self._ended(sandbox))

    async def _ended(self, sandbox: v.PodSandbox) -> None:
        """Returns when the sandbox has ended."""
        async with aclosing(self._runtime.events()) as events:
            async for event in events:
                if event.type == "relist":
                    if not await self._stands(sandbox.id):
                        return
                elif event.container_id == sandbox.id and event.type in ("stopped", "deleted"):
                    return
        await asyncio.Event().wait()  # no more events: the runtime is being closed, and the server with it

    async def _stands(self, sandbox_id: str) -> bool:
        try:
            return (await self._runtime.pod_sandbox_status(sandbox_id)).state == "ready"
        except base.NotFound:
            return False
        except base.RuntimeFailure:
            return True  # it cannot be asked now; its connections will tell


def _ports(request: web.Request) -> list[int]:
    ports = [part for value in request.query.getall("port", []) for part in value.split(",")]
    if not ports:
        raise web.HTTPBadRequest(text='query parameter "port" is required')
    for port in ports:
        if not portforward.is_port(port):
            raise web.HTTPBadRequest(text=f'unable to parse "{port}" as a port')
    return [int(port) for port in ports]
