"""A client of HTTP/2 that costs little: many GETs open at once on one connection, their bodies as bytes.

It speaks as much of RFC 9113 as a client needs that only asks and reads: no body of its own, no push, fields without
compression. Windows are as wide as they can be, so that what is measured is the server and not its waiting for us.
"""

import asyncio
from collections.abc import Callable

from orlop.bench.http import Target

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
WIDEST = (1 << 31) - 1
AGAIN = 1 << 24
"""Bytes of a connection after which its window is opened again, far below what it holds."""
OK = 0x88
"""`:status: 200` of HPACK's static table."""

Taken = Callable[[bytes], object]


class Streams(asyncio.Protocol):
    """One connection. `taken` of a stream is called with its body's parts."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._rest = b""
        self._next = 1
        self._taken: dict[int, Taken] = {}
        self._heads: dict[int, asyncio.Future[None]] = {}
        self._ends: dict[int, asyncio.Future[None]] = {}
        self._unacknowledged = 0
        self._transport: asyncio.Transport

    @classmethod
    async def connect(cls, target: Target) -> "Streams":
        """Raises OSError, and ValueError from a server that speaks no HTTP/2."""
        target.context.set_alpn_protocols(["h2"])
        try:
            _, one = await asyncio.get_running_loop().create_connection(
                lambda: cls(target), target.host, target.port, ssl=target.context
            )
        finally:
            target.context.set_alpn_protocols(["http/1.1"])
        if one._transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            one.close()
            raise ValueError("the server speaks no HTTP/2")
        return one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        window = b"\0\4" + WIDEST.to_bytes(4)
        transport.write(PREFACE + _frame(SETTINGS, 0, 0, b"\0\2\0\0\0\0" + window) + _grant(WIDEST - 65535))

    async def get(self, path: str, taken: Taken) -> None:
        """Returns when the answer has begun. Raises RuntimeError where it is another than 200."""
        await self._heads[self._ask(path, taken)]

    async def whole(self, path: str) -> bytes:
        """The whole body. Raises as `get`."""
        parts: list[bytes] = []
        number = self._ask(path, parts.append)
        ended = self._ends[number] = asyncio.get_running_loop().create_future()
        await self._heads[number]
        await ended
        return b"".join(parts)

    def _ask(self, path: str, taken: Taken) -> int:
        number, self._next = self._next, self._next + 2
        self._taken[number] = taken
        self._heads[number] = asyncio.get_running_loop().create_future()
        fields = b"\x82\x87" + _field(4, path) + _field(1, self._target.host) + _field(19, "application/json")
        if self._target.token:
            fields += _field(23, f"Bearer {self._target.token}")
        self._transport.write(_frame(HEADERS, END_STREAM | END_HEADERS, number, fields))
        return number

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 9:
            size = int.from_bytes(data[at : at + 3])
            if end - at - 9 < size:
                break
            number = int.from_bytes(data[at + 5 : at + 9])
            self._frame(data[at + 3], data[at + 4], number, data[at + 9 : at + 9 + size])
            at += 9 + size
        self._rest = data[at:]

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == DATA:
            self._unacknowledged += len(payload)
            if self._unacknowledged >= AGAIN:
                self._transport.write(_grant(self._unacknowledged))
                self._unacknowledged = 0
            self._taken[number](payload)
            if flags & END_STREAM and number in self._ends:
                del self._taken[number]
                self._ends.pop(number).set_result(None)
        elif kind == HEADERS and number in self._heads:
            began = self._heads.pop(number)
            if payload[:1] == bytes([OK]):
                began.set_result(None)
            else:
                began.set_exception(RuntimeError("the answer is not 200"))
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._transport.write(_frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == RESET or (kind == GOAWAY and self._heads):
            self._fail(RuntimeError("the server refuses more streams"))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(ConnectionResetError("the server ended the connection"))

    def _fail(self, error: Exception) -> None:
        for waiting in (self._heads, self._ends):
            for one in waiting.values():
                if not one.done():
                    one.set_exception(error)
            waiting.clear()

    def close(self) -> None:
        """Ends it at once."""
        self._transport.abort()


def _frame(kind: int, flags: int, number: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + number.to_bytes(4) + payload


def _grant(size: int) -> bytes:
    return _frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4))


def _field(index: int, value: str) -> bytes:
    """A field without indexing whose name is in the static table (RFC 7541, 6.2.2)."""
    name = bytes([index]) if index < 15 else bytes([15, index - 15])
    return name + _number(len(value)) + value.encode()


def _number(value: int) -> bytes:
    """With a prefix of seven bits (RFC 7541, 5.1); no Huffman code."""
    if value < 127:
        return bytes([value])
    out, value = bytearray([127]), value - 127
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    out.append(value)
    return bytes(out)
