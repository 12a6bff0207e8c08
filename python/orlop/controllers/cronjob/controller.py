"""Starts what is due, lists what runs, removes what is old."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfoNotFoundError

from msgspec import field

from orlop.api import cron, errors, scheme
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.api.types.base import ApiStruct
from orlop.client import copy
from orlop.clock import parse_time, rfc3339
from orlop.control import (
    Builder,
    Controller,
    Key,
    Result,
    controller_of,
    controller_reference,
    is_controlled_by,
    key_of,
)
from orlop.controllers.cronjob import times
from orlop.controllers.podcontrol import NAMESPACE_TERMINATING, has_cause
from orlop.controllers.views import MetaView

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
"""The annotation that says for which time a Job was made."""
MANY_MISSED_WORDS = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
BY_OWNER = "owner"


class RunStatus(ApiStruct):
    conditions: list[batch_v1.JobCondition] = field(default_factory=list)
    start_time: str | None = None
    completion_time: str | None = None


class Run(ApiStruct):
    """Of a Job, what its CronJob looks at."""

    __kind__ = batch_v1.Job

    metadata: MetaView = field(default_factory=MetaView)
    status: RunStatus = field(default_factory=RunStatus)


class CronJobController(Controller):
    """Makes a Job each time the schedule comes."""

    name = "cronjob-controller"

    def setup(self, builder: Builder) -> None:
        self.cron_jobs = builder.for_(batch_v1.CronJob, changed=lambda old, new: _schedule(old) == _schedule(new))
        self.cron_jobs.on_change(self._rescheduled)
        self.runs = builder.owns(Run, indexers={BY_OWNER: _owner})

    def _rescheduled(self, old: batch_v1.CronJob | None, new: batch_v1.CronJob | None) -> None:
        """A new schedule begins with its next run: the times that it would have had until now were never due."""
        if old is None or new is None or _schedule(old) == _schedule(new):
            return
        try:
            zone, schedule = times.zone_of(new), cron.parse(new.spec.schedule)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            wait = None
        else:
            wait = times.until_next(new, schedule, self.context.clock.now(), zone)
        self.context.enqueue(key_of(new), wait or 0.0)

    async def reconcile(self, key: Key) -> Result | None:
        cached = self.cron_jobs.get(*key)
        if cached is None:
            return None
        cron_job = copy(cached)
        runs = self.runs.by_index(BY_OWNER, cron_job.metadata.uid)
        wait = None
        try:
            await self._clean_up(cron_job, runs)
            await self._look(cron_job, runs)
            if cron_job.metadata.deletion_timestamp is None:
                wait = await self._start(cron_job)
        finally:
            if cron_job.status != cached.status:
                await self.context.client.update_status(cron_job)
        return Result(requeue_after=wait) if wait is not None else None

    # --- what runs

    async def _look(self, cron_job: batch_v1.CronJob, runs: list[Run]) -> None:
        """Brings the list of active runs in line with the Jobs that there are."""
        status, tell = cron_job.status, self.context.recorder.event
        for run in runs:
            listed, ended = _lists(cron_job, run.metadata.uid), how_it_ended(run)
            name = run.metadata.name
            if not listed and not ended and not await self._is_listed(cron_job, run.metadata.uid):
                words = f"Saw a job that the controller did not create or forgot: {name}"
                tell(cron_job, "Warning", "UnexpectedJob", words)
            elif listed and ended:
                _unlist(cron_job, run.metadata.uid)
                tell(cron_job, "Normal", "SawCompletedJob", f"Saw completed job: {name}, condition: {ended}")
            if ended == "Complete" and run.status.completion_time is not None:
                before = status.last_successful_time
                if before is None or parse_time(run.status.completion_time) > parse_time(before):
                    status.last_successful_time = run.status.completion_time
        known = {run.metadata.uid for run in runs}
        for ref in [ref for ref in status.active if ref.uid not in known]:
            try:
                gone = (await self.context.client.get(Run, ref.name, ref.namespace)).metadata.uid != ref.uid
            except errors.NotFound:
                gone = True
            if gone:
                tell(cron_job, "Normal", "MissingJob", f"Active job went missing: {ref.name}")
                _unlist(cron_job, ref.uid)

    async def _is_listed(self, cron_job: batch_v1.CronJob, uid: str) -> bool:
        """Asks the server: the cache of Jobs may be ahead of that of CronJobs."""
        meta = cron_job.metadata
        return _lists(await self.context.client.get(batch_v1.CronJob, meta.name, meta.namespace), uid)

    # --- what is due

    async def _start(self, cron_job: batch_v1.CronJob) -> float | None:
        """Starts the run that is due, if it may; gives the seconds until the next."""
        spec, tell = cron_job.spec, self.context.recorder.event
        try:
            zone = times.zone_of(cron_job)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            words = f'invalid timeZone: "{spec.time_zone}": unknown time zone {spec.time_zone}'
            tell(cron_job, "Warning", "UnknownTimeZone", words)
            return None
        if spec.suspend:
            return None
        try:
            schedule = cron.parse(spec.schedule)
        except ValueError as error:
            tell(cron_job, "Warning", "UnparseableSchedule", f'unparseable schedule: "{spec.schedule}" : {error}')
            return None
        now = self.context.clock.now()
        try:
            found = times.due(cron_job, schedule, now, zone, deadline=True)
        except times.BadSchedule as error:
            tell(cron_job, "Warning", "InvalidSchedule", f"invalid schedule: {spec.schedule} : {error}")
            return None
        if found.missed > times.MANY_MISSED:
            tell(cron_job, "Warning", "TooManyMissedTimes", MANY_MISSED_WORDS)
        if found.latest is not None:
            await self._start_one(cron_job, found.latest, zone)
        return times.until_next(cron_job, schedule, self.context.clock.now(), zone)

    async def _start_one(self, cron_job: batch_v1.CronJob, at: float, zone: tzinfo) -> None:
        """Makes the Job for that time, unless it is made already or may not be made."""
        spec, status, tell = cron_job.spec, cron_job.status, self.context.recorder.event
        deadline = spec.starting_deadline_seconds
        if deadline is not None and at + deadline < self.context.clock.now():
            when = datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
            tell(cron_job, "Warning", "MissSchedule", f"Missed scheduled time to start a job: {when}")
            return
        name = times.job_name(cron_job, at)
        last = status.last_schedule_time
        if any(ref.name == name for ref in status.active) or (last is not None and parse_time(last) == at):
            return
        if spec.concurrency_policy == "Forbid" and status.active:
            words = "Not starting job because prior execution is running and concurrency policy is Forbid"
            tell(cron_job, "Normal", "JobAlreadyActive", words)
            return
        if spec.concurrency_policy == "Replace":
            for ref in list(status.active):
                if (failure := await self._delete(cron_job, ref.name, ref.uid)) is not None:
                    raise failure
        stamp = datetime.fromtimestamp(at, zone).isoformat(timespec="seconds").replace("+00:00", "Z")
        job = await self._create(cron_job, name, stamp)
        if job is None:
            return
        status.active.append(
            core_v1.ObjectReference(
                api_version=scheme.of(batch_v1.Job).api_version,
                kind="Job",
                namespace=job.metadata.namespace,
                name=job.metadata.name,
                uid=job.metadata.uid,
                resource_version=job.metadata.resource_version,
            )
        )
        status.last_schedule_time = rfc3339(at)

    async def _create(self, cron_job: batch_v1.CronJob, name: str, scheduled: str) -> batch_v1.Job | None:
        """The Job that is now to be listed; None if it is another's, or none can be made here any more."""
        client, tell = self.context.client, self.context.recorder.event
        try:
            job = await client.create(job_of(cron_job, name, scheduled))
        except errors.AlreadyExists:
            # made before by one of us that could not write the status afterwards, or by somebody else
            job = await client.get(batch_v1.Job, name, cron_job.metadata.namespace)
            return job if is_controlled_by(job, cron_job) else None
        except errors.ApiError as error:
            if not has_cause(error, NAMESPACE_TERMINATING):
                tell(cron_job, "Warning", "FailedCreate", f"Error creating job: {error}")
                raise
            return None
        tell(cron_job, "Normal", "SuccessfulCreate", f"Created job {name}")
        return job

    # --- what is old

    async def _clean_up(self, cron_job: batch_v1.CronJob, runs: list[Run]) -> None:
        """Keeps the last runs that succeeded and the last that failed, as many as the limits say.

        What cannot be deleted now waits for the next look: it must not keep a run from starting.
        """
        for ended, limit in (
            ("Complete", cron_job.spec.successful_jobs_history_limit),
            ("Failed", cron_job.spec.failed_jobs_history_limit),
        ):
            if limit is None:
                continue
            old = sorted((run for run in runs if how_it_ended(run) == ended), key=_age)
            for run in old[: max(0, len(old) - limit)]:
                await self._delete(cron_job, run.metadata.name, run.metadata.uid)

    async def _delete(self, cron_job: batch_v1.CronJob, name: str, uid: str) -> errors.ApiError | None:
        """Deletes a run, or gives the error that it has told of."""
        tell = self.context.recorder.event
        try:
            namespace = cron_job.metadata.namespace
            await self.context.client.delete(batch_v1.Job, name, namespace, propagation="Background", uid=uid)
        except errors.NotFound:
            pass
        except errors.ApiError as error:
            tell(cron_job, "Warning", "FailedDelete", f"Deleted job: {error}")
            return error
        else:
            tell(cron_job, "Normal", "SuccessfulDelete", f"Deleted job {name}")
        _unlist(cron_job, uid)
        return None


def job_of(cron_job: batch_v1.CronJob, name: str, scheduled: str) -> batch_v1.Job:
    """The Job of one run, as the template says."""
    template = copy(cron_job.spec.job_template)
    return batch_v1.Job(
        metadata=meta_v1.ObjectMeta(
            name=name,
            namespace=cron_job.metadata.namespace,
            labels=template.metadata.labels,
            annotations={**template.metadata.annotations, SCHEDULED: scheduled},
            owner_references=[controller_reference(cron_job)],
        ),
        spec=template.spec,
    )


def how_it_ended(job: Run | batch_v1.Job) -> str:
    """Complete or Failed; empty while it runs."""
    ends = (c.type for c in job.status.conditions if c.type in ("Complete", "Failed") and c.status == "True")
    return next(ends, "")


def _schedule(cron_job: batch_v1.CronJob) -> tuple[str, str | None]:
    return cron_job.spec.schedule, cron_job.spec.time_zone


def _age(run: Run) -> tuple[float, str]:
    start = run.status.start_time
    return (parse_time(start) if start is not None else float("inf"), run.metadata.name)


def _lists(cron_job: batch_v1.CronJob, uid: str) -> bool:
    return any(ref.uid == uid for ref in cron_job.status.active)


def _unlist(cron_job: batch_v1.CronJob, uid: str) -> None:
    cron_job.status.active = [ref for ref in cron_job.status.active if ref.uid != uid]


def _owner(run: Run) -> list[str]:
    ref = controller_of(run)
    return [ref.uid] if ref is not None else []
