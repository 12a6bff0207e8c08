"""Pods of a gang against the API server: placed together or not at all."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, meta_v1, scheduling_v1beta1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.scheduler.explain import why
from orlop.scheduler.queue import Place
from tests.scheduler.conftest import World, eventually


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    groups = {"scheduling.k8s.io/v1beta1": "true"}
    config = Config(data_dir=tmp_path, secure_port=None, store="memory", runtime_config=groups)
    async with ApiServer(config) as server:
        world = World(server)
        account = meta_v1.ObjectMeta(name="default", namespace="default")
        await world.admin.create(core_v1.ServiceAccount(metadata=account))
        yield world


async def group(world: World, name: str, least: int) -> None:
    policy = {"gang": {"minCount": least}}
    document = {"metadata": {"name": name, "namespace": "default"}, "spec": {"schedulingPolicy": policy}}
    await world.admin.create(msgspec.convert(document, scheduling_v1beta1.PodGroup))


async def member(world: World, name: str, of: str, cpu: str = "1", **spec: Any) -> None:
    await world.pod(name, cpu=cpu, schedulingGroup={"podGroupName": of}, **spec)


async def test_waits_for_its_group_and_for_enough_of_it(world: World) -> None:
    await world.node("n1", cpu="8")
    async with world.scheduler() as scheduler:
        await member(world, "a", "g")
        await member(world, "b", "g")
        await world.pod("plain")
        await world.placed("plain")
        assert scheduler.queue.counts()[Place.GATED] == 2
        await group(world, "g", 3)
        await world.pod("other")
        await world.placed("other")
        assert scheduler.queue.counts()[Place.GATED] == 2
        await member(world, "c", "g")
        for name in "abc":
            assert await world.placed(name) == "n1"


async def test_none_holds_room_while_the_others_find_none(world: World) -> None:
    """Two gangs that fit one after the other, not both at once: neither half of one blocks the other."""
    await world.node("n1", cpu="4")
    for name in "gh":
        await group(world, name, 3)
    await world.pod("filler", cpu="1", nodeName="n1")
    async with world.scheduler() as scheduler:
        for name in ("g1", "h1", "g2", "h2"):
            await member(world, name, name[0])
        await member(world, "g3", "g", cpu="2")
        message = await world.condition("g1", "Unschedulable")
        assert message == ('0/1 nodes are available: only 2 of the 3 pods that the pod group "g" needs can be placed.')
        assert "1 Insufficient cpu" in await world.condition("g3", "Unschedulable")
        requested = scheduler.core.columns().requested("cpu")
        assert requested is not None
        assert list(memoryview(requested)) == [1000]
        await member(world, "h3", "h")
        for name in ("h1", "h2", "h3"):
            assert await world.placed(name) == "n1"
        for name in ("h1", "h2", "h3", "filler"):
            await world.admin.delete(core_v1.Pod, name, "default", grace=0)
        for name in ("g1", "g2", "g3"):
            assert await world.placed(name) == "n1"


async def test_one_more_is_placed_alone_once_enough_are(world: World) -> None:
    await world.node("n1", cpu="3")
    await group(world, "g", 2)
    async with world.scheduler() as scheduler:
        await member(world, "a", "g")
        await member(world, "b", "g")
        for name in "ab":
            await world.placed(name)
        await member(world, "c", "g")
        assert await world.placed("c") == "n1"
        await member(world, "d", "g")
        await world.condition("d", "Unschedulable")

        async def idle() -> bool:
            return scheduler.idle

        await eventually(idle)
        attempts = scheduler.queue.get(("default", "d"))
        assert attempts is not None
        tried = attempts.attempts
        await asyncio.sleep(0.05)
        assert attempts.attempts == tried, "a refused gang is tried over and over"


async def test_why_knows_the_group(world: World) -> None:
    await world.node("n1", cpu="4")
    await member(world, "a", "g")
    await world.pod("gated", schedulingGroup={"podGroupName": "g"}, schedulingGates=[{"name": "example.com/x"}])
    found = await why(world.admin, "default", "a")
    assert (found.state, found.summary) == ("gated", 'it waits for its pod group "g", which is not there')
    await group(world, "g", 3)
    found = await why(world.admin, "default", "a")
    words = 'it waits for its pod group "g": 1 of the 3 pods that it needs is there'
    assert (found.state, found.summary) == ("gated", words)
    await member(world, "b", "g")
    await member(world, "c", "g", cpu="5")
    async with world.scheduler():
        said = await world.condition("a", "Unschedulable")
    found = await why(world.admin, "default", "a")
    assert found.state == "unschedulable"
    assert found.message == said.partition(" preemption:")[0]
    assert [reason.words for reason in found.reasons] == ["Insufficient cpu"]
    assert found.hints == ["with the others placed, default/c is the first that finds no node; this is said of it"]
    assert found.changes[0].text == "request 3 CPU less (2 instead of 5)"
