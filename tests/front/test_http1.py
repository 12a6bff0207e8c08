"""HTTP/1.1 through the front: what a client may rely on, and what a protocol may."""

import asyncio
import contextlib
import ssl
from typing import Any

import aiohttp
import pytest
from tests.front.conftest import Serve, Served
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orlop.apiserver.front import listener as front_listener

LIMIT = 20.0
"""Seconds a test waits for what must happen."""


async def connect(served: Served, **more: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", served.port, ssl=served.context(), **more)


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body of an answer with a Content-Length."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
    length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return head, await asyncio.wait_for(reader.readexactly(length), LIMIT)


async def reply(send: Any, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with path and body."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await reply(send, scope["path"].encode() + b" " + bytes(body))


async def test_requests_one_after_another_and_at_once(serve: Serve) -> None:
    async with serve(echo) as served:
        reader, writer = await connect(served)
        for name in (b"a", b"b"):
            writer.write(b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n" % name)
            assert (await answer(reader))[1] == b"/%b " % name
        pipelined = [b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi" % i for i in range(50)]
        writer.write(b"".join(pipelined))
        for i in range(50):
            assert (await answer(reader))[1] == b"/%d hi" % i
        writer.close()


async def test_the_scope_tells_where_a_request_came_from(serve: Serve) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await reply(send, b"")

    async with serve(app) as served:
        reader, writer = await connect(served)
        writer.write(b"GET /a%20b?c=d HTTP/1.1\r\nHost: x\r\n\r\n")
        await answer(reader)
        assert seen["client"] == writer.get_extra_info("sockname")
        assert seen["server"] == ("127.0.0.1", served.port)
        assert (seen["scheme"], seen["path"], seen["query_string"]) == ("https", "/a b", b"c=d")
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_long_bodies_both_ways(serve: Serve, version: ssl.TLSVersion) -> None:
    body = bytes(range(256)) * 20_000
    async with serve(echo) as served:
        context = served.context()
        context.minimum_version = context.maximum_version = version
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context, limit=1 << 20)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await answer(reader))[1] == b"/ " + body
        writer.close()


async def test_a_writer_waits_for_a_slow_reader(serve: Serve) -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while sent < 64 << 20:
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            sent += 1 << 16
        await send({"type": "http.response.body", "body": b""})

    async with serve(app) as served:
        reader, writer = await connect(served, limit=1 << 16)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
        before = -1
        while before != sent:  # until what fits into the buffers on the way has been sent
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 32 << 20
        while await asyncio.wait_for(reader.read(1 << 20), LIMIT):
            pass
        assert sent == 64 << 20
        writer.close()


async def test_a_body_that_is_not_read_is_not_taken(serve: Serve) -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await echo(scope, receive, send)

    size, piece = 64 << 20, bytes(1 << 16)
    sent = 0

    async def upload(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < size:
            writer.write(piece)
            await writer.drain()
            sent += len(piece)

    async with serve(app) as served:
        reader, writer = await connect(served, limit=1 << 27)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        uploading = asyncio.ensure_future(upload(writer))
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 32 << 20
        go.set()
        await asyncio.wait_for(uploading, LIMIT)
        assert len((await answer(reader))[1]) == size + 2
        writer.close()


async def test_a_client_that_leaves_is_noticed(serve: Serve) -> None:
    gone = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with serve(app) as served:
        for leave in ("close", "abort"):
            gone.clear()
            _, writer = await connect(served)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)
            getattr(writer.transport, leave)()
            await asyncio.wait_for(gone.wait(), LIMIT)


async def test_web_sockets_pass(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "bytes": message["bytes"][::-1]})

    async with (
        serve(app) as served,
        aiohttp.ClientSession() as session,
        session.ws_connect(f"https://127.0.0.1:{served.port}/", ssl=served.context()) as socket,
    ):
        for body in (b"abc", bytes(300_000) + b"x"):
            await socket.send_bytes(body)
            assert await asyncio.wait_for(socket.receive_bytes(), LIMIT) == body[::-1]


async def test_a_protocol_may_take_the_connection_over(serve: Serve) -> None:
    """What SPDY does: another protocol, raw bytes, both halves ended by themselves."""

    class Backwards(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.pause_reading()
            assert not self.transport.is_reading()
            self.transport.writelines([data[::-1], b"."])
            self.transport.resume_reading()

        def eof_received(self) -> bool:
            self.transport.write(b"bye")
            self.transport.write_eof()
            self.transport.close()
            return True

    class Upgrading(HttpToolsProtocol):
        def data_received(self, data: bytes) -> None:
            protocol = Backwards()
            protocol.connection_made(self.transport)
            self.transport.set_protocol(protocol)
            self.connections.discard(self)
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    async with serve(echo, http=Upgrading) as served:
        reader, writer = await connect(served)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LIMIT)
        for word in (b"abc", b"defg"):
            writer.write(word)
            assert await asyncio.wait_for(reader.readexactly(len(word) + 1), LIMIT) == word[::-1] + b"."
        writer.close()


async def test_what_is_no_http_is_told_so(serve: Serve) -> None:
    async with serve(echo) as served:
        reader, writer = await connect(served)
        writer.write(b"\x00\x01\x02 nonsense\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), LIMIT)).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_slow_handshakes_and_slow_headers_end(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_listener, "HANDSHAKE_SECONDS", 0.2)
    monkeypatch.setattr(front_listener, "HEADER_SECONDS", 0.2)
    async with serve(echo) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        writer.close()
        reader, writer = await connect(served)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), LIMIT) == b""
        writer.close()
        # A connection that has had its first request stays.
        reader, writer = await connect(served)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await answer(reader)
        await asyncio.sleep(0.4)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await answer(reader)
        writer.close()


async def test_connections_beyond_the_limit_wait(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_listener, "_places", lambda: 2)
    async with serve(echo) as served:
        writers = [(await connect(served))[1] for _ in range(2)]
        third = asyncio.ensure_future(connect(served))
        done, _ = await asyncio.wait({third}, timeout=0.3)
        assert not done
        writers[0].close()
        reader, writer = await asyncio.wait_for(third, LIMIT)
        writer.write(b"GET /third HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await answer(reader))[1] == b"/third "
        for one in (*writers, writer):
            one.close()


async def test_requests_under_way_end_before_the_listener(serve: Serve) -> None:
    began, go = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        began.set()
        await go.wait()
        await reply(send, b"done")

    async with serve(app) as served:
        reader, writer = await connect(served)
        idle, other = await connect(served)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(began.wait(), LIMIT)
        stopping = asyncio.ensure_future(served.listener.stop())
        assert await asyncio.wait_for(idle.read(), LIMIT) == b""
        go.set()
        head, body = await answer(reader)
        assert body == b"done"
        assert b"connection: close" in head
        await asyncio.wait_for(stopping, LIMIT)
        writer.close()
        other.close()
