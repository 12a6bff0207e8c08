"""The transport over TLS. WebSockets are aiohttp's, imported when the first is opened and not before."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from orlop.client.decode import error_of
from orlop.client.http1 import Address, Answer, Connection, Pool
from orlop.client.transport import Response, Unreachable
from orlop.clock import Clock
from orlop.tasks import in_thread

if TYPE_CHECKING:
    import aiohttp

CONNECT_TIMEOUT = 30.0
"""Seconds for name, TCP and TLS together, as Go's dialer."""
REQUEST_TIMEOUT = 60.0
"""Seconds for a whole answer that is not a stream; the server's own limit is the same."""
AT_ONCE = 32
"""Requests in flight; more wait their turn. Each needs a connection, and making one costs both sides more than a
request does: a burst of 500 creates is sooner done over a few. Streams do not count."""
TOKEN_REFRESH = 60.0
"""Seconds after which a token file is read again; kubelet renews it well before it expires."""
WS_MAX_MESSAGE = 0
"""No limit on a message: exec output comes in pieces of the sender's choice."""


class Settings(msgspec.Struct, kw_only=True):
    """Where a server is and how to be known there: what a kubeconfig context says."""

    server: str
    """`https://host:port`, with a path prefix if there is one."""
    ca_data: bytes = b""
    """PEM certificates to trust; empty for the machine's own."""
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    client_certificate_data: bytes = b""
    client_key_data: bytes = b""
    token: str = ""
    token_file: str = ""
    """Read again as it is renewed; goes before `token`."""
    username: str = ""
    password: str = ""
    namespace: str = "default"
    """Where the context's user works; the client itself does not use it."""


class TLSTransport:
    """Kept connections to one server as one identity."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._base = settings.server.rstrip("/")
        url = urlsplit(self._base)
        self._tls = url.scheme != "http"
        self._address = Address(url.hostname or "", url.port or (443 if self._tls else 80))
        self._prefix = url.path
        self._host = url.netloc.rpartition("@")[2]
        self._pool: Pool | None = None
        self._sockets: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._authorization = ""
        self._token_read_at: float | None = None

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        async with self._turns:
            return await self._request(method, target, headers, body)

    async def _request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            connection, answer = await self._ask(method, target, headers, body)
        except OSError as error:
            raise self._unreachable(method, target, error, sent=False) from error
        late = asyncio.get_running_loop().call_later(REQUEST_TIMEOUT, _too_late, connection)
        try:
            content = await answer.whole()
        except OSError as error:
            raise self._unreachable(method, target, error, sent=True) from error
        finally:
            late.cancel()
            if not answer.ended:
                connection.abort(ConnectionAbortedError("nobody waits for the answer any more"))
        return Response(answer.status, answer.headers, content)

    @asynccontextmanager
    async def stream(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator["_Stream"]:
        try:
            connection, answer = await self._ask(method, target, headers, body)
        except OSError as error:
            raise self._unreachable(method, target, error, sent=False) from error
        try:
            try:
                await answer.head()
            except OSError as error:
                raise self._unreachable(method, target, error, sent=True) from error
            yield _Stream(connection, answer)
        finally:
            if not answer.ended:
                connection.abort(ConnectionAbortedError("nobody reads the answer any more"))

    @asynccontextmanager
    async def websocket(
        self, target: str, headers: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AsyncIterator["_WebSocket"]:
        session = self._sockets or await self._open_sockets()
        import aiohttp
        from yarl import URL

        try:
            socket = await session.ws_connect(
                URL(self._base + target, encoded=True),
                headers=await self._headers(headers),
                protocols=protocols,
                server_hostname=self._settings.tls_server_name or None,
                max_msg_size=WS_MAX_MESSAGE,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise error_of(Response(error.status, {}, error.message.encode())) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            sent = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            raise self._unreachable("GET", target, error, sent=sent) from error
        try:
            yield _WebSocket(socket)
        finally:
            await socket.close()

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close()
        if self._sockets is not None:
            session, self._sockets = self._sockets, None
            await session.close()

    # ---

    async def _ask(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[Connection, Answer]:
        """Sends the request. Raises OSError where it could not be sent."""
        pool = self._pool or await self._open()
        fields = await self._headers(headers)
        connection = await pool.connection(CONNECT_TIMEOUT)
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", f"host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        if body or method in ("POST", "PUT", "PATCH"):
            lines.append(f"content-length: {len(body)}")
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1:
            raise ValueError(f"a header of {method} {target} has a line break")
        return connection, connection.ask(f"{head}\r\n\r\n".encode() + body, head_only=method == "HEAD")

    async def _open(self) -> Pool:
        async with self._opening:
            if self._pool is None:
                context = await in_thread(None, ssl_context, self._settings) if self._tls else None
                self._pool = Pool(self._address, context, self._settings.tls_server_name or self._address.host)
                self._context = context
            return self._pool

    async def _open_sockets(self) -> "aiohttp.ClientSession":
        await self._open()
        if self._sockets is None:
            import aiohttp

            connector = aiohttp.TCPConnector(ssl=self._context or True, limit=0, ttl_dns_cache=60)
            self._sockets = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT),
            )
        return self._sockets

    async def _headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        settings = self._settings
        if settings.token_file:
            now = self._clock.monotonic()
            if self._token_read_at is None or now - self._token_read_at >= TOKEN_REFRESH:
                token = await in_thread(None, Path(settings.token_file).read_text)
                self._authorization = f"Bearer {token.strip()}"
                self._token_read_at = now
        elif settings.token:
            self._authorization = f"Bearer {settings.token}"
        elif settings.username:
            import base64

            plain = f"{settings.username}:{settings.password}".encode()
            self._authorization = "Basic " + base64.b64encode(plain).decode()
        return {**headers, "authorization": self._authorization} if self._authorization else headers

    def _unreachable(self, method: str, target: str, error: Exception, *, sent: bool) -> Unreachable:
        cause = getattr(error, "certificate_error", error)  # aiohttp's wrapping
        final = isinstance(cause, ssl.SSLCertVerificationError)
        reason = str(error) or type(error).__name__
        return Unreachable(f'{method.capitalize()} "{self._base}{target}": {reason}', sent=sent, final=final)


def _too_late(connection: Connection) -> None:
    connection.abort(TimeoutError(f"no answer within {REQUEST_TIMEOUT:g} s"))


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The TLS side of the settings. Blocks: client keys can be given to OpenSSL only as files."""
    context = ssl.create_default_context(cadata=settings.ca_data.decode() or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if settings.insecure_skip_tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_certificate_data:
        import tempfile

        with tempfile.NamedTemporaryFile() as both:  # mode 0600, gone when the block ends
            both.write(settings.client_certificate_data + b"\n" + settings.client_key_data)
            both.flush()
            context.load_cert_chain(both.name)
    return context


class _Stream:
    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._answer = answer
        self._why = ""
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while chunk := await self._answer.chunk():
                yield chunk
        except OSError as error:
            raise Unreachable(f"the answer broke off: {self._why or error}", sent=True) from error

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    def abort(self, why: str) -> None:
        self._why = why
        self._connection.abort(ConnectionAbortedError(why))


class _WebSocket:
    def __init__(self, socket: "aiohttp.ClientWebSocketResponse") -> None:
        self._socket = socket
        self.protocol = socket.protocol or ""

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_bytes(message)
        except (ConnectionError, RuntimeError) as error:
            raise Unreachable(f"the WebSocket is closed: {error}", sent=False) from error

    async def receive(self) -> bytes | None:
        import aiohttp

        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data).encode()
        return None

    async def close(self, code: int = 1000) -> None:
        await self._socket.close(code=code)
