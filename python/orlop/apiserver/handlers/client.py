"""Who a watch is sent to: the body of an HTTP answer, or a WebSocket with a message for each event."""

from typing import Protocol

from orlop.api import errors
from orlop.apiserver.request import ClientDisconnected, Request
from orlop.apiserver.upgrade import Upgrade
from orlop.streaming import websocket
from orlop.streaming.sockets import Socket

TOKEN = "base64url.bearer.authorization.k8s.io."
"""A subprotocol that carries a browser's token, and is never agreed upon."""


class Client(Protocol):
    """Where a watch's frames go."""

    async def start(self) -> None:
        """Sends the answer's head."""
        ...

    async def send(self, frames: list[bytes]) -> None:
        """Sends whole frames."""
        ...

    async def left(self) -> None:
        """Returns when the client is gone."""
        ...

    async def end(self) -> None:
        """Ends the answer cleanly."""
        ...


class Messages:
    """A WebSocket: one message an event, as text where events are JSON."""

    def __init__(self, request: Request, upgrade: Upgrade, *, text: bool) -> None:
        self._request = request
        self._upgrade = upgrade
        self._text = text

    async def start(self) -> None:
        """Raises BadRequest, ClientDisconnected."""
        headers = self._request.headers
        offered = headers.get(b"sec-websocket-protocol", b"").decode("latin-1").split(",")
        protocols = [name for p in offered if (name := p.strip()) and not name.startswith(TOKEN)]
        try:
            head = websocket.handshake(headers.get(b"sec-websocket-key"), protocols)
        except websocket.BadHandshake as error:
            raise errors.BadRequest(f"unable to upgrade: {error}") from error
        try:
            transport, early = self._upgrade.take()
        except ConnectionError:
            raise ClientDisconnected from None
        self._request.started = True
        transport.write(head)
        self._socket = websocket.WebSocket(Socket(transport, early))
        transport.resume_reading()

    async def send(self, frames: list[bytes]) -> None:
        try:
            for frame in filter(None, frames):
                await self._socket.send(frame, text=self._text)
        except ConnectionError:
            raise ClientDisconnected from None

    async def left(self) -> None:
        await self._socket.ended()

    async def end(self) -> None:
        await self._socket.close()
