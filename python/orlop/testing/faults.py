"""The way between a component and the API server and its faults: late, lost, cut off, all by one seed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from orlop.api import errors
from orlop.client.asgi import ASGITransport
from orlop.client.transport import Response, Stream, Unreachable
from orlop.testing.loop import VirtualClock
from orlop.testing.server import Server


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How bad it is. Chances are of 1, times are means in seconds; `NO_FAULTS` is none of it."""

    delay: float = 0.05
    """Of a request on its way there, and of its answer on its way back."""
    lost: float = 0.02
    """Requests that never arrive."""
    unanswered: float = 0.02
    """Answers that never arrive: the request was done."""
    refused: float = 0.01
    """Requests that the server is too busy for."""
    watch: float = 60.0
    """After which a watch breaks off; 0 never."""
    held: float = 0.02
    """Parts of a watch that are held up: until they come, a cache is stale."""
    held_for: float = 5.0
    life: float = 120.0
    """After which a component is killed wherever it is; 0 never."""
    down: float = 3.0
    """Until it is started again."""
    server_life: float = 120.0
    """After which the API server is killed wherever it is; 0 never. `down` is the time until it is started again."""


NO_FAULTS = Faults(delay=0.001, lost=0, unanswered=0, refused=0, watch=0, held=0, life=0, server_life=0)

Done = Callable[[str, str, str, bytes, Response | None, bool], None]
"""Told of each request that was done: who, method, target, body, answer, whether the answer will be heard. There is no
answer where the sender was killed meanwhile."""


class Network:
    """One for all components: its faults may change."""

    def __init__(self, clock: VirtualClock, faults: Faults, done: Done, server: Server) -> None:
        self.clock = clock
        self.server = server
        self.faults = faults
        self.done = done

    def chances(self) -> "Chances":
        return Chances(self)


class Chances:
    """One request or watch through it. Its randomness is its own: many begin at once, in an order that is nobody's."""

    def __init__(self, network: Network) -> None:
        self._clock = network.clock
        self._random = network.clock.fork()

    def happens(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    async def wait(self, mean: float) -> None:
        if mean > 0:
            await self._clock.sleep(self._random.expovariate(1 / mean))


class _Transport(ASGITransport):
    """Into the world's server, whose end is that of all its requests."""

    def __init__(self, user: Any, network: Network) -> None:
        super().__init__(network.server, user)
        self._network = network
        self._who = user.name
        network.server.connections[self] = None

    async def cut(self) -> None:
        """The server is no more, and what it was doing for us is not done."""
        await self._tasks.cancel()

    async def close(self) -> None:
        self._network.server.connections.pop(self, None)
        await super().close()


class FaultyTransport(_Transport):
    """Requests of one component, through the network."""

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        network, faults, chances = self._network, self._network.faults, self._network.chances()
        await chances.wait(faults.delay)
        if chances.happens(faults.lost):
            raise Unreachable(f"{method} {target}: lost on the way", sent=True)
        if chances.happens(faults.refused):
            raise errors.TooManyRequests("too busy")
        life = self._life(method, target)
        try:
            response = await super().request(method, target, headers, body)
        except asyncio.CancelledError:
            if _cancelled():
                network.done(self._who, method, target, body, None, False)
                raise
            raise Unreachable(f"{method} {target}: the server was killed", sent=True) from None
        heard = not chances.happens(faults.unanswered) and life == network.server.life
        network.done(self._who, method, target, body, response, heard)
        await chances.wait(faults.delay)
        if not heard:
            raise Unreachable(f"{method} {target}: the answer was lost", sent=True)
        return response

    @asynccontextmanager
    async def stream(  # type: ignore[override]  # what is given is a stream, of another class
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        faults, chances = self._network.faults, self._network.chances()
        await chances.wait(faults.delay)
        if chances.happens(faults.lost):
            raise Unreachable(f"{method} {target}: lost on the way", sent=False)
        self._life(method, target)
        async with super().stream(method, target, headers, body) as stream:
            breaker = asyncio.ensure_future(self._break(stream))
            try:
                yield _Late(stream, self._network)
            finally:
                breaker.cancel()

    def _life(self, method: str, target: str) -> int:
        """Which of the servers it is that there is now. Raises Unreachable if there is none."""
        if not (life := self._network.server.life):
            raise Unreachable(f"{method} {target}: connection refused", sent=False)
        return life

    async def _break(self, stream: Stream) -> None:
        """Cuts a watch off, sooner or later."""
        network = self._network
        if network.faults.watch > 0:
            await network.chances().wait(network.faults.watch)
            if network.faults.watch > 0:
                stream.abort("connection reset by a fault")


def _cancelled() -> bool:
    """Whether this task is to end, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class ObservedTransport(_Transport):
    """Requests of somebody who sees no faults: they are told of, and nothing happens to them."""

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        async with self._network.server.visit():
            response = await super().request(method, target, headers, body)
            self._network.done(self._who, method, target, body, response, True)
        return response

    @asynccontextmanager
    async def stream(  # type: ignore[override]  # what is given is a stream, of another class
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Stream]:
        async with self._network.server.visit():
            pass
        async with super().stream(method, target, headers, body) as stream:
            yield stream


class _Late:
    """A stream whose parts come in order, and late."""

    def __init__(self, stream: Stream, network: Network) -> None:
        self._stream = stream
        self._network = network
        self._chances = network.chances()

    @property
    def status(self) -> int:
        return self._stream.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._stream.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream.chunks():
            faults, chances = self._network.faults, self._chances
            await chances.wait(faults.held_for if chances.happens(faults.held) else faults.delay)
            yield chunk

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    def abort(self, why: str) -> None:
        self._stream.abort(why)
