"""Making and deleting a Job's pods."""

from collections.abc import Sequence
from contextlib import suppress

from orlop.api import errors
from orlop.api.types import batch_v1, core_v1, meta_v1
from orlop.client import copy
from orlop.control import Context, controller_reference
from orlop.controllers import podcontrol, pods as podlib
from orlop.controllers.batches import slow_start, together
from orlop.controllers.job.indexes import INDEX, index_of, indexes_of
from orlop.controllers.job.state import (
    FAILURES,
    IGNORED_FAILURES,
    TRACKING,
    State,
    failures_before,
    is_indexed,
    is_suspended,
    is_tracked,
    replaces_only_failed,
    wait_of_index,
)
from orlop.controllers.views import PodView

BURST = 500
"""Pods made or deleted in one reconcile."""
ENV = "JOB_COMPLETION_INDEX"
NAME_MAX = 58
"""Characters before a generated name's five random ones."""


async def manage(context: Context, state: State) -> errors.ApiError | None:
    """Deletes pods that are too many or makes those that are missing. Gives the first error."""
    job = state.job
    if is_suspended(job):
        return await delete(context, state, removable(state, state.active), uncounted=True)
    wanted = wanted_active(state)
    doomed = removable(state, max(0, state.active - wanted))[:BURST]
    if doomed:
        return await delete(context, state, doomed, uncounted=True)
    missing = wanted - state.active - (state.terminating if replaces_only_failed(job) else 0)
    if missing <= 0:
        return None
    per_index = job.spec.backoff_limit_per_index is not None
    if not per_index and (wait := state.record.remaining(state.now)) > 0:
        state.look_again(wait)
        return None
    missing = min(missing, BURST)
    if not is_indexed(job):
        return await _create(context, state, [None] * missing)
    indexes = pending_indexes(state, missing)
    if per_index:
        waits = {index: wait_of_index(state, index) for index in indexes}
        indexes = [index for index in indexes if waits[index] <= 0]
        if later := [wait for wait in waits.values() if wait > 0]:
            state.look_again(min(later))
    return await _create(context, state, indexes)


def wanted_active(state: State) -> int:
    """How many pods are to be at work."""
    spec = state.job.spec
    parallelism = spec.parallelism or 0
    if spec.completions is None:
        # a work queue: once a pod has succeeded the others finish, and no more are made
        return state.active if state.succeeded > 0 else parallelism
    return max(0, min(spec.completions - state.succeeded, parallelism))


def pending_indexes(state: State, count: int) -> list[int]:
    """The lowest indexes that have neither ended nor a pod at work."""
    taken = state.succeeded_indexes.plus(indexes_of(state.active_pods))
    if replaces_only_failed(state.job):
        taken = taken.plus(indexes_of(filter(podlib.is_terminating, state.pods)))
    if state.failed_indexes is not None:
        taken = taken.union(state.failed_indexes)
    return taken.first_missing(count, state.job.spec.completions or 0)


def removable(state: State, at_least: int) -> list[PodView]:
    """Pods to delete: of an indexed Job those without a valid index and doubles, then the least advanced."""
    pods = podlib.deletion_order(state.active_pods, (), state.now)
    doomed: list[PodView] = []
    if is_indexed(state.job):
        kept: set[int] = set()
        for pod in reversed(pods):
            index = index_of(pod)
            if index is None or index >= (state.job.spec.completions or 0) or index in kept:
                doomed.append(pod)
            else:
                kept.add(index)
        gone = {pod.metadata.uid for pod in doomed}
        pods = [pod for pod in pods if pod.metadata.uid not in gone]
    return doomed + pods[: max(0, at_least - len(doomed))]


async def untrack(context: Context, pod: PodView) -> None:
    """Takes the finalizer away; a pod that is gone has none."""
    with suppress(errors.NotFound, errors.Conflict):  # gone, or another of that name
        await _untrack(context, pod, {"uid": pod.metadata.uid})


async def _untrack(context: Context, pod: PodView, only: dict[str, str]) -> PodView:
    """Takes the finalizer away if the pod's metadata are `only`. Raises Conflict if not, NotFound if it is gone."""
    meta = pod.metadata
    patch = {"metadata": {**only, "$deleteFromPrimitiveList/finalizers": [TRACKING]}}
    return await context.client.patch(PodView, meta.name, meta.namespace, patch, type="strategic")


async def _track(context: Context, pod: PodView) -> PodView | None:
    """Gives the finalizer back. A pod that is gone, is another, or is being deleted needs none."""
    meta = pod.metadata
    patch = {"metadata": {"uid": meta.uid, "finalizers": [TRACKING]}}
    with suppress(errors.NotFound, errors.Conflict, errors.Invalid):
        return await context.client.patch(PodView, meta.name, meta.namespace, patch, type="strategic")
    return None


async def tracked(context: Context, job: batch_v1.Job, pods: Sequence[PodView]) -> list[PodView]:
    """The pods, those at work with the finalizer: a controller that ended between taking it from a pod and deleting
    that pod has left one whose end nobody would count. Of a suspended Job they go in any case."""
    if is_suspended(job) or job.metadata.deletion_timestamp is not None:
        return list(pods)
    return [pod if is_tracked(pod) or not podlib.is_active(pod) else await _track(context, pod) or pod for pod in pods]


async def delete(context: Context, state: State, pods: Sequence[PodView], *, uncounted: bool) -> errors.ApiError | None:
    """Deletes them; with `uncounted` they are let go uncounted. Gives the first error."""
    results = await together([_delete_one(context, state.job, pod, uncounted) for pod in pods])
    gone = [pod for pod, error in zip(pods, results, strict=True) if error is None]
    state.active -= len(gone)
    state.terminating += len(gone)
    state.ready -= sum(map(podlib.is_ready, gone))
    return next((error for error in results if error is not None), None)


async def _delete_one(context: Context, job: batch_v1.Job, pod: PodView, uncounted: bool) -> errors.ApiError | None:
    meta = pod.metadata
    revision: str | None = None
    if uncounted:
        # Only as it is known here: it may have succeeded meanwhile, and without the finalizer nobody counts that.
        revision = meta.resource_version
        if is_tracked(pod):
            try:
                left = await _untrack(context, pod, {"uid": meta.uid, "resourceVersion": revision})
            except errors.NotFound:
                return None
            except errors.ApiError as error:
                return error
            revision = left.metadata.resource_version
    try:
        await context.client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid, resource_version=revision)
    except errors.NotFound:
        return None
    except errors.Conflict as error:
        if revision is not None:
            await _track(context, pod)
        return error
    except errors.ApiError as error:
        context.recorder.event(job, "Warning", "FailedDelete", f"Error deleting: {error}")
        return error
    context.recorder.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name}")
    return None


async def _create(context: Context, state: State, indexes: Sequence[int | None]) -> errors.ApiError | None:
    """One pod for each."""

    async def one(index: int | None) -> errors.ApiError | None:
        pod = pod_of(state.job, index, state.held.get(index) if index is not None else None)
        error = await podcontrol.create(context, state.job, pod)
        state.active += error is None
        return error

    return await slow_start(indexes, one)


def pod_of(job: batch_v1.Job, index: int | None, replaced: PodView | None = None) -> core_v1.Pod:
    """A pod as the Job's template says; of an indexed Job the one for that index."""
    template = copy(job.spec.template)
    labels, annotations = template.metadata.labels, template.metadata.annotations
    prefix = job.metadata.name
    if index is not None:
        labels[INDEX] = annotations[INDEX] = str(index)
        template.spec.hostname = f"{job.metadata.name}-{index}"
        prefix = f"{prefix[: NAME_MAX - len(f'-{index}-')]}-{index}"
        for container in (*template.spec.init_containers, *template.spec.containers):
            _tell_index(container)
        if job.spec.backoff_limit_per_index is not None:
            failures, ignored = failures_before(job, replaced)
            annotations[FAILURES] = str(failures)
            if ignored:
                annotations[IGNORED_FAILURES] = str(ignored)
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            generate_name=f"{prefix}-",
            namespace=job.metadata.namespace,
            labels=labels,
            annotations=annotations,
            finalizers=[*(f for f in template.metadata.finalizers if f != TRACKING), TRACKING],
            owner_references=[controller_reference(job)],
        ),
        spec=template.spec,
    )


def _tell_index(container: core_v1.Container) -> None:
    """The index as an environment variable, unless the template has one of that name."""
    if any(variable.name == ENV for variable in container.env):
        return
    path = core_v1.ObjectFieldSelector(field_path=f"metadata.labels['{INDEX}']")
    container.env.append(core_v1.EnvVar(name=ENV, value_from=core_v1.EnvVarSource(field_ref=path)))
