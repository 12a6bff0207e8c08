"""A socket whose protocol has been changed: what was an HTTP connection carries streams from now on."""

import asyncio
from collections.abc import Callable

READ_SIZE = 256 * 1024
"""Bytes read at once, and half of what is read ahead."""


class Socket:
    """Implements `session.Carrier` on a transport that a server has handed over. Only asyncio.Transport is relied on.

    `early` is what was read behind the request already. `lost` is told when the connection has ended: whoever had the
    transport before may want to count it out.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        early: bytes = b"",
        lost: Callable[[Exception | None], None] = lambda _: None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._reader = asyncio.StreamReader(READ_SIZE, loop)
        protocol = _Protocol(self._reader, lost, loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self._writer = asyncio.StreamWriter(transport, protocol, self._reader, loop)
        if early:
            self._reader.feed_data(early)

    async def read(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()


class _Protocol(asyncio.StreamReaderProtocol):
    def __init__(
        self, reader: asyncio.StreamReader, lost: Callable[[Exception | None], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(reader, loop=loop)
        self._lost = lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._lost(exc)
