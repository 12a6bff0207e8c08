"""A client that costs little: HTTP/1.1 on connections that stay, answers read as bytes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

from orlop.client import kubeconfig
from orlop.client.tls import ssl_context

LIMIT = 1 << 22
"""Bytes that a reader holds: long lines of watches and lists."""


class Target(NamedTuple):
    """A server and who asks it."""

    host: str
    port: int
    context: ssl.SSLContext
    token: str

    @classmethod
    def of(cls, path: str) -> "Target":
        """From a kubeconfig's current context. Raises KubeconfigError."""
        settings = kubeconfig.load(path)
        url = urlsplit(settings.server)
        context = ssl_context(settings)
        if not isinstance(context, ssl.SSLContext):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return cls(url.hostname or "", url.port or 443, context, settings.token)


class Connection:
    """One connection; requests go one after another."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        token = f"Authorization: Bearer {target.token}\r\n" if target.token else ""
        self._fields = f"Host: {target.host}\r\nUser-Agent: orlop-bench\r\nAccept: application/json\r\n{token}"

    async def open(self) -> None:
        """Connects, unless it has."""
        if self._writer is None:
            target = self._target
            self._reader, self._writer = await asyncio.open_connection(
                target.host, target.port, ssl=target.context, limit=LIMIT
            )

    async def ask(self, method: str, path: str, body: bytes = b"", media: str = "json", more: str = "") -> int:
        """Sends a request and reads the answer's head; gives its status. `read` or `lines` must follow."""
        await self.open()
        assert self._reader is not None
        assert self._writer is not None
        sized = f"Content-Type: application/{media}\r\nContent-Length: {len(body)}\r\n" if body else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._fields}{more}{sized}\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        self._chunked, self._length = False, 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-length":
                    self._length = int(value)
                case b"transfer-encoding":
                    self._chunked = b"chunked" in value
        return int(head[9:12])

    async def read(self) -> bytes:
        """The whole body."""
        assert self._reader is not None
        if not self._chunked:
            return await self._reader.readexactly(self._length)
        return b"".join([part async for part in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        """A chunked body as it comes."""
        assert self._reader is not None
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readuntil(b"\r\n")

    async def request(self, method: str, path: str, body: bytes = b"", media: str = "json", more: str = "") -> bytes:
        """A request whose answer must be a success. Raises RuntimeError with what else it was."""
        status = await self.ask(method, path, body, media, more)
        answer = await self.read()
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300].decode(errors='replace')}")
        return answer

    def close(self) -> None:
        """Ends it at once."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._reader = self._writer = None
