"""Jobs in rough seas: requests get lost, watches break, controllers are replaced; every end is counted once."""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from random import Random

import pytest

from orlop.api import errors
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock, rfc3339
from orlop.control import Manager
from orlop.controllers import Options, all_controllers
from tests.controllers.test_rollout import World
from tests.controllers.test_rough_seas import RoughTransport
from tests.support.worlds import ADMIN, MANAGER, server

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))
NAMES = {"job-controller", "garbage-collector-controller"}


class Fleet:
    """The controllers of one process after another, and a node on which pods succeed and fail by chance."""

    def __init__(self, client: Client, rough: RoughTransport, clock: FakeClock, random: Random) -> None:
        self.client = client
        self.rough = rough
        self.clock = clock
        self.random = random
        self.succeeded: Counter[str] = Counter()
        """Pods that have succeeded, by index; "" for those of a Job without."""

    async def board(self) -> None:
        """A new process takes over."""
        controllers = [c for c in all_controllers(Options()) if c.name in NAMES]
        client = Client(self.rough, clock=self.clock, user_agent="kube-controller-manager")
        self.manager = Manager(client, self.clock, controllers)
        self.task = asyncio.ensure_future(self.manager.run())
        while not self.manager.idle:
            await self.clock.advance(1)
        self.world = World(self.client, self.clock, self.manager)

    async def leave(self) -> None:
        """The process ends, wherever it is."""
        self.task.cancel()
        await asyncio.wait({self.task})

    async def node(self, failing: float) -> None:
        """Each pod at work succeeds, fails or goes on; pods that are being deleted end."""
        for pod in (await self.client.list(core_v1.Pod, "default")).items:
            meta = pod.metadata
            if pod.status.phase in ("Succeeded", "Failed"):
                continue
            if meta.deletion_timestamp is not None:
                await self._end(pod, "Failed")
                with suppress(errors.NotFound):
                    await self.client.delete(core_v1.Pod, meta.name, meta.namespace, grace=0)
            elif not pod.spec.node_name:
                with suppress(errors.NotFound, errors.Conflict):
                    await self.client.bind(meta.namespace, meta.name, "node-1")
            elif (chance := self.random.random()) < 0.6:
                await self._end(pod, "Failed" if chance < 0.6 * failing else "Succeeded")

    async def _end(self, pod: core_v1.Pod, phase: str) -> None:
        meta = pod.metadata
        ended = {"exitCode": int(phase == "Failed"), "finishedAt": rfc3339(self.clock.now())}
        container = {"name": "app", "image": "w", "imageID": "w", "state": {"terminated": ended}}
        status = {"phase": phase, "containerStatuses": [container]}
        with suppress(errors.NotFound):
            await self.client.patch(core_v1.Pod, meta.name, meta.namespace, {"status": status}, subresource="status")
            if phase == "Succeeded":
                self.succeeded[meta.annotations.get("batch.kubernetes.io/job-completion-index", "")] += 1


def job(random: Random, indexed: bool) -> batch_v1.Job:
    container = core_v1.Container(name="app", image="work:1")
    return batch_v1.Job(
        metadata=meta_v1.ObjectMeta(name="work", namespace="default"),
        spec=batch_v1.JobSpec(
            completions=random.randrange(3, 9),
            parallelism=random.randrange(1, 6),
            completion_mode="Indexed" if indexed else "NonIndexed",
            backoff_limit=None if indexed else 100,
            backoff_limit_per_index=random.choice([None, 1, 50]) if indexed else None,
            template=core_v1.PodTemplateSpec(
                spec=core_v1.PodSpec(containers=[container], restart_policy="Never"),
            ),
        ),
    )


async def sail(seed: int) -> None:
    random = Random(seed)
    async with server() as (app, clock):
        inside = ASGITransport(app, ADMIN)
        client = Client(inside, clock=clock, user_agent="kubectl")
        await client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="node-1")))
        account = meta_v1.ObjectMeta(name="default", namespace="default")
        await client.create(core_v1.ServiceAccount(metadata=account))
        rough = RoughTransport(app, MANAGER, clock, random)
        fleet = Fleet(client, rough, clock, random)
        await fleet.board()
        await client.create(job(random, indexed=bool(seed % 2)))
        for _ in range(10):
            await clock.advance(random.choice([0.3, 2, 15]))
            await fleet.node(0.3)
            if random.random() < 0.2:
                await fleet.leave()
                await fleet.board()
            if random.random() < 0.15:
                suspend = {"spec": {"suspend": random.random() < 0.5}}
                await client.patch(batch_v1.Job, "work", "default", suspend)
            await _check(client, fleet)
        rough.calm = True
        with suppress(errors.NotFound):
            await client.patch(batch_v1.Job, "work", "default", {"spec": {"suspend": False}})
        for _ in range(200):
            await clock.advance(30)
            await fleet.world.quiet()
            found = await _check(client, fleet)
            if {c.type for c in found.status.conditions if c.status == "True"} & {"Complete", "Failed"}:
                break
            await fleet.node(0.1)
        else:
            pytest.fail(f"not finished: {found.status}")
        await clock.advance(60)
        await fleet.world.quiet()
        await _check_end(client, fleet)
        await fleet.leave()
        await rough.close()
        await inside.close()


async def _check(client: Client, fleet: Fleet) -> batch_v1.Job:
    """Nothing is counted that has not been, and nothing twice."""
    found = await client.get(batch_v1.Job, "work", "default")
    status = found.status
    listed = status.uncounted_terminated_pods or batch_v1.UncountedTerminatedPods()
    assert len(set(listed.succeeded)) == len(listed.succeeded)
    assert not set(listed.succeeded) & set(listed.failed)
    if found.spec.completion_mode == "Indexed":
        assert status.succeeded <= len(fleet.succeeded)
    else:
        assert status.succeeded + len(listed.succeeded) <= fleet.succeeded.total()
    return found


async def _check_end(client: Client, fleet: Fleet) -> None:
    found = await client.get(batch_v1.Job, "work", "default")
    status, spec = found.status, found.spec
    ended = {c.type for c in status.conditions if c.status == "True"}
    assert status.active == 0
    pods = (await client.list(core_v1.Pod, "default")).items
    assert all(p.status.phase in ("Succeeded", "Failed") for p in pods)
    assert not any(p.metadata.finalizers for p in pods), "every end has been counted"
    if "Complete" in ended and spec.completion_mode != "Indexed":
        assert status.succeeded == fleet.succeeded.total()
    if "Complete" in ended:
        assert status.succeeded >= (spec.completions or 0)
    if spec.completion_mode == "Indexed":
        assert status.succeeded == len(fleet.succeeded), "every success is of an index, and each index counts once"


@pytest.mark.parametrize("seed", range(4))
async def test_a_job_ends_up_right(seed: int) -> None:
    await sail(seed)


@pytest.mark.campaign
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(100, 100 + 10 * CAMPAIGN))
async def test_many_voyages(seed: int) -> None:
    await sail(seed)
