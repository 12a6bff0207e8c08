"""One request that the front has read, as ASGI: HTTP/2's streams, and HTTP/1.1 where nothing is left open."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

from orlop import logging, native
from orlop.apiserver.front.deadlines import Deadlines
from orlop.apiserver.front.delivery import Form

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Any]

HIGH_WATER = 64 * 1024
"""Bytes of a body that may wait for the app before its sender has to: uvicorn's mark."""

log = logging.get("apiserver.front")


class Exchange:
    """`receive` and `send` for the app, and the `Delivery` of its streams."""

    __slots__ = (
        "_body",
        "_deadlines",
        "_ended",
        "_exchange",
        "_flush",
        "_gone",
        "_more",
        "_news",
        "_paused",
        "_room",
        "_start",
        "_started",
        "_stream",
    )

    def __init__(
        self,
        exchange: native.FrontExchange,
        body: bytes,
        more: bool,
        flush: Callable[[], None],
        deadlines: Deadlines,
    ) -> None:
        self._exchange = exchange
        self._body: bytes | bytearray | None = body
        self._more = more
        self._flush = flush
        self._deadlines = deadlines
        self._start: Message | None = None
        self._started = self._ended = self._gone = self._paused = False
        self._news: asyncio.Event | None = None
        self._room: asyncio.Event | None = None
        self._stream: tuple[int, asyncio.Future[None]] | None = None

    async def run(self, app: App, scope: Any, running: "set[asyncio.Task[None]]") -> None:
        """The request's task, which takes itself out of those that are running: a callback would cost a turn more."""
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            log.exception("an ASGI application failed")
            if not self._started:
                self._said(self._exchange.respond(500, [TEXT], b"Internal Server Error", True))
                self._started = self._ended = True
        finally:
            if not self._ended and not self._gone:
                self._exchange.abort()
            running.discard(asyncio.current_task())

    # --- what the app calls -----------------------------------------------------------------------

    async def receive(self) -> Message:
        """The body's next part, or word that nobody waits for the answer any more."""
        while not self._gone and not self._ended:
            if self._body is not None and (self._body or not self._more):
                body, self._body = bytes(self._body), None
                if self._more:
                    self._body = bytearray()
                if self._paused:
                    self._paused = False
                    self._exchange.pause(False)
                return {"type": "http.request", "body": body, "more_body": self._more}
            if self._news is None:
                self._news = asyncio.Event()
            self._news.clear()
            await self._news.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """The answer's start, held until its body begins, then the body. Waits while the client is slow."""
        if self._gone:
            return
        if message["type"] == "http.response.start":
            if self._started or self._start is not None:
                raise RuntimeError("an answer begins once")
            self._start = message
            return
        if self._ended or (self._start is None and not self._started):
            raise RuntimeError("a body belongs between the answer's start and its end")
        body, end = message.get("body", b""), not message.get("more_body", False)
        if self._start is not None:
            start, self._start, self._started = self._start, None, True
            said = self._exchange.respond(start["status"], start.get("headers", []), body, end)
        else:
            said = self._exchange.write(body, end)
        self._ended = end
        if said:
            self._said(said)
            if said & 2 and not end:
                self._room = asyncio.Event()
                await self._room.wait()

    def _said(self, said: int) -> None:
        if said & 1:
            self._flush()

    @property
    def finished(self) -> bool:
        """The answer has been given; what comes now is not its own."""
        return self._ended

    # --- what the listener calls ------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        """More of the body."""
        self._body = bytearray(self._body or b"") if not isinstance(self._body, bytearray) else self._body
        self._body += data
        if len(self._body) > HIGH_WATER and not self._paused:
            self._paused = True
            self._exchange.pause(True)
        self._wake()

    def ended(self) -> None:
        """The body is whole."""
        self._more = False
        self._body = self._body or b""
        self._wake()

    def lost(self) -> None:
        """Nobody waits for the answer any more."""
        self._gone = True
        self._wake()
        self.resumed()
        self.stream_ended(None)

    def resumed(self) -> None:
        """There is room to write again."""
        if self._room is not None:
            self._room.set()
            self._room = None

    def _wake(self) -> None:
        if self._news is not None:
            self._news.set()

    def stream_ended(self, token: int | None) -> None:
        """A stream came to its end: this one, or whichever there is."""
        if self._stream is not None and token in (None, self._stream[0]) and not self._stream[1].done():
            self._stream[1].set_result(None)

    def end_stream(self) -> None:
        """Ends the stream under way, if there is one."""
        if self._stream is not None:
            self._exchange.detach(self._stream[0])
            self.stream_ended(None)

    # --- what a handler calls: `Delivery` ---------------------------------------------------------

    async def watch(self, watcher: native.Watcher, form: Form, of: str, seconds: float) -> None:
        await self._begin()
        await self._streamed(self._exchange.attach_watch(watcher, form, of), seconds, watcher)

    async def list(self, found: native.ListResult, before: bytes, after: bytes) -> None:
        await self._begin()
        await self._streamed(self._exchange.attach_list(found, before, after))

    async def _begin(self) -> None:
        if self._start is not None:
            await self.send({"type": "http.response.body", "body": b"", "more_body": True})

    async def _streamed(
        self, attached: tuple[int, bool], seconds: float = 0.0, watcher: native.Watcher | None = None
    ) -> None:
        token, flush = attached
        if flush:
            self._flush()
        if self._gone:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stream = token, future
        if watcher is not None:
            self._deadlines.add(seconds, future, watcher)
        try:
            await future
        finally:
            self._stream = None
            self._exchange.detach(token)


TEXT = (b"content-type", b"text/plain; charset=utf-8")
