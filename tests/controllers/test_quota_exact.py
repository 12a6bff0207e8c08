"""Quotas while many make and remove at a time and the controller counts in between: never over, exact in the end."""

import asyncio
import random

import pytest

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock
from orlop.control import Manager
from orlop.controllers.resourcequota import ResourceQuotaController
from tests.support.worlds import ADMIN, MANAGER, server

WORKERS, STEPS, HARD = 8, 40, 12


async def used(client: Client, name: str) -> dict[str, int]:
    found = await client.get(core_v1.ResourceQuota, name, "default")
    return {key: int(text) for key, text in found.status.used.items()}


async def worker(client: Client, clock: FakeClock, chance: random.Random, number: int) -> tuple[int, int]:
    """Makes and removes; how often it was allowed and how often refused."""
    mine: list[str] = []
    made = refused = 0
    for step in range(STEPS):
        if mine and chance.random() < 0.45:
            await client.delete(core_v1.ConfigMap, mine.pop(chance.randrange(len(mine))), "default")
        else:
            name = f"m-{number}-{step}"
            try:
                await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default")))
                mine.append(name)
                made += 1
            except errors.Forbidden:
                refused += 1
        there = len((await client.list(core_v1.ConfigMap, "default")).items)
        assert there <= HARD
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if chance.random() < 0.2:
            await clock.advance(0.2)  # what the controller put off is due
    return made, refused


@pytest.mark.parametrize("seed", range(4))
async def test_never_over_and_exact_in_the_end(seed: int) -> None:
    chance = random.Random(seed)
    async with server() as (app, clock):
        client = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="tests")
        for name, hard in (("one", {"configmaps": str(HARD)}), ("two", {"count/configmaps": str(HARD + 3)})):
            made = core_v1.ResourceQuota(metadata=meta_v1.ObjectMeta(name=name, namespace="default"))
            made.spec.hard = hard
            await client.create(made)
        manager = Manager(
            Client(ASGITransport(app, MANAGER), clock=clock, user_agent="manager"), clock, [ResourceQuotaController()]
        )
        running = asyncio.ensure_future(manager.run())
        try:
            async with asyncio.timeout(30):
                while not all([await used(client, name) for name in ("one", "two")]):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                work = (worker(client, clock, random.Random(chance.random()), n) for n in range(WORKERS))
                results = await asyncio.gather(*work)
                assert sum(made for made, _ in results) > HARD
                assert sum(refused for _, refused in results) > 0
                there = len((await client.list(core_v1.ConfigMap, "default")).items)
                exact = {"one": {"configmaps": there}, "two": {"count/configmaps": there}}
                while {name: await used(client, name) for name in exact} != exact:
                    await clock.advance(0.1)
                    await asyncio.sleep(0.001)
        finally:
            running.cancel()
            await asyncio.wait({running})
            await client.close()
