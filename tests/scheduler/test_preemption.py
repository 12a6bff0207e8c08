"""Preemption against the API server: who is evicted, what is said of it, and that the queue goes on."""

import asyncio
from typing import Any

import msgspec

from orlop.api.types import core_v1, meta_v1, policy_v1, scheduling_v1
from tests.scheduler.conftest import World, eventually


async def priorities(world: World) -> None:
    for name, value, policy in (("high", 1000, ""), ("polite", 1000, "Never"), ("low", 1, "")):
        wanted = {"metadata": {"name": name}, "value": value} | ({"preemptionPolicy": policy} if policy else {})
        await world.admin.create(msgspec.convert(wanted, scheduling_v1.PriorityClass))


async def running(world: World, name: str, **spec: Any) -> None:
    """A pod on a node that takes its time to end, since a kubelet has seen it."""
    await world.pod(name, terminationGracePeriodSeconds=30, **spec)
    await world.placed(name)


async def test_makes_room_and_takes_it(world: World) -> None:
    await world.node("n1", cpu="2")
    await priorities(world)
    async with world.scheduler():
        await running(world, "low", cpu="2", priorityClassName="low")
        await world.pod("high", cpu="2", priorityClassName="high")
        message = await world.condition("high", "Unschedulable")
        assert message == "0/1 nodes are available: 1 Insufficient cpu."

        async def ending() -> core_v1.Pod | None:
            pod = await world.get("low")
            return pod if pod.metadata.deletion_timestamp else None

        victim = await eventually(ending)
        (condition,) = (c for c in victim.status.conditions if c.type == "DisruptionTarget")
        assert (condition.status, condition.reason) == ("True", "PreemptionByScheduler")
        assert condition.message == "default-scheduler: preempting to accommodate a higher priority pod"
        assert victim.metadata.deletion_grace_period_seconds == 30
        high = await world.get("high")
        assert high.status.nominated_node_name == "n1"
        event = await world.event("low", "Preempted")
        assert event.message == f"Preempted by pod {high.metadata.uid} on node n1"
        assert (event.type, event.action) == ("Normal", "Preempting")
        assert event.related is not None
        assert event.related.name == "high"
        # What is being freed is nobody else's, and others are bound meanwhile.
        await world.pod("late", cpu="1", priorityClassName="low")
        await world.condition("late", "Unschedulable")
        await world.node("n2", cpu="1")
        await world.clock.advance(10)
        assert await world.placed("late") == "n2"
        await world.admin.delete(core_v1.Pod, "low", "default", grace=0)
        await world.clock.advance(10)
        assert await world.placed("high") == "n1"
        assert (await world.get("high")).status.nominated_node_name == ""


async def test_never_means_never(world: World) -> None:
    await world.node("n1", cpu="2")
    await priorities(world)
    async with world.scheduler():
        await running(world, "low", cpu="2", priorityClassName="low")
        await world.pod("polite", cpu="2", priorityClassName="polite")
        message = await world.condition("polite", "Unschedulable")
        assert message.endswith("preemption: not eligible due to preemptionPolicy=Never.")
        assert not (await world.get("low")).metadata.deletion_timestamp


async def test_a_budget_turns_it_to_another_node(world: World) -> None:
    await world.node("n1", cpu="2")
    await priorities(world)
    selector = meta_v1.LabelSelector(match_labels={"app": "db"})
    metadata = meta_v1.ObjectMeta(name="db", namespace="default")
    await world.admin.create(
        policy_v1.PodDisruptionBudget(
            metadata=metadata, spec=policy_v1.PodDisruptionBudgetSpec(selector=selector, min_available=1)
        )
    )
    async with world.scheduler():
        await running(world, "db", cpu="2")
        await world.admin.patch(core_v1.Pod, "db", "default", {"metadata": {"labels": {"app": "db"}}})
        await world.node("n2", cpu="2")
        # More important than the other victim, but no budget speaks for it.
        await running(world, "web", cpu="2", priorityClassName="low")
        await asyncio.sleep(0)
        await world.pod("high", cpu="2", priorityClassName="high")
        await world.event("web", "Preempted")
        assert (await world.get("high")).status.nominated_node_name == "n2"
        assert not (await world.get("db")).metadata.deletion_timestamp
