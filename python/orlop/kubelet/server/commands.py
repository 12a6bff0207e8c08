"""exec and attach: a client's streams joined to those of a command or of a container's main process."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from orlop.api.types import meta_v1
from orlop.clock import Clock, timeout
from orlop.kubelet.runtime import base
from orlop.kubelet.server import upgrade
from orlop.kubelet.server.containers import Finder
from orlop.streaming import channels
from orlop.streaming.channels import Options
from orlop.streaming.pipe import Closed
from orlop.streaming.remotecommand import CREATION_SECONDS, LINGER, Client, SpdyClient, WebSocketClient

Start = Callable[[], Awaitable[base.Session]]


class Commands:
    """The handlers."""

    def __init__(self, runtime: base.Runtime, finder: Finder, clock: Clock) -> None:
        self._runtime = runtime
        self._finder = finder
        self._clock = clock

    async def exec(self, request: web.Request) -> web.StreamResponse:
        """A command in a container."""
        options = _options(request)
        command = request.query.getall("command", [])
        if not command:
            raise web.HTTPBadRequest(text="you must specify at least one command for the container")
        container = await self._finder.running(request)

        async def start() -> base.Session:
            return await self._runtime.exec(container.id, command, stdin=options.stdin, tty=options.tty)

        return await self._serve(request, options, start, wait=True)

    async def attach(self, request: web.Request) -> web.StreamResponse:
        """A container's main process. Its exit code is the pod's business, not this stream's."""
        options = _options(request)
        container = await self._finder.running(request)

        async def start() -> base.Session:
            return await self._runtime.attach(container.id, stdin=options.stdin)

        return await self._serve(request, options, start, wait=False)

    async def _serve(self, request: web.Request, options: Options, start: Start, *, wait: bool) -> web.StreamResponse:
        if upgrade.is_websocket(request):
            protocol = upgrade.websocket_protocol(request, channels.WEBSOCKET, channels.V1)
            socket = await upgrade.open_websocket(request, protocol)
            await self._relay(WebSocketClient(socket, protocol, options), start, wait)
            return socket
        protocol = upgrade.spdy_protocol(request, channels.SPDY)
        await self._relay(SpdyClient(upgrade.open_spdy(request, protocol), protocol, options), start, wait)
        return web.Response()

    async def _relay(self, client: Client, start: Start, wait: bool) -> None:
        """Until the command has ended or the client is gone, whichever comes first."""
        reading = asyncio.ensure_future(client.run())
        running = asyncio.ensure_future(self._run(client, start, wait))
        try:
            await asyncio.wait({reading, running}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await asyncio.wait({reading}, timeout=LINGER)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.close()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _run(self, client: Client, start: Start, wait: bool) -> None:
        try:
            async with timeout(self._clock, CREATION_SECONDS):
                await client.ready()
            try:
                session = await start()
            except base.RuntimeFailure as error:
                await client.end(channels.failure(f"error executing command in container: {error}"))
                return
            async with session:
                await client.end(await _command(client, session, wait))
        except (Closed, TimeoutError):
            return


async def _command(client: Client, session: base.Session, wait: bool) -> meta_v1.Status:
    """Moves bytes until the command has said everything. How it ended. Raises Closed when the client is gone."""
    inward = [asyncio.ensure_future(_stdin(client, session)), asyncio.ensure_future(_sizes(client, session))]
    try:
        while (piece := await session.read()) is not None:
            stream, data = piece
            await client.write(channels.STDOUT if stream == "stdout" else channels.STDERR, data)
        return channels.exit_status(await session.wait()) if wait else channels.success()
    except base.RuntimeFailure as error:
        return channels.failure(f"error executing command in container: {error}")
    finally:
        for task in inward:
            task.cancel()
        await asyncio.gather(*inward, return_exceptions=True)


async def _stdin(client: Client, session: base.Session) -> None:
    try:
        while data := await client.stdin():
            await session.write(data)
        await session.close_stdin()
    except base.RuntimeFailure:
        # The command reads no more, which is its right (`head`): the rest is thrown away.
        while await client.stdin():
            pass


async def _sizes(client: Client, session: base.Session) -> None:
    while (size := await client.size()) is not None:
        try:
            await session.resize(size.width, size.height)
        except base.RuntimeFailure:
            continue  # it has ended, or not quite begun: the next one will tell


def _options(request: web.Request) -> Options:
    given = [request.query.get(name) in ("1", "true") for name in ("input", "output", "error", "tty")]
    if not any(given[:3]):
        raise web.HTTPBadRequest(text="you must specify at least 1 of stdin, stdout, stderr")
    return Options(*given)
