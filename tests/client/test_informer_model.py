"""Whatever a server and the way to it do, an informer ends with what the server has, and tells of it in order.

A moody server keeps a plain history of objects and serves it as the API does, with broken, cut, late, hung and refused
answers, expired revisions and pieces of frames; then it calms down.
"""

import asyncio
import os
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.client import Client, Informer
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))


class History:
    """Objects by name, and every change with its revision."""

    def __init__(self) -> None:
        self.revision = 10
        self.oldest = 10
        self.objects: dict[str, dict[str, Any]] = {}
        self.events: list[tuple[int, str, dict[str, Any]]] = []

    def change(self, random: Random) -> None:
        self.revision += 1
        name = random.choice("abcdef")
        present = self.objects.get(name)
        if present is not None and random.random() < 0.35:
            del self.objects[name]
            self._event("DELETED", {**present, "resourceVersion": str(self.revision)})
            return
        uid = present["uid"] if present is not None else f"uid-{self.revision}"
        meta = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": str(self.revision)}
        self.objects[name] = meta
        self._event("ADDED" if present is None else "MODIFIED", meta)

    def _event(self, type_: str, meta: dict[str, Any]) -> None:
        self.events.append((self.revision, type_, meta))

    def forget(self) -> None:
        """The server keeps nothing older than now."""
        self.oldest = self.revision


class Moody:
    """Serves a history. `calm` ends the moods."""

    def __init__(self, history: History, random: Random) -> None:
        self.history = history
        self.random = random
        self.calm = False
        self.knows_watch_list = random.random() < 0.8

    def mood(self, chance: float) -> bool:
        return not self.calm and self.random.random() < chance

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        query = dict(p.split("=", 1) for p in scope["query_string"].decode().split("&") if p)
        if self.mood(0.1):
            raise ConnectionError("reset")
        if self.mood(0.15):
            error = self.random.choice([errors.InternalError, errors.ServiceUnavailable, errors.Forbidden])("moody")
            await self.answer(send, error.status, error.status.code)
        elif query.get("watch") != "true":
            await self.list(query, send)
        elif query.get("sendInitialEvents") == "true" and not self.knows_watch_list:
            error = errors.Invalid("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch")
            await self.answer(send, error.status, 422)
        else:
            await Stream(self, send, receive, query).run()

    async def list(self, query: dict[str, str], send: Any) -> None:
        names = sorted(self.history.objects)
        start = int(query.get("continue", "0"))
        if start and self.mood(0.3):
            await self.answer(send, errors.expired("The provided continue parameter is too old").status, 410)
            return
        size = int(query["limit"])
        page = names[start : start + size]
        # The pages of one list are one snapshot: this server is too plain for that, so it gives one page.
        items = [{"metadata": self.history.objects[name]} for name in (names if not start else page)]
        meta = {"resourceVersion": str(self.history.revision)}
        await self.answer(send, {"kind": "ConfigMapList", "metadata": meta, "items": items}, 200)

    async def answer(self, send: Any, body: Any, code: int) -> None:
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": msgspec.json.encode(body), "more_body": False})


class Stream:
    """One watch."""

    def __init__(self, server: Moody, send: Any, receive: Any, query: dict[str, str]) -> None:
        self.server = server
        self.history = server.history
        self.send = send
        self.receive = receive
        self.query = query
        self.left = False

    async def run(self) -> None:
        await self.send({"type": "http.response.start", "status": 200, "headers": []})
        watcher = asyncio.ensure_future(self.disconnected())
        try:
            if self.query.get("sendInitialEvents") == "true":
                at = self.history.revision
                for meta in list(self.history.objects.values()):
                    await self.frame("ADDED", meta)
                    if self.server.mood(0.05):
                        raise ConnectionError("cut in the middle of the initial events")
                bookmark = {"resourceVersion": str(at), "annotations": {"k8s.io/initial-events-end": "true"}}
                await self.frame("BOOKMARK", bookmark)
            else:
                at = int(self.query["resourceVersion"])
                if at < self.history.oldest:
                    await self.write({"type": "ERROR", "object": errors.expired().status})
                    await self.send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
            await self.follow(at)
        finally:
            watcher.cancel()

    async def follow(self, at: int) -> None:
        while not self.left:
            if self.server.mood(0.01):
                while not self.left:  # noqa: ASYNC110  # hung: nothing comes any more, and no end
                    await asyncio.sleep(0)
                return
            for revision, type_, meta in self.history.events:
                if revision > at:
                    await self.frame(type_, meta)
                    at = revision
                    if self.server.mood(0.05):
                        raise ConnectionError("cut")
            if self.server.mood(0.02):
                await self.frame("BOOKMARK", {"resourceVersion": str(self.history.revision)})
                at = self.history.revision
            if self.server.mood(0.01):
                await self.send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await asyncio.sleep(0)

    async def frame(self, type_: str, meta: dict[str, Any]) -> None:
        await self.write({"type": type_, "object": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}})

    async def write(self, event: Any) -> None:
        data = msgspec.json.encode(event) + b"\n"
        cut = self.server.random.randrange(len(data)) if self.server.mood(0.3) else 0
        for piece in (data[:cut], data[cut:]):
            if piece:
                await self.send({"type": "http.response.body", "body": piece, "more_body": True})

    async def disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.left = True


class Told:
    """Checks what a handler is told, as it is told: each difference follows from the one before."""

    def __init__(self) -> None:
        self.known: dict[str, core_v1.ConfigMap] = {}

    def __call__(self, old: core_v1.ConfigMap | None, new: core_v1.ConfigMap | None) -> None:
        either = new or old
        assert either is not None
        name = either.metadata.name
        before = self.known.get(name)
        if old is None:
            assert before is None, f"{name} added twice"
        else:
            assert before is not None, f"{name} changed or deleted without having been added"
            assert before.metadata.uid == old.metadata.uid
        if old is not None and new is not None:
            assert before == old
            assert int(new.metadata.resource_version) > int(old.metadata.resource_version), "went back"
            assert new.metadata.uid == old.metadata.uid, "another object is no change of this one"
        if new is None:
            del self.known[name]
        else:
            self.known[name] = new


async def live(seed: int, steps: int) -> None:
    random = Random(seed)
    clock, history = FakeClock(seed=seed), History()
    server = Moody(history, random)
    client = Client(ASGITransport(server, "test"), clock=clock, user_agent="test")
    informer = Informer(client, core_v1.ConfigMap)
    told, problems = Told(), list[BaseException]()

    def check(old: core_v1.ConfigMap | None, new: core_v1.ConfigMap | None) -> None:
        try:
            told(old, new)
        except AssertionError as error:
            problems.append(error)

    informer.on_change(check)
    task = asyncio.ensure_future(informer.run())
    highest = 0
    for _ in range(steps):
        for _ in range(random.randrange(4)):
            history.change(random)
        if random.random() < 0.05:
            history.forget()
        await clock.advance(random.choice([0.0, 0.5, 3.0, 40.0]))
        assert informer.revision >= highest, "the cache went back in time"
        highest = informer.revision
    server.calm = True
    history.change(random)
    await clock.advance(1500)  # a hung watch is left after ten and a half minutes at the latest
    for _ in range(200):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert not problems, problems[0]
    got = {o.metadata.name: (o.metadata.uid, o.metadata.resource_version) for o in informer.list()}
    assert got == {name: (m["uid"], m["resourceVersion"]) for name, m in history.objects.items()}
    assert {name: o.metadata.resource_version for name, o in told.known.items()} == {n: v for n, (_, v) in got.items()}
    assert informer.revision == history.revision


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 60))
def test_the_cache_ends_with_what_the_server_has(seed: int, steps: int) -> None:
    asyncio.run(live(seed, steps))


@pytest.mark.campaign
@pytest.mark.timeout(0)
@settings(max_examples=CAMPAIGN * 40, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 300))
def test_many_lives(seed: int, steps: int) -> None:
    asyncio.run(live(seed, steps))


@pytest.mark.parametrize("seed", range(3))
async def test_a_long_life(seed: int) -> None:
    await live(seed, 300)
