"""The cache's promises: order, restarts, indexes, and seeing one's own writes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from orlop.api import errors, selectors
from orlop.api.types import core_v1
from orlop.client import Client, Informer, Informers
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock, settle
from tests.client.faults import BREAK, HANG, Answer, Faults, end_of_initial, error_frame, frame


class World:
    def __init__(self, *answers: Answer) -> None:
        self.clock = FakeClock()
        self.app = Faults(*answers)
        self.client = Client(ASGITransport(self.app, "test"), clock=self.clock, user_agent="test")
        self.informer = Informer(self.client, core_v1.ConfigMap)
        self.told: list[str] = []

        def note(old: core_v1.ConfigMap | None, new: core_v1.ConfigMap | None) -> None:
            versions = [f"{o.metadata.name}@{o.metadata.resource_version}" if o else "-" for o in (old, new)]
            self.told.append(" ".join(versions))

        self.informer.on_change(note)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Informer[core_v1.ConfigMap]]:
        task = asyncio.ensure_future(self.informer.run())
        try:
            await settle()
            yield self.informer
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_the_cache_follows_and_handlers_see_old_and_new() -> None:
    world = World(
        Answer(
            frame("ADDED", "a", 3),
            end_of_initial(5),
            frame("MODIFIED", "a", 6),
            frame("ADDED", "b", 7),
            frame("DELETED", "a", 8),
            HANG,
        )
    )
    async with world.running() as informer:
        await informer.synced()
        assert world.told == ["- a@3", "a@3 a@6", "- b@7", "a@8 -"]
        assert [o.metadata.name for o in informer.list()] == ["b"]
        assert informer.get("default", "a") is None
        assert len(informer) == 1
        assert informer.resource_version == "8"


async def test_it_has_not_synced_before_the_whole_set_is_there() -> None:
    more = asyncio.Event()
    world = World(Answer(frame("ADDED", "a", 3), ("wait", more), end_of_initial(5), HANG))
    async with world.running() as informer:
        assert not informer.has_synced
        assert informer.revision == 0
        more.set()
        await asyncio.wait_for(informer.synced(), 1)
        assert informer.revision == 5


async def test_after_a_relist_only_the_differences_are_told() -> None:
    world = World(
        Answer(frame("ADDED", "a", 3), frame("ADDED", "b", 3), frame("ADDED", "c", 3), end_of_initial(5)),
        Answer(error_frame(errors.expired())),
        Answer(frame("ADDED", "a", 3), frame("ADDED", "b", 8), frame("ADDED", "d", 9), end_of_initial(9), HANG),
    )
    async with world.running() as informer:
        assert world.told == ["- a@3", "- b@3", "- c@3", "b@3 b@8", "- d@9", "c@3 -"]
        assert sorted(o.metadata.name for o in informer.list()) == ["a", "b", "d"]


async def test_made_again_during_a_disconnect_is_told_as_deleted_and_added() -> None:
    world = World(
        Answer(frame("ADDED", "a", 3), end_of_initial(5)),
        Answer(error_frame(errors.expired())),
        Answer(frame("ADDED", "a", 8, uid="another"), end_of_initial(9), HANG),
    )
    async with world.running():
        assert world.told == ["- a@3", "a@3 -", "- a@8"]


async def test_an_event_from_the_past_changes_nothing() -> None:
    world = World(Answer(frame("ADDED", "a", 6), end_of_initial(7), frame("MODIFIED", "a", 4), HANG))
    async with world.running() as informer:
        assert world.told == ["- a@6"]
        assert informer.revision == 7


async def test_a_late_handler_is_told_of_what_is_there() -> None:
    world = World(Answer(frame("ADDED", "a", 3), end_of_initial(5), HANG))
    async with world.running() as informer:
        late: list[str] = []
        informer.on_change(lambda old, new: late.append(new.metadata.name if new else ""))
        assert late == ["a"]


async def test_a_failing_handler_does_not_stop_the_others() -> None:
    world = World(Answer(frame("ADDED", "a", 3), frame("ADDED", "b", 4), end_of_initial(5), HANG))

    def broken(old: object, new: object) -> None:
        raise RuntimeError("defect")

    world.informer.on_change(broken)
    seen: list[object] = []
    world.informer.on_change(lambda old, new: seen.append(new))
    async with world.running():
        assert len(seen) == 2


async def test_namespaces_selectors_and_indexes() -> None:
    world = World(
        Answer(
            frame("ADDED", "a", 1, labels={"app": "web"}),
            frame("ADDED", "b", 2, labels={"app": "db"}),
            frame("ADDED", "c", 3, namespace="other", labels={"app": "web"}),
            end_of_initial(5),
            frame("MODIFIED", "b", 6, labels={"app": "web"}),
            frame("DELETED", "c", 7, namespace="other", labels={"app": "web"}),
            HANG,
        )
    )
    world.informer.add_indexer("app", lambda o: [o.metadata.labels["app"]])
    async with world.running() as informer:
        web = selectors.parse_labels("app=web")
        assert sorted(o.metadata.name for o in informer.list("default", web)) == ["a", "b"]
        assert informer.list("other") == []
        assert sorted(o.metadata.name for o in informer.by_index("app", "web")) == ["a", "b"]
        assert informer.by_index("app", "db") == []


async def test_raw_handlers_get_the_bytes() -> None:
    world = World(
        Answer(frame("ADDED", "a", 3), end_of_initial(5), frame("DELETED", "a", 6), frame("ADDED", "b", 7), BREAK),
        Answer(error_frame(errors.expired())),
        Answer(end_of_initial(9), HANG),
    )
    raw: list[tuple[str, str, str, bytes]] = []
    world.informer.add_raw_handler(lambda *args: raw.append(args))
    async with world.running():
        await world.clock.advance(5)
        assert [(t, n) for t, _, n, _ in raw] == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b"), ("DELETED", "b")]
        assert all(b'"resourceVersion"' in value for *_, value in raw)


async def test_seen_returns_when_the_cache_knows() -> None:
    more, bookmark = asyncio.Event(), asyncio.Event()
    world = World(
        Answer(
            end_of_initial(5),
            ("wait", more),
            frame("ADDED", "a", 7),
            ("wait", bookmark),
            frame("BOOKMARK", "", 20),
            HANG,
        )
    )
    async with world.running() as informer:
        await informer.seen(5)
        waiting = [asyncio.ensure_future(informer.seen(r)) for r in (6, 7, 8)]
        await settle()
        assert [w.done() for w in waiting] == [False, False, False]
        more.set()
        await settle()
        assert [w.done() for w in waiting] == [True, True, False]
        bookmark.set()
        await asyncio.wait_for(waiting[2], 1)


async def test_deleted_returns_when_the_object_is_gone_or_going() -> None:
    first, second = asyncio.Event(), asyncio.Event()
    world = World(
        Answer(
            frame("ADDED", "a", 3),
            frame("ADDED", "b", 4),
            end_of_initial(5),
            ("wait", first),
            frame("MODIFIED", "a", 6, deletionTimestamp="2026-01-01T00:00:00Z"),
            ("wait", second),
            frame("DELETED", "b", 7),
            HANG,
        )
    )
    async with world.running() as informer:
        a = asyncio.ensure_future(informer.deleted("default", "a", "uid-a"))
        b = asyncio.ensure_future(informer.deleted("default", "b", "uid-b"))
        await informer.deleted("default", "b", "another")
        await settle()
        assert (a.done(), b.done()) == (False, False)
        first.set()
        await settle()
        assert (a.done(), b.done()) == (True, False)
        second.set()
        await asyncio.wait_for(b, 1)


async def test_the_factory_shares_and_starts_late_comers() -> None:
    world = World(Answer(end_of_initial(1), HANG), Answer(end_of_initial(2), HANG))
    informers = Informers(world.client)
    first = informers.of(core_v1.ConfigMap)
    assert informers.of(core_v1.ConfigMap) is first
    task = asyncio.ensure_future(informers.run())
    await informers.synced()
    late = informers.of(core_v1.ConfigMap, namespace="kube-system")
    assert late is not first
    await asyncio.wait_for(late.synced(), 1)
    task.cancel()
    await asyncio.wait({task})
    assert world.app.disconnects == 2
