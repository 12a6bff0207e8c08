"""A Job's pod is let go uncounted only while it is as the controller knows it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from unittest import mock

import pytest

from orlop.api import errors
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.control import Context
from orlop.controllers.job import making
from orlop.controllers.job.state import TRACKING, State
from orlop.controllers.views import PodView
from tests.support.worlds import ADMIN, server


class Setting(NamedTuple):
    """A Job, one pod of it as its controller knows it, and a client of the server they are on."""

    client: Client
    job: batch_v1.Job
    known: PodView
    now: float

    async def delete(self, client: Client, pod: PodView) -> errors.ApiError | None:
        """As the controller does with a pod that is one too many."""
        # Deleting needs the client and tells events, nothing else of what a controller is given.
        context = Context(client, *(mock.Mock() for _ in range(7)))
        return await making.delete(context, State(self.job, [pod], self.now), [pod], uncounted=True)

    async def succeed(self) -> None:
        name = self.known.metadata.name
        await self.client.patch(core_v1.Pod, name, "default", {"status": {"phase": "Succeeded"}}, subresource="status")

    async def to_be_counted(self) -> PodView:
        """The pod, which is there with its finalizer and not on its way out."""
        pod = await self.client.get(PodView, self.known.metadata.name, "default")
        assert pod.metadata.deletion_timestamp is None
        assert TRACKING in pod.metadata.finalizers
        return pod


@asynccontextmanager
async def setting() -> AsyncIterator[Setting]:
    async with server() as (app, clock):
        inside = ASGITransport(app, ADMIN)
        client = Client(inside, clock=clock, user_agent="test")
        await client.create(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default")))
        template = core_v1.PodTemplateSpec(
            spec=core_v1.PodSpec(containers=[core_v1.Container(name="app", image="work:1")], restart_policy="Never")
        )
        job = await client.create(
            batch_v1.Job(
                metadata=meta_v1.ObjectMeta(name="work", namespace="default"), spec=batch_v1.JobSpec(template=template)
            )
        )
        name = (await client.create(making.pod_of(job, None))).metadata.name
        yield Setting(client, job, await client.get(PodView, name, "default"), clock.now())
        await inside.close()


async def test_a_pod_that_has_succeeded_meanwhile_stays_to_be_counted() -> None:
    async with setting() as s:
        await s.succeed()
        assert isinstance(await s.delete(s.client, s.known), errors.Conflict)
        newer = await s.to_be_counted()
        assert await s.delete(s.client, newer) is None


async def test_a_pod_that_succeeds_between_the_finalizer_and_the_deletion_stays_to_be_counted() -> None:
    async with setting() as s:

        class Late(Client):
            """The pod succeeds just before it would be deleted."""

            async def delete(self, *arguments: Any, **options: Any) -> None:
                await s.succeed()
                await super().delete(*arguments, **options)

        late = Late(s.client.transport, clock=s.client.clock, user_agent="test")
        assert isinstance(await s.delete(late, s.known), errors.Conflict)
        await s.to_be_counted()


async def test_a_pod_that_nobody_touches_is_let_go() -> None:
    async with setting() as s:
        assert await s.delete(s.client, s.known) is None
        with pytest.raises(errors.NotFound):
            await s.client.get(PodView, s.known.metadata.name, "default")
