"""The scheduler against the API server: what a user sees of it."""

import asyncio
from typing import Any

import pytest

from orlop.api import errors
from orlop.api.types import coordination_v1, core_v1, meta_v1, scheduling_v1
from orlop.client import Client
from orlop.scheduler.config import Settings, standard
from orlop.scheduler.queue import Place
from tests.scheduler.conftest import SCHEDULER, World, eventually


async def test_binds_and_says_so(world: World) -> None:
    await world.node("n1")
    async with world.scheduler():
        await world.pod("p")
        assert await world.placed("p") == "n1"
        event = await world.event("p", "Scheduled")
    assert event.message == "Successfully assigned default/p to n1"
    assert (event.type, event.reporting_component, event.action) == ("Normal", "default-scheduler", "Binding")
    pod = await world.get("p")
    assert event.involved_object.uid == pod.metadata.uid
    assert [(c.type, c.status) for c in pod.status.conditions if c.type == "PodScheduled"] == [("PodScheduled", "True")]


async def test_says_why_not_and_tries_again_when_it_matters(world: World) -> None:
    await world.node("n1", taints=[{"key": "gpu", "effect": "NoSchedule"}])
    await world.node("n2", cpu="1")
    await world.node("n3", cpu="1")
    async with world.scheduler() as scheduler:
        await world.pod("p", cpu="2")
        message = await world.condition("p", "Unschedulable")
        assert message == (
            "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. "
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        )
        event = await world.event("p", "FailedScheduling")
        assert (event.type, event.message, event.action) == ("Warning", message, "Scheduling")
        await world.clock.advance(5)
        # A label helps nobody here; the pod stays where it is.
        await world.admin.patch(core_v1.Node, "n2", None, {"metadata": {"labels": {"a": "b"}}})
        await asyncio.sleep(0.05)
        assert scheduler.queue.counts()[Place.UNSCHEDULABLE] == 1
        await world.admin.patch(
            core_v1.Node, "n3", None, {"status": {"allocatable": {"cpu": "2"}}}, subresource="status"
        )
        assert await world.placed("p") == "n3"


async def test_without_nodes_until_one_comes(world: World) -> None:
    async with world.scheduler():
        await world.pod("p")
        assert await world.condition("p", "Unschedulable") == "no nodes available to schedule pods"
        await world.clock.advance(2)
        await world.node("n1")
        # Tried in vain meanwhile, while the new node was not ready yet.
        await world.clock.advance(10)
        assert await world.placed("p") == "n1"


async def test_a_deleted_pod_makes_room(world: World) -> None:
    await world.node("n1", cpu="2")
    async with world.scheduler():
        await world.pod("first", cpu="2")
        await world.placed("first")
        await world.pod("second", cpu="2")
        await world.condition("second", "Unschedulable")
        await world.clock.advance(2)
        await world.admin.delete(core_v1.Pod, "first", "default", grace=0)
        assert await world.placed("second") == "n1"


async def test_a_pod_that_ends_makes_room(world: World) -> None:
    await world.node("n1", cpu="2")
    async with world.scheduler():
        await world.pod("first", cpu="2")
        await world.placed("first")
        await world.pod("second", cpu="2")
        await world.condition("second", "Unschedulable")
        await world.clock.advance(2)
        await world.admin.patch(
            core_v1.Pod, "first", "default", {"status": {"phase": "Succeeded"}}, subresource="status"
        )
        assert await world.placed("second") == "n1"


async def test_priority_comes_first(world: World) -> None:
    await world.node("n1", cpu="1")
    await world.pod("low")
    metadata = meta_v1.ObjectMeta(name="high")
    await world.admin.create(scheduling_v1.PriorityClass(metadata=metadata, value=1000))
    await world.pod("high", priorityClassName="high")
    async with world.scheduler():
        assert await world.placed("high") == "n1"
        await world.condition("low", "Unschedulable")


async def test_gates_hold_a_pod_back(world: World) -> None:
    await world.node("n1")
    async with world.scheduler():
        await world.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
        await world.pod("free")
        await world.placed("free")
        assert await world.condition("gated", "SchedulingGated")
        assert (await world.get("gated")).spec.node_name == ""
        await world.admin.patch(core_v1.Pod, "gated", "default", {"spec": {"schedulingGates": None}})
        assert await world.placed("gated") == "n1"


async def test_another_schedulers_pods_are_left_alone(world: World) -> None:
    await world.node("n1", cpu="3")
    async with world.scheduler(settings=Settings((standard(), standard("second")))) as scheduler:
        await world.pod("other", schedulerName="custom")
        await world.pod("ours", schedulerName="second")
        await world.placed("ours")
        assert (await world.event("ours", "Scheduled")).reporting_component == "second"
        assert scheduler.queue.get(("default", "other")) is None
        # What the other one places counts all the same.
        await world.admin.bind("default", "other", "n1")
        await world.pod("third", cpu="2")
        assert "Insufficient cpu" in await world.condition("third", "Unschedulable")


async def test_a_failed_binding_is_taken_back_and_repeated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.node("n1", cpu="2")
    bind, failures = Client.bind, 1

    async def flaky(self: Client, *args: Any, **options: Any) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise errors.InternalError("the store has a bad day")
        await bind(self, *args, **options)

    async with world.scheduler() as scheduler:
        monkeypatch.setattr(Client, "bind", flaky)
        await world.pod("p", cpu="2")
        message = await world.condition("p", "SchedulerError")
        assert message.startswith('running Bind plugin "DefaultBinder": ')
        assert "the store has a bad day" in message
        assert scheduler.queue.counts()[Place.BACKOFF] == 1
        # Nothing is held on the node meanwhile.
        await world.pod("q", cpu="2")
        assert await world.placed("q") == "n1"
        await world.clock.advance(1.1)
        await world.condition("p", "Unschedulable")


async def test_a_pod_that_somebody_else_binds_first(world: World) -> None:
    await world.node("n1", cpu="1")
    async with world.scheduler() as scheduler:
        await world.pod("p", cpu="2")
        await world.condition("p", "Unschedulable")
        await world.admin.bind("default", "p", "n1")

        async def gone() -> bool:
            return len(scheduler.queue) == 0

        await eventually(gone)


async def test_a_restart_finds_everything_as_it_was(world: World) -> None:
    await world.node("n1", cpu="2")
    async with world.scheduler():
        await world.pod("p", cpu="2")
        await world.placed("p")
    async with world.scheduler():
        await world.pod("q", cpu="1")
        assert "Insufficient cpu" in await world.condition("q", "Unschedulable")


async def test_many_pods_fill_many_nodes(world: World) -> None:
    for index in range(10):
        await world.node(f"n{index}", cpu="10")
    async with world.scheduler() as scheduler:
        await asyncio.gather(*(world.pod(f"p{index}") for index in range(101)))

        async def settled() -> bool:
            return scheduler.idle and scheduler.queue.counts()[Place.UNSCHEDULABLE] == 1

        await eventually(settled)
    bound = [pod.spec.node_name for pod in (await world.admin.list(core_v1.Pod, "default")).items]
    assert sorted(bound) == ["", *sorted(f"n{i}" for i in range(10) for _ in range(10))]


async def test_only_the_leader_schedules(world: World) -> None:
    await world.node("n1")
    async with world.scheduler(leader_elect=True, identity="first"):
        await world.pod("p")
        await world.placed("p")
        lease = await world.admin.get(coordination_v1.Lease, "kube-scheduler", "kube-system")
        assert lease.spec is not None
        assert lease.spec.holder_identity == "first"
        waiting = world.scheduler(leader_elect=True, identity="second")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), waiting:
                pass


async def test_its_rights_are_enough_and_no_more(world: World) -> None:
    client = world.client(SCHEDULER, world.clock)
    with pytest.raises(errors.Forbidden):
        await client.list(core_v1.Secret, "default")


async def test_an_unreadable_pod_is_reported_and_the_others_go_on(world: World) -> None:
    await world.node("n1")
    async with world.scheduler() as scheduler:
        # The API server lets no such pod in; another one might.
        pod = await world.pod("bad", schedulerName="custom")
        value = (
            b'{"metadata":{"namespace":"default","name":"bad","uid":"%s"},"spec":{"schedulerName":"default-scheduler",'
            b'"containers":[{"resources":{"requests":{"cpu":"much"}}}]}}' % pod.metadata.uid.encode()
        )
        scheduler._feed.pod("ADDED", "default", "bad", value)
        message = await world.condition("bad", "SchedulerError")
        assert message.startswith(
            'pod "default/bad": spec.containers[0].resources.requests[cpu]: Invalid value: "much"'
        )
        scheduler._feed.node("MODIFIED", "", "n1", b'{"metadata":{"name":"n1"},"status":{"allocatable":{"cpu":"x"}}}')
        await world.pod("good")
        assert await world.placed("good") == "n1"


async def test_idle_means_no_timer_and_no_request(world: World) -> None:
    await world.node("n1")
    async with world.scheduler() as scheduler:
        await world.pod("p")
        await world.placed("p")

        async def idle() -> bool:
            return scheduler.idle

        await eventually(idle)
        sleeping = len(world.clock._sleepers)
        await asyncio.sleep(0.05)
        assert len(world.clock._sleepers) == sleeping
        # The fourteen watches' own time limits; neither queue nor reporter waits for a time.
        assert sleeping <= 14


async def test_a_restart_binds_nothing_twice(world: World) -> None:
    """One scheduler ends while its bindings are on their way; the next one knows only what the API says."""
    await world.node("n1", cpu="4")
    names = [f"p{index}" for index in range(6)]
    async with world.scheduler():
        for name in names:
            await world.pod(name)

        async def some() -> bool:
            return any([(await world.get(name)).spec.node_name for name in names])

        await eventually(some)
    async with world.scheduler() as scheduler:

        async def settled() -> bool:
            return scheduler.idle and scheduler.queue.counts()[Place.UNSCHEDULABLE] == 2

        await eventually(settled)
        requested = scheduler.core.columns().requested("cpu")
        assert requested is not None
        assert list(memoryview(requested)) == [4000]
    bound = [name for name in names if (await world.get(name)).spec.node_name]
    assert len(bound) == 4
