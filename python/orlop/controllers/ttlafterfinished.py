"""Jobs that have ended go when their time is over. Upstream: pkg/controller/ttlafterfinished (KEP-592)."""

from contextlib import suppress

from msgspec import field

from orlop.api import errors
from orlop.api.types import batch_v1
from orlop.api.types.base import ApiStruct
from orlop.clock import parse_time
from orlop.control import Builder, Controller, Key, Result
from orlop.controllers.views import MetaView


class EndedSpec(ApiStruct):
    ttl_seconds_after_finished: int | None = None


class EndedStatus(ApiStruct):
    conditions: list[batch_v1.JobCondition] = field(default_factory=list)


class EndedJob(ApiStruct):
    """Of a Job, what says when it may go."""

    __kind__ = batch_v1.Job

    metadata: MetaView = field(default_factory=MetaView)
    spec: EndedSpec = field(default_factory=EndedSpec)
    status: EndedStatus = field(default_factory=EndedStatus)


class TTLAfterFinishedController(Controller):
    """Deletes a finished Job, with its pods, `ttlSecondsAfterFinished` after its end."""

    name = "ttl-after-finished-controller"

    def setup(self, builder: Builder) -> None:
        self.jobs = builder.for_(EndedJob)

    async def reconcile(self, key: Key) -> Result | None:
        if (wait := self._wait(self.jobs.get(*key))) is None:
            return None
        if wait > 0:
            return Result(requeue_after=wait)
        with suppress(errors.NotFound):
            # the cache may be old and the time have been prolonged: what is deleted is what has been read just now
            job = await self.context.client.get(EndedJob, key.name, key.namespace)
            if (wait := self._wait(job)) is None:
                return None
            if wait > 0:
                return Result(requeue_after=wait)
            meta = job.metadata
            await self.context.client.delete(
                batch_v1.Job,
                meta.name,
                meta.namespace,
                propagation="Foreground",
                uid=meta.uid,
                resource_version=meta.resource_version,
            )
        return None

    def _wait(self, job: EndedJob | None) -> float | None:
        """Seconds until the Job is to go; None if it is not to go, or goes already."""
        if job is None or job.metadata.deletion_timestamp is not None:
            return None
        ended = finished_at(job.status.conditions)
        if job.spec.ttl_seconds_after_finished is None or ended is None:
            return None
        return ended + job.spec.ttl_seconds_after_finished - self.context.clock.now()


def finished_at(conditions: list[batch_v1.JobCondition]) -> float | None:
    """When a Job with these conditions ended; None if it has not."""
    for condition in conditions:
        if condition.type in ("Complete", "Failed") and condition.status == "True" and condition.last_transition_time:
            return parse_time(condition.last_transition_time)
    return None
