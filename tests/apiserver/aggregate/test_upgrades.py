"""Connections that another API server upgrades, as exec of its own resources would: passed on whole."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.aggregate.test_aggregation import APISERVICES, GROUP, api_service, condition
from tests.apiserver.conftest import Api
from tests.apiserver.test_upgrade import SPDY, ask, served
from tests.support import webhooks

from orlop.apiserver.server import ApiServer

__all__ = ["served"]
RESOURCES = {"kind": "APIResourceList", "resources": [{"name": "things", "namespaced": True, "kind": "Thing"}]}
PATH = f"{GROUP}/namespaces/default/things/t/shell"


class Extension:
    """Answers discovery, agrees to any upgrade, and repeats what it is told."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.refusal = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"upgrade:" not in head.lower():
            body = json.dumps(RESOURCES).encode()
            length = b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + length + body)
        elif self.refusal:
            self.heads.append(head)
            writer.write(self.refusal)
        else:
            self.heads.append(head)
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\nhello ")
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            self.ended.set()
        writer.close()


@pytest.fixture
async def extension(served: ApiServer, tmp_path: Path) -> AsyncIterator[Extension]:
    """It lets nobody speak to it who does not show the front proxy's certificate."""
    one, api, authority = Extension(), Api(served), webhooks.Authorities()
    tls = authority.serving(tmp_path, "things.default.svc")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(cadata=served._front_proxy.ca().decode())
    listening = await asyncio.start_server(one.serve, "0.0.0.0", 0, ssl=tls)
    await webhooks.service(api.made, "things", listening.sockets[0].getsockname()[1])
    await api.made(APISERVICES, api_service(authority.bundle))
    assert (await condition(api, "Passed"))["status"] == "True"
    yield one
    listening.close()
    await api.transport.close()


def named(head: bytes) -> dict[str, Any]:
    """The headers of a request, by name in lower case."""
    lines = head.decode().split("\r\n")[1:-2]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_bytes_go_both_ways(served: ApiServer, extension: Extension) -> None:
    lie = "X-Remote-User: somebody\r\nX-Remote-Group: system:masters\r\n"
    reader, writer = await ask(served, f"POST {PATH}?command=ls HTTP/1.1\r\n{lie}{SPDY}", b"early")
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert await reader.readexactly(11) == b"hello early"
    writer.write(b"x" * 1_000_000)
    assert await reader.readexactly(1_000_000) == b"x" * 1_000_000
    (asked,) = extension.heads
    assert asked.startswith(f"POST {PATH}?command=ls HTTP/1.1\r\n".encode())
    told = named(asked)
    assert told["x-remote-user"] == "kubernetes-admin", "who asks is told by this server, whatever the client says"
    assert told["x-stream-protocol-version"] == "v4.channel.k8s.io"
    writer.close()
    await asyncio.wait_for(extension.ended.wait(), 10)  # the client's end is the extension server's too


async def test_a_refusal_is_passed_on(served: ApiServer, extension: Extension) -> None:
    extension.refusal = b"HTTP/1.1 403 Forbidden\r\nX-Why: closed\r\nContent-Length: 6\r\n\r\nclosed"
    reader, writer = await ask(served, f"GET {PATH} HTTP/1.1\r\n{SPDY}")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"x-why: closed" in answer
    assert answer.endswith(b"closed")
    writer.close()
