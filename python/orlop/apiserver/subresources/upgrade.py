"""Passing an upgraded connection on: to a kubelet (exec, attach, port-forward) or to what a proxy stands for.

Which protocol the two ends speak is theirs to agree upon. This server asks the other end as the client asked it, and
when that end agrees, joins the two connections.
"""

import asyncio
import ssl
from collections.abc import Sequence
from typing import NamedTuple, cast

import h11
import msgspec

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.upgrade import Upgrade
from orlop.streaming.splice import splice

HANDSHAKE_SECONDS = 30.0
"""How long the other end may take to connect and to answer."""
MAX_ERROR = 64 * 1024
"""Bytes of an answer that is no upgrade."""

Headers = list[tuple[bytes, bytes]]
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    500: "InternalError",
    503: "ServiceUnavailable",
}


class Target(NamedTuple):
    """Where a connection goes: with TLS where `tls` is given."""

    host: str
    port: int
    target: str
    """The path with its query."""
    tls: ssl.SSLContext | None
    server_name: str = ""
    """What its certificate is for, where names are checked."""


class Refused(Exception):
    """The other end has answered, but not with an upgrade."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        super().__init__(f"{status}")
        self.status = status
        self.headers = headers
        self.body = body

    def error(self) -> errors.ApiError:
        """What it means to this server's client: the other end's Status, or its text with its code."""
        try:
            status = msgspec.json.decode(self.body, type=meta_v1.Status)
        except msgspec.MsgspecError:
            text = self.body.decode(errors="replace").strip() or f"the server answered with {self.status}"
            reason = REASONS.get(self.status, "InternalError")
            return errors.ApiError(f"unable to upgrade connection: {text}", code=self.status, reason=reason)
        return errors.ApiError(
            status.message, code=status.code or self.status, reason=status.reason, details=status.details
        )


async def pass_on(
    core: Core, request: Request, upgrade: Upgrade, target: Target, headers: Sequence[tuple[bytes, bytes]]
) -> None:
    """Joins the client to `target` until either ends. Raises Refused, OSError, TimeoutError before it answers."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(HANDSHAKE_SECONDS):
        transport, handshake = await loop.create_connection(
            _Handshake,
            target.host,
            target.port,
            ssl=target.tls,
            server_hostname=target.server_name if target.tls else None,
        )
        try:
            answer, early = await handshake.ask(request.method, target, [*headers, (b"upgrade", upgrade.name.encode())])
            here, sent = upgrade.take()
        except BaseException:
            transport.close()
            raise
    request.started = True
    if request.audit is not None:
        request.audit.started(101)
    here.write(_head(answer))
    joined = asyncio.ensure_future(splice(here, sent, transport, early))
    core.joined.add(joined)
    try:
        await asyncio.wait({joined})
    finally:
        joined.cancel()
        core.joined.discard(joined)


def _head(answer: h11.InformationalResponse) -> bytes:
    lines = [b"HTTP/1.1 101 Switching Protocols", *(name + b": " + value for name, value in answer.headers.raw_items())]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class _Handshake(asyncio.Protocol):
    """Asks for the upgrade, and reads the answer's head and not a byte more than has come with it."""

    def __init__(self) -> None:
        self._connection = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[h11.InformationalResponse] = asyncio.get_running_loop().create_future()
        self._refusal: h11.Response | None = None
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    async def ask(self, method: str, target: Target, headers: Headers) -> tuple[h11.InformationalResponse, bytes]:
        """The answer that agrees, and what came behind it. Raises Refused, ConnectionError."""
        host = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
        asked = h11.Request(
            method=method,
            target=target.target,
            headers=[(b"host", host.encode()), (b"connection", b"Upgrade"), *headers],
        )
        self._transport.write(
            (self._connection.send(asked) or b"") + (self._connection.send(h11.EndOfMessage()) or b"")
        )
        answer = await self._answer
        return answer, self._connection.trailing_data[0]

    def data_received(self, data: bytes) -> None:
        self._connection.receive_data(data)
        self._read()

    def eof_received(self) -> None:
        self._connection.receive_data(b"")
        self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the other end broke the connection off"))

    def _read(self) -> None:
        if self._answer.done():
            return
        try:
            while True:
                event = self._connection.next_event()
                if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                    self._transport.pause_reading()
                    self._answer.set_result(event)
                    return
                if isinstance(event, h11.Response):
                    self._refusal = event
                elif isinstance(event, h11.Data) and len(self._body) < MAX_ERROR:
                    self._body += event.data
                elif isinstance(event, h11.EndOfMessage) and self._refusal is not None:
                    found = list(self._refusal.headers)
                    self._answer.set_exception(Refused(self._refusal.status_code, found, bytes(self._body)))
                    return
                elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                    return
        except h11.RemoteProtocolError as error:
            self._answer.set_exception(ConnectionError(f"the other end speaks no HTTP: {error}"))
