"""What it would cost to answer requests in several processes over one store: a trial of the way there.

World: an owner with the LMDB store and the feed, and workers, each a process of its own with a copy of the hub. A
worker reads from its own hub. Its writes go to the owner over a Unix socket, and all committed batches come back over
it, the answer to a write behind the batch that holds it: whoever was answered by a worker finds the write there. Pods
of 1.6 KB, 32 writes in flight in all. Printed: CPU of owner and workers for each write, with no worker (the owner
writes itself) and with some. The work is checked: every hub ends with every object.
"""

import asyncio
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.clock import SystemClock
from orlop.native import Hub
from orlop.store.base import Batch, Key, Parts, Write
from orlop.store.feed import Feed, _row
from orlop.store.lmdb import LmdbStore

TOTAL = 20_000
IN_FLIGHT = 32
PARTS = Parts(b'{"kind":"Pod","metadata":{"resourceVersion":"', b'"},"spec":"' + b"x" * 1550 + b'"}')
LENGTH = 4
"""Bytes of a frame's length."""

Rows = list[tuple[str, str, str, int, int, bytes]]
Asked = list[tuple[int, str, bytes, bytes]]
"""Number, name, head, tail of a write."""
Told = tuple[Rows, list[tuple[int, int]]]
"""Changes, and which writes have been answered with which revision."""

_encoder = msgspec.msgpack.Encoder()


def framed(value: object) -> bytes:
    data = _encoder.encode(value)
    return len(data).to_bytes(LENGTH) + data


class Frames(asyncio.Protocol):
    """Whole frames of a stream, and frames written once a turn of the loop."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        for frame in self._frames():
            self.frame(frame)

    def _frames(self) -> Iterator[bytes]:
        at = 0
        while len(self._data) >= at + LENGTH:
            end = at + LENGTH + int.from_bytes(self._data[at : at + LENGTH])
            if len(self._data) < end:
                break
            yield bytes(self._data[at + LENGTH : end])
            at = end
        del self._data[:at]

    def frame(self, data: bytes) -> None:
        raise NotImplementedError


def pods() -> Hub:
    hub = Hub(20_000)
    hub.declare("pods", [], True, "v1", "Pod")
    return hub


class Worker(Frames):
    """A worker's end: its hub, and the writes that it waits for."""

    def __init__(self) -> None:
        super().__init__()
        self.hub = pods()
        self.hub.start(0)
        self.seen = asyncio.Event()
        """The hub has everything."""
        self.total = 0
        self._decoder = msgspec.msgpack.Decoder(Told)
        self._asked: Asked = []
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._loop = asyncio.get_running_loop()

    async def commit(self, name: str) -> int:
        number = len(self._waiting) + 1 if not self._waiting else max(self._waiting) + 1
        future = self._waiting[number] = self._loop.create_future()
        if not self._asked:
            self._loop.call_soon(self._send)
        self._asked.append((number, name, *PARTS))
        return await future

    def _send(self) -> None:
        self.transport.write(framed(self._asked))
        self._asked = []

    def frame(self, data: bytes) -> None:
        rows, answers = self._decoder.decode(data)
        if rows:
            self.hub.apply(rows)
            if self.hub.revision == self.total:
                self.seen.set()
        for number, revision in answers:
            self._waiting.pop(number).set_result(revision)


class Serving(Frames):
    """The owner's end of one worker."""

    def __init__(self, store: LmdbStore) -> None:
        super().__init__()
        self._store = store
        self._decoder = msgspec.msgpack.Decoder(Asked)
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: list[tuple[int, int]] = []
        self._rows: Rows = []

    def frame(self, data: bytes) -> None:
        for number, name, head, tail in self._decoder.decode(data):
            task = asyncio.ensure_future(
                self._commit(number, Write(Key("pods", "default", name), Parts(head, tail), 0))
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _commit(self, number: int, write: Write) -> None:
        revision = await self._store.commit(write)
        self._plan()
        self._answers.append((number, revision))

    def batch(self, batch: Batch) -> None:
        self._plan()
        self._rows += [_row(change) for change in batch.changes]

    def _plan(self) -> None:
        if not self._answers and not self._rows:
            asyncio.get_running_loop().call_soon(self._send)

    def _send(self) -> None:
        self.transport.write(framed((self._rows, self._answers)))
        self._rows, self._answers = [], []


async def load(commit: Callable[[str], Awaitable[int]], first: int, count: int, in_flight: int) -> None:
    numbers = iter(range(first, first + count))

    async def one() -> None:
        for i in numbers:
            await commit(f"p-{i}")

    await asyncio.gather(*(one() for _ in range(in_flight)))


def worker(sock: socket.socket, pipe: Connection, first: int, count: int, in_flight: int, total: int) -> None:
    """The process of a worker: says when it stands, writes when it is told to, tells its CPU when it has seen all."""

    async def main() -> float:
        _, made = await asyncio.get_running_loop().create_connection(Worker, sock=sock)
        made.total = total
        pipe.send(True)
        await asyncio.to_thread(pipe.recv)
        before = time.process_time()
        await load(made.commit, first, count, in_flight)
        await made.seen.wait()
        assert len(made.hub.list("pods", None)) == total
        return time.process_time() - before

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pipe.send(runner.run(main()))


async def trial(folder: Path, workers: int, total: int) -> None:
    store = LmdbStore(str(folder / f"store-{workers}"), SystemClock())
    await store.open()
    hub = pods()
    feed = Feed(store, hub)
    await feed.load()
    following = asyncio.ensure_future(feed.run())
    if not workers:
        before = time.process_time()
        await load(lambda name: feed.commit(Write(Key("pods", "default", name), PARTS, 0)), 0, total, IN_FLIGHT)
        owner, others = time.process_time() - before, [0.0]
    else:
        owner, others = await served(store, workers, total)
    assert len(hub.list("pods", None)) == total
    following.cancel()
    await store.close()
    each = 1e6 / total
    print(
        f"{workers} workers: owner {owner * each:5.1f} µs a write, each worker {max(others) * each:5.1f}, "
        f"in all {(owner + sum(others)) * each:5.1f}"
    )


async def served(store: LmdbStore, workers: int, total: int) -> tuple[float, list[float]]:
    """CPU of the owner and of each worker, whose shares of the writes are equal."""
    context = multiprocessing.get_context("fork")
    ends, pipes, processes = [], [], []
    share = total // workers
    for i in range(workers):
        ours, theirs = socket.socketpair()
        pipe, other = context.Pipe()
        arguments = (theirs, other, i * share, share, IN_FLIGHT // workers, total)
        process = context.Process(target=worker, args=arguments, daemon=True)
        process.start()
        theirs.close()
        _, end = await asyncio.get_running_loop().create_connection(lambda: Serving(store), sock=ours)
        ends.append(end)
        pipes.append(pipe)
        processes.append(process)

    async def carry() -> None:
        async for batch in store.changes(0):
            for end in ends:
                end.batch(batch)

    carrying = asyncio.ensure_future(carry())
    for pipe in pipes:
        await asyncio.to_thread(pipe.recv)
    before = time.process_time()
    for pipe in pipes:
        pipe.send(True)
    cpu = [await asyncio.to_thread(pipe.recv) for pipe in pipes]
    owner = time.process_time() - before
    carrying.cancel()
    for process in processes:
        await asyncio.to_thread(process.join)
    return owner, cpu


def main() -> None:
    print(machine.line(), f"load average {os.getloadavg()[0]:.1f}")
    total = machine.scaled(TOTAL, least=400) // 12 * 12
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as name:
        for workers in (0, 1, 2, 4):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(trial(Path(name), workers, total))


if __name__ == "__main__":
    main()
