"""Forwarded ports, as the kubelet serves them: pairs of SPDY streams, or channels of a WebSocket.

As upstream's pkg/kubelet/server/portforward: each connection has a stream for its data and one for what goes wrong.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from orlop import logging
from orlop.streaming import spdy
from orlop.streaming.pipe import Closed, Pipe
from orlop.streaming.session import Carrier, Session, Stream
from orlop.tasks import Group, run_all

if TYPE_CHECKING:
    from aiohttp import web

SPDY = ("portforward.k8s.io",)
TUNNEL = "SPDY/3.1+portforward.k8s.io"
WEBSOCKET = (
    TUNNEL,
    "v4.channel.k8s.io",
    "portforward.k8s.io",
    "v4.base64.channel.k8s.io",
    "base64.channel.k8s.io",
)
BASE64 = frozenset({"v4.base64.channel.k8s.io", "base64.channel.k8s.io"})
READ_SIZE = 64 * 1024
"""Bytes of a forwarded connection that are read at once."""

log = logging.get("streaming")

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[int], Awaitable[Connection]]
"""Connects to a port of the pod. Raises CannotForward."""


class CannotForward(Exception):
    """A port cannot be reached; the text goes to the client."""


class SpdyForwarding:
    """Connections of one client over SPDY: streams with the headers streamType, port and requestID."""

    def __init__(self, carrier: Carrier, dial: Dial) -> None:
        self._carrier = carrier
        self._dial = dial
        self._session = Session(carrier, self._opened)
        self._waiting: dict[str, Stream] = {}
        """The first of each pair, by the pair's name, until the second comes."""
        self._group = Group(_failed)

    async def run(self) -> None:
        """Returns when the client has left."""
        try:
            async with self._group:
                await self._session.run()
        except spdy.SpdyError as error:
            log.info("a client's port-forward speaks no SPDY", extra={"err": error})
        finally:
            await self._carrier.close()

    async def _opened(self, stream: Stream) -> None:
        port, kind = stream.headers.get("port", ""), stream.headers.get("streamtype", "")
        if not is_port(port) or kind not in ("data", "error"):
            await stream.cut(spdy.REFUSED_STREAM)
            return
        # Clients from before requestID open the error stream, then, as the very next, its data stream.
        name = stream.headers.get("requestid") or str(stream.number - 2 * (kind == "data"))
        if kind == "error":
            stream.incoming.drop()
        other = self._waiting.pop(name, None)
        if other is None:
            self._waiting[name] = stream
        elif other.headers.get("streamtype") == kind:
            await stream.cut(spdy.PROTOCOL_ERROR)
            self._waiting[name] = other
        else:
            data, error = (stream, other) if kind == "data" else (other, stream)
            self._group.start(f"port {port}", self._serve(int(port), data, error))

    async def _serve(self, port: int, data: Stream, error: Stream) -> None:
        try:
            try:
                connection = await self._dial(port)
            except CannotForward as why:
                await error.write(str(why).encode())
            else:
                await _pump(data, connection)
        except Closed:
            await data.cut()
        finally:
            await data.finish()
            await error.finish()


async def _pump(stream: Stream, connection: Connection) -> None:
    """Bytes both ways until both have ended. Raises Closed when either is broken off."""
    reader, writer = connection

    async def outward() -> None:
        while data := await reader.read(READ_SIZE):
            await stream.write(data)
        await stream.finish()

    async def inward() -> None:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    try:
        await run_all(outward(), inward())
    except OSError as error:
        raise Closed(str(error)) from None
    finally:
        writer.close()


class ChannelForwarding:
    """Ports fixed at the start: port i has channel 2i for data and 2i+1 for errors, each begins with its number."""

    def __init__(self, socket: "web.WebSocketResponse", protocol: str, dial: Dial, ports: list[int]) -> None:
        self._socket = socket
        self._text = protocol in BASE64
        self._dial = dial
        self._ports = [(port, Pipe()) for port in ports]

    async def run(self) -> None:
        """Returns when the client has left."""
        from aiohttp import WSMsgType

        async with Group(_failed) as group:
            for i, (port, incoming) in enumerate(self._ports):
                number = port.to_bytes(2, "little")
                await self._send(2 * i, number)
                await self._send(2 * i + 1, number)
                group.start(f"port {port}", self._serve(i, port, incoming))
            try:
                async for message in self._socket:
                    if message.type is WSMsgType.BINARY or message.type is WSMsgType.TEXT:
                        await self._take(message.data.encode() if isinstance(message.data, str) else message.data)
            finally:
                for _, incoming in self._ports:
                    incoming.break_off()

    async def _take(self, message: bytes) -> None:
        if not message:
            return
        channel, data = message[0], message[1:]
        if self._text:
            channel -= ord("0")
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error:
                return
        if channel % 2 == 0 and 0 <= channel // 2 < len(self._ports):
            await self._ports[channel // 2][1].put(data)

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            if self._text:
                await self._socket.send_str(chr(ord("0") + channel) + base64.b64encode(data).decode())
            else:
                await self._socket.send_bytes(bytes([channel]) + data)
        except ConnectionError as error:
            raise Closed(str(error)) from None

    async def _serve(self, i: int, port: int, incoming: Pipe) -> None:
        try:
            reader, writer = await self._dial(port)
        except CannotForward as why:
            await self._send(2 * i + 1, str(why).encode())
            incoming.drop()
            return

        async def inward() -> None:
            while data := await incoming.get():
                writer.write(data)
                await writer.drain()

        sending = asyncio.ensure_future(inward())
        try:
            while data := await reader.read(READ_SIZE):
                await self._send(2 * i, data)
        finally:
            incoming.drop()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            writer.close()


def is_port(text: str) -> bool:
    """Whether it is a port's number."""
    return text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535


def _failed(name: str, error: BaseException) -> None:
    if not isinstance(error, (Closed, OSError)):
        log.warning("a forwarded connection failed", extra={"connection": name, "err": repr(error)})
