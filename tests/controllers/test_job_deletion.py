"""A Job's pod is let go uncounted only while it is as the controller knows it."""

from unittest import mock

from orlop.api import errors
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.control import Context
from orlop.controllers.job import making
from orlop.controllers.job.state import TRACKING, State
from orlop.controllers.views import PodView
from tests.support.worlds import ADMIN, server


async def test_a_pod_that_has_succeeded_meanwhile_stays_to_be_counted() -> None:
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
        known = await client.get(PodView, name, "default")
        await client.patch(core_v1.Pod, name, "default", {"status": {"phase": "Succeeded"}}, subresource="status")

        # Deleting needs the client and tells events, nothing else of what a controller is given.
        context = Context(client, *(mock.Mock() for _ in range(6)))
        error = await making.delete(context, State(job, [known], clock.now()), [known], uncounted=True)

        assert isinstance(error, errors.Conflict)
        pod = await client.get(core_v1.Pod, name, "default")
        assert pod.metadata.deletion_timestamp is None
        assert TRACKING in pod.metadata.finalizers
        newer = await client.get(PodView, name, "default")
        assert await making.delete(context, State(job, [newer], clock.now()), [newer], uncounted=True) is None
        await inside.close()
