"""The order of a deployment's reconcile: claim, number, scale or roll out, report.

Everything is worked out on a copy of the deployment; its status and revision annotation are written once, at the end.
"""

from collections.abc import Iterable, Sequence

from orlop.api import errors, selectors
from orlop.api.types import apps_v1, meta_v1
from orlop.client import copy
from orlop.client.events import EventType
from orlop.control import Builder, Claims, Controller, Key, Result, controller_of, key_of
from orlop.controllers import podcontrol, pods as podlib
from orlop.controllers.deployment import revisions, rollout, scaling, status
from orlop.controllers.deployment.revisions import REVISION, replicas_of
from orlop.controllers.views import PodView

BY_OWNER = podlib.BY_OWNER


class DeploymentController(Controller):
    """Rolls each deployment's ReplicaSets to its template and number."""

    name = "deployment-controller"

    def setup(self, builder: Builder) -> None:
        self.deployments = builder.for_(apps_v1.Deployment)
        self.sets = builder.watches(apps_v1.ReplicaSet, self._deployments_of, indexers={BY_OWNER: _owner_index})
        self.pods = builder.watches(
            PodView, self._recreating, changed=_has_ended, indexers={BY_OWNER: podlib.owner_index}
        )

    def _deployments_of(self, rs: apps_v1.ReplicaSet) -> Iterable[Key]:
        """The deployment that controls the set; for a set that nobody controls, those that might adopt it."""
        ref = controller_of(rs)
        if ref is not None:
            if ref.kind == "Deployment" and ref.api_version.startswith("apps/"):
                yield Key(rs.metadata.namespace, ref.name)
            return
        for d in self.deployments.items(rs.metadata.namespace):
            if rs.metadata.labels and selectors.from_struct(d.spec.selector).matches(rs.metadata.labels):
                yield key_of(d)

    def _recreating(self, pod: PodView) -> Iterable[Key]:
        """Only Recreate waits for single pods: for the old ones to be gone."""
        ref = controller_of(pod)
        rs = self.sets.get(pod.metadata.namespace, ref.name) if ref is not None and ref.kind == "ReplicaSet" else None
        owner = controller_of(rs) if rs is not None else None
        d = self.deployments.get(pod.metadata.namespace, owner.name) if owner is not None else None
        if d is not None and d.spec.strategy.type == "Recreate":
            yield key_of(d)

    async def reconcile(self, key: Key) -> Result | None:
        d = self.deployments.get(*key)
        if d is None:
            return None
        return await _Reconcile(self, d).run()


class _Reconcile:
    """One reconcile of one deployment. `d` is a copy to work on, `was` what the cache has."""

    def __init__(self, controller: DeploymentController, was: apps_v1.Deployment) -> None:
        self.controller = controller
        self.context = controller.context
        self.was = was
        self.d = copy(was)
        self.now = self.context.clock.now()
        self._resumed = False
        """Whether it has just been, which is then what its condition says until there is progress."""

    async def run(self) -> Result | None:
        d = self.d
        if d.spec.selector is None or d.spec.selector == meta_v1.LabelSelector():
            message = "This deployment is selecting all pods. A non-empty selector is required."
            self._event("Warning", "SelectingAll", message)
            d.status.observed_generation = max(d.status.observed_generation, d.metadata.generation)
            await self._write(d.status)
            return None
        sets = await self._claim()
        if d.metadata.deletion_timestamp is not None:
            new, old = self._sort(sets)
            return await self._report_counts(new, old)
        if (pause := status.paused_or_resumed(d, self.now)) is not None:
            d.status.conditions = status.put(d.status.conditions, pause)
            self._resumed = not d.spec.paused
        if d.spec.paused or scaling.is_scaling(d, sets):
            return await self._scale(sets)
        if d.spec.strategy.type == "Recreate":
            return await self._recreate(sets)
        return await self._roll(sets)

    async def _claim(self) -> list[apps_v1.ReplicaSet]:
        meta = self.d.metadata
        client = self.context.client

        async def live() -> apps_v1.Deployment:
            return await client.get(apps_v1.Deployment, meta.name, meta.namespace)

        by_owner = self.controller.sets.by_index
        candidates = by_owner(BY_OWNER, meta.uid) + by_owner(BY_OWNER, podlib.orphans(meta.namespace))
        return await Claims(client, self.d, selectors.from_struct(self.d.spec.selector), live).claim(candidates)

    # --- the ways on

    async def _roll(self, sets: Sequence[apps_v1.ReplicaSet]) -> Result | None:
        """RollingUpdate: grow the new set as far as there is room, else shrink old ones as far as may be."""
        found = await self._newest(sets, create=True)
        if found is None:
            return None
        new, old = found
        if replicas_of(new) != replicas_of(self.d):
            size = rollout.new_size(self.d, [*old, new], new)
            if replicas_of(new) > replicas_of(self.d):
                size = replicas_of(self.d)
            if size != replicas_of(new):
                new = await self._resize(new, size)
                return await self._report_rollout(new, old)
        shrink = rollout.old_sizes(self.d, new, rollout.active(old), self._available)
        for rs, size in shrink:
            old = _replaced(old, await self._resize(rs, size))
        if not shrink:
            await self._clean_up_if_complete(old)
        return await self._report_rollout(new, old)

    def _available(self, rs: apps_v1.ReplicaSet) -> int:
        """Its pods that are available, as far as is known here."""
        pods, seconds = self.controller.pods.by_index(BY_OWNER, rs.metadata.uid), rs.spec.min_ready_seconds
        return sum(podlib.is_active(pod) and podlib.is_available(pod, seconds, self.now) for pod in pods)

    async def _recreate(self, sets: Sequence[apps_v1.ReplicaSet]) -> Result | None:
        """Recreate: all old pods go, and only when they are gone the new ones come."""
        new, old = self._sort(sets)
        if new is not None:
            new, old = await self._newest(sets, create=False) or (new, old)
        shrink = rollout.active(old)
        for rs in shrink:
            old = _replaced(old, await self._resize(rs, 0))
        if shrink or self._old_pods_run(old):
            return await self._report_rollout(new, old)
        found = await self._newest(sets, create=True)
        if found is None:
            return None
        new, old = found
        if replicas_of(new) != replicas_of(self.d):
            new = await self._resize(new, replicas_of(self.d))
        await self._clean_up_if_complete(old)
        return await self._report_rollout(new, old)

    def _old_pods_run(self, old: Sequence[apps_v1.ReplicaSet]) -> bool:
        if any(rs.status.replicas for rs in old):
            return True
        by_owner = self.controller.pods.by_index
        return any(not podlib.is_terminal(pod) for rs in old for pod in by_owner(BY_OWNER, rs.metadata.uid))

    async def _scale(self, sets: Sequence[apps_v1.ReplicaSet]) -> Result | None:
        """Paused, or a new number: sizes change, templates do not."""
        new, old = self._sort(sets)
        if new is not None:
            new, old = await self._newest(sets, create=False) or (new, old)
        for rs, size in scaling.sizes(self.d, new, old):
            resized = await self._resize(rs, size)
            if new is not None and resized.metadata.uid == new.metadata.uid:
                new = resized
            else:
                old = _replaced(old, resized)
        if self.d.spec.paused:
            await self._clean_up(old)
        return await self._report_counts(new, old)

    # --- revisions

    def _sort(self, sets: Sequence[apps_v1.ReplicaSet]) -> tuple[apps_v1.ReplicaSet | None, list[apps_v1.ReplicaSet]]:
        new = revisions.find_new(self.d, sets)
        return new, [rs for rs in sets if new is None or rs.metadata.uid != new.metadata.uid]

    async def _newest(
        self, sets: Sequence[apps_v1.ReplicaSet], *, create: bool
    ) -> tuple[apps_v1.ReplicaSet, list[apps_v1.ReplicaSet]] | None:
        """The set of the present template, numbered, made if need be, and the others.

        None if there is none, or if it could not be made and that has been reported.
        """
        d = self.d
        new, old = self._sort(sets)
        revision = max((revisions.revision_of(rs) for rs in old), default=0) + 1
        if new is None:
            new = await self._create(old, revision) if create else None
            return (new, old) if new is not None else None
        wanted = copy(new)
        changed = revisions.annotate_new(d, wanted, revision)
        if changed or wanted.spec.min_ready_seconds != d.spec.min_ready_seconds:
            wanted.spec.min_ready_seconds = d.spec.min_ready_seconds
            new = await self.context.client.update(wanted)
        d.metadata.annotations[REVISION] = new.metadata.annotations[REVISION]
        if status.has_deadline(d) and status.find(d.status.conditions, "Progressing") is None:
            self._progressing("True", "FoundNewReplicaSet", f'Found new replica set "{new.metadata.name}"')
        return new, old

    async def _create(self, old: list[apps_v1.ReplicaSet], revision: int) -> apps_v1.ReplicaSet | None:
        d = self.d
        new = revisions.make_new(d, revision, replicas_of(d) + rollout.max_surge(d))
        new.spec.replicas = rollout.new_size(d, [*old, new], new)
        name = new.metadata.name
        try:
            created = await self.context.client.create(new)
        except errors.AlreadyExists:
            there = await self.context.client.get(apps_v1.ReplicaSet, name, d.metadata.namespace)
            owner = controller_of(there)
            mine = owner is not None and owner.uid == d.metadata.uid
            if not mine or not revisions.same_template(there.spec.template, d.spec.template):
                # Another template with this hash: count the collision, and the next hash will be another.
                d.status.collision_count = (d.status.collision_count or 0) + 1
                await self._write(d.status)
                raise
            created = there
        except errors.ApiError as error:
            if podcontrol.has_cause(error, podcontrol.NAMESPACE_TERMINATING):
                return None
            message = f'Failed to create new replica set "{name}": {error}'
            self._event("Warning", "ReplicaSetCreateError", message)
            if status.has_deadline(d):
                self._progressing("False", "ReplicaSetCreateError", message)
                await self._write(d.status)
            raise
        else:
            if new.spec.replicas:
                self._event(
                    "Normal", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to {new.spec.replicas}"
                )
            if status.has_deadline(d) and not self._resumed:
                self._progressing("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        d.metadata.annotations[REVISION] = str(revision)
        return created

    async def _clean_up_if_complete(self, old: Sequence[apps_v1.ReplicaSet]) -> None:
        if status.is_complete(self.d, self.d.status):
            await self._clean_up(old)

    async def _clean_up(self, old: Sequence[apps_v1.ReplicaSet]) -> None:
        for rs in revisions.to_clean_up(self.d, old):
            try:
                await self.context.client.delete(apps_v1.ReplicaSet, rs.metadata.name, rs.metadata.namespace)
            except errors.NotFound:
                continue

    # --- writing

    async def _resize(self, rs: apps_v1.ReplicaSet, size: int) -> apps_v1.ReplicaSet:
        """Gives the set its size and notes the deployment's on it."""
        wanted, before = copy(rs), replicas_of(rs)
        noted = revisions.annotate_size(wanted, replicas_of(self.d), replicas_of(self.d) + rollout.max_surge(self.d))
        if not noted and before == size:
            return rs
        wanted.spec.replicas = size
        written = await self.context.client.update(wanted)
        if before != size:
            way = "up" if size > before else "down"
            message = f"Scaled {way} replica set {rs.metadata.name} from {before} to {size}"
            self._event("Normal", "ScalingReplicaSet", message)
        return written

    async def _report_counts(self, new: apps_v1.ReplicaSet | None, old: Sequence[apps_v1.ReplicaSet]) -> Result | None:
        everything = [*old, new] if new is not None else list(old)
        await self._write(status.counted(self.d, everything, new, self.now))
        return None

    async def _report_rollout(self, new: apps_v1.ReplicaSet | None, old: Sequence[apps_v1.ReplicaSet]) -> Result | None:
        everything = [*old, new] if new is not None else list(old)
        now_status = status.rolled_out(self.d, self.was.status, everything, new, self.now)
        await self._write(now_status)
        wait = status.check_again(self.d, now_status, self.now)
        return Result(requeue_after=wait) if wait is not None else None

    async def _write(self, new_status: apps_v1.DeploymentStatus) -> None:
        """Writes status and revision annotation if they differ from what is known."""
        if new_status == self.was.status and self.d.metadata.annotations == self.was.metadata.annotations:
            return
        await self.context.client.update_status(
            apps_v1.Deployment(metadata=self.d.metadata, spec=self.d.spec, status=new_status)
        )

    def _progressing(self, value: str, reason: str, message: str) -> None:
        new = status.condition("Progressing", value, reason, message, self.now)
        self.d.status.conditions = status.put(self.d.status.conditions, new)

    def _event(self, type_: EventType, reason: str, message: str) -> None:
        self.context.recorder.event(self.was, type_, reason, message)


def _replaced(sets: Sequence[apps_v1.ReplicaSet], new: apps_v1.ReplicaSet) -> list[apps_v1.ReplicaSet]:
    return [new if rs.metadata.uid == new.metadata.uid else rs for rs in sets]


def _owner_index(rs: apps_v1.ReplicaSet) -> list[str]:
    ref = controller_of(rs)
    return [ref.uid if ref is not None else podlib.orphans(rs.metadata.namespace)]


def _has_ended(old: PodView, new: PodView) -> bool:
    return podlib.is_terminal(new) and not podlib.is_terminal(old)
