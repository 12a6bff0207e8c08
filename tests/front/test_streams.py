"""Watches and lists that the front writes by itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.front.conftest import Serve, Served
from tests.front.test_http1 import LIMIT, connect, reply

from orlop.apiserver.front import delivery_of
from orlop.clock import Clock, FakeClock
from orlop.native import Hub

ADDED, MODIFIED = 1, 2


def value(name: str, revision: int, pad: int = 0) -> bytes:
    metadata = {"name": name, "namespace": "a", "resourceVersion": str(revision), "labels": {"l": name}}
    body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": {"pad": "x" * pad}}
    return json.dumps(body, separators=(",", ":")).encode()


class World:
    """A hub, and an app that streams from it: /watch/FORM and /list."""

    def __init__(self, ring: int = 1000) -> None:
        self.hub = Hub(ring)
        self.hub.declare("configmaps", [], True, "v1", "ConfigMap")
        self.hub.start(1)
        self.revision = 1
        self.seconds = 3600.0
        self.ended = 0
        self.since: int | None = None

    def add(self, name: str, pad: int = 0) -> int:
        self.revision += 1
        change = ("configmaps", "a", name, self.revision, ADDED, value(name, self.revision, pad))
        self.hub.apply([change])
        return self.revision

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        delivery = delivery_of(scope)
        assert delivery is not None
        _, what, *rest = scope["path"].split("/")
        if what == "plain":
            await reply(send, b"plain")
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if what == "list":
            await delivery.list(self.hub.list("configmaps", None), b'{"items":[', b"]}")
        else:
            watcher = self.hub.watch("configmaps", None, "", "", self.since, False, True)
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            of = {"protobuf": "core/v1.ConfigMap"}.get(rest[0], "v1")
            await delivery.watch(watcher, rest[0], of, self.seconds)  # type: ignore[arg-type]
            watcher.close()
            self.ended += 1
        await send({"type": "http.response.body", "body": b""})

    def watching(self) -> int:
        return sum(count for _, _, count in self.hub.stats())


class Client:
    """One HTTP/1.1 connection that reads chunked answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.rest = b""

    async def get(self, path: str) -> bytes:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), LIMIT)

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), LIMIT), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size + 2), LIMIT)
        return data[:-2]

    async def line(self) -> Any:
        while b"\n" not in self.rest:
            chunk = await self.chunk()
            assert chunk, "the stream ended"
            self.rest += chunk
        line, _, self.rest = self.rest.partition(b"\n")
        return json.loads(line)

    async def body(self) -> bytes:
        parts = []
        while chunk := await self.chunk():
            parts.append(chunk)
        return b"".join(parts)


@asynccontextmanager
async def running(serve: Serve, world: World, clock: Clock | None = None) -> AsyncIterator[tuple[Served, Client]]:
    async with serve(world.app, clock) as served:
        client = Client(*await connect(served))
        yield served, client
        client.writer.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_events_as_they_come(serve: Serve) -> None:
    world = World()
    async with running(serve, world) as (_, client):
        await client.get("/watch/json")
        for i in range(300):
            world.add(f"n{i}")
            if i % 50 == 0:
                await asyncio.sleep(0.005)
        for i in range(300):
            event = await client.line()
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", f"n{i}")


async def test_a_connection_is_used_again_after_a_stream(serve: Serve) -> None:
    world = World()
    world.seconds = 0.2
    async with running(serve, world) as (_, client):
        for name in "xyz":
            await client.get("/watch/json")
            await until(lambda: world.watching() == 1)
            world.add(name)
            assert (await client.line())["type"] == "ADDED"
            assert await client.body() == b""
            assert b"200" in await client.get("/plain")
            assert await client.reader.readexactly(5) == b"plain"
        assert world.ended == 3
    assert world.watching() == 0


async def test_a_watch_ends_in_time_by_the_clock(serve: Serve) -> None:
    world, clock = World(), FakeClock()
    async with running(serve, world, clock) as (_, client):
        await client.get("/watch/json")
        await until(lambda: world.watching() == 1)
        await clock.advance(3599)
        assert world.ended == 0
        assert (await client.line())["type"] == "BOOKMARK"
        await clock.advance(2)
        assert await client.body() == b""


async def test_a_last_bookmark_before_the_end(serve: Serve) -> None:
    world, clock = World(), FakeClock()
    async with running(serve, world, clock) as (_, client):
        await client.get("/watch/json")
        await until(lambda: world.watching() == 1)
        await clock.advance(3597)
        world.add("x")
        assert (await client.line())["type"] == "ADDED"
        await clock.advance(1.5)
        event = await client.line()
        assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", "2")
        await clock.advance(2)
        assert await client.body() == b""


async def test_forms(serve: Serve) -> None:
    world = World()
    async with running(serve, world) as (served, client):
        other = Client(*await connect(served))
        await client.get("/watch/partial")
        await other.get("/watch/protobuf")
        await until(lambda: world.watching() == 2)
        world.add("x", 100)
        event = await client.line()
        assert event["object"]["kind"] == "PartialObjectMetadata"
        assert event["object"]["metadata"]["labels"] == {"l": "x"}
        assert "data" not in event["object"]
        frame = await other.chunk()
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        assert b"ADDED" in frame
        assert b"k8s\0" in frame
        other.writer.close()


async def test_a_slow_watcher_is_told_to_list_again(serve: Serve) -> None:
    """It holds up nobody: others get every event meanwhile."""
    world = World(ring=100)
    async with running(serve, world) as (served, slow):
        other = Client(*await connect(served))
        await slow.get("/watch/json")
        await other.get("/watch/json")
        await until(lambda: world.watching() == 2)
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for i in range(600):  # 30 MB: more than the buffers on the way hold
            world.add(f"n{i}", 50_000)
            assert (await other.line())["object"]["metadata"]["name"] == f"n{i}"
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
        types = []
        while not types or types[-1][0] != "ERROR":
            event = await slow.line()
            types.append((event["type"], event["object"].get("code")))
        assert types[-1] == ("ERROR", 410)
        assert await slow.body() == b""
        assert 1 < len(types) < 600
        await until(lambda: world.watching() == 1)
        other.writer.close()


@pytest.mark.parametrize("leave", ["close", "abort"])
async def test_watchers_that_leave_are_noticed(serve: Serve, leave: str) -> None:
    world = World()
    async with running(serve, world) as (_, client):
        await client.get("/watch/json")
        await until(lambda: world.watching() == 1)
        getattr(client.writer.transport, leave)()
        await until(lambda: world.watching() == 0)
        assert world.ended == 1


async def test_a_watcher_that_left_while_it_was_slow_is_noticed(serve: Serve) -> None:
    world = World()
    async with running(serve, world) as (_, client):
        await client.get("/watch/json")
        await until(lambda: world.watching() == 1)
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for i in range(400):
            world.add(f"n{i}", 50_000)
        await asyncio.sleep(0.1)
        client.writer.transport.abort()
        await until(lambda: world.watching() == 0)


async def test_watches_end_with_the_listener(serve: Serve) -> None:
    world = World()
    async with running(serve, world) as (served, client):
        await client.get("/watch/json")
        await until(lambda: world.watching() == 1)
        await asyncio.wait_for(served.listener.stop(), LIMIT)
        assert await client.body() == b""


async def test_a_list_is_the_join_of_what_is_stored(serve: Serve) -> None:
    world = World()
    for i in range(2000):
        world.add(f"n{i:04}", 3000)
    async with running(serve, world) as (_, client):
        for _ in range(2):
            await client.get("/list")
            items = json.loads(await client.body())["items"]
            assert [item["metadata"]["name"] for item in items] == [f"n{i:04}" for i in range(2000)]


async def test_bookmarks(serve: Serve) -> None:
    world = World()
    async with running(serve, world) as (_, client):
        await client.get("/watch/json")
        await until(lambda: world.watching() == 1)
        world.add("x")
        await client.line()
        world.hub.bookmark()
        event = await client.line()
        assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", "2")
