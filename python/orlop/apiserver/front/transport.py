"""One connection of the front as an `asyncio.Transport`."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from orlop import native
from orlop.apiserver.front.deadlines import Deadlines
from orlop.apiserver.front.delivery import Form

LOW_WATER, HIGH_WATER = 16 * 1024, 64 * 1024
"""Bytes in the out-queue at which writing may go on, and should pause. They are the front's, and fixed."""

Buffer = bytes | bytearray | memoryview


class FrontTransport(asyncio.Transport):
    """What a protocol writes to. TLS and the socket are Rust's; there is no `socket` and no `ssl_object`."""

    __slots__ = (
        "_closing",
        "_connection",
        "_deadlines",
        "_eof",
        "_flush",
        "_full",
        "_held",
        "_lost",
        "_paused",
        "_protocol",
        "_stream",
    )

    def __init__(
        self, connection: native.FrontConnection, flush: Callable[[], None], deadlines: Deadlines, context: object
    ) -> None:
        super().__init__(
            {
                "peername": connection.peer,
                "sockname": connection.local,
                "sslcontext": context,
                "server_name": connection.server_name,
            }
        )
        self._connection = connection
        self._flush = flush
        self._deadlines = deadlines
        self._protocol: asyncio.BaseProtocol | None = None
        self._stream: tuple[int, asyncio.Future[None]] | None = None
        self._held: list[bytes] | None = None
        self._eof = self._paused = self._closing = self._lost = self._full = False

    # --- what a protocol calls --------------------------------------------------------------------

    def write(self, data: Buffer) -> None:
        if self._closing or self._eof or not data:
            return
        said = self._connection.write(data if type(data) is bytes else bytes(data))
        if said:
            if said & 1:
                self._flush()
            if said & 2 and not self._full:
                self._full = True
                self._protocol.pause_writing()  # type: ignore[union-attr]

    def writelines(self, parts: Iterable[Buffer]) -> None:
        self.write(b"".join(parts))

    def write_eof(self) -> None:
        if not self._eof and not self._closing:
            self._eof = True
            if self._connection.write_eof():
                self._flush()

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return self._connection.size

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return LOW_WATER, HIGH_WATER

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The marks are the front's own: this changes nothing."""

    def pause_reading(self) -> None:
        if not self._paused and not self._closing:
            self._paused = True
            self._connection.pause(True)

    def resume_reading(self) -> None:
        if self._paused and not self._closing:
            self._paused = False
            self._connection.pause(False)
            if self._held is not None:
                asyncio.get_running_loop().call_soon(self._release)

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.end_stream()
            if self._connection.close():
                self._flush()

    def abort(self) -> None:
        self._closing = True
        self._connection.abort()

    # --- what the listener calls ------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """Bytes came. A protocol that paused gets them when it goes on."""
        if self._paused or self._held is not None:
            if self._held is None:
                self._held = []
            self._held.append(data)
        elif not self._closing:
            self._protocol.data_received(data)  # type: ignore[union-attr]

    def _release(self) -> None:
        while self._held and not self._paused:
            data = self._held.pop(0)
            if not data:
                self._held = None
                self.ended()
            elif not self._closing:
                self._protocol.data_received(data)  # type: ignore[union-attr]
        if not self._held:
            self._held = None

    def ended(self) -> None:
        """The client sends no more. Whoever leaves during a stream is gone: nothing waits for what it did not take."""
        if self._stream is not None:
            self.abort()
        elif self._held is not None:
            self._held.append(b"")
        elif not self._closing and not self._protocol.eof_received():  # type: ignore[union-attr]
            self.close()

    def lost(self) -> None:
        """The connection is gone."""
        self._closing = self._lost = True
        self._held = None
        self.stream_ended(None)
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(None)

    def resumed(self) -> None:
        """There is room to write again."""
        if self._full and self._protocol is not None:
            self._full = False
            self._protocol.resume_writing()

    def stream_ended(self, token: int | None) -> None:
        """A stream came to its end: this one, or whichever there is."""
        if self._stream is not None and token in (None, self._stream[0]) and not self._stream[1].done():
            self._stream[1].set_result(None)

    def end_stream(self) -> None:
        """Ends the stream under way, if there is one."""
        if self._stream is not None:
            self._connection.detach(self._stream[0])
            self.stream_ended(None)

    # --- what a handler calls: `Delivery` ---------------------------------------------------------

    async def watch(self, watcher: native.Watcher, form: Form, of: str, seconds: float) -> None:
        await self._streamed(self._connection.attach_watch(watcher, form, of, True), seconds, watcher)

    async def list(self, found: native.ListResult, before: bytes, after: bytes) -> None:
        await self._streamed(self._connection.attach_list(found, before, after, True))

    async def _streamed(
        self, attached: tuple[int, bool], seconds: float = 0.0, watcher: native.Watcher | None = None
    ) -> None:
        token, flush = attached
        if flush:
            self._flush()
        if self._closing:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream = token, future
        if watcher is not None:
            self._deadlines.add(seconds, future, watcher)
        try:
            await future
        finally:
            self._stream = None
            self._connection.detach(token)

    def __repr__(self) -> str:
        state: Any = "lost" if self._lost else "closing" if self._closing else "open"
        return f"<FrontTransport {self.get_extra_info('peername')} {state}>"
