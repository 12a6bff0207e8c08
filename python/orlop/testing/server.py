"""The API server of a simulated world: killed wherever it is and started again, over a store that keeps what it has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from orlop.store.choose import make_store
from orlop.testing.loop import VirtualClock

if TYPE_CHECKING:
    from orlop.apiserver.config import Config
    from orlop.apiserver.server import ApiServer


class Connection(Protocol):
    """What ends when the server does."""

    async def cut(self) -> None: ...


class Server:
    """One server after another; to callers an ASGI app that is there or not.

    What was committed is there after a kill, whether or not its writer was told; what was not committed never happened.
    """

    def __init__(self, config: "Config", clock: VirtualClock) -> None:
        self._config = config
        self._clock = clock
        self.store = make_store("memory", Path(), clock)
        self._server: ApiServer | None = None
        self._up = asyncio.Event()
        self.connections: dict[Connection, None] = {}
        """Whose requests end with the server, in the order in which they came."""
        self._guests = 0
        self._no_guest = asyncio.Event()
        self._no_guest.set()
        self._lives = 0

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
        server = self._server
        if server is None:
            raise ConnectionRefusedError("the API server is not running")
        await server.app(scope, receive, send)

    @property
    def life(self) -> int:
        """Which of the servers there is, counted from one; 0 while there is none."""
        return self._lives if self._server is not None else 0

    async def running(self) -> None:
        """Returns when there is a server."""
        await self._up.wait()

    @asynccontextmanager
    async def visit(self) -> AsyncIterator[None]:
        """A request of somebody to whom nothing happens: it waits until there is a server, which waits for it."""
        await self.running()
        self._guests += 1
        self._no_guest.clear()
        try:
            yield
        finally:
            self._guests -= 1
            if not self._guests:
                self._no_guest.set()

    async def start(self) -> None:
        from orlop.apiserver.server import ApiServer

        server = ApiServer(self._config, self._clock, store=self.store)
        await server.__aenter__()
        self._lives += 1
        self._server = server
        self._up.set()

    async def kill(self) -> None:
        """Ends it wherever it is, requests under way included."""
        self._up.clear()
        await self._no_guest.wait()
        server, self._server = self._server, None
        if server is None:
            return
        for connection in list(self.connections):
            await connection.cut()
        await server.__aexit__(None, None, None)
