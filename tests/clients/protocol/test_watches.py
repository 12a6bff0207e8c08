"""Watches: how they begin, what they tell, how they end."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from tests.clients.protocol.api import Api, Json, Namespace, config_map

WATCH_LIST = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
MAPS = "/api/v1/namespaces/default/configmaps"


def named(event: Json) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


def test_what_is_there_comes_first_up_to_a_marked_bookmark(api: Api, ns: Namespace) -> None:
    made = [api.post(ns.maps, config_map(name)) for name in ("a", "b")]
    with api.watch(
        ns.maps, labelSelector="!none", fieldSelector="metadata.name!=kube-root-ca.crt", **WATCH_LIST
    ) as events:
        assert sorted([named(next(events)), named(next(events))]) == [("ADDED", "a"), ("ADDED", "b")]
        end = next(events)
        assert end["type"] == "BOOKMARK"
        assert end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
        assert int(end["object"]["metadata"]["resourceVersion"]) >= int(made[-1]["metadata"]["resourceVersion"])
        api.post(ns.maps, config_map("c"))
        assert named(next(events)) == ("ADDED", "c")


def test_selectors_turn_changes_into_added_and_deleted(api: Api, ns: Namespace) -> None:
    api.post(ns.maps, config_map("a"))
    with api.watch(ns.maps, labelSelector="l=1") as events:
        api.merge(f"{ns.maps}/a", {"metadata": {"labels": {"l": "1"}}})
        assert named(next(events)) == ("ADDED", "a")
        gone = api.merge(f"{ns.maps}/a", {"metadata": {"labels": {"l": "2"}}})
        last = next(events)
        assert named(last) == ("DELETED", "a")
        assert last["object"]["metadata"]["labels"] == {"l": "1"}
        assert last["object"]["metadata"]["resourceVersion"] == gone["metadata"]["resourceVersion"]


def test_the_end_of_an_object_has_a_revision_of_its_own(api: Api, ns: Namespace) -> None:
    made = api.post(ns.maps, config_map("a", data={"k": "last"}))
    revision = made["metadata"]["resourceVersion"]
    with api.watch(ns.maps, resourceVersion=revision) as events:
        api("DELETE", f"{ns.maps}/a")
        last = next(events)
        assert (named(last), last["object"]["data"]) == (("DELETED", "a"), {"k": "last"})
        assert int(last["object"]["metadata"]["resourceVersion"]) > int(revision)


def test_writes_that_change_nothing_are_no_events(api: Api, ns: Namespace) -> None:
    made = api.post(ns.maps, config_map("a", data={"k": "v"}))
    with api.watch(ns.maps, resourceVersion=made["metadata"]["resourceVersion"]) as events:
        for same in (
            api.merge(f"{ns.maps}/a", {"data": {"k": "v"}}),
            api.put(f"{ns.maps}/a", made),
            api.put(f"{ns.maps}/a", config_map("a", data={"k": "v"})),
        ):
            assert same["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
        api.post(ns.maps, config_map("b"))
        assert named(next(events)) == ("ADDED", "b")


def test_a_watch_ends_cleanly_in_the_time_it_asked_for(api: Api, ns: Namespace) -> None:
    began = time.monotonic()
    with api.watch(ns.maps, timeoutSeconds=1) as events:
        seen = [named(event) for event in events]  # ends without an error of the transport
    assert seen == [("ADDED", "kube-root-ca.crt")]
    assert time.monotonic() - began > 0.9


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[tuple[ApiServer, Api]]:
    """A server that sends bookmarks every tenth of a second, and whose watches last a second or two."""
    config = Config(
        data_dir=tmp_path,
        store="memory",
        bookmark_interval=0.1,
        min_request_timeout=1,
        write_kubeconfig=tmp_path / "kubeconfig",
    )
    async with ApiServer(config) as server:
        api = Api(tmp_path / "kubeconfig", tmp_path)
        yield server, api
        api.http.close()


async def test_bookmarks_carry_the_revision_on(quick: tuple[ApiServer, Api]) -> None:
    def use() -> None:
        api = quick[1]
        with api.watch(MAPS, allowWatchBookmarks="true", resourceVersion="0") as events:
            namespace = api.post("/api/v1/namespaces", {"metadata": {"name": "n"}})
            revision = int(namespace["metadata"]["resourceVersion"])
            bookmark = next(e for e in events if int(e["object"]["metadata"]["resourceVersion"]) >= revision)
            assert bookmark["type"] == "BOOKMARK"
            assert set(bookmark["object"]) >= {"kind", "apiVersion", "metadata"}
        with api.watch(MAPS, timeoutSeconds=1) as events:
            assert list(events) == []

    await asyncio.to_thread(use)


async def test_a_watch_that_names_no_time_ends_by_itself(quick: tuple[ApiServer, Api]) -> None:
    def use() -> None:
        with quick[1].http.stream("GET", MAPS, params={"watch": "true"}) as answer:
            assert list(answer.iter_lines()) == []  # and no error of the transport

    began = time.monotonic()
    await asyncio.to_thread(use)
    assert time.monotonic() - began > 0.9  # shorter, client-go would take it for a fault


async def test_a_forgotten_revision_is_told_as_410(quick: tuple[ApiServer, Api]) -> None:
    server, api = quick
    made = await asyncio.to_thread(api.post, MAPS, config_map("a"))
    for i in range(3):
        await asyncio.to_thread(api.post, MAPS, config_map(f"m{i}"))
    server.core.hub.start(server.core.store.revision)

    def use() -> Json:
        with api.watch(MAPS, resourceVersion=made["metadata"]["resourceVersion"]) as events:
            return next(events)

    event = await asyncio.to_thread(use)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


async def test_a_watch_may_come_over_a_websocket(served: ApiServer, tmp_path: Path) -> None:
    assert served.config.write_kubeconfig is not None
    api = Api(served.config.write_kubeconfig, tmp_path)
    await asyncio.to_thread(api.post, MAPS, config_map("a"))
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{api.server}{MAPS}?watch=true&resourceVersion=0", ssl=api.tls) as socket,
    ):
        event = json.loads((await socket.receive(timeout=10)).data)
        assert named(event) == ("ADDED", "a")
        await asyncio.to_thread(api.post, MAPS, config_map("b"))
        assert named(json.loads((await socket.receive(timeout=10)).data)) == ("ADDED", "b")
    api.http.close()
