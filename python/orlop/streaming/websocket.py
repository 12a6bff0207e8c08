"""The server's side of a WebSocket on a connection that HTTP has let go of (RFC 6455): messages out, and the end seen.

What the client says is read for its end alone; exec and port-forward, where it matters, are the kubelet's.
"""

import base64
import contextlib
import hashlib
from collections.abc import Iterable

from orlop.streaming.session import Carrier

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
"""Opcodes (RFC 6455, 5.2)."""
MAX_FRAME = 64 * 1024
"""Bytes of a frame from a client that should send none."""
NORMAL = (1000).to_bytes(2, "big")
"""RFC 6455, 7.4.1: the purpose has been fulfilled."""


class BadHandshake(ValueError):
    """A request that asks for a WebSocket in a way that cannot be answered."""


def handshake(key: bytes | None, protocols: Iterable[str]) -> bytes:
    """The head that accepts: `key` is the request's Sec-WebSocket-Key, the first of `protocols` is agreed upon.

    Raises BadHandshake.
    """
    if not key or len(key) != 24:
        raise BadHandshake("Sec-WebSocket-Key must be 16 bytes in base64")
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    chosen = next(iter(protocols), "")
    agreed = b"sec-websocket-protocol: %b\r\n" % chosen.encode() if chosen else b""
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %b\r\n%b\r\n" % (accept, agreed)
    )


def frame(opcode: int, payload: bytes) -> bytes:
    """A whole message in one frame; a server's are not masked."""
    length = len(payload)
    if length < 126:
        size = bytes([length])
    elif length < 1 << 16:
        size = b"\x7e" + length.to_bytes(2, "big")
    else:
        size = b"\x7f" + length.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + size + payload


class WebSocket:
    """Messages on `carrier`, whose handshake has been answered."""

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self._rest = b""

    async def send(self, payload: bytes, *, text: bool) -> None:
        """Sends a message. Raises ConnectionError when the other side is gone."""
        await self._carrier.write(frame(TEXT if text else BINARY, payload))

    async def ended(self) -> None:
        """Answers pings, drops what else comes, and returns when the client has closed or is gone."""
        while (found := await self._next()) is not None:
            opcode, payload = found
            if opcode == CLOSE:
                return
            if opcode == PING:
                await self._carrier.write(frame(PONG, payload))

    async def close(self) -> None:
        """Says that nothing more comes, and lets go. Safe when the client is gone."""
        with contextlib.suppress(ConnectionError):
            await self._carrier.write(frame(CLOSE, NORMAL))
        await self._carrier.close()

    async def _next(self) -> tuple[int, bytes] | None:
        """The next frame's opcode and payload; None at the end, and after a frame that is none."""
        head = await self._exactly(2)
        if head is None:
            return None
        length = head[1] & 0x7F
        if length > 125:
            more = await self._exactly(2 if length == 126 else 8)
            if more is None:
                return None
            length = int.from_bytes(more, "big")
        if not head[1] & 0x80 or length > MAX_FRAME:  # a client must mask
            return None
        body = await self._exactly(4 + length)
        if body is None:
            return None
        mask = body[:4]
        return head[0] & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(body[4:]))

    async def _exactly(self, count: int) -> bytes | None:
        while len(self._rest) < count:
            data = await self._carrier.read()
            if not data:
                return None
            self._rest += data
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
