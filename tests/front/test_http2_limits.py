"""What HTTP/2 lets a client do to a server, and where this one says that it is enough."""

import asyncio
import contextlib
from typing import Any

import h2.events
import pytest
from tests.front.conftest import Serve, Served
from tests.front.test_http1 import LIMIT, echo
from tests.front.test_http2 import FIELDS, raw
from tests.front.test_streams import World, until

ENHANCE_YOUR_CALM, REFUSED_STREAM = 11, 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"\x82\x84\x87\x41\x01x"
"""Fields of a GET in HPACK."""
POST = b"\x83\x84\x87\x41\x01x"


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + number.to_bytes(4, "big") + payload


SETTINGS = frame(4, 0, 0)


class Flood:
    """A connection that sends without end and reads what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.codes: list[int] = []
        self.frames: list[int] = []
        """Kinds of those that came."""

    async def read(self) -> None:
        """Until the connection ends."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self.frames.append(head[3])
                if head[3] == 7:
                    self.codes.append(int.from_bytes(payload[4:8], "big"))

    async def send(self, first: bytes, again: bytes, count: int) -> None:
        """`again` so many times, or until the connection ends."""
        self.writer.write(PREFACE + SETTINGS + first)
        with contextlib.suppress(ConnectionError):
            for _ in range(count // 100):
                self.writer.write(again * 100)
                await self.writer.drain()


async def flood(served: Served, first: bytes, again: bytes, count: int) -> Flood:
    """Sends it; returns when the server has ended the connection."""
    one = Flood(*await asyncio.open_connection("127.0.0.1", served.port, ssl=served.context(None, "h2")))
    async with asyncio.timeout(LIMIT):
        reading = asyncio.ensure_future(one.read())
        await one.send(first, again, count)
        await reading
    one.writer.close()
    return one


FLOODS = {
    "ping": (b"", frame(6, 0, 0, bytes(8))),
    "settings": (b"", SETTINGS),
    "window": (b"", frame(8, 0, 0, (1).to_bytes(4, "big"))),
    "priority": (b"", frame(2, 0, 1, bytes([0, 0, 0, 3, 1]))),
    "empty data": (frame(1, 4, 1, POST), frame(0, 0, 1)),
    "unknown": (b"", frame(200, 0, 0, bytes(100))),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_frames_that_ask_for_nothing(serve: Serve, name: str) -> None:
    """Each costs the server more than the client: so many in so short a time end the connection, and it alone."""
    async with serve(echo) as served:
        other = await raw(served)
        one = await flood(served, *FLOODS[name], 400_000)
        # Who is cut off while it sends may not hear why.
        assert set(one.codes) <= {ENHANCE_YOUR_CALM}
        assert len(one.frames) < 200_000
        other.ask(1, "/still")
        assert await other.body(1) == b"/still "
        other.writer.close()


async def test_headers_without_an_end(serve: Serve) -> None:
    """CONTINUATION frames, which no stream counts (CVE-2024-27316 and its kin)."""
    async with serve(echo) as served:
        one = await flood(served, frame(1, 1, 1, GET), frame(9, 0, 1), 100_000)
        assert set(one.codes) <= {ENHANCE_YOUR_CALM}


async def test_a_client_that_looks_now_and_then_is_let(serve: Serve) -> None:
    """A thousand PINGs beside requests are no flood; each is answered."""
    async with serve(echo) as served:
        one = await raw(served)
        for number in range(1, 201, 2):
            for _ in range(10):
                one.connection.ping(bytes(8))
            one.ask(number, "/x")
            assert await one.body(number) == b"/x "
        one.writer.close()


async def test_a_long_upload_is_no_flood(serve: Serve) -> None:
    """Bodies in small frames: what they carry counts for them."""
    async with serve(echo) as served:
        one = await raw(served)
        one.connection.send_headers(1, [(":method", "POST"), *FIELDS[1:]])
        for _ in range(4000):
            one.connection.send_data(1, bytes(500))
            one.flush()
            while one.connection.local_flow_control_window(1) < 1000:
                one.connection.receive_data(await asyncio.wait_for(one.reader.read(1 << 16), LIMIT))
        one.connection.end_stream(1)
        one.flush()
        assert len(await one.body(1)) == 4000 * 500 + 2
        one.writer.close()


async def test_streams_beyond_the_limit_are_refused(serve: Serve) -> None:
    world = World()
    async with serve(world.app, streams=5) as served:
        one = await raw(served)
        for number in range(1, 11, 2):
            one.ask(number, "/watch/json")
        await until(lambda: world.watching() == 5)
        one.connection.max_outbound_streams = 100
        one.writer.write(frame(1, 5, 11, GET))
        # The client library knows of no stream 11: the bytes are read here.
        while (at := (await _more(one)).find(frame(3, 0, 11)[3:])) < 0:
            pass
        assert int.from_bytes(one.got[at + 6 : at + 10], "big") == REFUSED_STREAM
        one.writer.close()


async def _more(one: Any) -> bytes:
    one.got = getattr(one, "got", b"") + await asyncio.wait_for(one.reader.read(1 << 16), LIMIT)
    return bytes(one.got)


async def test_resets_do_not_pile_up_work(serve: Serve) -> None:
    """A client that takes back what it asked for has room for another stream, while the app still works on it."""
    started, go = 0, asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal started
        started += 1
        await go.wait()
        await echo(scope, receive, send)

    async with serve(app, streams=10) as served:
        one = await raw(served)
        ended: list[Any] = []

        async def read() -> None:
            with contextlib.suppress(ConnectionError):
                async for event in one.events():
                    if isinstance(event, h2.events.ConnectionTerminated):
                        ended.append(event.error_code)

        reading = asyncio.ensure_future(read())
        number = 1
        with contextlib.suppress(ConnectionError, h2.exceptions.ProtocolError):
            while not reading.done() and not ended:
                before = started
                one.ask(number)
                await until(lambda: started > before or reading.done() or ended)  # noqa: B023
                one.connection.reset_stream(number)
                one.flush()
                number += 2
        await asyncio.wait_for(reading, LIMIT)
        assert 40 <= started <= 42
        assert set(ended) <= {ENHANCE_YOUR_CALM}
        go.set()
        other = await raw(served)
        other.ask(1, "/still")
        assert await other.body(1) == b"/still "
        other.writer.close()
