"""What each Job needs: pods made, deleted or counted, and conditions that say how it stands."""

from collections.abc import Iterable

from orlop.api import errors, selectors
from orlop.api.types import batch_v1
from orlop.client import copy
from orlop.clock import parse_time, rfc3339
from orlop.control import Builder, Claims, Controller, Key, Result, controller_of, key_of
from orlop.controllers import pods as podlib
from orlop.controllers.job import making, policies, state as rules, tracking
from orlop.controllers.job.backoff import Record
from orlop.controllers.job.indexes import Indexes, index_of
from orlop.controllers.job.state import State, new_condition, set_condition
from orlop.controllers.views import PodView

BATCH = 1.0
"""Seconds between two looks at a Job because of its pods' news: a Job of many pods is written once, not for each."""
BY_JOB = "job"
"""The index of pods by the namespace and name of the Job that controls them."""
STRAYS = ""
"""Not a Job's name: the key of a namespace's pods that have the finalizer and no controller."""


class JobController(Controller):
    """Makes pods until enough of them have succeeded or too many have failed."""

    name = "job-controller"

    def setup(self, builder: Builder) -> None:
        self._records: dict[str, Record] = {}
        self._looked: dict[Key, float] = {}
        self.jobs = builder.for_(batch_v1.Job)
        self.pods = builder.watches(
            PodView, self._news, indexers={podlib.BY_OWNER: podlib.owner_index, BY_JOB: _job_index}
        )

    # --- which Job a pod's news are for

    def _news(self, pod: PodView) -> Iterable[Key]:
        """Enqueues by itself, a Job that has just been looked at a little later."""
        now = self.context.clock.monotonic()
        for key in self._jobs_of(pod):
            self.context.enqueue(key, max(0.0, self._looked.get(key, now - BATCH) + BATCH - now))
        return ()

    def _jobs_of(self, pod: PodView) -> Iterable[Key]:
        namespace = pod.metadata.namespace
        if controller_of(pod) is not None:
            yield from (Key(namespace, value.partition("/")[2]) for value in _job_index(pod))
            return
        if rules.is_tracked(pod):
            yield Key(namespace, STRAYS)
        for job in self.jobs.items(namespace):
            if not rules.is_finished(job) and selectors.from_struct(job.spec.selector).matches(pod.metadata.labels):
                yield key_of(job)

    # --- the work

    async def reconcile(self, key: Key) -> Result | None:
        if key.name == STRAYS:
            await self._let_go(p for p in self.pods.by_index(podlib.BY_OWNER, podlib.orphans(key.namespace)))
            return None
        cached = self.jobs.get(*key)
        pods = self.pods.by_index(BY_JOB, str(key))
        if cached is None:
            self._looked.pop(key, None)
            await self._let_go(pods)
            return None
        uid = cached.metadata.uid
        await self._let_go(pod for pod in pods if not _is_of(pod, uid))  # of a Job of that name that is gone
        if rules.managed_elsewhere(cached):
            return None
        if rules.is_finished(cached):
            self._records.pop(uid, None)
            self._looked.pop(key, None)
            await self._clean_up(cached, [pod for pod in pods if _is_of(pod, uid)])
            return None
        self._looked[key] = self.context.clock.monotonic()
        return await self._sync(copy(cached))

    async def _let_go(self, pods: Iterable[PodView]) -> None:
        """Takes the finalizer from pods that no Job counts any more."""
        for pod in [pod for pod in pods if rules.is_tracked(pod)]:
            await making.untrack(self.context, pod)

    async def _clean_up(self, job: batch_v1.Job, pods: list[PodView]) -> None:
        """A Job that has ended leaves no pod at work behind: one may have been made by a request that seemed lost."""
        state = State(job, pods, self.context.clock.now())
        failure = await making.delete(self.context, state, state.active_pods, uncounted=True)
        if failure is not None:
            raise failure
        await self._let_go(pod for pod in pods if not podlib.is_active(pod))

    async def _sync(self, job: batch_v1.Job) -> Result | None:
        before = copy(job.status)
        pods = await making.tracked(self.context, job, await self._claim(job))
        state = State(job, pods, self.context.clock.now())
        record = self._look(state)
        if job.status.start_time is None and not rules.is_suspended(job):
            job.status.start_time = rfc3339(state.now)
        state.finished = self._verdict(state)
        failure: errors.ApiError | None = None
        if state.finished is not None:
            failure = await making.delete(self.context, state, state.active_pods, uncounted=False)
            if failure is not None:
                state.finished = None
        elif job.metadata.deletion_timestamp is None:
            failure = await making.manage(self.context, state)
        if state.finished is None and failure is None and _complete(state):
            words = "Reached expected number of succeeded pods"
            state.finished = new_condition("SuccessCriteriaMet", "CompletionsReached", words, state.now)
        elif state.finished is None and job.metadata.deletion_timestamp is None:
            self._suspension(state)
        job.status.active = state.active
        job.status.ready = state.ready
        job.status.terminating = state.terminating
        await tracking.track(
            self.context, state, before, flushed=lambda: self._records.update({job.metadata.uid: record})
        )
        if failure is not None:
            raise failure
        return Result(requeue_after=state.again) if state.again is not None else None

    async def _claim(self, job: batch_v1.Job) -> list[PodView]:
        """The Job's pods, after adopting those that match and nobody controls and releasing those that do not match."""

        async def live() -> batch_v1.Job:
            return await self.context.client.get(batch_v1.Job, job.metadata.name, job.metadata.namespace)

        selector = selectors.from_struct(job.spec.selector)
        claims = Claims(self.context.client, job, selector, live, finalizer=rules.TRACKING)
        owners = (job.metadata.uid, podlib.orphans(job.metadata.namespace))
        return await claims.claim([pod for owner in owners for pod in self.pods.by_index(podlib.BY_OWNER, owner)])

    def _look(self, state: State) -> Record:
        """Counts what there is; gives the record of failures to keep once the status has been written."""
        job = state.job
        listed = job.status.uncounted_terminated_pods or batch_v1.UncountedTerminatedPods()
        active = state.active_pods
        state.active = len(active)
        state.ready = sum(map(podlib.is_ready, active))
        state.terminating = sum(map(podlib.is_terminating, state.pods))
        succeeded = rules.uncounted(state, listed.succeeded, lambda pod: pod.status.phase == "Succeeded")
        failed = rules.uncounted(state, listed.failed, lambda pod: rules.has_failed(job, pod))
        policy = job.spec.pod_failure_policy
        counting = [pod for pod in failed if policies.judge(policy, pod).counts]
        state.succeeded = job.status.succeeded + len(succeeded) + len(listed.succeeded)
        state.failed = job.status.failed + len(counting) + len(listed.failed)
        known = self._records.get(job.metadata.uid)
        if known is None:  # after a restart, what was counted before is in the pods that are left
            fresh = {pod.metadata.uid for pod in (*succeeded, *failed)}
            old = [pod for pod in state.pods if pod.metadata.uid not in fresh]
            ended = [pod for pod in old if pod.status.phase == "Succeeded"]
            known = Record().after(ended, [pod for pod in old if rules.has_failed(job, pod)])
        state.record = known.after(succeeded, failed)
        if rules.is_indexed(job):
            completions = job.spec.completions or 0
            state.counted_indexes = Indexes.parse(job.status.completed_indexes, completions)
            fresh_indexes = (index_of(pod) for pod in succeeded)
            state.succeeded_indexes = state.counted_indexes.plus(i for i in fresh_indexes if i is not None)
            state.succeeded = len(state.succeeded_indexes)
            if job.spec.backoff_limit_per_index is not None:
                state.failed_indexes = rules.failed_indexes(state)
                state.held = rules.held_pods(state)
        return state.record

    # --- whether it has ended

    def _verdict(self, state: State) -> batch_v1.JobCondition | None:
        """The condition that says how the Job ends: one it already has, or a new one; None while it goes on."""
        job = state.job
        for known in ("SuccessCriteriaMet", "FailureTarget"):
            if (condition := rules.condition(job, known)) is not None:
                return condition
        failed = (pod for pod in state.pods if rules.has_failed(job, pod))
        if why := policies.fails_job(job.spec.pod_failure_policy, failed):
            return new_condition("FailureTarget", "PodFailurePolicy", why, state.now)
        if (reason := self._failure(state)) is not None:
            return new_condition("FailureTarget", *reason, state.now)
        if rules.is_indexed(job):
            met = policies.success(job.spec.success_policy, job.spec.completions or 0, state.succeeded_indexes)
            if met is not None:
                return new_condition("SuccessCriteriaMet", "SuccessPolicy", met, state.now)
        return None

    def _failure(self, state: State) -> tuple[str, str] | None:
        """The limit that the Job has gone past: its reason and words."""
        job, spec = state.job, state.job.spec
        if state.failed > (spec.backoff_limit or 0) or rules.past_restarts(job, state.pods):
            return "BackoffLimitExceeded", "Job has reached the specified backoff limit"
        if spec.active_deadline_seconds is not None and not rules.is_suspended(job) and job.status.start_time:
            left = parse_time(job.status.start_time) + spec.active_deadline_seconds - state.now
            if left <= 0:
                return "DeadlineExceeded", "Job was active longer than specified deadline"
            state.look_again(left)
        if state.failed_indexes is not None and len(state.failed_indexes):
            count = len(state.failed_indexes)
            if spec.max_failed_indexes is not None and count > spec.max_failed_indexes:
                words = "Job has exceeded the specified maximal number of failed indexes"
                return "MaxFailedIndexesExceeded", words
            if count + len(state.succeeded_indexes) >= (spec.completions or 0):
                return "FailedIndexes", "Job has failed indexes"
        return None

    def _suspension(self, state: State) -> None:
        """Says whether the Job is suspended; the time it may take starts anew when it is resumed."""
        job = state.job
        if rules.is_suspended(job):
            if set_condition(job, new_condition("Suspended", "JobSuspended", "Job suspended", state.now)):
                self.context.recorder.event(job, "Normal", "Suspended", "Job suspended")
                job.status.start_time = None
        elif set_condition(job, new_condition("Suspended", "JobResumed", "Job resumed", state.now, "False")):
            self.context.recorder.event(job, "Normal", "Resumed", "Job resumed")
            job.status.start_time = rfc3339(state.now)


def _complete(state: State) -> bool:
    """Whether enough pods have succeeded and none is at work; a work queue's Job needs one success."""
    completions = state.job.spec.completions
    return state.active == 0 and state.succeeded >= (1 if completions is None else completions)


def _job_index(pod: PodView) -> list[str]:
    ref = controller_of(pod)
    if ref is None or ref.kind != "Job" or not ref.api_version.startswith("batch/"):
        return []
    return [f"{pod.metadata.namespace}/{ref.name}"]


def _is_of(pod: PodView, uid: str) -> bool:
    ref = controller_of(pod)
    return ref is not None and ref.uid == uid
