"""The Engine API's long answers as asyncio streams: events, logs, exec, attach, wait, stop.

The SDK holds a thread for each of them and may lose the first bytes of a hijacked connection (they sit in the buffer of
its HTTP reader); a connection of our own costs neither. HTTP/1.0 is asked for so that no answer comes in chunks.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import msgspec

from orlop.kubelet.runtime.base import NotFound, RuntimeFailure, Unavailable

READ_SIZE = 64 * 1024
LINE_LIMIT = 4 * 1024 * 1024
"""Longest JSON line of events or pull progress: one event carries all of a container's labels."""

STDOUT = 1
STDERR = 2

Frame = tuple[int, bytes]
"""(STDOUT or STDERR, what one write of the container gave)."""

_HEADER = 8
"""Of each frame on a multiplexed connection: stream, three zeros, the payload's length."""


class Connection:
    """One request's connection: its answer's body, and what is sent after it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def output(self, tty: bool) -> AsyncGenerator[list[Frame], None]:
        """A container's output in batches of what is at hand; with a TTY it is not split in streams."""
        return self._raw() if tty else self._frames()

    async def _frames(self) -> AsyncGenerator[list[Frame], None]:
        pending = bytearray()
        while data := await self._read():
            pending += data
            frames: list[Frame] = []
            at = 0
            while len(pending) >= at + _HEADER:
                end = at + _HEADER + int.from_bytes(pending[at + 4 : at + _HEADER], "big")
                if end > len(pending):
                    break
                frames.append((pending[at], bytes(pending[at + _HEADER : end])))
                at = end
            del pending[:at]
            if frames:
                yield frames

    async def _raw(self) -> AsyncGenerator[list[Frame], None]:
        while data := await self._read():
            yield [(STDOUT, data)]

    async def _read(self) -> bytes:
        try:
            return await self.reader.read(READ_SIZE)
        except ConnectionError:
            return b""

    async def json_lines(self) -> AsyncGenerator[dict[str, Any], None]:
        """One object a line."""
        while line := await self.reader.readline():
            if line.strip():
                yield msgspec.json.decode(line)

    def close(self) -> None:
        self.writer.close()


class Streams:
    """Opens connections to the engine's unix socket."""

    def __init__(self, socket_path: str, api_version: str) -> None:
        self._path = socket_path
        self._version = api_version

    async def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        upgrade: bool = False,
    ) -> Connection:
        """Sends the request and returns after the answer's head. Raises NotFound, RuntimeFailure, Unavailable."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
        except OSError as error:
            raise Unavailable(f"cannot connect to the Docker Engine at unix://{self._path}: {error}") from error
        try:
            return await self._ask(Connection(reader, writer), method, path, query, body, headers, upgrade)
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            writer.close()
            raise Unavailable(f"the Docker Engine broke off {method} {path}: {error}") from error
        except BaseException:
            writer.close()
            raise

    async def _ask(
        self,
        connection: Connection,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: object,
        headers: Mapping[str, str] | None,
        upgrade: bool,
    ) -> Connection:
        payload = b"" if body is None else msgspec.json.encode(body)
        lines = [
            f"{method} /v{self._version}{path}{'?' + urlencode(query) if query else ''} HTTP/1.0",
            "Host: docker",
            f"Content-Length: {len(payload)}",
            *(["Content-Type: application/json"] if payload else []),
            *(["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []),
            *(f"{name}: {value}" for name, value in (headers or {}).items()),
        ]
        connection.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        await connection.writer.drain()
        head = await connection.reader.readuntil(b"\r\n\r\n")
        code = int(head.split(b" ", 2)[1])
        if code < 400:
            return connection
        message = await connection.reader.read(READ_SIZE)
        raise failure(code, _message(message))

    @asynccontextmanager
    async def opened(
        self, method: str, path: str, query: Mapping[str, str] | None = None, **options: Any
    ) -> AsyncGenerator[Connection, None]:
        """`open`, closed at the end of the block."""
        connection = await self.open(method, path, query, **options)
        try:
            yield connection
        finally:
            connection.close()

    async def json(self, method: str, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The whole answer, decoded; None for an empty one. For calls that take long and so must hold no thread."""
        async with self.opened(method, path, query) as connection:
            body = await connection.reader.read()
            return msgspec.json.decode(body) if body.strip() else None


def failure(code: int, message: str) -> RuntimeFailure:
    """The engine's error as the contract has it."""
    return NotFound(message) if code == 404 else RuntimeFailure(message)


def _message(body: bytes) -> str:
    try:
        return str(msgspec.json.decode(body, type=dict[str, Any])["message"])
    except (msgspec.MsgspecError, KeyError):
        return body.decode(errors="replace").strip()
