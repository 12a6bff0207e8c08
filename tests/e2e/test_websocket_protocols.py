"""The WebSocket protocols of clients other than kubectl: the Python client's v4, browsers' base64, and the oldest."""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlencode

import aiohttp
import pytest
import yaml

from tests.e2e.conftest import Box

pytestmark = [pytest.mark.e2e, pytest.mark.root]

BASE64 = ("base64.channel.k8s.io", "v4.base64.channel.k8s.io")


class Api:
    """WebSockets to the API server, as the admin of the kubeconfig."""

    def __init__(self, session: aiohttp.ClientSession, server: str, box: Box) -> None:
        self._session = session
        self._base = f"{server}/api/v1/namespaces/{box.namespace}/pods"

    def connect(
        self, path: str, *query: tuple[str, str], protocol: str = ""
    ) -> "aiohttp.client._WSRequestContextManager":
        protocols = (protocol,) if protocol else ()
        return self._session.ws_connect(f"{self._base}/{path}?{urlencode(query)}", protocols=protocols)


@pytest.fixture
async def api(box: Box, tmp_path: Path) -> AsyncIterator[Api]:
    config = yaml.safe_load(Path(box.cluster.env["KUBECONFIG"]).read_text())  # noqa: ASYNC240
    context = next(c["context"] for c in config["contexts"] if c["name"] == box.cluster.name)
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
    for name in ("client-certificate-data", "client-key-data"):
        (tmp_path / name).write_bytes(base64.b64decode(user[name]))
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    tls.load_cert_chain(tmp_path / "client-certificate-data", tmp_path / "client-key-data")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls)) as session:
        yield Api(session, cluster["server"], box)


def decoder(protocol: str) -> Callable[[aiohttp.WSMessage], tuple[int, bytes]]:
    """A message's channel and content."""
    if protocol in BASE64:
        return lambda m: (int(m.data[0]), base64.b64decode(m.data[1:]))
    return lambda m: (m.data[0], m.data[1:])


@pytest.mark.parametrize("protocol", ["", "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io", *BASE64])
async def test_exec(api: Api, protocol: str) -> None:
    script = "read line; echo got $line; echo err >&2; exit 3"
    query = [("command", c) for c in ("sh", "-c", script)]
    query += [("stdin", "1"), ("stdout", "1"), ("stderr", "1")]
    decode = decoder(protocol)
    said: dict[int, bytes] = {}
    async with api.connect("box/exec", *query, protocol=protocol) as socket:
        assert (socket.protocol or "") in (protocol, "channel.k8s.io")
        if protocol in BASE64:
            await socket.send_str("0" + base64.b64encode(b"\xc3\xa4\n").decode())
        else:
            await socket.send_bytes(b"\0\xc3\xa4\n")
        async for message in socket:
            channel, data = decode(message)
            said[channel] = said.get(channel, b"") + data
    assert said[1] == "got ä\n".encode()
    assert said[2] == b"err\n"
    if protocol.startswith("v"):
        status = json.loads(said[3])
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    else:
        assert b"exit status 3" in said[3]


async def test_exec_with_a_protocol_that_nobody_speaks(api: Api) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with api.connect("box/exec", ("command", "ls"), ("stdout", "1"), protocol="v9.channel.k8s.io"):
            pass
    assert refused.value.status == 403


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v4.base64.channel.k8s.io"])
async def test_ports_fixed_at_the_start(api: Api, protocol: str) -> None:
    decode = decoder(protocol)
    request = b"GET /index.html HTTP/1.0\r\n\r\n"
    async with api.connect("box/portforward", ("ports", "8080"), ("ports", "9"), protocol=protocol) as socket:
        if protocol in BASE64:
            await socket.send_str("0" + base64.b64encode(request).decode())
        else:
            await socket.send_bytes(b"\0" + request)
        said: dict[int, bytes] = {}
        async with asyncio.timeout(20):
            while not (said.get(0, b"").endswith(b"hello\n") and len(said.get(3, b"")) > 2):
                channel, data = decode(await socket.receive())
                said[channel] = said.get(channel, b"") + data
    for channel, port in ((0, 8080), (1, 8080), (2, 9), (3, 9)):
        assert said[channel][:2] == port.to_bytes(2, "little")
    assert b"failed to connect to localhost:9" in said[3]
