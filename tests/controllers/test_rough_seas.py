"""Controllers whose requests get lost, before or after they are done, and whose watches break, still end up right."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from orlop.api import errors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client, Response, Unreachable
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock
from orlop.control import Manager
from orlop.controllers import Options, all_controllers
from tests.controllers.test_rollout import World, web
from tests.support.worlds import ADMIN, MANAGER, server

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))


class RoughTransport(ASGITransport):
    """Loses some requests, some answers and some watches, until it calms down."""

    def __init__(self, app: Any, user: object, clock: FakeClock, random: Random) -> None:
        super().__init__(app, user)
        self.clock = clock
        self.random = random
        self.calm = False
        self.lost = 0

    def _loses(self, chance: float) -> bool:
        lost = not self.calm and self.random.random() < chance
        self.lost += lost
        return lost

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        if self._loses(0.05):
            raise Unreachable("refused", sent=False)
        if self._loses(0.03):
            raise errors.TooManyRequests("slow down")
        response = await super().request(method, target, headers, body)
        if self._loses(0.05):
            raise Unreachable("reset before the answer", sent=True)
        return response

    @asynccontextmanager
    async def stream(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Any]:
        async with super().stream(method, target, headers, body) as stream:

            async def break_off() -> None:
                await self.clock.sleep(self.random.expovariate(1 / 10))
                if not self.calm:
                    self.lost += 1
                    stream.abort("reset")

            breaker = asyncio.ensure_future(break_off())
            try:
                yield stream
            finally:
                breaker.cancel()


async def sail(seed: int) -> None:
    random = Random(seed)
    async with server() as (app, clock):
        inside = ASGITransport(app, ADMIN)
        client = Client(inside, clock=clock, user_agent="kubectl")
        await client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="node-1")))
        account = meta_v1.ObjectMeta(name="default", namespace="default")
        await client.create(core_v1.ServiceAccount(metadata=account))
        rough = RoughTransport(app, MANAGER, clock, random)
        chosen = {"deployment-controller", "replicaset-controller", "garbage-collector-controller"}
        controllers = [c for c in all_controllers(Options()) if c.name in chosen]
        manager = Manager(Client(rough, clock=clock, user_agent="kube-controller-manager"), clock, controllers)
        task = asyncio.ensure_future(manager.run())
        while not manager.idle:
            await clock.advance(1)
        world = World(client, clock, manager)
        await client.create(web(6))
        for i in range(12):
            await clock.advance(random.choice([0.1, 1, 5]))
            await world.kubelet()
            if random.random() < 0.4:
                await world.image(f"web:{i + 2}")
            if random.random() < 0.3:
                replicas = {"spec": {"replicas": random.randrange(1, 9)}}
                await client.patch(apps_v1.Deployment, "web", "default", replicas)
        assert rough.lost
        rough.calm = True
        await clock.advance(120)  # what has been failing is tried again at long intervals
        await world.settle()
        await clock.advance(120)
        d = await world.settle()
        wanted = d.spec.replicas
        image = d.spec.template.spec.containers[0].image
        assert (d.status.replicas, d.status.updated_replicas, d.status.available_replicas) == (wanted, wanted, wanted)
        pods = await world.pods()
        assert [p.spec.containers[0].image for p in pods] == [image] * (wanted or 0)
        sizes = await world.sets()
        assert {name for name, size in sizes.items() if size} == {image}
        task.cancel()
        await asyncio.wait({task})
        await rough.close()
        await inside.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_deployment_ends_up_right(seed: int) -> None:
    await sail(seed)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(100, 100 + 5 * CAMPAIGN))
async def test_many_voyages(seed: int) -> None:
    await sail(seed)
