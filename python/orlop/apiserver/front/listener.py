"""The event loop's end of the front: what came in is handed out, once per turn of the loop."""

import asyncio
import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import uvicorn

from orlop import inotify, logging, native, tasks
from orlop.apiserver.auth.x509 import PEER, peer_of
from orlop.apiserver.front.deadlines import Deadlines
from orlop.apiserver.front.delivery import CONNECTION
from orlop.apiserver.front.exchange import Exchange
from orlop.apiserver.front.limits import CONNECTIONS, HANDSHAKE_SECONDS, HEADER_SECONDS, RESERVED, STREAMS
from orlop.apiserver.front.tls import Shown, Tls
from orlop.apiserver.front.transport import FrontTransport
from orlop.clock import Clock

RENEWAL_INTERVAL = 24 * 3600.0
"""Seconds between looks at the certificates. They are renewed months before their end, so a day is soon enough."""
ALPN = ["h2", "http/1.1"]
REPLACED = inotify.IN_CLOSE_WRITE | inotify.IN_MOVED_TO | inotify.IN_CREATE
"""What happens in a folder when one of its files becomes another."""
TOGETHER = 0.2
"""Seconds in which what is replaced together has been replaced. What came later is read once more."""

LAST_WORDS = 2.0
"""Seconds that answers get to reach slow clients when the listener ends."""
ASGI = {"version": "3.0", "spec_version": "2.3"}

log = logging.get("apiserver.front")


class Listener:
    """Connections from the front to the protocol that a uvicorn configuration names."""

    def __init__(self, config: uvicorn.Config, tls: Tls, clock: Clock, streams: int = STREAMS) -> None:
        """`streams`: of a connection of HTTP/2 at a time."""
        self._config = config
        self._tls = tls
        self._shown: tuple[list[Shown], bytes] | None = None
        self._streams = streams
        self._clock = clock
        self._server = _Server(config)
        self._connections: dict[int, _Connection] = {}
        self._transports: dict[int, FrontTransport] = {}
        self._exchanges: dict[int, Exchange] = {}
        self._requests: set[asyncio.Task[None]] = set()
        self._deadlines = Deadlines(clock)
        self._tasks = tasks.Group(self._failed)
        self._front: native.Front | None = None
        self._gone: asyncio.Future[None] | None = None
        """Cancelled when the last connection has gone."""
        self._loop = asyncio.get_running_loop()

    def _failed(self, name: str, error: BaseException) -> None:
        log.error("%s failed", name, exc_info=error)

    async def start(self, bound: socket.socket) -> None:
        """Listens on a bound socket, which stays the caller's. Raises ValueError for certificates that do not do."""
        self._shown = await asyncio.to_thread(self._tls.read)
        self._front = native.Front(
            *self._shown,
            only_tls13=self._tls.only_tls13,
            cipher_suites=self._tls.cipher_suites,
            alpn=ALPN,
            threads=max(1, (os.cpu_count() or 1) // 2),
            connections=_places(),
            streams=self._streams,
            handshake_seconds=HANDSHAKE_SECONDS,
            header_seconds=HEADER_SECONDS,
            idle_seconds=float(self._config.timeout_keep_alive),
        )
        self._loop.add_reader(self._front.fileno(), self._turn)
        self._serving = self._tasks.start("uvicorn", self._server.serve(sockets=[]))
        await self._server.listening(self._serving)
        self._tasks.start("deadlines", self._deadlines.run())
        self._tasks.start("certificates", self._keep_fresh())
        if self._tls.files:
            self._tasks.start("certificate files", self._follow_files())
        bound.listen(self._config.backlog)
        self._front.listen(os.dup(bound.fileno()))

    async def stop(self) -> None:
        """Takes no new connections, ends streams, lets requests under way end in the configured time."""
        front = self._front
        if front is None:
            return
        front.drain()
        for transport in list(self._transports.values()):
            transport.end_stream()
        for exchange in list(self._exchanges.values()):
            exchange.end_stream()
        self._server.exit()
        await asyncio.wait({self._serving})
        await self._end_requests()
        await self._tasks.cancel()
        self._loop.remove_reader(front.fileno())
        await asyncio.to_thread(front.close)
        for transport in list(self._transports.values()):
            transport.lost()
        self._transports.clear()
        self._connections.clear()
        self._front = None

    async def _end_requests(self) -> None:
        """Lets requests end and their answers go out; cancels those that take too long."""
        limit = float(self._config.timeout_graceful_shutdown or 0)
        if self._requests:
            _, late = await asyncio.wait(self._requests, timeout=limit)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        until = self._loop.time() + min(limit, LAST_WORDS)
        while self._connections and self._loop.time() < until:
            self._gone = self._loop.create_future()
            await asyncio.wait({self._gone}, timeout=max(0.0, until - self._loop.time()))

    async def reload(self) -> None:
        """New connections get what is on disk now. What cannot be used is logged, and changes nothing."""
        tls = self._tls
        try:
            read = await asyncio.to_thread(tls.read)
            if read == self._shown:
                return
            assert self._front is not None
            self._front.set_tls(*read, only_tls13=tls.only_tls13, cipher_suites=tls.cipher_suites, alpn=ALPN)
            self._shown = read
            log.info("new connections are shown the certificates that are there now")
        except (OSError, ValueError) as error:
            log.error("the serving certificates cannot be read again: %s", error)

    async def _follow_files(self) -> None:
        """Reads certificates again when a file is replaced, also by way of a link, as Secrets' volumes are."""
        news = inotify.Inotify()
        try:
            while True:
                for file in self._tls.files:
                    for folder in {file.parent, file.resolve().parent}:
                        news.watch(str(folder), REPLACED)
                await self.reload()
                await news.changed()
                # A certificate and its key are two files.
                await self._clock.sleep(TOGETHER)
        finally:
            news.close()

    async def _keep_fresh(self) -> None:
        while True:
            await self._clock.sleep(RENEWAL_INTERVAL)
            await self.reload()

    # --- what comes in ----------------------------------------------------------------------------

    def _turn(self) -> None:
        front = self._front
        assert front is not None
        for number, kind, payload in front.poll():
            try:
                if kind == REQUEST:
                    self._request(number, *payload)
                elif kind == OPEN:
                    self._connections[number] = _Connection(payload)
                elif kind == LOST:
                    self._lost(number)
                else:
                    self._told(number, kind, payload)
            except Exception:
                log.exception("a connection's protocol failed")
                if number in self._transports:
                    self._transports[number].abort()

    def _told(self, number: int, kind: int, payload: Any) -> None:
        exchange = self._exchanges.get(number)
        one = exchange if exchange is not None and not exchange.finished else self._transports.get(number)
        if one is None:
            if kind != DATA:
                return  # the end of an exchange that has ended already
            one = self._open(number)
        if kind == DATA:
            one.received(payload)
        elif kind == EOF:
            one.ended()
        elif kind == RESUME:
            one.resumed()
        elif kind == ENDED:
            one.stream_ended(payload)

    def _lost(self, number: int) -> None:
        if self._connections.pop(number, None) is not None and not self._connections and self._gone is not None:
            self._gone.cancel()
        if (exchange := self._exchanges.pop(number, None)) is not None:
            exchange.lost()
        if (transport := self._transports.pop(number, None)) is not None:
            transport.lost()

    def _open(self, number: int) -> FrontTransport:
        """A connection whose bytes the protocol reads from here on."""
        connection = self._connections[number]
        transport = FrontTransport(connection.connection, self._flush, self._deadlines, self)
        protocol = self._config.http_protocol_class(  # type: ignore[call-arg]
            config=self._config,
            server_state=self._server.server_state,
            app_state={**self._server.lifespan.state, **connection.state, CONNECTION: transport},
        )
        transport.set_protocol(protocol)
        self._transports[number] = transport
        protocol.connection_made(transport)
        return transport

    def _request(
        self,
        number: int,
        answer: native.FrontExchange,
        connection: int,
        method: str,
        path: bytes,
        query: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        more: bool,
    ) -> None:
        """A request that the front has read."""
        source = self._connections[connection]
        exchange = Exchange(answer, body, more, self._flush, self._deadlines)
        self._exchanges[number] = exchange
        text = path.decode("ascii", "surrogateescape")
        scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": "1.1" if number == connection else "2",
            "server": source.server,
            "client": source.client,
            "scheme": "https",
            "method": method,
            "root_path": "",
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "state": {**source.state, CONNECTION: exchange},
        }
        self._requests.add(self._loop.create_task(exchange.run(self._config.loaded_app, scope, self._requests)))

    def _flush(self) -> None:
        """What was written in this turn of the loop goes out at its end: many writes are one wake-up of the front."""
        if self._front is not None:
            self._loop.call_soon(self._front.flush)


OPEN, DATA, EOF, LOST = native.Front.OPEN, native.Front.DATA, native.Front.EOF, native.Front.LOST
RESUME, ENDED, REQUEST = native.Front.RESUME, native.Front.ENDED, native.Front.REQUEST


class _Connection:
    """What all requests of a connection share."""

    __slots__ = ("client", "connection", "server", "state")

    def __init__(self, connection: native.FrontConnection) -> None:
        self.connection = connection
        self.client, self.server = connection.peer, connection.local
        self.state: dict[str, Any] = {}
        if connection.identity is not None:
            self.state[PEER] = peer_of(*connection.identity)


def _places() -> int:
    """How many connections there may be; lets the process open as many descriptors as it is allowed to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        soft = hard if hard != resource.RLIM_INFINITY else max(soft, CONNECTIONS + RESERVED)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(RESERVED, min(CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - RESERVED))


class _Server(uvicorn.Server):
    """uvicorn's server without sockets of its own, signal handlers and a clock that ticks ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._started = asyncio.Event()
        self._exit = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._exit.wait()

    def exit(self) -> None:
        """Ends `serve`."""
        self.should_exit = True
        self._exit.set()

    async def listening(self, serving: "asyncio.Task[None]") -> None:
        """Returns when connections are taken. Raises what hindered it."""
        waiting = asyncio.ensure_future(self._started.wait())
        done, _ = await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
        if waiting not in done:
            waiting.cancel()
            serving.result()
            raise RuntimeError("the listener ended before it began")
