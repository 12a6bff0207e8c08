"""Rules of a Job's status: pkg/apis/batch/validation's ValidateJobStatusUpdate.

What a controller may do and undo there is upstream's contract with controllers of others (spec.managedBy). Most rules
ask only about what this write changes: `changed`.
"""

from typing import Any

from orlop.api.errors import FieldError, duplicate, invalid_value, required
from orlop.api.types import batch_v1
from orlop.apiserver.registry import jobindexes
from orlop.apiserver.registry.common import not_negative, without_value
from orlop.apiserver.registry.goforms import go_form

TERMINAL = ("Failed", "Complete", "FailureTarget")
CONDITIONS = "status.conditions"


def validate(new: batch_v1.Job, old: batch_v1.Job) -> list[FieldError]:
    """What is wrong with a change of status."""
    status, before = new.status, old.status
    true = {c.type for c in status.conditions if c.status == "True"}
    was = {c.type for c in before.conditions if c.status == "True"}
    errors = _counts(status)
    errors += _ends(new, old, true, was)
    errors += _indexes(new, before)
    finished = bool(true & {"Complete", "Failed"})
    ending = finished != bool(was & {"Complete", "Failed"})
    if (ending or status.terminating != before.terminating) and (status.terminating or 0) > 0 and finished:
        words = "terminating>0 is invalid for finished job"
        errors.append(invalid_value("status.terminating", status.terminating, words))
    moved = status.ready != before.ready or status.active != before.active
    if moved and status.ready is not None and status.ready > status.active:
        errors.append(invalid_value("status.ready", status.ready, "cannot set more ready pods than active"))
    met = "SuccessCriteriaMet" in true
    if met and "Failed" in true:
        errors.append(without_value(CONDITIONS, "cannot set SuccessCriteriaMet=True and Failed=true conditions"))
    if met and "FailureTarget" in true:
        words = "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
        errors.append(without_value(CONDITIONS, words))
    if new.spec.success_policy is not None and not met and "Complete" in true:
        words = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        errors.append(without_value(CONDITIONS, words))
    return errors + _undone(new, old, true, was)


def _counts(status: batch_v1.JobStatus) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, value in (
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready),
        ("terminating", status.terminating),
    ):
        errors += not_negative(value, f"status.{name}")
    if (uncounted := status.uncounted_terminated_pods) is None:
        return errors
    seen: set[str] = set()
    for name, uids in (("succeeded", uncounted.succeeded), ("failed", uncounted.failed)):
        for i, uid in enumerate(uids):
            path = f"status.uncountedTerminatedPods.{name}[{i}]"
            if not uid:
                errors.append(invalid_value(path, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(path, uid))
            seen.add(uid)
    return errors


def _ends(new: batch_v1.Job, old: batch_v1.Job, true: set[str], was: set[str]) -> list[FieldError]:
    """How a Job may end."""
    status, before = new.status, old.status
    errors: list[FieldError] = []

    def changed(*types: str) -> bool:
        return any((t in true) != (t in was) for t in types)

    def wrong(words: str) -> None:
        errors.append(without_value(CONDITIONS, words))

    complete, failed = "Complete" in true, "Failed" in true
    finished = complete or failed
    ending = finished != bool(was & {"Complete", "Failed"})
    started = status.start_time != before.start_time
    timed = status.completion_time != before.completion_time
    path, time = "status.completionTime", status.completion_time
    if changed("Complete", "Failed") and complete and failed:
        wrong("cannot set Complete=True and Failed=true conditions")
    if changed("Complete", "FailureTarget") and complete and "FailureTarget" in true:
        wrong("cannot set Complete=True and FailureTarget=true conditions")
    if changed("Complete") or timed:
        if time is not None and not complete:
            words = "cannot set completionTime when there is no Complete=True condition"
            errors.append(invalid_value(path, time, words))
        if time is None and complete:
            errors.append(required(path, "completionTime is required for Complete jobs"))
    if (started or timed) and status.start_time is not None and time is not None and time < status.start_time:
        errors.append(invalid_value(path, time, "must be equal to or after `startTime`"))
    if (changed("Failed") or status.failed_indexes != before.failed_indexes) and failed and "FailureTarget" not in true:
        wrong("cannot set Failed=True condition without the FailureTarget=true condition")
    if changed("Complete", "SuccessCriteriaMet") and complete and "SuccessCriteriaMet" not in true:
        wrong("cannot set Complete=True condition without the SuccessCriteriaMet=true condition")
    if not finished:
        return errors
    if (ending or status.active != before.active) and status.active > 0:
        errors.append(invalid_value("status.active", status.active, "active>0 is invalid for finished job"))
    nothing_to_do = new.spec.suspend is True and new.spec.completions == 0
    if (ending or started) and not nothing_to_do and status.start_time is None:
        errors.append(required("status.startTime", "startTime is required for finished job"))
    uncounted = status.uncounted_terminated_pods
    counted = uncounted is None or not (uncounted.failed or uncounted.succeeded)
    if (ending or uncounted != before.uncounted_terminated_pods) and not counted:
        words = "must be empty for finished job"
        errors.append(invalid_value("status.uncountedTerminatedPods", go_form(uncounted), words))
    return errors


def _indexes(new: batch_v1.Job, before: batch_v1.JobStatus) -> list[FieldError]:
    spec, status = new.spec, new.status
    errors: list[FieldError] = []
    completed, failed = status.completed_indexes, status.failed_indexes
    done = completed != before.completed_indexes
    lost = failed != before.failed_indexes
    total, each = spec.completions, spec.backoff_limit_per_index

    def read(name: str, text: str) -> None:
        if isinstance(wrong := jobindexes.count(text, total or 0), str):
            errors.append(invalid_value(f"status.{name}", text, f"error parsing {name}: {wrong}"))

    if done and total is not None:
        read("completedIndexes", completed)
    if lost and total is not None and each is not None and failed is not None:
        read("failedIndexes", failed)
    if done and completed and spec.completion_mode != "Indexed":
        words = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid_value("status.completedIndexes", completed, words))
    if lost and each is None and failed is not None:
        words = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid_value("status.failedIndexes", failed, words))
    if (done or lost) and total is not None and failed is not None:
        both = jobindexes.overlap(completed, failed, total)
        if both is not None:
            words = f"failedIndexes and completedIndexes overlap at index: {both}"
            errors.append(invalid_value("status.failedIndexes", failed, words))
    return errors


def _undone(new: batch_v1.Job, old: batch_v1.Job, true: set[str], was: set[str]) -> list[FieldError]:
    """What can never be taken back."""
    status, before, spec = new.status, old.status, new.spec
    errors: list[FieldError] = []
    for name in TERMINAL:
        if name in was and name not in true:
            errors.append(without_value(CONDITIONS, f"cannot disable the terminal {name}=True condition"))
    if status.failed < before.failed:
        errors.append(invalid_value("status.failed", status.failed, "cannot decrease the failed counter"))
    # An indexed Job that grows and shrinks forgets the indexes that it no longer has.
    shrinks = spec.completion_mode == "Indexed" and spec.completions == spec.parallelism
    if status.succeeded < before.succeeded and not shrinks:
        errors.append(invalid_value("status.succeeded", status.succeeded, "cannot decrease the succeeded counter"))
    time: Any = status.completion_time
    if time is not None and before.completion_time is not None and time != before.completion_time:
        errors.append(invalid_value("status.completionTime", time, "completionTime cannot be mutated"))
    if before.start_time is not None and status.start_time != before.start_time and not spec.suspend:
        resumes = _suspended(old) and not _suspended(new)
        if not resumes:
            words = "field is immutable for unsuspended job once set"
            errors.append(invalid_value("status.startTime", status.start_time, words))
    met, had = "SuccessCriteriaMet" in true, "SuccessCriteriaMet" in was
    if had and not met:
        errors.append(without_value(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    if "Complete" in was and not had and met:
        words = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(without_value(CONDITIONS, words))
    return errors


def _suspended(job: batch_v1.Job) -> bool:
    return any(c.type == "Suspended" and c.status == "True" for c in job.status.conditions)
