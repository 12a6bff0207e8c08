"""The queue's promises: order, back-off, and what wakes a refused pod."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orlop.clock import FakeClock
from orlop.scheduler.events import ClusterEvent
from orlop.scheduler.queue import MAX_UNSCHEDULABLE, Item, Place, SchedulingQueue, backoff


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.queue = SchedulingQueue(self.clock)

    def add(self, name: str, *, priority: int = 0, gated: bool = False, uid: str = "") -> Item:
        item = Item(
            namespace="default",
            name=name,
            uid=uid or name,
            scheduler_name="default-scheduler",
            priority=priority,
            gated=gated,
            condition=None,
            generation=1,
            created=self.clock.monotonic(),
        )
        self.queue.add(item)
        return item

    async def pop(self) -> Item:
        [item] = await asyncio.wait_for(self.queue.pop(1), 5)
        return item


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    task = asyncio.ensure_future(world.queue.run())
    yield world
    task.cancel()
    await asyncio.wait({task})


FREED = ClusterEvent.ASSIGNED_POD_FREED
FIT = ["NodeResourcesFit"]


async def test_by_priority_then_by_time(world: World) -> None:
    for name, priority in [("a", 0), ("b", 5), ("c", 0), ("d", 5)]:
        world.add(name, priority=priority)
        await world.clock.advance(1)
    assert [item.name for item in await world.queue.pop(3)] == ["b", "d", "a"]
    assert [item.name for item in await world.queue.pop(3)] == ["c"]


async def test_pop_waits_for_a_pod(world: World) -> None:
    popping = asyncio.ensure_future(world.queue.pop(10))
    await world.clock.advance(100)
    assert not popping.done()
    world.add("a")
    assert [item.name for item in await popping] == ["a"]


async def test_a_refused_pod_waits_for_what_may_help(world: World) -> None:
    world.add("a")
    world.queue.refuse(await world.pop(), FIT)
    await world.clock.advance(20)
    world.queue.happened(ClusterEvent.NODE_LABEL | ClusterEvent.NODE_TAINT)
    assert world.queue.counts()[Place.UNSCHEDULABLE] == 1
    world.queue.happened(FREED)
    assert (await world.pop()).attempts == 2


async def test_it_backs_off_for_longer_each_time(world: World) -> None:
    world.add("a")
    for seconds in [1, 2, 4, 8, 10, 10]:
        world.queue.refuse(await world.pop(), FIT)
        world.queue.happened(FREED)
        await world.clock.advance(seconds - 0.1)
        assert world.queue.counts()[Place.BACKOFF] == 1
        await world.clock.advance(0.2)
        assert world.queue.counts()[Place.ACTIVE] == 1


def test_back_off_is_bounded() -> None:
    assert [backoff(times) for times in (0, 1, 4, 5, 10_000)] == [0, 1, 8, 10, 10]


async def test_what_happens_during_the_attempt_is_not_missed(world: World) -> None:
    world.add("a")
    item = await world.pop()
    world.queue.happened(FREED)
    world.queue.refuse(item, FIT)
    await world.clock.advance(1.1)
    item = await world.pop()
    # What happened before the attempt is not counted again.
    world.queue.refuse(item, FIT)
    assert item.place is Place.UNSCHEDULABLE


async def test_a_refused_pod_is_tried_again_after_five_minutes(world: World) -> None:
    world.add("a")
    world.queue.refuse(await world.pop(), FIT)
    await world.clock.advance(MAX_UNSCHEDULABLE - 1)
    assert world.queue.counts()[Place.UNSCHEDULABLE] == 1
    await world.clock.advance(2)
    assert world.queue.counts()[Place.ACTIVE] == 1


async def test_a_failed_attempt_is_repeated_without_any_event(world: World) -> None:
    world.add("a")
    world.queue.fail(await world.pop())
    await world.clock.advance(1.1)
    world.queue.fail(await world.pop())
    await world.clock.advance(1.1)
    assert world.queue.counts()[Place.BACKOFF] == 1
    await world.clock.advance(1)
    await world.pop()


async def test_gated_pods_wait_for_their_gates(world: World) -> None:
    item = world.add("a", gated=True)
    world.queue.happened(~ClusterEvent(0))
    await world.clock.advance(400)
    assert item.place is Place.GATED
    world.queue.update(item, priority=0, gated=False, changed=False)
    assert await world.pop() is item


async def test_a_pod_that_asks_for_less_is_tried_again(world: World) -> None:
    item = world.add("a")
    world.queue.refuse(await world.pop(), FIT)
    await world.clock.advance(2)
    world.queue.update(item, priority=0, gated=False, changed=False)
    assert item.place is Place.UNSCHEDULABLE
    world.queue.update(item, priority=0, gated=False, changed=True)
    assert item.place is Place.ACTIVE
    item = await world.pop()
    world.queue.update(item, priority=0, gated=False, changed=True)
    world.queue.refuse(item, ["NodeName"])
    assert item.place is Place.BACKOFF


async def test_a_raised_priority_counts(world: World) -> None:
    world.add("a", priority=1)
    item = world.add("b")
    world.queue.update(item, priority=2, gated=False, changed=False)
    assert [popped.name for popped in await world.queue.pop(5)] == ["b", "a"]


async def test_with_nothing_else_to_do_a_refused_pod_is_tried_early(world: World) -> None:
    """The one whose time comes first; one that failed for another reason than the nodes waits."""
    for name in ("failed", "later", "sooner"):
        world.add(name)
    failed, later, sooner = await world.queue.pop(3)
    world.queue.fail(failed)
    for times, item in ((3, later), (1, sooner)):
        item.refusals = times
        world.queue.refuse(item, FIT)
    world.queue.happened(FREED)
    assert world.queue.counts()[Place.BACKOFF] == 3
    other = world.add("other")
    assert [await world.pop() for _ in range(3)] == [other, sooner, later]
    assert failed.place is Place.BACKOFF
    popping = asyncio.ensure_future(world.queue.pop(1))
    await world.clock.advance(0.9)
    assert not popping.done()
    await world.clock.advance(0.2)
    assert await popping == [failed]


async def test_what_is_gone_stays_gone(world: World) -> None:
    item = world.add("a")
    popped = await world.pop()
    world.queue.delete(item.key)
    again = world.add("a", uid="other")
    world.queue.refuse(popped, FIT)
    world.queue.fail(popped)
    world.queue.done(popped)
    assert world.queue.get(item.key) is again
    assert await world.pop() is again
    world.queue.done(again)
    assert len(world.queue) == 0


async def test_refused_without_any_node_any_event_helps(world: World) -> None:
    world.add("a")
    world.queue.refuse(await world.pop(), [])
    await world.clock.advance(2)
    world.queue.happened(ClusterEvent.NODE_ADD)
    await world.pop()


async def test_an_empty_queue_sleeps_on_nothing(world: World) -> None:
    world.add("a")
    world.queue.done(await world.pop())
    await world.clock.advance(0)
    assert not world.clock._sleepers
