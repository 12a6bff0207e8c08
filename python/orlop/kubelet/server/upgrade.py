"""From an HTTP request to streams: which protocol the client speaks, and the connection once it is agreed."""

from collections.abc import Sequence
from typing import Any

from aiohttp import WSMsgType, web

from orlop.streaming import channels
from orlop.streaming.sockets import Socket

PROTOCOL_VERSION = "X-Stream-Protocol-Version"
ACCEPTED_VERSIONS = "X-Accepted-Stream-Protocol-Versions"
MAX_MESSAGE = 64 * 1024 * 1024
"""Bytes of one WebSocket message; kubectl cp sends what it read at once."""


def is_websocket(request: web.Request) -> bool:
    """Whether the client asks for a WebSocket."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def spdy_protocol(request: web.Request, spoken: Sequence[str]) -> str:
    """The stream protocol for a SPDY client. Raises 400 and 403 in upstream's words (httpstream.Handshake)."""
    if request.headers.get("Upgrade", "").lower() != "spdy/3.1":
        raise web.HTTPBadRequest(text="Upgrade request required")
    values = request.headers.getall(PROTOCOL_VERSION, [])
    if not values:
        raise web.HTTPBadRequest(text=f"unable to upgrade: header {PROTOCOL_VERSION} does not exist in request")
    offered = [name.strip() for value in values for name in value.split(",") if name.strip()]
    protocol = channels.negotiate(offered, spoken)
    if protocol is None:
        raise web.HTTPForbidden(
            text="unable to upgrade: unable to negotiate protocol: "
            f"client supports [{' '.join(offered)}], server accepts [{' '.join(spoken)}]",
            headers=[(ACCEPTED_VERSIONS, name) for name in spoken],
        )
    return protocol


def websocket_protocol(request: web.Request, spoken: Sequence[str], otherwise: str) -> str:
    """The subprotocol for a WebSocket client; `otherwise` for one that names none. Raises 403."""
    offered = [n.strip() for v in request.headers.getall("Sec-WebSocket-Protocol", []) for n in v.split(",")]
    protocol = channels.negotiate(offered, spoken) if offered else otherwise
    if protocol is None:
        raise web.HTTPForbidden(
            text=f"unable to negotiate protocol: client supports [{' '.join(offered)}], "
            f"server accepts [{' '.join(spoken)}]"
        )
    return protocol


async def open_websocket(request: web.Request, protocol: str) -> web.WebSocketResponse:
    """The WebSocket, its handshake done."""
    socket = web.WebSocketResponse(protocols=(protocol,), max_msg_size=MAX_MESSAGE, compress=False)
    await socket.prepare(request)
    return socket


def open_spdy(request: web.Request, protocol: str) -> Socket:
    """The connection behind a request: 101 is written, and HTTP has no more part in it."""
    transport = request.transport
    if transport is None:
        raise web.HTTPBadRequest(text="the client is gone")
    head = f"Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n{PROTOCOL_VERSION}: {protocol}\r\n\r\n"
    transport.write(b"HTTP/1.1 101 Switching Protocols\r\n" + head.encode())
    handler: Any = request.protocol
    return Socket(transport, lost=handler.connection_lost)


class Tunnel:
    """Implements `session.Carrier` on the binary messages of a WebSocket."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while True:
            message = await self._socket.receive()
            if message.type is WSMsgType.BINARY:
                if message.data:
                    data: bytes = message.data
                    return data
            elif message.type is not WSMsgType.TEXT:
                return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def close(self) -> None:
        await self._socket.close()
