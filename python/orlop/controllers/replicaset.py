"""ReplicaSets: as many pods of a template as asked for. Upstream: pkg/controller/replicaset.

Where upstream keeps expectations of pods it has made and not yet seen, the frame's reading of one's own writes does.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TypeVar

from orlop.api import errors, selectors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import copy
from orlop.clock import rfc3339
from orlop.control import (
    Builder,
    Claims,
    Controller,
    Key,
    Result,
    controller_of,
    controller_reference,
    key_of,
)
from orlop.controllers import pods as podlib
from orlop.controllers.views import PodView

BURST = 500
"""Pods made or deleted in one reconcile, so that one huge set does not keep out the others."""
SLOW_START = 1
"""Pods made in the first batch; each batch that goes well is followed by one twice as big."""
NAMESPACE_TERMINATING = "NamespaceTerminating"

W = TypeVar("W")


class ReplicaSetController(Controller):
    """Makes and deletes pods until each ReplicaSet has its number, and reports how they are."""

    name = "replicaset-controller"

    def setup(self, builder: Builder) -> None:
        self.sets = builder.for_(apps_v1.ReplicaSet, indexers={podlib.BY_OWNER: _controller_index})
        self.pods = builder.watches(
            PodView, self._sets_of, changed=_concerns, indexers={podlib.BY_OWNER: podlib.owner_index}
        )

    def _sets_of(self, pod: PodView) -> Iterable[Key]:
        """The set that controls the pod; for a pod that nobody controls, the sets that might adopt it."""
        ref = controller_of(pod)
        if ref is not None:
            if ref.kind == "ReplicaSet" and ref.api_version.startswith("apps/"):
                yield Key(pod.metadata.namespace, ref.name)
            return
        for rs in self.sets.items(pod.metadata.namespace):
            if selectors.from_struct(rs.spec.selector).matches(pod.metadata.labels):
                yield key_of(rs)

    async def reconcile(self, key: Key) -> Result | None:
        rs = self.sets.get(*key)
        if rs is None:
            return None
        mine = await self._claim(rs)
        active = [pod for pod in mine if podlib.is_active(pod)]
        terminating = sum(map(podlib.is_terminating, self.pods.by_index(podlib.BY_OWNER, rs.metadata.uid)))
        failure: errors.ApiError | None = None
        if rs.metadata.deletion_timestamp is None:
            failure = await self._manage(rs, active)
        await self._report(rs, active, terminating, failure)
        if failure is not None:
            raise failure
        wait = podlib.next_available(active, rs.spec.min_ready_seconds, self.context.clock.now())
        return Result(requeue_after=wait) if wait is not None else None

    async def _claim(self, rs: apps_v1.ReplicaSet) -> list[PodView]:
        """The set's active pods, after adopting orphans that match and releasing those that no longer do."""

        async def live() -> apps_v1.ReplicaSet:
            return await self.context.client.get(apps_v1.ReplicaSet, rs.metadata.name, rs.metadata.namespace)

        claims = Claims(self.context.client, rs, selectors.from_struct(rs.spec.selector), live)
        candidates = [
            pod
            for value in (rs.metadata.uid, podlib.orphans(rs.metadata.namespace))
            for pod in self.pods.by_index(podlib.BY_OWNER, value)
            if podlib.is_active(pod)
        ]
        return await claims.claim(candidates)

    # --- making and deleting

    async def _manage(self, rs: apps_v1.ReplicaSet, active: Sequence[PodView]) -> errors.ApiError | None:
        """Makes or deletes what the set's number asks for. Gives the first error; what could be done is done."""
        excess = len(active) - replicas_of(rs)
        if excess < 0:
            return await self._create(rs, min(-excess, BURST))
        if excess > 0:
            count = min(excess, BURST)
            related = self._related(rs)
            doomed = podlib.deletion_order(active, related, self.context.clock.now()) if count < len(active) else active
            results = await _gather(self._delete_one(rs, pod) for pod in doomed[:count])
            return next((error for error in results if error is not None), None)
        return None

    async def _create(self, rs: apps_v1.ReplicaSet, count: int) -> errors.ApiError | None:
        """In batches that double while all goes well: where none can be made, few are tried."""
        pod = pod_of(rs)
        size = SLOW_START
        while count > 0:
            size = min(size, count)
            results = await _gather(self._create_one(rs, pod) for _ in range(size))
            for error in results:
                if error is not None:
                    return error
            count -= size
            size *= 2
        return None

    async def _create_one(self, rs: apps_v1.ReplicaSet, pod: core_v1.Pod) -> errors.ApiError | None:
        try:
            created = await self.context.client.create(pod)
        except errors.ApiError as error:
            if has_cause(error, NAMESPACE_TERMINATING):
                return None  # no pod can be made here any more, and none needs to be
            self.context.recorder.event(rs, "Warning", "FailedCreate", f"Error creating: {error}")
            return error
        self.context.recorder.event(rs, "Normal", "SuccessfulCreate", f"Created pod: {created.metadata.name}")
        return None

    async def _delete_one(self, rs: apps_v1.ReplicaSet, pod: PodView) -> errors.ApiError | None:
        meta = pod.metadata
        try:
            await self.context.client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid)
        except errors.NotFound:
            return None
        except errors.ApiError as error:
            self.context.recorder.event(rs, "Warning", "FailedDelete", f"Error deleting: {error}")
            return error
        self.context.recorder.event(rs, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name}")
        return None

    def _related(self, rs: apps_v1.ReplicaSet) -> list[PodView]:
        """The pods of all sets with the same controller (a Deployment's other revisions)."""
        owner = controller_of(rs)
        sets = self.sets.by_index(podlib.BY_OWNER, owner.uid) if owner is not None else [rs]
        return [pod for other in sets for pod in self.pods.by_index(podlib.BY_OWNER, other.metadata.uid)]

    # --- reporting

    async def _report(
        self, rs: apps_v1.ReplicaSet, active: Sequence[PodView], terminating: int, failure: errors.ApiError | None
    ) -> None:
        status = status_of(rs, active, terminating, failure, self.context.clock.now())
        if status != rs.status:
            await self.context.client.update_status(
                apps_v1.ReplicaSet(metadata=rs.metadata, spec=rs.spec, status=status)
            )


def _controller_index(rs: apps_v1.ReplicaSet) -> list[str]:
    ref = controller_of(rs)
    return [ref.uid] if ref is not None else []


def _concerns(old: PodView, new: PodView) -> bool:
    """A change to a pod that nobody controls matters only if it may now be adopted."""
    return (
        controller_of(new) is not None or controller_of(old) is not None or old.metadata.labels != new.metadata.labels
    )


def replicas_of(rs: apps_v1.ReplicaSet) -> int:
    """The number asked for; 1 if it does not say."""
    return 1 if rs.spec.replicas is None else rs.spec.replicas


def pod_of(rs: apps_v1.ReplicaSet) -> core_v1.Pod:
    """A pod as the set's template says, controlled by the set."""
    template = copy(rs.spec.template)
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            generate_name=f"{rs.metadata.name}-",
            namespace=rs.metadata.namespace,
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            finalizers=template.metadata.finalizers,
            owner_references=[controller_reference(rs)],
        ),
        spec=template.spec,
    )


def status_of(
    rs: apps_v1.ReplicaSet, active: Sequence[PodView], terminating: int, failure: errors.ApiError | None, now: float
) -> apps_v1.ReplicaSetStatus:
    """The status that these pods make."""
    wanted = rs.spec.template.metadata.labels.items()
    ready = [pod for pod in active if podlib.is_ready(pod)]
    return apps_v1.ReplicaSetStatus(
        replicas=len(active),
        fully_labeled_replicas=sum(wanted <= pod.metadata.labels.items() for pod in active),
        ready_replicas=len(ready),
        available_replicas=sum(podlib.is_available(pod, rs.spec.min_ready_seconds, now) for pod in ready),
        terminating_replicas=terminating,
        observed_generation=rs.metadata.generation,
        conditions=_conditions(rs, len(active), failure, now),
    )


def _conditions(
    rs: apps_v1.ReplicaSet, active: int, failure: errors.ApiError | None, now: float
) -> list[apps_v1.ReplicaSetCondition]:
    others = [c for c in rs.status.conditions if c.type != "ReplicaFailure"]
    if failure is None:
        return others
    if len(others) < len(rs.status.conditions):
        return rs.status.conditions  # it has been said; the first failure stands
    return [
        *others,
        apps_v1.ReplicaSetCondition(
            type="ReplicaFailure",
            status="True",
            reason="FailedCreate" if active < replicas_of(rs) else "FailedDelete",
            message=str(failure),
            last_transition_time=rfc3339(now),
        ),
    ]


def has_cause(error: errors.ApiError, reason: str) -> bool:
    """Whether the error names that cause."""
    details = error.status.details
    return details is not None and any(cause.reason == reason for cause in details.causes)


async def _gather(work: Iterable[Awaitable[W]]) -> list[W]:
    """Runs all at once; all have ended when it returns."""
    return list(await asyncio.gather(*work))
