"""The HTTP/1.1 client against servers that answer in every way that RFC 9112 allows, and in some that it does not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from orlop.client import http1
from orlop.client.http1 import Address, Answer, Pool
from orlop.client.tls import AT_ONCE, Settings, TLSTransport
from orlop.client.transport import Unreachable
from orlop.clock import SystemClock
from orlop.pki.folder import Folder
from orlop.pki.identities import Names

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Raw:
    """A server that sends given pieces for each request it reads."""

    def __init__(self, *answers: list[bytes | None]) -> None:
        """Of each answer the pieces, sent apart; None closes the connection there."""
        self.answers = list(answers)
        self.connections = 0
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                for piece in self.answers.pop(0):
                    if piece is None:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.005)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def pool_to(raw: Raw) -> AsyncIterator[Pool]:
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    pool = Pool(Address("127.0.0.1", server.sockets[0].getsockname()[1]), None, "")
    try:
        yield pool
    finally:
        await pool.close()
        server.close()
        await server.wait_closed()


async def ask(pool: Pool, *, head_only: bool = False) -> tuple[Answer, bytes]:
    connection = await pool.connection(5)
    answer = connection.ask(ASK, head_only=head_only)
    return answer, await asyncio.wait_for(answer.whole(), 5)


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], b"hello"),
        ([b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 5\r\n\r\nhe", b"llo"], b"hello"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r", b"\nlo\r\n0\r\n\r\n"], b"hello"),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], b""),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], b""),
        ([b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"], b"ok"),
        ([b"HTTP/1.1 200 OK\r\n\r\nuntil the", b" end", None], b"until the end"),
        ([b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", None], b"old"),
    ],
)
async def test_reads_an_answer_however_it_is_framed(pieces: list[bytes | None], body: bytes) -> None:
    async with pool_to(Raw(pieces)) as pool:
        answer, got = await ask(pool)
        assert got == body
        assert answer.status in (200, 204)


async def test_a_connection_is_used_again_and_given_up_when_the_server_says_so() -> None:
    plain: list[bytes | None] = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"]
    last: list[bytes | None] = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na"]
    raw = Raw(plain, plain, last, plain)
    async with pool_to(raw) as pool:
        for _ in range(3):
            await ask(pool)
        assert raw.connections == 1
        await ask(pool)
        assert raw.connections == 2


async def test_a_connection_that_the_server_has_closed_is_not_used() -> None:
    first: list[bytes | None] = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", None]
    second: list[bytes | None] = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb"]
    raw = Raw(first, second)
    async with pool_to(raw) as pool:
        await ask(pool)
        while pool._all:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert (await ask(pool))[1] == b"b"
    assert raw.connections == 2


async def test_an_answer_to_a_head_request_has_no_body() -> None:
    async with pool_to(Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"])) as pool:
        answer, body = await ask(pool, head_only=True)
    assert (answer.headers["content-length"], body) == ("5", b"")


@pytest.mark.parametrize(
    "pieces",
    [
        [None],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", None],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n", None],
        [b"SSH-2.0-OpenSSH\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxyz"],
    ],
)
async def test_what_breaks_off_or_is_no_http_is_an_error(pieces: list[bytes | None]) -> None:
    async with pool_to(Raw(pieces)) as pool:
        with pytest.raises(ConnectionError):
            await ask(pool)
        assert not pool._free


async def test_a_body_that_broke_off_gives_what_came_of_it_first() -> None:
    async with pool_to(Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", None])) as pool:
        answer = (await pool.connection(5)).ask(ASK)
        await answer.head()
        assert await answer.chunk() == b"he"
        with pytest.raises(ConnectionError):
            await answer.chunk()


async def test_unused_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "KEEP_ALIVE", 0.05)
    async with pool_to(Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"])) as pool:
        await ask(pool)
        assert pool._all
        async with asyncio.timeout(5):
            while pool._all:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert not pool._free


async def test_closing_the_pool_wakes_who_waits() -> None:
    async with pool_to(Raw([])) as pool:
        call = asyncio.ensure_future(ask(pool))
        while not pool._all:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        await pool.close()
        with pytest.raises(ConnectionError):
            await call


async def test_an_answer_that_does_not_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orlop.client.tls.REQUEST_TIMEOUT", 0.05)
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    transport = TLSTransport(Settings(server=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), SystemClock())
    with pytest.raises(Unreachable, match="no answer within") as caught:
        await transport.request("GET", "/", {}, b"")
    assert caught.value.sent
    await transport.close()
    server.close()


async def test_a_burst_of_requests_goes_over_few_connections() -> None:
    raw = Raw(*([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"] for _ in range(200)))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    transport = TLSTransport(Settings(server=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), SystemClock())
    answers = await asyncio.gather(*(transport.request("GET", "/", {}, b"") for _ in range(200)))
    assert {answer.body for answer in answers} == {b"a"}
    assert raw.connections <= AT_ONCE
    await transport.close()
    server.close()


async def test_a_line_break_in_a_header_is_refused() -> None:
    raw = Raw([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    transport = TLSTransport(Settings(server=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), SystemClock())
    with pytest.raises(ValueError, match="line break"):
        await transport.request("GET", "/", {"user-agent": "a\r\nevil: b"}, b"")
    assert not raw.requests
    await transport.close()
    server.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_over_tls_on_either_event_loop(new_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    folder = Folder(tmp_path, SystemClock())
    pair = folder.apiserver(Names.of(["localhost", "127.0.0.1"]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate_file, pair.key_file)
    plain: list[bytes | None] = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"]
    large: list[bytes | None] = [b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", *[b"x" * 100_000] * 30]

    async def main() -> None:
        raw = Raw(plain, large, plain)
        server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        transport = TLSTransport(Settings(server=url, ca_data=folder.ca()), SystemClock())
        assert (await transport.request("GET", "/", {}, b"")).body == b"ok"
        async with transport.stream("GET", "/", {}, b"") as stream:
            assert len(await stream.read()) == 3_000_000
        assert (await transport.request("POST", "/", {}, b"")).body == b"ok"
        assert raw.connections == 1
        await transport.close()
        server.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
