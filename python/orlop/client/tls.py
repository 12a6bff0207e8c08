"""The transport over TLS: aiohttp, imported when the first request is made and not before."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from orlop.client.decode import error_of
from orlop.client.transport import Response, Unreachable
from orlop.clock import Clock
from orlop.tasks import in_thread

if TYPE_CHECKING:
    import aiohttp

KEEP_ALIVE = 30.0
"""Seconds that an unused connection is kept."""
CONNECT_TIMEOUT = 30.0
"""Seconds for name, TCP and TLS together, as Go's dialer."""
REQUEST_TIMEOUT = 60.0
"""Seconds for a whole answer that is not a stream; the server's own limit is the same."""
SILENCE, PROBE_EVERY, PROBES = 15, 5, 3
"""Seconds without a word until the kernel asks whether the server is still there, between the questions, and how many
stay unanswered until it is not: a watch over a network that was cut ends within half a minute. client-go's HTTP/2
pings take 45 seconds."""
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


def _socket(address: Any) -> socket.socket:
    """A socket that notices when its server has vanished."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, (SILENCE + PROBE_EVERY * PROBES) * 1000)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


class TLSTransport:
    """Kept connections to one server as one identity."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._base = settings.server.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()
        self._authorization = ""
        self._token_read_at: float | None = None

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        session = self._session or await self._open()
        import aiohttp

        try:
            async with session.request(
                method,
                self._url(target),
                data=body or None,
                headers=await self._headers(headers),
                allow_redirects=False,
                server_hostname=self._settings.tls_server_name or None,
                timeout=self._whole,
            ) as answer:
                return Response(answer.status, _lower(answer.headers), await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(method, target, error) from error

    @asynccontextmanager
    async def stream(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator["_Stream"]:
        session = self._session or await self._open()
        import aiohttp

        try:
            answer = await session.request(
                method,
                self._url(target),
                data=body or None,
                headers=await self._headers(headers),
                allow_redirects=False,
                server_hostname=self._settings.tls_server_name or None,
                timeout=self._head,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(method, target, error) from error
        try:
            yield _Stream(answer)
        finally:
            answer.close()

    @asynccontextmanager
    async def websocket(
        self, target: str, headers: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AsyncIterator["_WebSocket"]:
        session = self._session or await self._open()
        import aiohttp

        try:
            socket = await session.ws_connect(
                self._url(target),
                headers=await self._headers(headers),
                protocols=protocols,
                server_hostname=self._settings.tls_server_name or None,
                max_msg_size=WS_MAX_MESSAGE,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise error_of(Response(error.status, {}, error.message.encode())) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable("GET", target, error) from error
        try:
            yield _WebSocket(socket)
        finally:
            await socket.close()

    async def close(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    # ---

    async def _open(self) -> "aiohttp.ClientSession":
        async with self._opening:
            if self._session is None:
                import aiohttp

                context = await in_thread(None, ssl_context, self._settings)
                self._whole = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT, connect=CONNECT_TIMEOUT)
                self._head = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT)
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(
                        ssl=context,
                        limit=0,
                        keepalive_timeout=KEEP_ALIVE,
                        ttl_dns_cache=60,
                        socket_factory=_socket,
                    ),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    skip_auto_headers=("Accept-Encoding",),
                    read_bufsize=1 << 18,
                )
            return self._session

    def _url(self, target: str) -> Any:
        from yarl import URL

        return URL(self._base + target, encoded=True)

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

    def _unreachable(self, method: str, target: str, error: Exception) -> Unreachable:
        import aiohttp

        sent = not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        final = isinstance(error, aiohttp.ClientConnectorCertificateError)
        reason = str(error) or type(error).__name__
        return Unreachable(f'{method.capitalize()} "{self._base}{target}": {reason}', sent=sent, final=final)


def ssl_context(settings: Settings) -> ssl.SSLContext | bool:
    """The TLS side of the settings. Blocks: client keys can be given to OpenSSL only as files."""
    if settings.server.startswith("http://"):
        return True
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


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


class _Stream:
    def __init__(self, answer: "aiohttp.ClientResponse") -> None:
        self._answer = answer
        self._why = ""
        self.status = answer.status
        self.headers: Mapping[str, str] = _lower(answer.headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        import aiohttp

        try:
            while chunk := await self._answer.content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"the answer broke off: {self._why or error}", sent=True) from error
        if self._why:
            raise Unreachable(f"the answer broke off: {self._why}", sent=True)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    def abort(self, why: str) -> None:
        self._why = why
        self._answer.close()


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
