"""client-go's promises of a work queue."""

import asyncio

import pytest
from hypothesis import given, strategies as st

from orlop.client import QueueClosed, WorkQueue
from orlop.client.workqueue import URGENT_IN_A_ROW, RateLimiter
from orlop.clock import FakeClock
from orlop.metrics import REGISTRY


async def test_a_key_waits_once_however_often_it_is_added() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    for key in ("a", "b", "a", "b"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    assert len(queue) == 0


async def test_a_key_added_while_in_work_comes_again_when_done() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    assert not queue.idle
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert queue.idle


async def test_each_waiting_worker_gets_a_key() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    workers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in "abc":
        queue.add(key)
    assert sorted(await asyncio.gather(*workers)) == ["a", "b", "c"]


async def test_a_cancelled_worker_loses_no_key() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 1) == "a"


async def test_delayed_keys_come_in_their_time_and_the_earliest_delay_counts() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add_after("late", 10)
    queue.add_after("early", 1)
    queue.add_after("both", 20)
    queue.add_after("both", 2)
    assert queue.next_due == 1
    await clock.advance(0.9)
    assert len(queue) == 0
    await clock.advance(0.1)
    assert await queue.get() == "early"
    await clock.advance(1)
    assert await queue.get() == "both"
    queue.done("both")
    await clock.advance(8)
    assert await queue.get() == "late"
    await clock.advance(100)
    assert len(queue) == 0
    assert queue.next_due is None
    await queue.close()


async def test_close_ends_the_waiting_after_what_is_left() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.add("a")
    queue.add_after("never", 1)
    await queue.close()
    queue.add("b")
    assert await queue.get() == "a"
    with pytest.raises(QueueClosed):
        await queue.get()
    await clock.advance(10)
    with pytest.raises(QueueClosed):
        await queue.get()


async def test_close_wakes_all_waiting_workers() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    workers = [asyncio.ensure_future(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    await queue.close()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(r, QueueClosed) for r in results)


def test_back_off_of_one_key_doubles_from_5_ms_to_1000_s() -> None:
    limiter: RateLimiter[str] = RateLimiter(FakeClock(), burst=1000)
    waits = [limiter.when("a") for _ in range(25)]
    assert waits[:4] == [0.005, 0.01, 0.02, 0.04]
    assert waits[-1] == 1000.0
    assert limiter.when("b") == 0.005
    limiter.forget("a")
    assert limiter.when("a") == 0.005


async def test_the_bucket_of_all_keys_holds_100_and_refills_10_a_second() -> None:
    clock = FakeClock()
    limiter: RateLimiter[int] = RateLimiter(clock)
    assert {limiter.when(i) for i in range(100)} == {0.005}
    assert limiter.when(100) == pytest.approx(0.1)
    assert limiter.when(101) == pytest.approx(0.2)
    await clock.advance(20)
    assert limiter.when(102) == 0.005


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.integers(0, 3)), max_size=60))
def test_no_key_is_lost_nor_worked_on_twice_at_a_time(steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        queue: WorkQueue[int] = WorkQueue(FakeClock())
        wanted: set[int] = set()
        working: list[int] = []
        for step, key in steps:
            if step == "add":
                queue.add(key)
                wanted.add(key)
            elif step == "get" and len(queue):
                got = await queue.get()
                assert got not in working
                assert got in wanted
                wanted.remove(got)
                working.append(got)
            elif step == "done" and working:
                queue.done(working.pop(0))
        while working or len(queue):
            for key in working:
                queue.done(key)
            working = []
            while len(queue):
                got = await queue.get()
                wanted.discard(got)
                working.append(got)
        assert not wanted
        assert queue.idle

    asyncio.run(run())


async def test_a_named_queue_reports_itself_under_upstreams_names() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock, name="test-metrics")
    queue.add("a")
    queue.add("b")
    await clock.advance(2)
    await queue.get()
    await clock.advance(3)
    queue.add_rate_limited("c")

    def value(name: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"name": "test-metrics"})

    assert value("workqueue_depth") == 1
    assert value("workqueue_adds_total") == 2
    assert value("workqueue_retries_total") == 1
    assert value("workqueue_queue_duration_seconds_sum") == 2
    assert value("workqueue_unfinished_work_seconds") == 3
    assert value("workqueue_longest_running_processor_seconds") == 3
    queue.done("a")
    assert value("workqueue_work_duration_seconds_sum") == 3
    assert value("workqueue_unfinished_work_seconds") == 0
    await queue.close()


async def test_what_changed_comes_before_what_was_only_found() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    for key in ("found 1", "found 2", "found 3"):
        queue.add(key, patient=True)
    queue.add("changed")
    queue.add("found 3")  # it has changed as well
    queue.add("changed", patient=True)  # no step back
    assert len(queue) == 5 - 1
    assert [await queue.get() for _ in range(4)] == ["changed", "found 3", "found 1", "found 2"]


async def test_what_was_found_does_not_wait_for_ever() -> None:
    queue: WorkQueue[str] = WorkQueue(FakeClock())
    queue.add("found", patient=True)
    got = []
    for n in range(20):
        queue.add(f"changed {n}")
        got.append(await queue.get())
    assert got.index("found") == URGENT_IN_A_ROW
