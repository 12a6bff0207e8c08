"""HTTP/1.1 as a client of the API needs it: kept connections, answers whole or as they come, little work for each.

A pool holds connections to one server, one exchange at a time on each. What goes wrong is an OSError (a TimeoutError
among them): what was sent and never answered is a ConnectionError, whatever the reason.
"""

import asyncio
import math
import socket
import ssl
from ipaddress import ip_address
from typing import Any, cast

import httptools

KEEP_ALIVE = 30.0
"""Seconds that an unused connection is kept."""
SILENCE, PROBE_EVERY, PROBES = 15, 5, 3
"""Seconds without a word until the kernel asks whether the server is still there, between the questions, and how many
stay unanswered until it is not: a watch over a network that was cut ends within half a minute. client-go's HTTP/2
pings take 45 seconds."""
READ_AHEAD = 1 << 18
"""Bytes of a stream that wait for their reader before the server is held back."""
NO_BODY = frozenset({204, 304})
"""Statuses of answers that end with their head (RFC 9112, 6.3)."""


class Address:
    """Where a server listens. A name is looked up for each new connection."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        try:
            version = ip_address(host).version
        except ValueError:
            self._family = None
        else:
            self._family = socket.AF_INET if version == 4 else socket.AF_INET6

    async def connect(self) -> socket.socket:
        """A connected socket that notices when its server has vanished. Raises OSError: that of the last address."""
        loop = asyncio.get_running_loop()
        if self._family is not None:
            found: list[tuple[int, Any]] = [(self._family, (self.host, self.port))]
        else:
            infos = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
            found = [(family, address) for family, _, _, _, address in infos]
        error: OSError = OSError(f"no address for {self.host}")
        for family, address in found:
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                _prepare(made)
                await loop.sock_connect(made, address)
                return made
            except OSError as failure:
                made.close()
                error = failure
            except BaseException:
                made.close()
                raise
        raise error


def _prepare(made: socket.socket) -> None:
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, SILENCE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, (SILENCE + PROBE_EVERY * PROBES) * 1000)


class Answer:
    """One answer as it comes in."""

    __slots__ = (
        "_connection",
        "_error",
        "_limit",
        "_parts",
        "_size",
        "_waiter",
        "ended",
        "head_only",
        "headers",
        "started",
        "status",
    )

    def __init__(self, connection: "Connection", head_only: bool) -> None:
        """`head_only`: the request was a HEAD, so no body follows whatever the answer says."""
        self._connection = connection
        self.head_only = head_only
        self._limit: float = READ_AHEAD
        self._parts: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: OSError | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        """Names in lower case; several fields of a name are one, joined by commas (RFC 9110, 5.3)."""
        self.started = False
        self.ended = False

    async def head(self) -> None:
        """Returns when status and headers are there. Raises OSError."""
        while not self.started:
            await self._wait()

    async def whole(self) -> bytes:
        """The whole body. Raises OSError if it breaks off."""
        self._limit = math.inf
        self._connection.resume()
        while not self.ended:
            await self._wait()
        return self._take()

    async def chunk(self) -> bytes:
        """What has come of the body since the last call, b"" at its end. Raises OSError if it breaks off."""
        while not self._parts and not self.ended:
            await self._wait()
        return self._take()

    def _take(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._size = 0
        self._connection.resume()
        return data

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter
        if self._error is not None and not self._parts:
            raise self._error

    # --- told by the connection

    def begin(self, status: int) -> bool:
        """The head is complete; whether a body follows."""
        self.status = status
        self.started = True
        self._wake()
        return not self.head_only and status not in NO_BODY

    def body(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size >= self._limit:
            self._connection.pause()
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def fail(self, error: OSError) -> None:
        if not self.ended and self._error is None:
            self._error = error
            self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class Connection(asyncio.Protocol):
    """One connection; exchanges one after another."""

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._paused = False
        self._till_close = False
        self.idle_since = 0.0

    def ask(self, request: bytes, *, head_only: bool = False) -> Answer:
        """Sends a request. The connection must be unused."""
        assert self._transport is not None
        self._answer = answer = Answer(self, head_only)
        self._transport.write(request)
        return answer

    @property
    def usable(self) -> bool:
        """Whether another exchange may follow."""
        return self._answer is None and self._transport is not None and not self._transport.is_closing()

    def abort(self, why: OSError) -> None:
        """Ends it at once."""
        if self._answer is not None:
            self._answer.fail(why)
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Ends an unused one."""
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Nobody has asked: what it says (most often that it waited long enough) concerns nobody.
            self.abort(ConnectionResetError("an answer to no request"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.abort(ConnectionError(f"malformed HTTP answer: {error}"))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._pool.forget(self)
        answer, self._answer = self._answer, None
        if answer is None:
            return
        if error is None and self._till_close and answer.started:
            answer.end()
        elif isinstance(error, OSError):
            answer.fail(error)
        else:
            answer.fail(ConnectionResetError(str(error) if error else "the server closed the connection"))

    # --- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is not None:
            headers, key, text = self._answer.headers, name.decode("latin-1").lower(), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        answer, status = self._answer, self._parser.get_status_code()
        if answer is None:
            return
        if status < 200:  # 100 Continue, 103 Early Hints: the answer is yet to come
            answer.headers.clear()
            return
        headers = answer.headers
        self._till_close = "content-length" not in headers and "transfer-encoding" not in headers
        if not answer.begin(status):
            self._ended()

    def on_body(self, data: bytes) -> None:
        if self._answer is not None:
            self._answer.body(data)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._answer.started:
            self._ended()

    def _ended(self) -> None:
        answer, self._answer = self._answer, None
        assert answer is not None
        keep = self._parser.should_keep_alive() and not answer.head_only
        answer.end()
        self.resume()
        if keep and self._transport is not None:
            self._pool.free(self)
        elif self._transport is not None:
            self._transport.close()


class Pool:
    """Connections to one server, as many as are needed; those that are free are used again, the last first."""

    def __init__(self, address: Address, context: ssl.SSLContext | None, server_name: str) -> None:
        """`context` None: without TLS. `server_name` is what the certificate must say."""
        self._address = address
        self._context = context
        self._server_name = server_name
        self._free: list[Connection] = []
        self._all: set[Connection] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False
        self._gone: asyncio.Future[None] | None = None
        """Waits for the last connection to end."""

    async def connection(self, seconds: float) -> Connection:
        """A free connection, or a new one within so many seconds. Raises OSError."""
        while self._free:
            found = self._free.pop()
            if found.usable:
                return found
        async with asyncio.timeout(seconds):
            loop = asyncio.get_running_loop()
            connected = await self._address.connect()
            try:
                _, made = await loop.create_connection(
                    lambda: Connection(self),
                    sock=connected,
                    ssl=self._context,
                    server_hostname=self._server_name if self._context is not None else None,
                )
            except BaseException:
                connected.close()
                raise
        self._all.add(made)
        if self._closed:
            made.abort(ConnectionAbortedError("the client was closed"))
            raise ConnectionAbortedError("the client was closed")
        return made

    def free(self, connection: Connection) -> None:
        """The connection's exchange is over."""
        if self._closed:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._free.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(KEEP_ALIVE, self._sweep)

    def forget(self, connection: Connection) -> None:
        """The connection is gone."""
        self._all.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if self._gone is not None and not self._all and not self._gone.done():
            self._gone.set_result(None)

    async def close(self) -> None:
        """Ends all connections; who waits for an answer gets an OSError."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in list(self._all):
            connection.abort(ConnectionAbortedError("the client was closed"))
        self._free.clear()
        if self._all:
            self._gone = asyncio.get_running_loop().create_future()
            await self._gone

    def _sweep(self) -> None:
        """Ends what has not been used for a while: the longest unused come first."""
        loop = asyncio.get_running_loop()
        now, self._sweeper = loop.time(), None
        old = [connection for connection in self._free if now - connection.idle_since >= KEEP_ALIVE]
        self._free = self._free[len(old) :]
        for connection in old:
            connection.close()
        if self._free:
            wait = self._free[0].idle_since + KEEP_ALIVE - now
            self._sweeper = loop.call_later(max(wait, 0.1), self._sweep)
