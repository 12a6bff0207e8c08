"""Streams over a SPDY connection: order, back-pressure, what ends and what is broken off."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from orlop.streaming import spdy
from orlop.streaming.pipe import MAX_UNREAD, Closed, Pipe
from orlop.streaming.session import MAX_DATA, Session, Stream


class Wire:
    """A carrier whose other end is the test's."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = bytearray()
        self.closed = False

    async def read(self) -> bytes:
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        if self.closed:
            raise ConnectionResetError("closed")
        self.sent += data

    async def close(self) -> None:
        self.closed = True


class Client:
    """The other side: a framer, and what it has understood."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.framer = spdy.Framer()
        self.streams: list[Stream] = []
        self.session = Session(self.wire, self._opened)
        self.reading = asyncio.ensure_future(self.session.run())

    async def _opened(self, stream: Stream) -> None:
        self.streams.append(stream)

    def send(self, *frames: bytes) -> None:
        self.wire.incoming.put_nowait(b"".join(frames))

    def events(self) -> list[spdy.Event]:
        sent, self.wire.sent = bytes(self.wire.sent), bytearray()
        return self.framer.feed(sent)

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    one = Client()
    yield one
    one.reading.cancel()
    await asyncio.gather(one.reading, return_exceptions=True)


async def test_streams_are_told_apart_and_end_one_by_one(client: Client) -> None:
    f = client.framer
    client.send(f.open(1, {"streamType": "a"}), f.open(3, {"streamType": "b"}), f.data(3, b"x"), f.data(1, b"y", True))
    await client.until(lambda: len(client.streams) == 2)
    a, b = client.streams
    assert (await a.read(), await a.read()) == (b"y", b"")
    assert await b.read() == b"x"
    await a.write(b"z" * (MAX_DATA + 1))
    await a.finish()
    pieces = [e for e in client.events() if isinstance(e, spdy.Data)]
    assert [(p.stream, len(p.data), p.fin) for p in pieces] == [(1, MAX_DATA, False), (1, 1, False), (1, 0, True)]
    with pytest.raises(Closed):
        await a.write(b"more")
    await b.write(b"still here")


async def test_a_stream_that_nobody_reads_stops_the_connection_until_it_is_dropped(client: Client) -> None:
    f = client.framer
    client.send(f.open(1, {}), f.open(3, {}))
    await client.until(lambda: len(client.streams) == 2)
    slow, other = client.streams
    for _ in range(MAX_UNREAD // MAX_DATA + 1):
        client.send(f.data(1, b"x" * MAX_DATA))
    client.send(f.data(3, b"behind"))
    await client.until(lambda: slow.incoming._unread > MAX_UNREAD)
    waiting = asyncio.ensure_future(other.read())
    for _ in range(50):
        await asyncio.sleep(0)
    assert not waiting.done(), "no more is taken in than may wait"
    slow.incoming.drop()
    assert await waiting == b"behind"


async def test_what_is_reset_or_lost_is_broken_off_and_not_ended(client: Client) -> None:
    f = client.framer
    client.send(f.open(1, {}), f.open(3, {}), f.data(1, b"before"), f.reset(1))
    await client.until(lambda: len(client.streams) == 2)
    first, second = client.streams
    assert await first.read() == b"before"
    with pytest.raises(Closed):
        await first.read()
    client.send(b"")
    await client.reading
    with pytest.raises(Closed):
        await second.read()
    with pytest.raises(Closed):
        await second.write(b"x")


async def test_pings_are_answered_and_old_numbers_refused(client: Client) -> None:
    f = client.framer
    client.send(
        f.ping(7),
        f.open(3, {}),
        f.open(1, {}),
        f.open(
            5,
            {},
        ),
    )
    await client.until(lambda: len(client.streams) == 2)
    assert [s.number for s in client.streams] == [3, 5]
    assert client.events() == [spdy.Pinged(7), spdy.Replied(3), spdy.Reset(1), spdy.Replied(5)]
    await client.session.goodbye()
    assert client.events() == [spdy.Ended()]


async def test_a_pipe_holds_its_writer_back() -> None:
    pipe = Pipe()
    await pipe.put(b"x" * MAX_UNREAD)
    putting = asyncio.ensure_future(pipe.put(b"y"))
    await asyncio.sleep(0)
    assert not putting.done()
    assert len(await pipe.get()) == MAX_UNREAD
    await putting
    pipe.end()
    assert (await pipe.get(), await pipe.get()) == (b"y", b"")
