"""HTTP/2 through the front: streams side by side, and what it does not put up with."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import h2.connection
import h2.events
import httpx
import pytest
from tests.front.conftest import Serve, Served
from tests.front.test_http1 import LIMIT, echo, reply
from tests.front.test_streams import World, until

from orlop import pki
from orlop.apiserver.auth.x509 import PEER
from orlop.apiserver.front import listener as front_listener


@asynccontextmanager
async def client(served: Served, pair: pki.KeyPair | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps to one connection of HTTP/2."""
    async with httpx.AsyncClient(
        http2=True,
        http1=False,
        verify=served.context(pair),
        base_url=f"https://127.0.0.1:{served.port}",
        timeout=LIMIT,
        limits=httpx.Limits(max_connections=1),
    ) as one:
        yield one


async def test_many_requests_at_once_on_one_connection(serve: Serve) -> None:
    clients: set[Any] = set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["http_version"] == "2"
        clients.add(scope["client"])
        await asyncio.sleep(0.01)
        await echo(scope, receive, send)

    async with serve(app) as served, client(served) as one:
        await one.get("/first")
        answers = await asyncio.gather(*(one.post(f"/{i}", content=b"x" * i) for i in range(150)))
        assert [a.content for a in answers] == [b"/%d " % i + b"x" * i for i in range(150)]
        assert len(clients) == 1
        assert {a.http_version for a in answers} == {"HTTP/2"}


async def test_long_bodies_both_ways(serve: Serve) -> None:
    body = bytes(range(256)) * 20_000
    async with serve(echo) as served, client(served) as one:
        answers = await asyncio.gather(*(one.post("/", content=body) for _ in range(3)))
        assert all(a.content == b"/ " + body for a in answers)


async def test_heads_pass_unchanged(serve: Serve) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope)
        await reply(send, b"", (b"x-a", b"1"), (b"x-a", b"2"), (b"connection", b"close"))

    async with serve(app) as served, client(served) as one:
        answer = await one.get("/a%20b?c=d", headers={"Authorization": "Bearer x"})
        assert answer.headers.get_list("x-a") == ["1", "2"]
        assert "connection" not in answer.headers
        assert (seen["path"], seen["query_string"], seen["raw_path"]) == ("/a b", b"c=d", b"/a%20b")
        headers = dict(seen["headers"])
        assert headers[b"authorization"] == b"Bearer x"
        assert headers[b"host"] == f"127.0.0.1:{served.port}".encode()
        assert (await one.head("/")).content == b""


async def test_each_connection_has_its_own_identity(serve: Serve, folder: pki.Folder) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        peer = scope["state"].get(PEER)
        await reply(send, peer.user.name.encode() if peer else b"nobody")

    async with (
        serve(app) as served,
        client(served, folder.client(pki.ADMIN)) as admin,
        client(served, folder.client(pki.SCHEDULER)) as scheduler,
        client(served) as nobody,
    ):
        answers = await asyncio.gather(*(one.get("/") for one in (admin, scheduler, nobody) * 20))
        wanted = [b"kubernetes-admin", b"system:kube-scheduler", b"nobody"] * 20
        assert [a.content for a in answers] == wanted


async def test_watches_share_a_connection(serve: Serve) -> None:
    world = World()
    async with serve(world.app) as served, client(served) as one:
        await one.get("/plain")
        names: dict[int, list[str]] = {}

        async def watch(number: int) -> None:
            async with one.stream("GET", "/watch/json") as answer:
                got = names.setdefault(number, [])
                async for line in answer.aiter_lines():
                    got.append(json.loads(line)["object"]["metadata"]["name"])
                    if len(got) == 50:
                        return

        watches = [asyncio.ensure_future(watch(i)) for i in range(80)]
        await until(lambda: world.watching() == 80)
        for i in range(50):
            world.add(f"n{i}")
        await asyncio.wait_for(asyncio.gather(*watches), LIMIT)
        assert all(got == [f"n{i}" for i in range(50)] for got in names.values())
        assert (await one.get("/plain")).content == b"plain"


async def test_a_slow_watch_holds_up_no_other_stream(serve: Serve) -> None:
    world = World(ring=100)
    async with serve(world.app) as served:
        one = await raw(served)
        one.connection.increment_flow_control_window(1 << 20)
        one.ask(1, "/watch/json")
        await until(lambda: world.watching() == 1)
        for i in range(400):  # 20 MB: nobody takes them but for the stream's window
            world.add(f"n{i}", 50_000)
        for number in range(3, 43, 2):
            one.ask(number, "/plain")
            assert await one.body(number) == b"plain"
        one.connection.increment_flow_control_window(1 << 20, 1)
        one.flush()
        last = json.loads((await one.body(1)).splitlines()[-1])
        assert (last["type"], last["object"]["code"]) == ("ERROR", 410)
        one.writer.close()


async def test_an_app_that_fails_is_no_answer_cut_short(serve: Serve) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise RuntimeError("wanted")

    async with serve(app) as served, client(served) as one:
        assert (await one.get("/early")).status_code == 500
        with pytest.raises(httpx.HTTPError):
            await one.get("/late")


async def test_a_client_that_resets_a_stream_is_noticed(serve: Serve) -> None:
    began, gone = asyncio.Event(), asyncio.Event()
    world = World()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/":
            await world.app(scope, receive, send)
            return
        began.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    async with serve(app) as served:
        one = await raw(served)
        one.ask(1)
        one.ask(3, "/watch/json")
        await asyncio.wait_for(began.wait(), LIMIT)
        await until(lambda: world.watching() == 1)
        for number in (1, 3):
            one.connection.reset_stream(number)
        one.flush()
        await asyncio.wait_for(gone.wait(), LIMIT)
        await until(lambda: world.watching() == 0)
        one.ask(5, "/plain")
        assert await one.body(5) == b"plain"
        one.writer.close()


FIELDS = [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "x")]


class Raw:
    """A connection that may misbehave."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.connection = h2.connection.H2Connection()
        self.connection.initiate_connection()
        self.seen: dict[int, bytearray] = {}
        self.flush()

    def flush(self) -> None:
        self.writer.write(self.connection.data_to_send())

    def ask(self, number: int, path: str = "/", **more: str) -> None:
        fields = [(":method", "GET"), (":path", path), (":scheme", "https"), (":authority", "x"), *more.items()]
        self.connection.send_headers(number, fields, end_stream=True)
        self.flush()

    async def events(self) -> AsyncIterator[Any]:
        """What comes, until the server ends the connection."""
        while data := await asyncio.wait_for(self.reader.read(1 << 16), LIMIT):
            for event in self.connection.receive_data(data):
                yield event
            self.flush()

    async def body(self, number: int) -> bytes:
        """The body of one stream; those of others are kept, and not acknowledged."""
        seen = self.seen
        async for event in self.events():
            if isinstance(event, h2.events.DataReceived):
                seen.setdefault(event.stream_id, bytearray()).extend(event.data)
                if event.stream_id == number:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, number)
            elif isinstance(event, h2.events.StreamEnded) and event.stream_id == number:
                return bytes(seen.get(number, b""))
        raise AssertionError("the connection ended")


async def raw(served: Served) -> Raw:
    context = served.context(None, "h2")
    return Raw(*await asyncio.open_connection("127.0.0.1", served.port, ssl=context))


async def test_an_answer_to_a_body_that_nobody_reads_arrives_whole(serve: Serve) -> None:
    """Who is refused at once is still told why; the reset that stops its body comes after (RFC 9113, 8.1)."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await reply(send, b"no" * 5000)

    async with serve(app) as served:
        one = await raw(served)
        for number in range(1, 41, 2):
            fields = [(":method", "POST"), *FIELDS[1:], ("content-length", "1000000")]
            one.connection.send_headers(number, fields)
            one.connection.send_data(number, b"x" * 1000)
            one.flush()
            seen: list[tuple[str, int]] = []
            body = b""
            async for event in one.events():
                if isinstance(event, h2.events.DataReceived):
                    body += event.data
                elif isinstance(event, h2.events.StreamEnded):
                    seen.append(("ended", number))
                elif isinstance(event, h2.events.StreamReset):
                    seen.append(("reset", event.error_code))
                    break
            assert (body, seen) == (b"no" * 5000, [("ended", number), ("reset", 0)])
            one.connection.increment_flow_control_window(10_000)
        one.writer.close()


async def test_rapid_resets_end_the_connection(serve: Serve) -> None:
    async with serve(echo) as served:
        one = await raw(served)
        for i in range(500):
            one.connection.send_headers(2 * i + 1, FIELDS, end_stream=True)
            one.connection.reset_stream(2 * i + 1)
        ended: list[Any] = []
        # Who is cut off while it sends may not hear why.
        with contextlib.suppress(ConnectionError):
            one.flush()
            ended += [event async for event in one.events() if isinstance(event, h2.events.ConnectionTerminated)]
        assert all(event.error_code == 11 for event in ended)  # ENHANCE_YOUR_CALM
        one.writer.close()
        other = await raw(served)
        other.ask(1, "/still")
        assert await other.body(1) == b"/still "
        other.writer.close()


async def test_headers_have_a_limit(serve: Serve) -> None:
    async with serve(echo) as served:
        one = await raw(served)
        one.ask(1, **{f"x-{i}": "y" * 8000 for i in range(12)})
        async for event in one.events():
            if isinstance(event, h2.events.ResponseReceived):
                assert dict(event.headers)[b":status"] == b"431"
                break
        else:
            raise AssertionError("no answer")
        one.writer.close()


async def test_streams_have_a_limit_that_clients_are_told(serve: Serve) -> None:
    async with serve(echo) as served:
        one = await raw(served)
        while not (limit := one.connection.remote_settings.max_concurrent_streams) or limit > 1 << 20:
            one.connection.receive_data(await asyncio.wait_for(one.reader.read(1 << 16), LIMIT))
        assert limit >= 100
        one.writer.close()


async def test_a_connection_that_asks_nothing_ends(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_listener, "HEADER_SECONDS", 0.2)
    async with serve(echo) as served:
        for greets in (True, False):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.context(None, "h2"))
            if greets:
                writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
            # What comes before the end is its settings and its farewell, which asks for a word: it has time for that.
            await asyncio.wait_for(reader.readuntil(GOAWAY) if greets else reader.read(), LIMIT)
            writer.close()


GOAWAY = bytes([7, 0, 0, 0, 0, 0])


async def test_streams_end_before_the_listener(serve: Serve) -> None:
    world = World()
    async with serve(world.app) as served:
        one = await raw(served)
        one.ask(1, "/watch/json")
        await until(lambda: world.watching() == 1)
        stopping = asyncio.ensure_future(served.listener.stop())
        ended = False
        while not ended and (data := await asyncio.wait_for(one.reader.read(1 << 16), LIMIT)):
            # A data frame without data that ends the stream: the client library takes no more after a farewell.
            ended = END_OF_ONE in data
        assert ended
        await asyncio.wait_for(stopping, LIMIT)
        one.writer.close()


END_OF_ONE = bytes([0, 0, 0, 0, 1, 0, 0, 0, 1])
