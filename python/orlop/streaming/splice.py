"""Two connections joined: what comes from one goes to the other, at the pace of the slower."""

import asyncio
import contextlib

LINGER = 1.0
"""Seconds that one side may take to let go after the other has. Closing at once would answer what is still on its way
here with a reset, and a reset takes back what has been sent but not read yet: the end of a command's output."""
HIGH_WATER = 1 << 20
"""Bytes that wait to be sent to one side before the other is not read any more."""


class _Side(asyncio.Protocol):
    """One connection's protocol: everything it is told concerns the other."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.other: _Side
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if not self.other.transport.is_closing():
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def eof_received(self) -> bool:
        # A half-closed socket is passed on where the other can be half-closed; TLS cannot, and ends.
        if self.other.transport.can_write_eof() and not self.other.transport.is_closing():
            self.other.transport.write_eof()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        # Whoever was told to stop reading may go on: what it reads is thrown away, until it ends as well.
        self.other.transport.resume_reading()


async def splice(here: asyncio.Transport, early_here: bytes, there: asyncio.Transport, early_there: bytes) -> None:
    """Returns when both connections have ended. Both are taken over, with what was read from them already."""
    a, b = _Side(here), _Side(there)
    a.other, b.other = b, a
    for side, early in ((a, early_here), (b, early_there)):
        with contextlib.suppress(NotImplementedError):  # a transport may have marks of its own
            side.transport.set_write_buffer_limits(high=HIGH_WATER)
        side.transport.set_protocol(side)
        if early:
            side.data_received(early)
    for side in (a, b):
        side.transport.resume_reading()
    try:
        await asyncio.wait({a.lost, b.lost}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({a.lost, b.lost}, timeout=LINGER)
    finally:
        for side in (a, b):
            side.transport.close()
    await asyncio.wait({a.lost, b.lost}, timeout=LINGER)
    for side in (a, b):
        side.transport.abort()
