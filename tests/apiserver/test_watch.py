"""Watches over the app: what is streamed, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.apiserver.conftest import MAPS, PODS, Api, config_map, pod

from orlop.apiserver.front.frames import Frames
from orlop.apiserver.handlers import watch


async def events(exchange: Any) -> AsyncIterator[dict[str, Any]]:
    rest = b""
    async for chunk in exchange.chunks():
        rest += chunk
        *lines, rest = rest.split(b"\n")
        for line in lines:
            yield json.loads(line)


async def take(stream: AsyncIterator[dict[str, Any]], count: int) -> list[tuple[str, str]]:
    seen = []
    for _ in range(count):
        event = await asyncio.wait_for(anext(stream), 5)
        seen.append((event["type"], event["object"]["metadata"].get("name", "")))
    return seen


async def test_events_in_their_order(api: Api) -> None:
    await api.made(MAPS, config_map("before"))
    async with api.stream(f"{MAPS}?watch=true") as exchange:
        assert exchange.status == 200
        stream = events(exchange)
        assert await take(stream, 1) == [("ADDED", "before")]
        await api.made(MAPS, config_map("a"))
        await api("PUT", f"{MAPS}/a", config_map("a", data={"k": "1"}))
        await api("DELETE", f"{MAPS}/a")
        assert await take(stream, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


async def test_a_watch_goes_on_from_a_revision(api: Api) -> None:
    first = await api.made(MAPS, config_map("a"))
    await api.made(MAPS, config_map("b"))
    async with api.stream(f"{MAPS}?watch=1&resourceVersion={first['metadata']['resourceVersion']}") as exchange:
        assert await take(events(exchange), 1) == [("ADDED", "b")]


async def test_initial_events_end_with_a_marked_bookmark(api: Api) -> None:
    await api.made(MAPS, config_map("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    async with api.stream(f"{MAPS}?{query}") as exchange:
        stream = events(exchange)
        assert await take(stream, 1) == [("ADDED", "a")]
        end = await asyncio.wait_for(anext(stream), 5)
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert end["object"]["kind"] == "ConfigMap"


async def test_a_change_of_labels_is_added_and_deleted(api: Api) -> None:
    body = config_map("a")
    body["metadata"]["labels"] = {"l": "1"}
    await api.made(MAPS, body)
    async with api.stream(f"{MAPS}?watch=1&labelSelector=l%3D1") as exchange:
        stream = events(exchange)
        assert await take(stream, 1) == [("ADDED", "a")]
        body["metadata"]["labels"] = {"l": "2"}
        await api("PUT", f"{MAPS}/a", body)
        body["metadata"]["labels"] = {"l": "1"}
        await api("PUT", f"{MAPS}/a", body)
        assert await take(stream, 2) == [("DELETED", "a"), ("ADDED", "a")]


async def test_a_watch_ends_in_time(api: Api) -> None:
    async with api.stream(f"{MAPS}?watch=1&timeoutSeconds=1") as exchange:
        async with asyncio.timeout(4):
            assert [e async for e in events(exchange)] == []


async def test_a_last_bookmark_before_the_end(api: Api) -> None:
    """Two seconds before, as upstream's: whoever goes on from there has missed nothing and sees nothing twice."""
    made = await api.made(MAPS, config_map("a"))
    query = f"watch=1&timeoutSeconds=3&resourceVersion={made['metadata']['resourceVersion']}"
    async with api.stream(f"{MAPS}?{query}&allowWatchBookmarks=true") as wanting, api.stream(f"{MAPS}?{query}") as not_:
        await api.made(PODS, pod("elsewhere"))
        newest = api.server.core.hub.revision
        async with asyncio.timeout(20):
            seen = [event async for event in events(wanting)]
            assert [event async for event in events(not_)] == []
    assert [event["type"] for event in seen] == ["BOOKMARK"]
    assert int(seen[0]["object"]["metadata"]["resourceVersion"]) >= newest


async def test_tables_are_made_once_whoever_watches(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = Frames()
    monkeypatch.setattr(watch, "FRAMES", frames)
    monkeypatch.setattr(type(api.server.core.clock), "now", lambda self: 1.8e9)
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    watching = [api.stream(f"{PODS}?watch=1", accept=accept) for _ in range(7)]
    streams = [events(await one.__aenter__()) for one in watching]
    try:
        names = ["a", "b", "c"]
        for name in names:
            await api.made(PODS, pod(name))
        for stream in streams:
            seen = [await asyncio.wait_for(anext(stream), 5) for _ in names]
            assert [event["object"]["rows"][0]["cells"][0] for event in seen] == names
            assert [bool(event["object"]["columnDefinitions"]) for event in seen] == [True, False, False]
    finally:
        for one in watching:
            await one.__aexit__(None, None, None)
    assert frames.made == len(names)


def test_frames_are_kept_for_a_while() -> None:
    frames = Frames(kept=1000)
    assert frames.shared("a", b"1", lambda: b"x" * 100) == b"x" * 100
    assert frames.shared("a", b"1", lambda: b"not") == b"x" * 100
    assert frames.shared("a", b"2", lambda: b"of another object") == b"of another object"
    for n in range(100):
        frames.shared(n, b"", lambda: bytes(100))
    assert frames.shared("a", b"2", lambda: b"anew") == b"anew"
    assert frames.made == 103


async def test_a_watch_of_a_forgotten_revision_says_410(api: Api) -> None:
    store = api.server.core.store
    api.server.core.hub.start(store.revision)
    async with api.stream(f"{MAPS}?watch=1&resourceVersion=1") as exchange:
        assert exchange.status == 200
        event = await asyncio.wait_for(anext(events(exchange)), 5)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_tables_and_metadata_are_watched_as_such(api: Api) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    async with api.stream(f"{PODS}?watch=1", accept=accept) as exchange:
        stream = events(exchange)
        await api.made(PODS, pod("a"))
        await api.made(PODS, pod("b"))
        first = await asyncio.wait_for(anext(stream), 5)
        second = await asyncio.wait_for(anext(stream), 5)
    assert first["object"]["kind"] == "Table"
    assert first["object"]["columnDefinitions"]
    assert not second["object"]["columnDefinitions"]
    assert second["object"]["rows"][0]["cells"][0] == "b"
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    async with api.stream(f"{PODS}?watch=1", accept=accept) as exchange:
        event = await asyncio.wait_for(anext(events(exchange)), 5)
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "spec" not in event["object"]


async def test_protobuf_frames(api: Api) -> None:
    await api.made(PODS, pod("a"))
    async with api.stream(f"{PODS}?watch=1", accept="application/vnd.kubernetes.protobuf;stream=watch") as exchange:
        chunk = b""
        async for part in exchange.chunks():
            chunk += part
            if chunk:
                break
    assert int.from_bytes(chunk[:4], "big") == len(chunk) - 4
    assert b"ADDED" in chunk
    assert b"k8s\0" in chunk


async def test_the_server_ends_its_watches(api: Api) -> None:
    async with api.stream(f"{MAPS}?watch=1") as exchange:
        core = api.server.core
        await asyncio.sleep(0.05)
        core.stopping = True
        core.waker.ring_all()
        async with asyncio.timeout(2):
            assert [e async for e in events(exchange)] == []
