"""An engine that goes away and comes back, played by a relay between the runtime and the engine's socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support import runtimes
from tests.support.runtimes import DockerWorld

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import Unavailable
from orlop.kubelet.runtime.docker import DockerRuntime
from orlop.kubelet.runtime.docker.engine import DEFAULT_SOCKET

pytestmark = pytest.mark.docker


class Relay:
    """Passes bytes on until it is cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def up(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def cut(self) -> None:
        assert self._server is not None
        self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(DEFAULT_SOCKET)
        self._writers += [writer, engine_writer]
        await asyncio.gather(self._pass(reader, engine_writer), self._pass(engine_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()


class RelayedWorld(DockerWorld):
    def make(self) -> DockerRuntime:
        socket = str(self.state_dir / "relay.sock")
        return DockerRuntime(self.clock, self.network, scope=self.scope, state_dir=self.state_dir, socket_path=socket)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[tuple[RelayedWorld, Relay]]:
    world, relay = RelayedWorld(tmp_path), Relay(tmp_path / "relay.sock")
    await relay.up()
    await world.network.configure([runtimes.POD_CIDR])
    await world.runtime.open()
    yield world, relay
    await world.runtime.cleanup()
    await world.runtime.close()
    await relay.cut()


async def until(events: AsyncIterator[v.ContainerEvent], kind: str, container_id: str) -> None:
    async with asyncio.timeout(15):
        async for event in events:
            if (event.type, event.container_id) == (kind, container_id):
                return


async def test_readers_are_told_to_list_again(world: tuple[RelayedWorld, Relay]) -> None:
    node, relay = world
    container_id = await node.run(node.sleeps())
    events = node.runtime.events()
    assert (await anext(events)).type == "relist"
    await relay.cut()
    with pytest.raises(Unavailable, match="is the Docker Engine installed and running"):
        await node.runtime.list_containers()
    status = await node.runtime.status()
    assert (status.runtime_ready, status.runtime_reason) == (False, "ContainerRuntimeNotReady")
    await relay.up()
    await until(events, "relist", "")
    assert (await node.runtime.status()).runtime_ready
    await node.runtime.stop_container(container_id, 0)
    await until(events, "stopped", container_id)
    await events.aclose()


async def test_an_exit_code_is_not_lost(world: tuple[RelayedWorld, Relay]) -> None:
    node, relay = world
    container_id = await node.run(node.sleeps())
    session = await node.runtime.exec(container_id, ["sh", "-c", "sleep 1; exit 8"])
    waiting = asyncio.ensure_future(session.wait())
    await asyncio.sleep(0.2)
    await relay.cut()
    await asyncio.sleep(1)
    await relay.up()
    async with asyncio.timeout(15):
        assert await waiting == 8
    await session.close()
