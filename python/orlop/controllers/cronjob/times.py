"""When a CronJob is due: pkg/controller/cronjob/utils.go."""

from datetime import UTC, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from orlop.api.cron import Schedule
from orlop.api.types import batch_v1
from orlop.clock import parse_time

MANY_MISSED = 100
"""Runs missed above which the user is told that something is wrong."""
DELAY = 0.1
"""Seconds added to the wait for the next run, so that the clock is surely past it."""


class BadSchedule(ValueError):
    """A schedule that never comes, or comes more than once a second."""


class Due(NamedTuple):
    """What has come since the last run; times are seconds since 1970."""

    earliest: float
    """From when runs are looked for: the last run's time or the CronJob's making, not before the deadline."""
    latest: float | None
    """The last one that has come; None if none has."""
    missed: int
    """About how many have come."""


def zone_of(cron_job: batch_v1.CronJob) -> tzinfo:
    """The zone of the schedule; UTC where it says none. Raises ZoneInfoNotFoundError, ValueError."""
    return ZoneInfo(cron_job.spec.time_zone) if cron_job.spec.time_zone is not None else UTC


def after(schedule: Schedule, moment: float, zone: tzinfo) -> float | None:
    """The next time of the schedule, which goes by the clocks of the zone."""
    # as seconds: datetimes of one zone are compared and subtracted by their faces, wrongly when clocks are changed
    found = schedule.after(datetime.fromtimestamp(moment, zone))
    return found.timestamp() if found is not None else None


def due(cron_job: batch_v1.CronJob, schedule: Schedule, now: float, zone: tzinfo, *, deadline: bool) -> Due:
    """Which run has come last. With `deadline`, none that may not start any more. Raises BadSchedule."""
    earliest = parse_time(cron_job.status.last_schedule_time or cron_job.metadata.creation_timestamp)
    seconds = cron_job.spec.starting_deadline_seconds
    if deadline and seconds is not None:
        earliest = max(earliest, now - seconds)
    first = after(schedule, earliest, zone)
    second = after(schedule, first, zone) if first is not None else None
    if first is None or second is None:
        raise BadSchedule("time difference between two schedules is less than 1 second")
    if now < first:
        return Due(earliest, None, 0)
    if now < second:
        return Due(earliest, first, 1)
    between = round(second - first)
    missed = int(now - first) // between + 1
    # two intervals back, and on from there by the schedule itself: intervals need not all be the same
    latest: float | None = None
    at = after(schedule, first + (missed - 2) * between, zone)
    while at is not None and at <= now:
        latest, at = at, after(schedule, at, zone)
    return Due(earliest, latest, missed)


def until_next(cron_job: batch_v1.CronJob, schedule: Schedule, now: float, zone: tzinfo) -> float | None:
    """Seconds until the next run is due; None if there is none."""
    try:
        found = due(cron_job, schedule, now, zone, deadline=False)
    except BadSchedule:
        last = now
    else:
        last = found.latest or (now if found.missed else found.earliest)
    following = after(schedule, last, zone)
    return following - now + DELAY if following is not None else None


def job_name(cron_job: batch_v1.CronJob, at: float) -> str:
    """One name for each run: whoever makes it twice finds it made."""
    return f"{cron_job.metadata.name}-{int(at) // 60}"
