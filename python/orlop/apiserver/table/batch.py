"""Jobs and CronJobs."""

from typing import Any

import msgspec

from orlop.api.types import meta_v1
from orlop.apiserver.table.duration import human, since
from orlop.apiserver.table.printer import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    NONE,
    Column,
    Fields,
    Metadata,
    Object,
    Printer,
    Template,
    age,
    flag,
    selector,
    wide,
)
from orlop.clock import parse_time


class _JobSpec(Fields):
    completions: int | None = None
    parallelism: int | None = None
    selector: meta_v1.LabelSelector | None = None
    template: Template = msgspec.field(default_factory=Template)


class _Condition(Fields):
    type: str = ""
    status: str = ""


class _JobStatus(Fields):
    succeeded: int = 0
    start_time: str | None = None
    completion_time: str | None = None
    conditions: tuple[_Condition, ...] = ()


class _Job(Object):
    spec: _JobSpec = msgspec.field(default_factory=_JobSpec)
    status: _JobStatus = msgspec.field(default_factory=_JobStatus)


def _state(obj: _Job, metadata: Metadata) -> str:
    true = {c.type for c in obj.status.conditions if c.status == "True"}
    for name in ("Complete", "Failed"):
        if name in true:
            return name
    if metadata.deletion_timestamp:
        return "Terminating"
    return next((n for n in ("Suspended", "FailureTarget", "SuccessCriteriaMet") if n in true), "Running")


def _completions(obj: _Job) -> str:
    wanted, done = obj.spec.completions, obj.status.succeeded
    if wanted is not None:
        return f"{done}/{wanted}"
    parallelism = obj.spec.parallelism or 0
    return f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"


def _job(obj: _Job, metadata: Metadata, now: float) -> list[Any]:
    status = obj.status
    took = ""
    if status.start_time:
        end = parse_time(status.completion_time) if status.completion_time else now
        took = human(end - parse_time(status.start_time))
    return [
        metadata.name,
        _state(obj, metadata),
        _completions(obj),
        took,
        age(metadata, now),
        *obj.spec.template.cells(),
        selector(obj.spec.selector),
    ]


JOB = Printer(
    _Job,
    _job,
    NAME,
    Column("Status", description="Status of the job."),
    Column("Completions", description="Pods that have succeeded, and how many should."),
    Column("Duration", description="Time required to complete the job."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Labels by which the Job knows its pods."),
)


class _JobTemplate(Fields):
    spec: _JobSpec = msgspec.field(default_factory=_JobSpec)


class _CronSpec(Fields):
    schedule: str = ""
    time_zone: str | None = None
    suspend: bool | None = None
    job_template: _JobTemplate = msgspec.field(default_factory=_JobTemplate)


class _CronStatus(Fields):
    active: tuple[msgspec.Raw, ...] = ()
    last_schedule_time: str | None = None


class _CronJob(Object):
    spec: _CronSpec = msgspec.field(default_factory=_CronSpec)
    status: _CronStatus = msgspec.field(default_factory=_CronStatus)


def _cron_job(obj: _CronJob, metadata: Metadata, now: float) -> list[Any]:
    job = obj.spec.job_template.spec
    last = obj.status.last_schedule_time
    return [
        metadata.name,
        obj.spec.schedule,
        NONE if obj.spec.time_zone is None else obj.spec.time_zone,
        flag(obj.spec.suspend),
        len(obj.status.active),
        since(last, now) if last else NONE,
        age(metadata, now),
        *job.template.cells(),
        selector(job.selector),
    ]


CRON_JOB = Printer(
    _CronJob,
    _cron_job,
    NAME,
    Column("Schedule", description="The schedule in Cron format."),
    Column("Timezone", description="The time zone of the schedule."),
    Column("Suspend", "boolean", description="Whether no further Jobs are made."),
    Column("Active", "integer", description="Jobs that are running."),
    Column("Last Schedule", description="Time since a Job was last made."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Labels by which the Jobs know their pods."),
)
