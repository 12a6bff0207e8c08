"""ReplicaSets and ReplicationControllers: as many pods of a template as asked for. Upstream: pkg/controller/replicaset.

Where upstream keeps expectations of pods it has made and not yet seen, the frame's reading of one's own writes does.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from orlop.api import errors, scheme, selectors
from orlop.api.types import apps_v1, core_v1
from orlop.clock import rfc3339
from orlop.control import Builder, Claims, Controller, Key, Result, controller_of, key_of
from orlop.controllers import podcontrol, pods as podlib
from orlop.controllers.batches import slow_start, together
from orlop.controllers.views import PodView

BURST = 500
"""Pods made or deleted in one reconcile, so that one huge set does not keep out the others."""
CLOSED_SECONDS = 1.0
"""How long no pod is asked for in a namespace that was just said to be deleted: each of its pods that goes is news to
the set, which would else ask, and be refused, as often."""

MANY = 100
PAUSE = 100e-6
"""Of a set of many pods the news wait together, so many seconds for each of its pods: to look at one takes a few
millionths, and a set that looked at all of its 5,000 whenever one has become ready would do nothing else."""

Owner = apps_v1.ReplicaSet | core_v1.ReplicationController


class ReplicaSetController(Controller):
    """Makes and deletes pods until each ReplicaSet has its number, and reports how they are."""

    name = "replicaset-controller"
    kind: Any = apps_v1.ReplicaSet

    def setup(self, builder: Builder) -> None:
        self.row = scheme.of(self.kind)
        self._closed: dict[str, float] = {}
        """Namespaces that are being deleted, and until when (monotonic) they are left alone."""
        self.sets = builder.for_(self.kind, indexers={podlib.BY_OWNER: _controller_index})
        self.pods = builder.informer(PodView, indexers={podlib.BY_OWNER: podlib.owner_index})
        self.pods.on_change(self._news)

    def _news(self, old: PodView | None, new: PodView | None) -> None:
        """A pod has changed. (Those that are found at the start tell nothing: every set is looked at then.)"""
        if not self.pods.has_synced or (old is not None and new is not None and not _concerns(old, new)):
            return
        for key in dict.fromkeys(key for pod in (old, new) if pod is not None for key in self._sets_of(pod)):
            rs = self.sets.get(*key)
            count = rs.status.replicas if rs is not None else 0
            self.context.enqueue(key, count * PAUSE if count > MANY else 0.0)

    def _sets_of(self, pod: PodView) -> Iterable[Key]:
        """The set that controls the pod; for a pod that nobody controls, the sets that might adopt it."""
        ref = controller_of(pod)
        if ref is not None:
            if ref.kind == self.row.kind and ref.api_version.rpartition("/")[0] == self.row.group:
                yield Key(pod.metadata.namespace, ref.name)
            return
        for rs in self.sets.items(pod.metadata.namespace):
            if selector_of(rs).matches(pod.metadata.labels):
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
        if len(active) < replicas_of(rs) and (closed := self._closed_for(rs)) > 0:
            wait = closed if wait is None else min(wait, closed)
        return Result(requeue_after=wait) if wait is not None else None

    async def _claim(self, rs: Owner) -> list[PodView]:
        """The set's active pods, after adopting orphans that match and releasing those that no longer do."""

        async def live() -> Owner:
            return await self.context.client.get(type(rs), rs.metadata.name, rs.metadata.namespace)

        claims = Claims(self.context.client, rs, selector_of(rs), live)
        candidates = [
            pod
            for value in (rs.metadata.uid, podlib.orphans(rs.metadata.namespace))
            for pod in self.pods.by_index(podlib.BY_OWNER, value)
            if podlib.is_active(pod)
        ]
        return await claims.claim(candidates)

    # --- making and deleting

    async def _manage(self, rs: Owner, active: Sequence[PodView]) -> errors.ApiError | None:
        """Makes or deletes what the set's number asks for. Gives the first error; what could be done is done."""
        excess = len(active) - replicas_of(rs)
        if excess < 0:
            return await self._create(rs, min(-excess, BURST))
        if excess > 0:
            count = min(excess, BURST)
            related = self._related(rs)
            doomed = podlib.deletion_order(active, related, self.context.clock.now()) if count < len(active) else active
            results = await together([podcontrol.delete(self.context, rs, pod) for pod in doomed[:count]])
            return next((error for error in results if error is not None), None)
        return None

    async def _create(self, rs: Owner, count: int) -> errors.ApiError | None:
        if self._closed_for(rs) > 0:
            return None
        template = rs.spec.template or core_v1.PodTemplateSpec()

        async def make(_: int) -> errors.ApiError | None:
            return await podcontrol.try_create(self.context, rs, podcontrol.pod_of(rs, template))

        failure = await slow_start(range(count), make)
        if failure is not None and podcontrol.unless_terminating(failure) is None:
            now = self.context.clock.monotonic()
            self._closed = {name: until for name, until in self._closed.items() if until > now}
            self._closed[rs.metadata.namespace] = now + CLOSED_SECONDS
            return None
        return failure

    def _closed_for(self, rs: Owner) -> float:
        """Seconds for which no pod is asked for in the set's namespace."""
        return self._closed.get(rs.metadata.namespace, 0.0) - self.context.clock.monotonic()

    def _related(self, rs: Owner) -> list[PodView]:
        """The pods of all sets with the same controller (a Deployment's other revisions)."""
        owner = controller_of(rs)
        sets = self.sets.by_index(podlib.BY_OWNER, owner.uid) if owner is not None else [rs]
        return [pod for other in sets for pod in self.pods.by_index(podlib.BY_OWNER, other.metadata.uid)]

    # --- reporting

    async def _report(
        self, rs: Owner, active: Sequence[PodView], terminating: int, failure: errors.ApiError | None
    ) -> None:
        status = status_of(rs, active, terminating, failure, self.context.clock.now())
        if status != rs.status:
            changed = type(rs)(metadata=rs.metadata, spec=rs.spec, status=status)  # type: ignore[arg-type]
            await self.context.client.update_status(changed)


class ReplicationControllerController(ReplicaSetController):
    """The same for ReplicationControllers."""

    name = "replicationcontroller-controller"
    account = "replication-controller"
    component = "replication-controller"
    kind = core_v1.ReplicationController


def _controller_index(rs: Owner) -> list[str]:
    ref = controller_of(rs)
    return [ref.uid] if ref is not None else []


def _concerns(old: PodView, new: PodView) -> bool:
    """A change to a pod that nobody controls matters only if it may now be adopted."""
    return (
        controller_of(new) is not None or controller_of(old) is not None or old.metadata.labels != new.metadata.labels
    )


def replicas_of(rs: Owner) -> int:
    """The number asked for; 1 if it does not say."""
    return 1 if rs.spec.replicas is None else rs.spec.replicas


def selector_of(rs: Owner) -> selectors.LabelSelector:
    """Which pods are the set's. A ReplicationController's plain map may be empty, and then none are."""
    selector = rs.spec.selector
    if isinstance(selector, dict):
        return selectors.from_map(selector) if selector else selectors.from_struct(None)
    return selectors.from_struct(selector)


def status_of(
    rs: Owner, active: Sequence[PodView], terminating: int, failure: errors.ApiError | None, now: float
) -> apps_v1.ReplicaSetStatus | core_v1.ReplicationControllerStatus:
    """The status that these pods make."""
    wanted = rs.spec.template.metadata.labels.items() if rs.spec.template is not None else {}.items()
    ready = [pod for pod in active if podlib.is_ready(pod)]
    counts = {
        "replicas": len(active),
        "fully_labeled_replicas": sum(wanted <= pod.metadata.labels.items() for pod in active),
        "ready_replicas": len(ready),
        "available_replicas": sum(podlib.is_available(pod, rs.spec.min_ready_seconds, now) for pod in ready),
        "observed_generation": rs.metadata.generation,
    }
    conditions: Any = _conditions(rs, len(active), failure, now)
    if isinstance(rs, core_v1.ReplicationController):
        return core_v1.ReplicationControllerStatus(**counts, conditions=conditions)
    return apps_v1.ReplicaSetStatus(**counts, terminating_replicas=terminating, conditions=conditions)


def _conditions(rs: Owner, active: int, failure: errors.ApiError | None, now: float) -> Sequence[Any]:
    others = [c for c in rs.status.conditions if c.type != "ReplicaFailure"]
    if failure is None:
        return others
    if len(others) < len(rs.status.conditions):
        return rs.status.conditions  # it has been said; the first failure stands
    is_rc = isinstance(rs, core_v1.ReplicationController)
    made = (core_v1.ReplicationControllerCondition if is_rc else apps_v1.ReplicaSetCondition)(
        type="ReplicaFailure",
        status="True",
        reason="FailedCreate" if active < replicas_of(rs) else "FailedDelete",
        message=str(failure),
        last_transition_time=rfc3339(now),
    )
    return [*others, made]
