"""The transport into an API server in the same process: its ASGI app is called directly, with an identity.

Nothing is skipped but sockets and TLS: the app routes, authorizes and answers as it does for anyone. The identity is
what the listener would have found in a client certificate, handed over in `scope["state"]["orlop.user"]`.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

from orlop import logging
from orlop.api import errors
from orlop.client.transport import Response, Unreachable
from orlop.tasks import Group

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

STREAM_BUFFER = 1 << 20
"""Bytes of a stream that wait for a slow reader before the app's `send` does, as a socket's buffers would."""
DISCONNECT_GRACE = 1.0
"""Seconds that an app has to notice a disconnect before its task is cancelled."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_log = logging.get("client")


class ASGITransport:
    """Calls `app` as the user given. `state` is copied into each request's scope (a lifespan's state)."""

    def __init__(self, app: App, user: object, *, state: Mapping[str, Any] | None = None) -> None:
        self._app = app
        self._state = {**(state or {}), "orlop.user": user}
        self._tasks = Group(self._failed)

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        exchange = _Exchange(body)
        call = self._app(self._scope("http", method, target, headers), exchange.receive, exchange.send)
        try:
            if method in _SAFE:
                await call
            else:
                # A server goes on with a write whose client has left; so must this one, or half of it may be done.
                await asyncio.shield(self._tasks.start(f"{method} {target}", _run(call)))
        except Exception as error:
            if exchange.status == 0:
                raise _failure(method, target, error) from error
            raise Unreachable(f"{method} {target}: the answer broke off: {error}", sent=True) from error
        finally:
            exchange.disconnect()
        if not exchange.ended:
            raise Unreachable(f"{method} {target}: the server gave no answer", sent=True)
        return Response(exchange.status, exchange.headers, exchange.body())

    @asynccontextmanager
    async def stream(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator["_Exchange"]:
        exchange = _Exchange(body)
        call = self._app(self._scope("http", method, target, headers), exchange.receive, exchange.send)
        task = self._tasks.start(f"{method} {target}", exchange.run(call))
        try:
            await exchange.started()
            yield exchange
        finally:
            exchange.disconnect()
            await _end(task)

    @asynccontextmanager
    async def websocket(
        self, target: str, headers: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AsyncIterator["_Socket"]:
        socket = _Socket()
        scope = self._scope("websocket", "GET", target, headers)
        scope["subprotocols"] = list(protocols)
        scope["extensions"] = {"websocket.http.response": {}}
        task = self._tasks.start(
            f"WEBSOCKET {target}", socket.run(self._app(scope, socket.app_receive, socket.app_send))
        )
        try:
            await socket.opened(target)
            yield socket
        finally:
            await socket.close(1001)
            await _end(task)

    async def close(self) -> None:
        await self._tasks.cancel()

    def _scope(self, type_: str, method: str, target: str, headers: Mapping[str, str]) -> Message:
        path, _, query = target.partition("?")
        return {
            "type": type_,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https" if type_ == "http" else "wss",
            "path": path if "%" not in path else _unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
            "client": None,
            "server": None,
            "state": dict(self._state),
        }

    def _failed(self, name: str, error: BaseException) -> None:
        if not isinstance(error, errors.ApiError):
            _log.debug("request failed inside the server", extra={"request": name, "error": repr(error)})


def _unquote(path: str) -> str:
    from urllib.parse import unquote

    return unquote(path)


async def _run(call: Awaitable[None]) -> None:
    await call


async def _end(task: "asyncio.Task[Any]") -> None:
    done, _ = await asyncio.wait({task}, timeout=DISCONNECT_GRACE)
    if not done:
        task.cancel()
        await asyncio.wait({task})


def _failure(method: str, target: str, error: Exception) -> Exception:
    """An app that raises instead of answering is a server that answers 500."""
    return errors.InternalError(f"Internal error occurred: {method} {target}: {error!r}")


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name, the values of one that comes several times joined by commas (RFC 9110, 5.3)."""
    joined: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        joined[name] = f"{joined[name]}, {text}" if name in joined else text
    return joined


class _Exchange:
    """Both ends of one HTTP request: `receive` and `send` for the app, the rest for the client (a `Stream`)."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.ended = False
        self._request: bytes | None = body
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._error: Exception | None = None
        self._gone = False
        self._left: asyncio.Event | None = None
        self._news: asyncio.Event | None = None
        self._room: asyncio.Event | None = None

    # the app's side

    async def receive(self) -> Message:
        if self._request is not None:
            body, self._request = self._request, None
            return {"type": "http.request", "body": body, "more_body": False}
        if not self._gone:
            if self._left is None:
                self._left = asyncio.Event()
            await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._gone:
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = _joined(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            if chunk := message.get("body", b""):
                self._chunks.append(bytes(chunk))
                self._size += len(chunk)
            self.ended = not message.get("more_body", False)
        if self._news is not None:
            self._news.set()
            while self._size > STREAM_BUFFER and not self._gone:
                if self._room is None:
                    self._room = asyncio.Event()
                self._room.clear()
                await self._room.wait()

    # the client's side

    async def run(self, call: Awaitable[None]) -> None:
        """The app's task: however it ends, the reader learns of it."""
        self._news = asyncio.Event()
        try:
            await call
        except Exception as error:
            self._error = error
        finally:
            if not self.ended and self._error is None:
                self._error = ConnectionError("the server ended the answer early")
            self._news.set()

    async def started(self) -> None:
        while self.status == 0:
            if self._error is not None:
                raise errors.InternalError(f"Internal error occurred: {self._error!r}") from self._error
            await self._wait()

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self._size -= len(chunk)
                if self._room is not None and self._size <= STREAM_BUFFER:
                    self._room.set()
                yield chunk
            if self.ended:
                return
            if self._error is not None:
                raise Unreachable(f"the answer broke off: {self._error}", sent=True) from self._error
            await self._wait()

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    def abort(self, why: str) -> None:
        self._error = self._error or ConnectionError(why)
        self.disconnect()
        if self._news is not None:
            self._news.set()

    def body(self) -> bytes:
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    def disconnect(self) -> None:
        self._gone = True
        for event in (self._left, self._room):
            if event is not None:
                event.set()

    async def _wait(self) -> None:
        if self._news is None:
            await asyncio.sleep(0)  # noqa: TID251  # one turn, for the task to start
            return
        self._news.clear()
        await self._news.wait()


class _Socket:
    """Both ends of one WebSocket."""

    def __init__(self) -> None:
        self.protocol = ""
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._to_client: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=64)
        self._accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._refusal = Response(403, {}, b"")
        self._closed = False
        self._to_app.put_nowait({"type": "websocket.connect"})

    async def app_receive(self) -> Message:
        return await self._to_app.get()

    async def app_send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.accept":
            self.protocol = message.get("subprotocol") or ""
            self._accept(None)
        elif kind == "websocket.send":
            data = message.get("bytes")
            if data is None:
                data = message["text"].encode()
            if not self._closed:
                await self._to_client.put(bytes(data))
        elif kind == "websocket.http.response.start":
            headers = _joined(message.get("headers", ()))
            self._refusal = Response(message["status"], headers, b"")
        elif kind == "websocket.http.response.body":
            self._refusal = self._refusal._replace(body=self._refusal.body + message.get("body", b""))
            if not message.get("more_body", False):
                self._accept(refused(self._refusal))
        elif kind == "websocket.close":
            self._accept(refused(self._refusal))
            await self._hang_up()

    async def run(self, call: Awaitable[None]) -> None:
        try:
            await call
        except Exception as error:
            self._accept(errors.InternalError(f"Internal error occurred: {error!r}"))
            raise
        finally:
            self._accept(Unreachable("the server gave no answer", sent=True))
            await self._hang_up()

    def _accept(self, error: Exception | None) -> None:
        if self._accepted.done():
            return
        if error is None:
            self._accepted.set_result(None)
        else:
            self._accepted.set_exception(error)

    async def _hang_up(self) -> None:
        if not self._closed:
            await self._to_client.put(None)

    async def opened(self, target: str) -> None:
        await self._accepted

    async def send(self, message: bytes) -> None:
        if self._closed:
            raise Unreachable("the WebSocket is closed", sent=False)
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": message})

    async def receive(self) -> bytes | None:
        if self._closed:
            return None
        message = await self._to_client.get()
        if message is None:
            self._closed = True
        return message

    async def close(self, code: int = 1000) -> None:
        if not self._closed:
            self._closed = True
            while not self._to_client.empty():  # lets an app go on that waits to send
                self._to_client.get_nowait()
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})


def refused(response: Response) -> errors.ApiError:
    """The error that an answer other than an upgrade stands for."""
    from orlop.client.decode import error_of

    return error_of(response)
