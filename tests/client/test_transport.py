"""What every transport promises, over each of them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn

from orlop.api import errors
from orlop.client import Transport, Unreachable
from orlop.client.asgi import ASGITransport
from orlop.client.tls import Settings, TLSTransport
from orlop.clock import FakeClock, SystemClock
from orlop.pki.folder import Folder
from orlop.pki.identities import ADMIN, Names

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Server:
    """Echoes, streams, breaks off, refuses: what a transport has to carry."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.sent = 0
        self.finished = asyncio.Event()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self.http(scope, receive, send)

    async def http(self, scope: Any, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {k.decode(): v.decode() for k, v in scope["headers"]}
        answer = {
            "method": scope["method"],
            "path": scope["path"],
            "query": scope["query_string"].decode(),
            "body": body.decode(),
            "agent": headers.get("user-agent"),
            "authorization": headers.get("authorization"),
            "user": scope.get("state", {}).get("orlop.user"),
        }
        path = scope["path"]
        if path == "/break":
            raise ConnectionError("gone")
        status = 404 if path == "/missing" else 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        if path == "/stream":
            for piece in (b"one\n", b"two\n"):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()
        elif path == "/flood":
            for _ in range(400):
                await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
                self.sent += 1
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif path == "/half":
            await send({"type": "http.response.body", "body": b"one\n", "more_body": True})
            raise ConnectionError("gone")
        elif path == "/slow":
            await asyncio.sleep(0.2)
            await send({"type": "http.response.body", "body": b"{}", "more_body": False})
            self.finished.set()
        else:
            await send({"type": "http.response.body", "body": msgspec.json.encode(answer), "more_body": False})

    async def websocket(self, scope: Any, receive: Receive, send: Send) -> None:
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"no such pod"})
            return
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("bytes") == b"bye":
                await send({"type": "websocket.close", "code": 1000})
                return
            await send({"type": "websocket.send", "bytes": b"echo " + message["bytes"]})
        self.left.set()


@asynccontextmanager
async def tls_server(app: Server, folder: Folder) -> AsyncIterator[str]:
    pair = folder.apiserver(Names.of(["localhost", "127.0.0.1"]))
    certificate, key = folder.path / "serving.crt", folder.path / "serving.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    config = uvicorn.Config(
        app,
        port=0,
        lifespan="off",
        log_level="critical",
        ws="wsproto",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        ssl_ca_certs=str(folder.ca_file),
        ssl_cert_reqs=ssl.CERT_OPTIONAL,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    try:
        yield f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture(params=["asgi", "tls"])
async def transport(request: pytest.FixtureRequest, server: Server, tmp_path: Path) -> AsyncIterator[Transport]:
    if request.param == "asgi":
        inside = ASGITransport(server, "admin")
        yield inside
        await inside.close()
        return
    folder = Folder(tmp_path, SystemClock())
    pair = folder.client(ADMIN)
    async with tls_server(server, folder) as url:
        settings = Settings(
            server=url,
            ca_data=folder.ca(),
            client_certificate_data=pair.certificate,
            client_key_data=pair.key,
        )
        outside = TLSTransport(settings, SystemClock())
        yield outside
        await outside.close()


HEADERS = {"user-agent": "test"}


async def test_carries_a_request_and_its_answer(transport: Transport) -> None:
    response = await transport.request("POST", "/a%2Fb?x=1%2C2", {**HEADERS, "content-type": "text/plain"}, b"hello")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    answer = msgspec.json.decode(response.body)
    assert (answer["method"], answer["path"], answer["query"]) == ("POST", "/a/b", "x=1%2C2")
    assert (answer["body"], answer["agent"]) == ("hello", "test")


async def test_gives_unsuccessful_answers_as_they_are(transport: Transport) -> None:
    assert (await transport.request("GET", "/missing", HEADERS, b"")).status == 404


async def test_many_requests_at_once(transport: Transport) -> None:
    answers = await asyncio.gather(*(transport.request("GET", f"/{i}", HEADERS, b"") for i in range(50)))
    assert [msgspec.json.decode(a.body)["path"] for a in answers] == [f"/{i}" for i in range(50)]


async def test_a_stream_gives_pieces_as_they_come_and_tells_the_server_when_it_is_left(
    transport: Transport, server: Server
) -> None:
    got = b""
    async with transport.stream("GET", "/stream", HEADERS, b"") as stream:
        assert stream.status == 200
        async for chunk in stream.chunks():
            got += chunk
            if got == b"one\ntwo\n":
                break
    await asyncio.wait_for(server.left.wait(), 5)


async def test_a_slow_reader_holds_the_server_back(transport: Transport, server: Server) -> None:
    async with transport.stream("GET", "/flood", HEADERS, b"") as stream:
        await asyncio.sleep(0.2)
        assert server.sent < 400
        total = 0
        async for chunk in stream.chunks():
            total += len(chunk)
    assert total == 400 << 16


async def test_an_answer_that_breaks_off_is_an_error(transport: Transport) -> None:
    with pytest.raises(errors.ApiError):
        await transport.request("GET", "/half", HEADERS, b"")
    async with transport.stream("GET", "/half", HEADERS, b"") as stream:
        with pytest.raises(Unreachable):
            await stream.read()


async def test_a_server_that_fails_answers_500(transport: Transport) -> None:
    try:
        status = (await transport.request("GET", "/break", HEADERS, b"")).status
    except errors.InternalError as error:
        status = error.status.code
    assert status == 500


async def test_abort_wakes_the_reader(transport: Transport) -> None:
    async with transport.stream("GET", "/stream", HEADERS, b"") as stream:

        async def abort() -> None:
            await asyncio.sleep(0.05)
            stream.abort("hung")

        task = asyncio.ensure_future(abort())
        with pytest.raises(Unreachable, match="hung"):
            await asyncio.wait_for(stream.read(), 5)
        await task


async def test_a_write_goes_on_when_its_caller_is_cancelled(transport: Transport, server: Server) -> None:
    call = asyncio.ensure_future(transport.request("POST", "/slow", HEADERS, b"{}"))
    await asyncio.sleep(0.1)
    call.cancel()
    await asyncio.wait({call})
    await asyncio.wait_for(server.finished.wait(), 5)


async def test_a_websocket_carries_messages_both_ways(transport: Transport, server: Server) -> None:
    async with transport.websocket("/exec", HEADERS, ("v5.channel.k8s.io", "v4.channel.k8s.io")) as socket:
        assert socket.protocol == "v5.channel.k8s.io"
        await socket.send(b"\x00hello")
        assert await socket.receive() == b"echo \x00hello"
    await asyncio.wait_for(server.left.wait(), 5)


async def test_a_websocket_that_the_server_closes_ends(transport: Transport) -> None:
    async with transport.websocket("/exec", HEADERS, ("v5.channel.k8s.io",)) as socket:
        await socket.send(b"bye")
        assert await socket.receive() is None
        assert await socket.receive() is None
        with pytest.raises(Unreachable):
            await socket.send(b"more")


async def test_a_refused_websocket_is_the_error_it_says(transport: Transport) -> None:
    with pytest.raises(errors.NotFound):
        async with transport.websocket("/refused", HEADERS, ("v5.channel.k8s.io",)):
            pass


async def test_the_identity_goes_with_each_request_in_process(server: Server) -> None:
    transport = ASGITransport(server, "admin", state={"other": 1})
    answer = msgspec.json.decode((await transport.request("GET", "/", HEADERS, b"")).body)
    assert answer["user"] == "admin"


async def test_a_token_file_is_read_again(server: Server, tmp_path: Path) -> None:
    folder = Folder(tmp_path, SystemClock())
    clock = FakeClock()
    token = tmp_path / "token"
    token.write_text("first\n")
    async with tls_server(server, folder) as url:
        transport = TLSTransport(Settings(server=url, ca_data=folder.ca(), token_file=str(token)), clock)

        async def authorization() -> str:
            response = await transport.request("GET", "/", HEADERS, b"")
            return str(msgspec.json.decode(response.body)["authorization"])

        assert await authorization() == "Bearer first"
        token.write_text("second\n")
        assert await authorization() == "Bearer first"
        await clock.advance(61)
        assert await authorization() == "Bearer second"
        await transport.close()


async def test_a_server_that_is_not_there() -> None:
    transport = TLSTransport(Settings(server="https://127.0.0.1:1"), SystemClock())
    with pytest.raises(Unreachable) as caught:
        await transport.request("GET", "/api", HEADERS, b"")
    assert not caught.value.sent
    assert caught.value.message.startswith('Get "https://127.0.0.1:1/api": ')
    await transport.close()


async def test_a_server_of_another_authority_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    folder, other = Folder(tmp_path, SystemClock()), Folder(tmp_path / "other", SystemClock())
    async with tls_server(server, folder) as url:
        transport = TLSTransport(Settings(server=url, ca_data=other.ca()), SystemClock())
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await transport.request("GET", "/", HEADERS, b"")
        await transport.close()
