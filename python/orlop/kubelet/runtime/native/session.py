"""Streams of a command or of a container's main process: pipes or a terminal, straight from the kernel."""

import asyncio
import fcntl
import os
import struct
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native.shim import Conversation, readable, writable
from orlop.kubelet.runtime.values import LogStream

READ_SIZE = 64 * 1024


class Streams:
    """The descriptors of one session, each closed once."""

    def __init__(self, stdin: int | None, outputs: dict[LogStream, int], terminal: int | None = None) -> None:
        self.stdin = stdin
        self.outputs = outputs
        self.terminal = terminal

    def close(self) -> None:
        self.close_stdin()
        for fd in self.outputs.values():
            os.close(fd)
        self.outputs.clear()
        if self.terminal is not None:
            os.close(self.terminal)
            self.terminal = None

    def close_stdin(self) -> None:
        if self.stdin is not None:
            os.close(self.stdin)
            self.stdin = None


class NativeSession:
    """Implements `base.Session`."""

    def __init__(
        self,
        streams: Streams,
        conversation: Conversation | None,
        exit_code: Callable[[], Awaitable[int]],
        stdin_closed: Callable[[], None] = lambda: None,
        refused: str = "",
    ) -> None:
        self._streams = streams
        self._conversation = conversation
        self._exit_code = exit_code
        self._stdin_closed = stdin_closed
        self._refused = refused
        self._closed = False

    async def read(self) -> tuple[LogStream, bytes] | None:
        if self._refused:
            text, self._refused = self._refused, ""
            return "stderr", text.encode() + b"\n"
        while self._streams.outputs:
            for name, fd in list(self._streams.outputs.items()):
                try:
                    data = os.read(fd, READ_SIZE)
                except BlockingIOError:
                    continue
                except OSError:  # EIO: nobody holds the terminal any more
                    data = b""
                if data:
                    return name, data
                os.close(self._streams.outputs.pop(name))
            if self._streams.outputs:
                await readable(*self._streams.outputs.values())
        return None

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._streams.stdin is None:
                raise RuntimeFailure("the command's stdin is closed")
            try:
                view = view[os.write(self._streams.stdin, view) :]
            except BlockingIOError:
                await writable(self._streams.stdin)
            except OSError as error:
                raise RuntimeFailure(f"nobody reads the command's stdin any more: {error.strerror}") from error

    async def close_stdin(self) -> None:
        self._streams.close_stdin()
        self._stdin_closed()

    async def resize(self, width: int, height: int) -> None:
        if self._streams.terminal is not None:
            size = struct.pack("HHHH", height, width, 0, 0)
            with suppress(OSError):
                fcntl.ioctl(self._streams.terminal, termios.TIOCSWINSZ, size)

    async def wait(self) -> int:
        return await self._exit_code()

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        had_stdin = self._streams.stdin is not None
        self._streams.close()
        if had_stdin:
            self._stdin_closed()
        if self._conversation is not None:
            self._conversation.close()

    async def __aenter__(self) -> "NativeSession":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def pipe_out() -> tuple[int, int]:
    """A pipe that we read: our end does not block."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    return read, write


def pipe_in() -> tuple[int, int]:
    """A pipe that we write: our end does not block. Returns their end first."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    return read, write


class Once:
    """A result that several may wait for, asked for once."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._result: asyncio.Future[int] | None = None

    async def __call__(self) -> int:
        if self._result is None:
            self._result = asyncio.ensure_future(self._ask())
        return await asyncio.shield(self._result)

    def cancel(self) -> None:
        if self._result is not None:
            self._result.cancel()
