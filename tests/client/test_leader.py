"""Leader election over the real API server: one leader at a time, by upstream's timings."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from orlop.api import errors
from orlop.api.types import coordination_v1
from orlop.client import Client, LeaderElector, LeadershipLost
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock
from tests.support.worlds import ADMIN, server


class Flaky(ASGITransport):
    """A transport that can lose the server."""

    lost = False

    async def request(self, method, target, headers, body):  # type: ignore[no-untyped-def]
        if self.lost:
            raise errors.ServiceUnavailable("the server is gone")
        return await super().request(method, target, headers, body)


class Candidate:
    def __init__(self, app: object, clock: FakeClock, name: str) -> None:
        self.transport = Flaky(app, ADMIN)  # type: ignore[arg-type]
        self.client = Client(self.transport, clock=clock, user_agent=name)
        self.elector = LeaderElector(self.client, "leader", "kube-system", name)
        self.working = False
        self.task = asyncio.ensure_future(self.elector.run(self.work))

    async def work(self) -> None:
        self.working = True
        try:
            await asyncio.Event().wait()
        finally:
            self.working = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})


class World:
    def __init__(self, app: object, clock: FakeClock) -> None:
        self.app = app
        self.clock = clock
        self.candidates: list[Candidate] = []

    async def candidate(self, name: str) -> Candidate:
        candidate = Candidate(self.app, self.clock, name)
        self.candidates.append(candidate)
        await self.pass_(0)
        return candidate

    async def pass_(self, seconds: float) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        for _ in range(int(seconds * 4)):
            await self.clock.advance(0.25)

    async def lease(self) -> coordination_v1.LeaseSpec:
        client = Client(ASGITransport(self.app, ADMIN), clock=self.clock, user_agent="test")  # type: ignore[arg-type]
        return (await client.get(coordination_v1.Lease, "leader", "kube-system")).spec


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with server() as (app, clock):
        world = World(app, clock)
        yield world
        for candidate in world.candidates:
            await candidate.stop()


async def test_the_first_leads_and_renews_and_the_second_waits(world: World) -> None:
    first = await world.candidate("first")
    second = await world.candidate("second")
    for _ in range(10):
        await world.pass_(6)
        assert (first.working, second.working) == (True, False)
    lease = await world.lease()
    assert (lease.holder_identity, lease.lease_duration_seconds, lease.lease_transitions) == ("first", 15, 0)
    assert lease.acquire_time == "2023-11-14T22:13:20.000000Z"
    assert lease.renew_time is not None
    assert lease.renew_time >= "2023-11-14T22:14:17"
    assert second.elector.leader == "first"


async def test_a_leader_that_ends_releases_the_lease_after_its_work(world: World) -> None:
    first = await world.candidate("first")
    second = await world.candidate("second")
    await first.stop()
    assert not first.working
    lease = await world.lease()
    assert (lease.holder_identity, lease.lease_duration_seconds) == ("", 1)
    await world.pass_(5)
    assert second.working
    assert (await world.lease()).lease_transitions == 1


async def test_a_leader_that_loses_the_server_stops_before_another_starts(world: World) -> None:
    first = await world.candidate("first")
    second = await world.candidate("second")
    await world.pass_(1)
    first.transport.lost = True
    for _ in range(60):
        await world.pass_(0.5)
        assert not (first.working and second.working)
    assert second.working
    assert first.task.done()
    with pytest.raises(LeadershipLost, match="failed to renew lease kube-system/leader"):
        first.task.result()


async def test_a_short_absence_of_the_server_is_survived(world: World) -> None:
    first = await world.candidate("first")
    await world.candidate("second")
    await world.pass_(1)
    first.transport.lost = True
    await world.pass_(7)
    first.transport.lost = False
    await world.pass_(10)
    assert first.working


async def test_a_lease_taken_by_force_is_lost(world: World) -> None:
    first = await world.candidate("first")
    await world.pass_(1)
    await first.client.patch(coordination_v1.Lease, "leader", "kube-system", {"spec": {"holderIdentity": "usurper"}})
    await world.pass_(14)
    assert not first.working
    assert (await world.lease()).holder_identity == "usurper"


async def test_work_that_ends_or_fails_ends_the_run(world: World) -> None:
    client = Client(ASGITransport(world.app, ADMIN), clock=world.clock, user_agent="x")  # type: ignore[arg-type]

    async def fail() -> None:
        raise RuntimeError("defect")

    with pytest.raises(RuntimeError, match="defect"):
        await LeaderElector(client, "other", "kube-system", "x").run(fail)
    lease = await client.get(coordination_v1.Lease, "other", "kube-system")
    assert lease.spec.holder_identity == ""


@pytest.mark.parametrize(
    ("timings", "message"),
    [
        ({"lease_duration": 10}, "leaseDuration must be greater than renewDeadline"),
        ({"retry_period": 9}, "renewDeadline must be greater than retryPeriod"),
    ],
)
def test_timings_that_contradict_each_other(timings: dict[str, float], message: str) -> None:
    client = Client(ASGITransport(None, None), clock=FakeClock(), user_agent="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=message):
        LeaderElector(client, "leader", "kube-system", "x", **timings)  # type: ignore[arg-type]
