"""From the store to the hub and to whoever waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orlop.clock import FakeClock
from orlop.native import Expired, Hub
from orlop.store.base import Key, Parts, Store, StoreClosed, Write
from orlop.store.feed import LOAD_SLICE, Feed, Waker
from tests.conformance.etcd_shaped import EtcdShapedStore
from tests.store.support import STORES, delete, opened, parts, pod, until, write


@pytest.fixture(params=sorted(STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(STORES[request.param](FakeClock(), str(tmp_path / "store"))) as store:
        yield store


def new_hub() -> Hub:
    hub = Hub(1000)
    hub.declare("pods", [("spec.nodeName", "spec.nodeName")], True, "v1", "Pod")
    return hub


@asynccontextmanager
async def fed(store: Store, hub: Hub) -> AsyncIterator[Feed]:
    feed = Feed(store, hub)
    await feed.load()
    running = asyncio.ensure_future(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_store_that_answers_before_it_tells_and_that_others_write_to() -> None:
    """As etcd does: whoever is answered finds it in the hub all the same."""
    async with opened(EtcdShapedStore(FakeClock())) as store:
        assert isinstance(store, EtcdShapedStore)
        hub = new_hub()
        hub.declare("nodes", [], False, "v1", "Node")
        async with fed(store, hub) as feed:
            for n in range(20):
                revision = await feed.commit(write(pod(str(n))))
                assert (hub.get("pods", "default", str(n)) or (b"", 0))[1] == revision == hub.revision
            together = await feed.commit_all([write(pod("a")), write(Key("nodes", "", "n"))])
            assert (hub.get("nodes", "", "n") or (b"", 0))[1] == together[1]
            foreign = store.elsewhere(write(pod("b")))
            await feed.reached(foreign)
            assert hub.get("pods", "default", "b") == (parts().at(foreign), foreign)
            waiting = asyncio.ensure_future(feed.reached(foreign + 1))
            await asyncio.sleep(0)
            store.progress()
            await asyncio.wait_for(waiting, 10)


async def test_it_loads_what_is_there(store: Store) -> None:
    count = LOAD_SLICE + 10
    await asyncio.gather(*(store.commit(write(pod(f"{n:05}"))) for n in range(count)))
    await store.commit_all([write(Key("nodes", "", "n1")), delete(pod("00007"))])
    hub = new_hub()
    async with fed(store, hub) as feed:
        assert hub.revision == store.revision
        assert len(hub.list("pods", None)) == count - 1
        assert hub.get("pods", "default", "00007") is None
        value, revision = hub.get("nodes", "", "n1") or (b"", 0)
        assert (json.loads(value)["resourceVersion"], revision) == (str(count + 1), count + 1)
        with pytest.raises(Expired):
            hub.watch("pods", None, "", "", store.revision - 1)
        watcher = hub.watch("pods", None, "", "", store.revision)
        await feed.commit(write(pod("new")))
        assert [event[:2] for event in watcher.events(10)] == [("ADDED", count + 3)]


async def test_whoever_is_answered_finds_it_in_the_hub(store: Store) -> None:
    hub = new_hub()
    async with fed(store, hub) as feed:

        async def write_and_look(writer: int) -> None:
            for n in range(20):
                name = f"{writer}-{n}"
                (revision,) = await feed.commit_all([write(pod(name))])
                assert hub.get("pods", "default", name) is not None
                assert hub.list("pods", None).revision >= revision
                revision = await feed.commit(delete(pod(name)))
                assert hub.revision >= revision
                assert hub.get("pods", "default", name) is None

        await asyncio.gather(*(write_and_look(writer) for writer in range(20)))


async def test_a_write_waits_for_a_hub_that_lags(store: Store) -> None:
    """As with a store whose changes come after its answers."""
    hub = new_hub()
    feed = Feed(store, hub)
    await feed.load()
    writing = asyncio.ensure_future(feed.commit(write(pod("a"))))
    await until(lambda: store.revision == 1)
    await asyncio.sleep(0.01)
    assert not writing.done()
    running = asyncio.ensure_future(feed.run())
    assert await writing == 1
    assert hub.revision == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    with pytest.raises(StoreClosed):
        await feed.reached(2)


async def test_it_ends_with_the_store(store: Store) -> None:
    feed = Feed(store, new_hub())
    with pytest.raises(RuntimeError):
        await feed.run()
    await feed.load()
    running = asyncio.ensure_future(feed.run())
    waiting = asyncio.ensure_future(feed.reached(1))
    await asyncio.sleep(0.02)
    await store.close()
    for task in (running, waiting):
        with pytest.raises(StoreClosed):
            await task


def on_node(name: str, node: str) -> Write:
    return Write(pod(name), Parts(b'{"metadata":{"resourceVersion":"', b'"},"spec":{"nodeName":"%b"}}' % node.encode()))


async def test_watchers_are_woken_and_only_those_concerned(store: Store) -> None:
    hub = new_hub()
    waker = Waker(hub)
    woken = [0] * 5
    got: list[list[str]] = [[] for _ in range(5)]

    async def follow(index: int) -> None:
        watcher = hub.watch("pods", None, "", f"spec.nodeName=n{index}")
        try:
            while True:
                await waker.wait(watcher.id)
                woken[index] += 1
                while frames := watcher.take(1):  # one at a time: what stays behind wakes again
                    got[index] += [json.loads(line)["type"] for line in frames.splitlines()]
        finally:
            waker.forget(watcher.id)
            watcher.close()

    async with fed(store, hub) as feed:
        tasks = [asyncio.ensure_future(follow(index)) for index in range(5)]
        await asyncio.sleep(0.01)
        for _ in range(3):
            await feed.commit(on_node("a", "n1"))
        await feed.commit(on_node("a", "n2"))
        await feed.commit(on_node("b", ""))
        await until(lambda: got[2] == ["ADDED"] and len(got[1]) == 4)
        assert got == [[], ["ADDED", "MODIFIED", "MODIFIED", "DELETED"], ["ADDED"], [], []]
        assert [count == 1 for count in woken] == [True, False, False, True, True]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (hub.stats()[0][2], waker._bells) == (0, {})
        await feed.commit(on_node("a", "n1"))
        await asyncio.sleep(0.01)
        assert waker._bells == {}
    waker.close()


async def test_a_watcher_that_never_takes_holds_up_nobody(store: Store) -> None:
    hub = Hub(10)
    hub.declare("pods", [], True, "v1", "Pod")
    async with fed(store, hub) as feed:
        slow = hub.watch("pods", None)
        quick = hub.watch("pods", None)
        for n in range(30):
            await feed.commit(write(pod("a"), str(n)))
            assert len(quick.events(10)) == 1
        assert slow.state == "expired"
        last = json.loads(slow.take(1 << 20))
        assert (last["type"], last["object"]["code"], last["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert slow.take(1 << 20) == b""
