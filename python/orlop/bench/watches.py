"""The works that watch: what a delivery costs, how late it is, and what a watcher holds."""

import asyncio
import re
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from orlop.bench.http import Connection, Target
from orlop.bench.http2 import Streams
from orlop.bench.progress import progressing
from orlop.bench.work import Load, Result

PAD = "x" * 800
FILL, FILL_PAD = 200, "x" * 100_000
"""Events and their size that fill what stands between the server and a client that takes nothing: 20 MB."""
STREAMS = 100
"""Streams on one connection of HTTP/2: what the most careful servers let in."""
OPENING = 32
"""Connections that are opened at a time."""
PART = 10_000
"""Objects that are made at a time."""
REST = 3.0
"""Seconds in which nothing happens and CPU is counted."""
SETTLE = 0.5
"""Seconds after which nothing of the watches' beginning is under way any more."""
FRONT = "orlop-front"
"""The threads that write deliveries, where the server is ours."""
FRONT_MICROS = "µs of the front's threads a delivery"

SENT = re.compile(rb'"sent":"(\d{19})"')
TAIL = 27
"""One byte less than `SENT` matches: what may be the beginning of one."""


class Watcher:
    """Counts the events of one watch, and how late each was."""

    __slots__ = ("_rest", "_taken", "seen")

    def __init__(self, taken: list[tuple[int, int]]) -> None:
        self._taken = taken
        self._rest = b""
        self.seen = 0

    def taken(self, data: bytes) -> None:
        """A part of the body."""
        data = self._rest + data
        found = SENT.findall(data)
        if found:
            now = time.time_ns()
            self.seen += len(found)
            self._taken.extend((int(sent), now) for sent in found)
        self._rest = data[-TAIL:]


class _One(asyncio.Protocol):
    """A watch on a connection of its own."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._head = b""
        self.began: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        if self.began.done():
            self._watcher.taken(data)
            return
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if end:
            if head[9:12] == b"200":
                self.began.set_result(None)
            else:
                self.began.set_exception(RuntimeError(f"watch: {head[:80].decode(errors='replace')}"))
            self._watcher.taken(rest)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.began.done():
            self.began.set_exception(ConnectionResetError("the server ended the connection"))


class Watches:
    """Many watches of one path, each on a connection of its own or on a stream of HTTP/2."""

    def __init__(self, target: Target, path: str) -> None:
        self._target = target
        self._path = path
        self._ends: list[Callable[[], object]] = []
        self._begun = 0
        self.all: list[Watcher] = []
        self.taken: list[tuple[int, int]] = []
        """Of each delivery when its event was asked for and when it came, in nanoseconds."""

    async def open(self, count: int, http2: bool = False) -> None:
        """Returns when all have begun."""
        group = STREAMS if http2 else 1
        sizes = iter([group] * (count // group) + ([count % group] if count % group else []))

        async def some() -> None:
            for size in sizes:
                await (self._streams(size) if http2 else self._own())

        async with progressing(lambda: self._begun), asyncio.TaskGroup() as tasks:
            for _ in range(OPENING):
                tasks.create_task(some())

    async def _own(self) -> None:
        watcher = Watcher(self.taken)
        self.all.append(watcher)
        await self.connect(watcher)

    async def connect(self, watcher: Watcher, window: int = 0) -> asyncio.Transport:
        """A watch on a connection of its own, which has begun; the kernel holds so many bytes for it at most."""
        target, loop = self._target, asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        if window:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        await loop.sock_connect(sock, (target.host, target.port))
        transport, one = await loop.create_connection(
            lambda: _One(watcher), sock=sock, ssl=target.context, server_hostname=target.host
        )
        self._ends.append(transport.abort)
        token = f"Authorization: Bearer {target.token}\r\n" if target.token else ""
        fields = f"Host: {target.host}\r\nUser-Agent: orlop-bench\r\nAccept: application/json\r\n{token}"
        transport.write(f"GET {self._path} HTTP/1.1\r\n{fields}\r\n".encode())
        await one.began
        self._begun += 1
        return transport

    async def _streams(self, count: int) -> None:
        connection = await Streams.connect(self._target)
        self._ends.append(connection.close)
        for _ in range(count):
            watcher = Watcher(self.taken)
            self.all.append(watcher)
            await connection.get(self._path, watcher.taken)
            self._begun += 1

    async def open_asleep(self, count: int, window: int = 0) -> None:
        """Watches that take nothing once they have begun, and are not counted."""
        for _ in range(count):
            (await self.connect(Watcher([]), window)).pause_reading()

    async def seen(self, events: int) -> None:
        """Returns when all have seen so many events. Raises TimeoutError, and RuntimeError where one saw more."""
        async with progressing(lambda: len(self.taken)):
            while any(watcher.seen < events for watcher in self.all):  # noqa: ASYNC110 no event for each of thousands
                await asyncio.sleep(0.02)
        if any(watcher.seen > events for watcher in self.all):
            raise RuntimeError("a watch saw an event twice")

    def close(self) -> None:
        """Ends them all at once."""
        for end in self._ends:
            end()


class Maker:
    """Makes events: new objects that say when they were asked for."""

    def __init__(self, load: Load, pad: str = PAD) -> None:
        self._maps = load.maps
        self._pad = pad
        self.answered: dict[int, int] = {}
        """When each was answered, by when it was asked for."""

    async def make(self, connection: Connection, i: int) -> None:
        sent = time.time_ns()
        data = {"sent": str(sent), "pad": self._pad}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "w-"}, "data": data}
        await connection.request("POST", self._maps, msgspec.json.encode(body))
        self.answered[sent] = time.time_ns()

    async def make_paced(self, load: Load, count: int, rate: float) -> None:
        """So many a second, one after another."""
        connection, began = Connection(load.target), time.perf_counter()
        for i in range(count):
            await asyncio.sleep(max(0.0, began + i / rate - time.perf_counter()))
            await self.make(connection, i)
        connection.close()

    def behind(self, taken: list[tuple[int, int]]) -> list[float]:
        """Milliseconds that each delivery came after the answer to its create, in order of size."""
        return sorted((came - self.answered[sent]) / 1e6 for sent, came in taken)


async def path(load: Load) -> str:
    """Of a watch of what is made from now on."""
    listed = msgspec.json.decode(await load.one.request("GET", f"{load.maps}?limit=1"))
    return f"{load.maps}?watch=1&allowWatchBookmarks=true&resourceVersion={listed['metadata']['resourceVersion']}"


@contextmanager
def _measured(load: Load, result: Result) -> Iterator[None]:
    cpu, front, began = load.processes.cpu(), _front_cpu(load), time.perf_counter()
    yield
    result.seconds = time.perf_counter() - began
    result.cpu = load.processes.cpu() - cpu
    if front:
        result.more[FRONT_MICROS] = 1e6 * (_front_cpu(load) - front) / result.count


def _front_cpu(load: Load) -> float:
    """Seconds that the front's own threads have taken; 0 of a server that has none."""
    spent = 0
    for pid in load.processes.all():
        for task in Path(f"/proc/{pid}/task").iterdir():
            if (task / "comm").read_text().strip() == FRONT:
                spent += int((task / "schedstat").read_text().split()[0])
    return spent / 1e9


async def watch(load: Load, watchers: int, events: int, clients: int, rate: float = 0, http2: bool = False) -> Result:
    """Events to many; the cost of making them, measured before and after without watchers, is taken off."""

    maker = Maker(load)

    async def drive() -> None:
        if not rate:
            await load.spread(events, clients, maker.make)
            return
        await maker.make_paced(load, events, rate)

    async def bare() -> tuple[float, float]:
        cpu, front = load.processes.cpu(), _front_cpu(load)
        await drive()
        return load.processes.cpu() - cpu, _front_cpu(load) - front

    result = Result(watchers * events, 0.0, 0.0)
    before = await bare()
    watches = Watches(load.target, await path(load))
    try:
        await watches.open(watchers, http2)
        await asyncio.sleep(SETTLE)
        with _measured(load, result):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(watches.seen(events))
                tasks.create_task(drive())
        watches.close()
        await asyncio.sleep(SETTLE)
        after = await bare()
    finally:
        watches.close()
    creates, fronts = ((one + other) / 2 for one, other in zip(before, after, strict=True))
    result.cpu -= creates
    if FRONT_MICROS in result.more:  # the front reads the creates too, a large part where few watch
        result.more[FRONT_MICROS] -= 1e6 * fronts / result.count
    result.late = [(came - sent) / 1e6 for sent, came in watches.taken]
    if rate:
        behind = maker.behind(watches.taken)
        result.more["p99 ms behind the answer"] = behind[len(behind) * 99 // 100]
    result.more |= {"CPU of the creates": creates, "µs a delivery": 1e6 * result.cpu / result.count}
    return result


async def hold(load: Load, watchers: int, http2: bool = False, objects: int = 0, events: int = 1) -> Result:
    """Watchers that wait: what each holds of the server's memory, what all cost while nothing happens, and how late
    each hears of what happens then."""
    while load.held < objects:  # in parts, since each has its limit of time
        await _add(load, min(PART, objects - load.held))
    result = Result(watchers, 0.0, 0.0)
    watches = Watches(load.target, await path(load))
    try:
        await watches.open(OPENING, http2)  # whatever the first ones make for all
        await asyncio.sleep(SETTLE)
        # What an earlier run gave back is the process's still: the first one's beginning counts for all.
        load.rest = before = load.processes.resident() if load.rest is None else load.rest
        with _measured(load, result):
            await watches.open(watchers, http2)
        await asyncio.sleep(SETTLE)
        resident, cpu = load.processes.resident(), load.processes.cpu()
        await asyncio.sleep(REST)
        resting = (load.processes.cpu() - cpu) / REST
        maker, cpu = Maker(load), load.processes.cpu()
        for event in range(events):
            await maker.make(load.one, event)
            await watches.seen(event + 1)
        told = load.processes.cpu() - cpu
    finally:
        watches.close()
    behind = maker.behind(watches.taken)
    result.more = {
        "KiB a watcher": 1024 * (resident - before) / watchers,
        "resident MiB": resident,
        "% of a core at rest": 100 * resting,
        "CPU ms an event to all": 1000 * told / events,
        "p50 ms behind the answer": statistics.median(behind),
        "p99 ms behind the answer": behind[len(behind) * 99 // 100],
    }
    return result


async def _add(load: Load, count: int) -> None:
    """Objects for watchers to be held beside."""
    first, load.held, load.rest = load.held, load.held + count, None
    await load.spread(count, OPENING, lambda c, i: c.request("POST", load.maps, _map(first + i)))


def _map(number: int) -> bytes:
    metadata = {"name": f"o-{number:06}", "labels": {"shard": str(number % 10)}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"number": str(number)}}
    return msgspec.json.encode(body)


WORKS: dict[str, Callable[..., Awaitable[Result]]] = {"watch": watch, "hold": hold}
"""By the name in scenarios.yaml; arguments are the scenario's sizes."""
