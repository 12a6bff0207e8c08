"""Rules of CronJobs: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation, pkg/registry/batch/cronjob."""

import re
from functools import cache
from zoneinfo import available_timezones

from orlop.api import cron
from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import batch_v1
from orlop.apiserver.registry import jobs, poddefaults, podfields, podwarnings
from orlop.apiserver.registry.common import not_negative, one_of
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

NAME_MAX = 52
"""Characters: the Jobs' names get eleven more."""
ZONE_WORDS = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
_ZONE_PART = re.compile(r"[A-Za-z._0-9+][A-Za-z.\-_0-9+]{0,13}")
_ZONE_PREFIX = re.compile(r"(?:CRON_)?TZ=(\S*) +")


class CronJobs(Strategy):
    """Jobs by the clock."""

    generation = True

    def default(self, obj: batch_v1.CronJob) -> None:
        spec = obj.spec
        poddefaults.pod_spec(spec.job_template.spec.template.spec)
        if not spec.concurrency_policy:
            spec.concurrency_policy = "Allow"
        if spec.suspend is None:
            spec.suspend = False
        if spec.successful_jobs_history_limit is None:
            spec.successful_jobs_history_limit = 3
        if spec.failed_jobs_history_limit is None:
            spec.failed_jobs_history_limit = 1

    def prepare_create(self, obj: batch_v1.CronJob) -> None:
        podfields.drop(obj.spec.job_template.spec.template.spec)

    def prepare_update(self, new: batch_v1.CronJob, old: batch_v1.CronJob) -> None:
        podfields.drop(new.spec.job_template.spec.template.spec, old.spec.job_template.spec.template.spec)

    def validate(self, obj: batch_v1.CronJob) -> list[FieldError]:
        errors = _spec(obj.spec)
        if len(obj.metadata.name) > NAME_MAX:
            errors.append(
                invalid_value("metadata.name", obj.metadata.name, f"must be no more than {NAME_MAX} characters")
            )
        return errors

    def validate_update(self, new: batch_v1.CronJob, old: batch_v1.CronJob) -> list[FieldError]:
        return _spec(new.spec, old.spec)

    def warnings(self, new: batch_v1.CronJob, old: batch_v1.CronJob | None = None) -> list[str]:
        found = podwarnings.owner_name(new.metadata) if old is None else []
        if "TZ" in new.spec.schedule:
            found.append(
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
                "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            )
        if podwarnings.seen(new, old):
            return found
        return found + jobs.spec_warnings(new.spec.job_template.spec, "spec.jobTemplate.spec.")


def _spec(spec: batch_v1.CronJobSpec, old: batch_v1.CronJobSpec | None = None) -> list[FieldError]:
    errors: list[FieldError] = []
    if not spec.schedule:
        errors.append(required("spec.schedule"))
    else:
        errors += _schedule(spec.schedule, spec.time_zone, old is not None and "TZ" in old.schedule)
    errors += not_negative(spec.starting_deadline_seconds, "spec.startingDeadlineSeconds")
    if spec.time_zone is not None and (old is None or old.time_zone != spec.time_zone):
        errors += _zone(spec.time_zone)
    errors += one_of(spec.concurrency_policy, ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy")
    job, path = spec.job_template.spec, "spec.jobTemplate.spec"
    errors += jobs.validate_spec(job, path, selected=False)
    if job.selector is not None:
        errors.append(invalid_value(f"{path}.selector", job.selector, "`selector` will be auto-generated"))
    if job.manual_selector:
        errors.append(unsupported(f"{path}.manualSelector", True, ("nil", "false")))
    errors += not_negative(spec.successful_jobs_history_limit, "spec.successfulJobsHistoryLimit")
    return errors + not_negative(spec.failed_jobs_history_limit, "spec.failedJobsHistoryLimit")


def _schedule(text: str, zone: str | None, had_zone: bool) -> list[FieldError]:
    """Both what cannot be read and a time zone in it. `had_zone`: the schedule before had one, which may stay."""
    errors: list[FieldError] = []
    bare = text
    if (prefix := _ZONE_PREFIX.match(text)) is not None:
        bare = text[prefix.end() :]
        if not _is_zone(prefix[1]):
            words = f"provided bad location {prefix[1]}: unknown time zone {prefix[1]}"
            errors.append(invalid_value("spec.schedule", text, words))
    if not errors:
        try:
            cron.parse(bare)
        except ValueError as error:
            errors.append(invalid_value("spec.schedule", text, str(error)))
    if "TZ" in text and not had_zone:
        words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid_value("spec.schedule", text, words))
    elif "TZ" in text and zone is not None:
        words = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(invalid_value("spec.schedule", text, words))
    return errors


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _is_zone(name: str) -> bool:
    return name in ("", "UTC", "Local") or name in _zones()


def _zone(zone: str) -> list[FieldError]:
    path = "spec.timeZone"
    if not zone:
        return [invalid_value(path, zone, "timeZone must be nil or non-empty string")]
    for part in zone.split("/"):
        if part in (".", "..") or not _ZONE_PART.fullmatch(part):
            return [invalid_value(path, zone, f"unknown time zone {zone}")]
    errors = [invalid_value(path, zone, ZONE_WORDS)] if zone.lower() == "local" else []
    if not _is_zone(zone):
        errors.append(invalid_value(path, zone, f"unknown time zone {zone}"))
    return errors
