"""Requests that ask to be upgraded: what passes, what is refused, and what becomes of the connection."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.apiserver.conftest import PODS, Api, pod

from orlop import pki
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

SPDY = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=0)) as server:
        yield server


class Upgrader:
    """A server that agrees to any upgrade and repeats what it is told, or refuses."""

    def __init__(self) -> None:
        self.refusal = b""
        self.head = b""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        if self.refusal:
            writer.write(self.refusal)
        else:
            # What the server says at once comes in one piece with its answer's head.
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nhello ")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def upgrader(served: ApiServer) -> AsyncIterator[Upgrader]:
    one = Upgrader()
    listening = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    one.port = listening.sockets[0].getsockname()[1]
    api = Api(served)
    await api.made("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    made = await api.made(PODS, pod("p", nodeName="n"))
    made["status"] |= {"phase": "Running", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    await api("PUT", f"{PODS}/p/status", made)
    yield one
    listening.close()
    await api.transport.close()


async def ask(served: ApiServer, head: str, early: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request over TLS as the admin, with bytes right behind it."""
    folder = pki.Folder(served.config.data_dir / "pki", served.clock)
    pair = folder.client(pki.ADMIN)
    context = ssl.create_default_context(cafile=str(folder.ca_file))
    context.load_cert_chain(pair.certificate_file, pair.key_file)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
    writer.write(f"{head}Host: x\r\n\r\n".encode() + early)
    await writer.drain()
    return reader, writer


async def test_bytes_that_come_early_are_not_lost(served: ApiServer, upgrader: Upgrader) -> None:
    path = f"{PODS}/p:{upgrader.port}/proxy/a%20b?c=d"
    reader, writer = await ask(
        served, f"GET {path} HTTP/1.1\r\nAuthorization: Bearer x\r\nX-Mine: 1\r\n{SPDY}", b"early"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert await reader.readexactly(11) == b"hello early"
    writer.write(b"x" * 1_000_000)
    assert await reader.readexactly(1_000_000) == b"x" * 1_000_000
    assert upgrader.head.startswith(b"GET /a%20b?c=d HTTP/1.1\r\n")
    assert b"x-mine: 1" in upgrader.head.lower()
    assert b"authorization" not in upgrader.head.lower(), "what admits to this server is not for others"
    writer.close()


async def test_a_refusal_is_passed_on_and_ends_the_connection(served: ApiServer, upgrader: Upgrader) -> None:
    upgrader.refusal = b"HTTP/1.1 418 Teapot\r\nX-Why: tea\r\nContent-Length: 5\r\n\r\nshort"
    reader, writer = await ask(served, f"GET {PODS}/p:{upgrader.port}/proxy/ HTTP/1.1\r\n{SPDY}")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 418 ")
    assert b"x-why: tea" in answer
    assert answer.endswith(b"short")
    writer.close()


async def test_who_is_refused_is_told_by_a_status(served: ApiServer, upgrader: Upgrader) -> None:
    for path, code, message in (
        (f"{PODS}/nobody/exec?command=ls&stdout=1", 404, 'pods "nobody" not found'),
        (f"{PODS}/p/exec?command=ls&stdout=1&container=x", 400, "container x is not valid for pod p"),
        (f"{PODS}/p/exec?stdout=1", 400, "you must specify at least one command for the container"),
        (f"{PODS}/p/exec?command=ls", 400, "you must specify at least one of stdin, stdout, stderr"),
        (f"{PODS}/p/portforward?ports=0", 400, 'unable to parse "0" as a port'),
        (f"{PODS}/p/attach?stdout=1", 404, 'nodes "n" not found'),
    ):
        reader, writer = await ask(served, f"POST {path} HTTP/1.1\r\nContent-Length: 0\r\n{SPDY}")
        answer = await reader.read()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {code} ".encode()), path
        assert json.loads(body)["message"] == message
        writer.close()


async def test_a_server_that_stops_ends_what_it_has_joined(served: ApiServer, upgrader: Upgrader) -> None:
    reader, writer = await ask(served, f"GET {PODS}/p:{upgrader.port}/proxy/ HTTP/1.1\r\n{SPDY}", b"x")
    await reader.readuntil(b"hello x")
    assert len(served.core.joined) == 1
    for joined in list(served.core.joined):
        joined.cancel()
    assert await reader.read() == b""
    writer.close()


async def test_a_pod_that_does_not_listen(served: ApiServer, upgrader: Upgrader) -> None:
    reader, writer = await ask(served, f"GET {PODS}/p:1/proxy/ HTTP/1.1\r\n{SPDY}")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert json.loads(body)["message"].startswith("error trying to reach service: ")
    writer.close()


async def test_a_browser_s_token_is_not_passed_on(served: ApiServer, upgrader: Upgrader) -> None:
    from orlop.apiserver.request import Request
    from orlop.apiserver.subresources.streams import _headers

    token = b"base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(b"secret")
    scope = {
        "type": "http",
        "path": "/",
        "headers": [
            (b"sec-websocket-protocol", token + b", v4.channel.k8s.io"),
            (b"cookie", b"x"),
            (b"user-agent", b"b"),
        ],
    }

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    passed = _headers(Request(scope, nothing, nothing))  # type: ignore[arg-type]
    assert passed == [(b"sec-websocket-protocol", b"v4.channel.k8s.io"), (b"user-agent", b"b")]
