"""Two real connections joined: everything arrives, at the pace of the slower, to the last byte."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from orlop.streaming.splice import splice

MANY = 64 << 20
"""More bytes than all buffers on the way hold."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Joint:
    """A client and a server with a splice in between."""

    def __init__(self) -> None:
        self.between: tuple[Ends, Ends]
        self.client: Ends
        self.server: Ends
        self.task: asyncio.Task[None]
        self.servers: list[asyncio.Server] = []

    async def make(self, early: bytes) -> None:
        here: asyncio.Queue[Ends] = asyncio.Queue()
        there: asyncio.Queue[Ends] = asyncio.Queue()
        ports = []
        for queue in (here, there):
            server = await asyncio.start_server(lambda r, w, q=queue: q.put_nowait((r, w)), "127.0.0.1", 0)
            self.servers.append(server)
            ports.append(server.sockets[0].getsockname()[1])
        self.client = await asyncio.open_connection("127.0.0.1", ports[0])
        between_client = await here.get()
        between_server = await asyncio.open_connection("127.0.0.1", ports[1])
        self.server = await there.get()
        self.between = (between_client, between_server)  # a writer that is forgotten closes its transport
        transports = (between_client[1].transport, between_server[1].transport)
        self.task = asyncio.ensure_future(splice(transports[0], early, transports[1], b""))

    async def close(self) -> None:
        for ends in (self.client, self.server):
            ends[1].close()
        await asyncio.wait({self.task}, timeout=5)
        for server in self.servers:
            server.close()


@pytest.fixture
async def joint() -> AsyncIterator[Joint]:
    one = Joint()
    await one.make(b"early ")
    yield one
    await one.close()


async def test_both_ways_with_what_had_been_read_before(joint: Joint) -> None:
    data = os.urandom(8 << 20)

    async def send(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    async def receive(reader: asyncio.StreamReader, size: int) -> bytes:
        return await reader.readexactly(size)

    _, _, there, here = await asyncio.gather(
        send(joint.client[1]),
        send(joint.server[1]),
        receive(joint.server[0], len(data) + 6),
        receive(joint.client[0], len(data)),
    )
    assert there[:6] == b"early "
    assert hashlib.sha256(there[6:]).digest() == hashlib.sha256(here).digest() == hashlib.sha256(data).digest()


async def test_one_side_may_have_said_all(joint: Joint) -> None:
    joint.client[1].write(b"question")
    joint.client[1].write_eof()
    assert await joint.server[0].read() == b"early question"
    joint.server[1].write(b"answer")
    joint.server[1].close()
    assert await joint.client[0].read() == b"answer"


async def test_the_last_words_arrive_though_the_client_still_talks(joint: Joint) -> None:
    """A close with bytes unread would be a reset, which takes back what was sent."""
    joint.server[1].write(b"x" * 200_000)
    joint.server[1].write_eof()
    for _ in range(20):
        joint.client[1].write(b"y" * 10_000)
        await asyncio.sleep(0)
    assert await joint.client[0].read() == b"x" * 200_000


async def test_a_slow_reader_stops_the_other_side(joint: Joint) -> None:
    joint.client[1].transport.set_write_buffer_limits(0)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < MANY:
            joint.client[1].write(b"x" * 65536)
            sent += 65536
            await asyncio.wait_for(joint.client[1].drain(), 1)
    # What waits: the splice's own buffer, and those of the kernel and of the reader on this side.
    assert sent < MANY
    assert len(await joint.server[0].read(65536)) > 0
