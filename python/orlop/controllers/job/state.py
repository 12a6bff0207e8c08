"""What one look at a Job and its pods shows, and the rules that only read it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from orlop.api.types import batch_v1
from orlop.clock import rfc3339
from orlop.controllers import pods as podlib
from orlop.controllers.job import backoff, policies
from orlop.controllers.job.indexes import Indexes, index_of, indexes_of
from orlop.controllers.views import PodView

TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer that keeps a pod until its end has been counted."""
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
MANAGED_BY = "kubernetes.io/job-controller"
"""What `spec.managedBy` says, or leaves out, where this controller is to act."""


@dataclass
class State:
    """One reconcile's view of a Job. `job` is a copy, whose status is being written."""

    job: batch_v1.Job
    pods: list[PodView]
    now: float
    active: int = 0
    """Pods that are neither ended nor being deleted; kept up to date while pods are made and deleted."""
    ready: int = 0
    terminating: int = 0
    succeeded: int = 0
    failed: int = 0
    """Ends, those included that the status does not count yet."""
    counted_indexes: Indexes = field(default_factory=Indexes)
    succeeded_indexes: Indexes = field(default_factory=Indexes)
    failed_indexes: Indexes | None = None
    held: dict[int, PodView] = field(default_factory=dict)
    """For each index that is to be tried again, the failed pod whose failure count its successor takes over."""
    finished: batch_v1.JobCondition | None = None
    record: backoff.Record = field(default_factory=backoff.Record)
    """The failures since the last success."""
    again: float | None = None
    """Seconds after which to look again."""

    @property
    def active_pods(self) -> list[PodView]:
        return [pod for pod in self.pods if podlib.is_active(pod)]

    def look_again(self, seconds: float) -> None:
        self.again = seconds if self.again is None else min(self.again, seconds)


def is_indexed(job: batch_v1.Job) -> bool:
    return job.spec.completion_mode == "Indexed"


def is_suspended(job: batch_v1.Job) -> bool:
    return bool(job.spec.suspend)


def managed_elsewhere(job: batch_v1.Job) -> bool:
    return job.spec.managed_by is not None and job.spec.managed_by != MANAGED_BY


def condition(job: batch_v1.Job, type_: str) -> batch_v1.JobCondition | None:
    """The condition if it is true."""
    return next((c for c in job.status.conditions if c.type == type_ and c.status == "True"), None)


def is_finished(job: batch_v1.Job) -> bool:
    return condition(job, "Complete") is not None or condition(job, "Failed") is not None


def new_condition(type_: str, reason: str, message: str, now: float, status: str = "True") -> batch_v1.JobCondition:
    stamp = rfc3339(now)
    return batch_v1.JobCondition(
        type=type_, status=status, reason=reason, message=message, last_probe_time=stamp, last_transition_time=stamp
    )


def set_condition(job: batch_v1.Job, new: batch_v1.JobCondition) -> bool:
    """Adds or replaces the condition; a false one only replaces. Says whether anything changed."""
    conditions = job.status.conditions
    for position, old in enumerate(conditions):
        if old.type == new.type:
            if (old.status, old.reason, old.message) == (new.status, new.reason, new.message):
                return False
            conditions[position] = new
            return True
    if new.status == "False":
        return False
    conditions.append(new)
    return True


def is_tracked(pod: PodView) -> bool:
    """Not counted yet."""
    return TRACKING in pod.metadata.finalizers


def replaces_only_failed(job: batch_v1.Job) -> bool:
    """Whether a pod that is being deleted is replaced only when it has ended."""
    return job.spec.pod_replacement_policy == "Failed" or job.spec.pod_failure_policy is not None


def has_failed(job: batch_v1.Job, pod: PodView) -> bool:
    """Failed; or being deleted, unless only failed pods are replaced: one on a lost node may never report its end."""
    if pod.status.phase == "Failed":
        return True
    return (
        not replaces_only_failed(job)
        and pod.metadata.deletion_timestamp is not None
        and pod.status.phase != "Succeeded"
    )


def valid_index(job: batch_v1.Job, pod: PodView) -> int | None:
    """The pod's index if the Job has it."""
    index = index_of(pod)
    return index if index is not None and index < (job.spec.completions or 0) else None


def uncounted(state: State, listed: Sequence[str], ended: Callable[[PodView], bool]) -> list[PodView]:
    """Pods that have ended so and that neither the status nor its list of uncounted ones knows."""
    known = set(listed)
    indexed = is_indexed(state.job)
    return [
        pod
        for pod in state.pods
        if is_tracked(pod)
        and pod.metadata.uid not in known
        and (not indexed or valid_index(state.job, pod) is not None)
        and ended(pod)
    ]


def past_restarts(job: batch_v1.Job, pods: Sequence[PodView]) -> bool:
    """Whether containers that are restarted in place have used up the back-off limit."""
    if job.spec.template.spec.restart_policy != "OnFailure":
        return False
    restarts = sum(
        status.restart_count
        for pod in pods
        if pod.status.phase in ("Running", "Pending")
        for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
    )
    limit = job.spec.backoff_limit or 0
    return restarts > 0 if limit == 0 else restarts >= limit


# --- back-off per index (KEP-3850)


def _number(pod: PodView, annotation: str) -> int:
    text = pod.metadata.annotations.get(annotation, "")
    number = int(text) if text.isascii() and text.isdecimal() else 0
    return number if number < 2**31 else 0


def failures_before(job: batch_v1.Job, replaced: PodView | None) -> tuple[int, int]:
    """What a new pod of the index says: failures that counted and ones that did not."""
    if replaced is None:
        return 0, 0
    counts = policies.judge(job.spec.pod_failure_policy, replaced).counts
    return _number(replaced, FAILURES) + counts, _number(replaced, IGNORED_FAILURES) + (not counts)


def index_failed(job: batch_v1.Job, pod: PodView) -> bool:
    """Whether this pod's failure is its index's last."""
    if not has_failed(job, pod):
        return False
    verdict = policies.judge(job.spec.pod_failure_policy, pod)
    if verdict.action == "FailIndex":
        return True
    return verdict.counts and _number(pod, FAILURES) >= (job.spec.backoff_limit_per_index or 0)


def failed_indexes(state: State) -> Indexes:
    """Those the status names and those whose pods have used up their tries."""
    job = state.job
    before = Indexes.parse(job.status.failed_indexes, job.spec.completions or 0)
    return before.plus(
        index
        for pod in state.pods
        if is_tracked(pod) and (index := valid_index(job, pod)) is not None and index_failed(job, pod)
    )


def held_pods(state: State) -> dict[int, PodView]:
    """For each index to be tried again the last of its failed pods, which waits for its successor."""
    job = state.job
    busy = indexes_of(state.active_pods)
    held: dict[int, PodView] = {}
    for pod in uncounted(state, (), lambda p: has_failed(job, p)):
        index = index_of(pod)
        assert index is not None
        if index in busy or index in state.succeeded_indexes or index in (state.failed_indexes or ()):
            continue
        if index not in held or _later(pod, held[index]):
            held[index] = pod
    return held


def _later(pod: PodView, than: PodView) -> bool:
    return _all_failures(than) <= _all_failures(pod) and backoff.finished_at(pod) >= backoff.finished_at(than)


def _all_failures(pod: PodView) -> int:
    return _number(pod, FAILURES) + _number(pod, IGNORED_FAILURES)


def wait_of_index(state: State, index: int) -> float:
    """Seconds until the index may be tried again."""
    pod = state.held.get(index)
    if pod is None:
        return 0.0
    return backoff.remaining(_all_failures(pod) + 1, backoff.finished_at(pod), state.now)
