"""The watcher's promises, against every fault that a server can show."""

import asyncio

import pytest

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.client.watcher import Bookmark, Changes, Restarted, Synced, Told, Watcher
from orlop.clock import FakeClock
from tests.client.faults import BREAK, HANG, Answer, Faults, end_of_initial, error_frame, failed, frame, ok


class World:
    def __init__(self, *answers: Answer) -> None:
        self.clock = FakeClock()
        self.app = Faults(*answers)
        self.client = Client(ASGITransport(self.app, "test"), clock=self.clock, user_agent="test")
        self.told: list[str] = []

    async def run(self, seconds: float = 0.0, **options: object) -> list[str]:
        """What the watcher tells while the clock goes on by so many seconds after each pause."""
        watcher = Watcher(self.client, core_v1.ConfigMap, **options)  # type: ignore[arg-type]

        async def follow() -> None:
            async for what in watcher.run():
                self.told.extend(describe(what))

        task = asyncio.ensure_future(follow())
        try:
            for _ in range(20):
                await self.clock.advance(seconds / 20)
        finally:
            task.cancel()
            await asyncio.wait({task})
        return self.told


def describe(what: Told) -> list[str]:
    match what:
        case Restarted():
            return ["restarted"]
        case Changes(events):
            heads = [(e.type, e.decode(core_v1.ConfigMap).metadata) for e in events]
            return [f"{type_} {meta.name}@{meta.resource_version}" for type_, meta in heads]
        case Synced(revision):
            return [f"synced@{revision}"]
        case Bookmark(revision):
            return [f"bookmark@{revision}"]


async def test_initial_events_then_changes() -> None:
    world = World(
        Answer(frame("ADDED", "a", 3), end_of_initial(5), frame("MODIFIED", "a", 6), frame("BOOKMARK", "", 9), HANG)
    )
    assert await world.run() == ["restarted", "ADDED a@3", "synced@5", "MODIFIED a@6", "bookmark@9"]
    assert world.app.requests[0][2]["sendInitialEvents"] == "true"
    assert world.app.requests[0][2]["resourceVersionMatch"] == "NotOlderThan"
    assert world.app.disconnects == 1


async def test_resumes_from_the_last_bookmark_when_the_stream_breaks() -> None:
    world = World(
        Answer(end_of_initial(5), frame("ADDED", "a", 6), frame("BOOKMARK", "", 9), BREAK),
        Answer(frame("MODIFIED", "a", 10), HANG),
    )
    assert await world.run(5.0) == ["restarted", "synced@5", "ADDED a@6", "bookmark@9", "MODIFIED a@10"]
    assert world.app.requests[1][2]["resourceVersion"] == "9"
    assert "sendInitialEvents" not in world.app.requests[1][2]


async def test_a_watch_that_ends_in_time_resumes_at_once() -> None:
    world = World(Answer(end_of_initial(5), frame("ADDED", "a", 6)), Answer(HANG))
    await world.run()
    assert [r[2].get("resourceVersion") for r in world.app.requests] == ["", "6"]


async def test_a_very_short_watch_backs_off() -> None:
    world = World(Answer(end_of_initial(5)), Answer(), Answer(), Answer())
    await world.run(0.7)
    assert len(world.app.requests) == 2  # the first resume at once, the next after the back-off


@pytest.mark.parametrize("where", ["frame", "head"])
async def test_relists_when_the_revision_has_expired(where: str) -> None:
    gone = Answer(error_frame(errors.expired())) if where == "frame" else failed(errors.expired())
    world = World(
        Answer(frame("ADDED", "a", 3), end_of_initial(5)), gone, Answer(frame("ADDED", "b", 8), end_of_initial(9), HANG)
    )
    assert await world.run() == ["restarted", "ADDED a@3", "synced@5", "restarted", "ADDED b@8", "synced@9"]
    assert world.app.requests[2][2]["resourceVersion"] == "5"  # never older than what was told


async def test_takes_an_older_world_only_when_the_server_has_no_newer() -> None:
    too_large = errors.Timeout("Too large resource version: 50, current: 4")
    world = World(
        Answer(end_of_initial(50)), failed(errors.expired()), failed(too_large), Answer(end_of_initial(4), HANG)
    )
    assert await world.run(5.0) == ["restarted", "synced@50", "restarted", "synced@4"]
    assert world.app.requests[3][2]["resourceVersion"] == ""


def page(*names: str, revision: int, continue_: str = "") -> Answer:
    items = [{"metadata": {"name": n, "namespace": "default", "resourceVersion": "2"}} for n in names]
    meta = {"resourceVersion": str(revision), "continue": continue_}
    return ok({"apiVersion": "v1", "kind": "ConfigMapList", "metadata": meta, "items": items})


@pytest.mark.parametrize("how", ["refused", "ignored"])
async def test_lists_in_pages_where_the_server_cannot_watch_list(how: str) -> None:
    refusal = failed(errors.Invalid("sendInitialEvents: Forbidden")) if how == "refused" else Answer()
    world = World(
        refusal,
        page("a", "b", revision=7, continue_="next"),
        page("c", revision=7),
        Answer(frame("ADDED", "d", 8), HANG),
    )
    told = await world.run()
    assert told[-5:] == ["ADDED a@2", "ADDED b@2", "ADDED c@2", "synced@7", "ADDED d@8"]
    assert world.app.requests[2][2]["continue"] == "next"
    assert world.app.requests[3][2]["resourceVersion"] == "7"


async def test_starts_over_when_the_pages_have_expired() -> None:
    world = World(
        page("a", revision=7, continue_="next"), failed(errors.expired()), page("a", "b", revision=9), Answer(HANG)
    )
    told = await world.run(5.0, watch_list=False)
    assert told == ["restarted", "ADDED a@2", "restarted", "ADDED a@2", "ADDED b@2", "synced@9"]


async def test_a_server_that_hangs_is_left() -> None:
    world = World(Answer(end_of_initial(5), HANG), Answer(frame("ADDED", "a", 6), HANG))
    assert await world.run(700.0) == ["restarted", "synced@5", "ADDED a@6"]
    assert world.app.disconnects == 2
    assert 300 <= int(world.app.requests[0][2]["timeoutSeconds"]) <= 600


async def test_backs_off_longer_with_each_failure() -> None:
    world = World(*(failed(errors.Forbidden("no")) for _ in range(50)))
    await world.run(60.0)
    assert 5 <= len(world.app.requests) <= 8


async def test_a_frame_may_come_in_pieces() -> None:
    _, whole = frame("ADDED", "a", 6)
    world = World(Answer(end_of_initial(5), ("send", whole[:10]), ("send", whole[10:] + whole[:20]), HANG))
    assert await world.run() == ["restarted", "synced@5", "ADDED a@6"]
