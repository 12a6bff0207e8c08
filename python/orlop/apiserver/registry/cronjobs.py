"""Rules of CronJobs: pkg/apis/batch/v1/defaults.go, pkg/apis/batch/validation, pkg/registry/batch/cronjob."""

from zoneinfo import available_timezones

from orlop.api import cron
from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import batch_v1
from orlop.apiserver.registry import jobs, poddefaults, podwarnings
from orlop.apiserver.registry.common import not_negative, one_of
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

NAME_MAX = 52
"""Characters: the Jobs' names get eleven more."""
ZONE_WORDS = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"


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

    def validate(self, obj: batch_v1.CronJob) -> list[FieldError]:
        errors = _spec(obj.spec)
        if len(obj.metadata.name) > NAME_MAX:
            errors.append(
                invalid_value("metadata.name", obj.metadata.name, f"must be no more than {NAME_MAX} characters")
            )
        return errors

    def validate_update(self, new: batch_v1.CronJob, old: batch_v1.CronJob) -> list[FieldError]:
        return _spec(new.spec)

    def warnings(self, obj: batch_v1.CronJob) -> list[str]:
        found = []
        if "TZ" in obj.spec.schedule:
            found.append(
                "CRON_TZ or TZ used in spec.schedule is not officially supported, see "
                "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            )
        template = obj.spec.job_template.spec.template.spec
        return found + podwarnings.warnings(template, "spec.jobTemplate.spec.template.spec")


def _spec(spec: batch_v1.CronJobSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if not spec.schedule:
        errors.append(required("spec.schedule"))
    else:
        errors += _schedule(spec.schedule, spec.time_zone)
    if spec.time_zone is not None:
        errors += _zone(spec.time_zone)
    errors += not_negative(spec.starting_deadline_seconds, "spec.startingDeadlineSeconds")
    errors += one_of(spec.concurrency_policy, ("Allow", "Forbid", "Replace"), "spec.concurrencyPolicy")
    path = "spec.jobTemplate.spec"
    errors += jobs.validate_spec(spec.job_template.spec, path, selected=False)
    if spec.job_template.spec.manual_selector:
        errors.append(unsupported(f"{path}.manualSelector", True, ("nil", "false")))
    errors += not_negative(spec.successful_jobs_history_limit, "spec.successfulJobsHistoryLimit")
    return errors + not_negative(spec.failed_jobs_history_limit, "spec.failedJobsHistoryLimit")


def _schedule(text: str, zone: str | None) -> list[FieldError]:
    if "TZ" in text:
        words = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        if zone is not None:
            words = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        return [invalid_value("spec.schedule", text, words)]
    try:
        cron.parse(text)
    except ValueError as error:
        return [invalid_value("spec.schedule", text, str(error))]
    return []


def _zone(zone: str) -> list[FieldError]:
    path = "spec.timeZone"
    if not zone:
        return [invalid_value(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        return [invalid_value(path, zone, ZONE_WORDS)]
    if zone not in available_timezones():
        return [invalid_value(path, zone, f"unknown time zone {zone}")]
    return []
