"""Commands in containers, and their main process, as sessions."""

from collections import deque
from collections.abc import Awaitable, Callable

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.docker.streams import STDERR, Connection, Frame
from orlop.kubelet.runtime.values import LogStream


class DockerSession:
    """Implements `base.Session` over one hijacked connection."""

    def __init__(
        self,
        connection: Connection,
        tty: bool,
        exit_code: Callable[[], Awaitable[int]],
        resize: Callable[[int, int], Awaitable[None]],
        closed: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._connection = connection
        self._output = connection.output(tty)
        self._pending: deque[Frame] = deque()
        self._exit_code = exit_code
        self._resize = resize
        self._closed = closed

    async def read(self) -> tuple[LogStream, bytes] | None:
        if not self._pending:
            self._pending.extend(await anext(self._output, []))
        if not self._pending:
            return None
        stream, data = self._pending.popleft()
        return "stderr" if stream == STDERR else "stdout", data

    async def write(self, data: bytes) -> None:
        try:
            self._connection.writer.write(data)
            await self._connection.writer.drain()
        except OSError as error:
            raise RuntimeFailure(f"nobody reads the command's stdin any more: {error}") from error

    async def close_stdin(self) -> None:
        if self._connection.writer.can_write_eof() and not self._connection.writer.is_closing():
            self._connection.writer.write_eof()

    async def resize(self, width: int, height: int) -> None:
        await self._resize(width, height)

    async def wait(self) -> int:
        return await self._exit_code()

    async def close(self) -> None:
        await self._output.aclose()
        self._connection.close()
        if self._closed is not None:
            await self._closed()

    async def __aenter__(self) -> "DockerSession":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
