"""Counting pods that have ended, each exactly once (KEP-2307).

A pod keeps a finalizer until its end is in the status: first its uid is written to `uncountedTerminatedPods` (of an
indexed Job, a success to `completedIndexes`), then the finalizer is taken away, then the count goes up and the uid out
in one write. Whatever happens in between, the next reconcile finds out by the status and the finalizers how far it
got.
"""

import asyncio
from collections.abc import Callable

from orlop.api import errors
from orlop.api.types import batch_v1
from orlop.client import copy
from orlop.control import Context
from orlop.controllers.job import policies
from orlop.controllers.job.making import untrack
from orlop.controllers.job.state import (
    State,
    condition,
    has_failed,
    is_indexed,
    is_tracked,
    new_condition,
    set_condition,
    valid_index,
)
from orlop.controllers.views import PodView

MAX_UNCOUNTED = 500
"""Pods counted in one reconcile: their uids must stay a small part of the status (20 KB)."""


async def track(context: Context, state: State, before: batch_v1.JobStatus, *, flushed: Callable[[], None]) -> None:
    """Counts what has ended, writes the status where it differs from `before`, ends the Job when all is counted.

    `flushed` is called when the status names what has ended. Raises what the writes raise.
    """
    job = state.job
    tracked = {pod.metadata.uid for pod in state.pods if is_tracked(pod)}
    _settle(job, tracked)
    done, full = _collect(state)
    _interim(state)
    if job.status != before:
        job = state.job = await context.client.update_status(job)
        before = copy(job.status)
    flushed()
    freed, failure = await _untrack(context, done)
    _settle(job, tracked - freed)
    finished = failure is None and not full and _finish(state)
    if job.status != before:
        state.job = await context.client.update_status(job)
    if failure is not None:
        raise failure
    if finished:
        _tell(context, state.job, finished)


def _settle(job: batch_v1.Job, tracked: set[str]) -> None:
    """Counts the listed pods whose finalizer is gone."""
    status = job.status
    listed = status.uncounted_terminated_pods or batch_v1.UncountedTerminatedPods()
    succeeded = [uid for uid in listed.succeeded if uid in tracked]
    failed = [uid for uid in listed.failed if uid in tracked]
    status.succeeded += len(listed.succeeded) - len(succeeded)
    status.failed += len(listed.failed) - len(failed)
    status.uncounted_terminated_pods = batch_v1.UncountedTerminatedPods(succeeded=succeeded, failed=failed)


def _collect(state: State) -> tuple[list[PodView], bool]:
    """Lists what has ended in the status; gives the pods to let go of, and whether there are more than fit."""
    job = state.job
    listed = job.status.uncounted_terminated_pods
    assert listed is not None
    known = {*listed.succeeded, *listed.failed}
    indexed = is_indexed(job)
    pods = sorted(state.pods, key=lambda pod: valid_index(job, pod) or 0) if indexed else state.pods
    new_indexes: list[int] = []
    done: list[PodView] = []
    full = False
    for pod in pods:
        if not is_tracked(pod) or not _may_go(state, pod):
            continue
        done.append(pod)
        index = valid_index(job, pod)
        if pod.metadata.uid in known:
            pass
        elif pod.status.phase == "Succeeded":
            if not indexed:
                listed.succeeded.append(pod.metadata.uid)
            elif index is not None and index not in state.counted_indexes:
                new_indexes.append(index)
        elif (
            (has_failed(job, pod) or _failing(state))
            and (not indexed or index is not None)
            and policies.judge(job.spec.pod_failure_policy, pod).counts
        ):
            listed.failed.append(pod.metadata.uid)
        if len(new_indexes) + len(listed.succeeded) + len(listed.failed) >= MAX_UNCOUNTED:
            full = True
            break
    if indexed:
        # only what has been collected: an index counts when its pod is let go
        completed = state.counted_indexes.plus(new_indexes)
        job.status.succeeded = len(completed)
        job.status.completed_indexes = str(completed)
        job.status.failed_indexes = None if state.failed_indexes is None else str(state.failed_indexes)
    return done, full


def _failing(state: State) -> bool:
    """Whether the Job ends without success: then every pod that has not ended has failed."""
    return state.finished is not None and state.finished.type != "SuccessCriteriaMet"


def _may_go(state: State, pod: PodView) -> bool:
    """Whether the pod's finalizer has done its work."""
    job = state.job
    if job.metadata.deletion_timestamp is not None or state.finished is not None or pod.status.phase == "Succeeded":
        return True
    if not has_failed(job, pod):
        return False
    index = valid_index(job, pod)
    held = state.held.get(index) if index is not None else None
    return held is None or held.metadata.uid != pod.metadata.uid


def _interim(state: State) -> None:
    """The condition that says how the Job will end, before its pods are gone; `state.finished` becomes the last one."""
    finished = state.finished
    if finished is None:
        return
    status = state.job.status
    if condition(state.job, finished.type) is None and finished.type in ("FailureTarget", "SuccessCriteriaMet"):
        status.conditions.append(finished)
    final = {"FailureTarget": "Failed", "SuccessCriteriaMet": "Complete"}[finished.type]
    state.finished = new_condition(final, finished.reason, finished.message, state.now)


async def _untrack(context: Context, pods: list[PodView]) -> tuple[set[str], errors.ApiError | None]:
    """Takes the finalizers away. Gives the uids that have none any more, and the first error."""

    async def one(pod: PodView) -> errors.ApiError | None:
        try:
            await untrack(context, pod)
        except errors.ApiError as error:
            return error
        return None

    results = await asyncio.gather(*map(one, pods))
    freed = {pod.metadata.uid for pod, error in zip(pods, results, strict=True) if error is None}
    return freed, next((error for error in results if error is not None), None)


def _finish(state: State) -> batch_v1.JobCondition | None:
    """Adds the last condition when nothing is left to count and no pod is on its way out."""
    finished = state.finished
    if finished is None or state.terminating > 0 or state.active > 0:
        return None
    listed = state.job.status.uncounted_terminated_pods
    if listed is not None and (listed.succeeded or listed.failed):
        return None
    set_condition(state.job, finished)
    if finished.type == "Complete":
        state.job.status.completion_time = finished.last_transition_time
    return finished


def _tell(context: Context, job: batch_v1.Job, finished: batch_v1.JobCondition) -> None:
    if finished.type == "Failed":
        context.recorder.event(job, "Warning", finished.reason, finished.message)
        return
    if job.spec.completions is not None and job.status.succeeded > job.spec.completions:
        words = "Too many succeeded pods running after completion count reached"
        context.recorder.event(job, "Warning", "TooManySucceededPods", words)
    context.recorder.event(job, "Normal", "Completed", "Job completed")
