"""The order of a set's reconcile: find the revision, place pods, roll out, report, forget old revisions."""

from collections.abc import Iterable, Sequence

from orlop.api import errors, selectors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client.events import EventType
from orlop.control import Builder, Claims, Controller, Key, Result, controller_of, key_of
from orlop.controllers import history, podcontrol, pods as podlib
from orlop.controllers.batches import slow_start, together
from orlop.controllers.daemonset import placement, rollout
from orlop.controllers.daemonset.backoff import Backoff
from orlop.controllers.daemonset.placement import Fit, by_node, fit, is_updated, pod_for
from orlop.controllers.deployment.revisions import template_hash
from orlop.controllers.history import REVISION_HASH
from orlop.controllers.views import PodView

BY_OWNER = podlib.BY_OWNER
BURST = 250
"""Pods made or deleted in one reconcile, so that one set on many nodes does not keep out the others."""


class DaemonSetController(Controller):
    """Keeps one pod of each set on every node that fits."""

    name = "daemonset-controller"
    account = "daemon-set-controller"

    def setup(self, builder: Builder) -> None:
        self.backoff = Backoff(self.context.clock)
        self.sets = builder.for_(apps_v1.DaemonSet)
        self.pods = builder.watches(PodView, self._sets_of, changed=_concerns, indexers={BY_OWNER: podlib.owner_index})
        self.nodes = builder.watches(core_v1.Node, self._on_node, changed=_fits_otherwise)
        self.revisions = builder.informer(apps_v1.ControllerRevision, indexers={BY_OWNER: history.owner_index})

    def _sets_of(self, pod: PodView) -> Iterable[Key]:
        """The set that controls the pod; for a pod that nobody controls, the sets that might adopt it."""
        ref = controller_of(pod)
        if ref is not None:
            if ref.kind == "DaemonSet" and ref.api_version.startswith("apps/"):
                yield Key(pod.metadata.namespace, ref.name)
            return
        for ds in self.sets.items(pod.metadata.namespace):
            if selectors.from_struct(ds.spec.selector).matches(pod.metadata.labels):
                yield key_of(ds)

    def _on_node(self, node: core_v1.Node) -> Iterable[Key]:
        """The sets whose pods may be on the node."""
        return [key_of(ds) for ds in self.sets.items() if any(fit(ds, node))]

    async def reconcile(self, key: Key) -> Result | None:
        ds = self.sets.get(*key)
        if ds is None:
            return None
        if ds.spec.selector is None or ds.spec.selector == meta_v1.LabelSelector():
            message = "This daemon set is selecting all pods. A non-empty selector is required."
            self.context.recorder.event(ds, "Warning", "SelectingAll", message)
            return None
        if ds.metadata.deletion_timestamp is not None:
            return None
        return await _Reconcile(self, ds).run()


class _Reconcile:
    """One reconcile of one set."""

    def __init__(self, controller: DaemonSetController, ds: apps_v1.DaemonSet) -> None:
        self.controller = controller
        self.context = controller.context
        self.ds = ds
        self.now = self.context.clock.now()
        self.nodes = sorted(controller.nodes.items(), key=lambda n: n.metadata.name)
        self.fits = {node.metadata.name: fit(ds, node) for node in self.nodes}
        self.again: list[float] = []
        """Seconds after which to look again."""

    async def run(self) -> Result | None:
        mine = await self._claim()
        current, old = await self._revisions(mine)
        hash_ = current.metadata.labels[REVISION_HASH]
        on = by_node(mine)
        failure = await self._manage(on, hash_)
        await self._report(on, hash_)
        if failure is not None:
            raise failure
        live = {pod.metadata.labels.get(REVISION_HASH) for pod in mine}
        in_use = {r.metadata.name for r in old if r.metadata.labels.get(REVISION_HASH) in live}
        # Those in use count against the limit, but stay.
        limit = self.ds.spec.revision_history_limit
        spare = max(0, limit - len(in_use)) if limit is not None else None
        await history.truncate(self.context.client, old, in_use, spare)
        wait = podlib.next_available(mine, self.ds.spec.min_ready_seconds, self.now)
        self.again += [wait] if wait is not None else []
        return Result(requeue_after=min(self.again)) if self.again else None

    async def _claim(self) -> list[PodView]:
        meta, client = self.ds.metadata, self.context.client

        async def live() -> apps_v1.DaemonSet:
            return await client.get(apps_v1.DaemonSet, meta.name, meta.namespace)

        candidates = [
            pod
            for value in (meta.uid, podlib.orphans(meta.namespace))
            for pod in self.controller.pods.by_index(BY_OWNER, value)
        ]
        return await Claims(client, self.ds, selectors.from_struct(self.ds.spec.selector), live).claim(candidates)

    # --- revisions

    async def _revisions(self, pods: Sequence[PodView]) -> tuple[history.Revision, list[history.Revision]]:
        """The revision of the present template, made or brought back to the front if need be, and the others."""
        client, ds = self.context.client, self.ds
        data = history.template_patch(ds.spec.template)
        present: list[history.Revision] = []
        old: list[history.Revision] = []
        for revision in await history.claimed(client, self.controller.revisions, ds):
            if REVISION_HASH not in revision.metadata.labels:
                labels = {REVISION_HASH: revision.metadata.name}
                patch = {"metadata": {"labels": labels}}
                name = revision.metadata.name
                revision = await client.patch(history.Revision, name, ds.metadata.namespace, patch)
            (present if history.same_data(revision.data, data) else old).append(revision)
        number = max((r.revision for r in old), default=0) + 1
        if not present:
            return await self._snapshot(data, number), old
        current = present[-1]
        for double in present[:-1]:
            await self._merge(double, current, pods)
        if current.revision < number:
            current = await history.renumber(client, current, number)
        return current, old

    async def _snapshot(self, data: object, number: int) -> history.Revision:
        client, ds = self.context.client, self.ds
        hash_ = template_hash(ds.spec.template, ds.status.collision_count)
        name = f"{ds.metadata.name[: history.NAME_PREFIX_MAX]}-{hash_}"
        try:
            return await client.create(history.make(ds, name, REVISION_HASH, hash_, ds.spec.template, number))
        except errors.AlreadyExists:
            there = await client.get(history.Revision, name, ds.metadata.namespace)
            owner = controller_of(there)
            if owner is not None and owner.uid == ds.metadata.uid and history.same_data(there.data, data):
                return there
            # Another template with this hash: count the collision, and the next hash will be another.
            live = await client.get(apps_v1.DaemonSet, ds.metadata.name, ds.metadata.namespace)
            live.status.collision_count = (live.status.collision_count or 0) + 1
            await client.update_status(live)
            raise

    async def _merge(self, double: history.Revision, kept: history.Revision, pods: Sequence[PodView]) -> None:
        """Two revisions of one template: the pods of one become pods of the other."""
        client, hash_ = self.context.client, kept.metadata.labels[REVISION_HASH]
        patch = {"metadata": {"labels": {REVISION_HASH: hash_}}}
        for pod in pods:
            if pod.metadata.labels.get(REVISION_HASH) == double.metadata.labels[REVISION_HASH]:
                await client.patch(core_v1.Pod, pod.metadata.name, pod.metadata.namespace, patch)
        await client.delete(history.Revision, double.metadata.name, double.metadata.namespace)

    # --- making and deleting

    async def _manage(self, on: dict[str, list[PodView]], hash_: str) -> errors.ApiError | None:
        """Places pods, and where nothing is to be placed takes the next step of an update. Gives the first error."""
        create: list[str] = []
        delete: list[PodView] = []
        for name, fits in self.fits.items():
            needs, surplus = self._place(name, fits, on.get(name), hash_)
            create += [name] if needs else []
            delete += surplus
        delete += placement.without_node(on, self.nodes)
        if not create and not delete and self.ds.spec.update_strategy.type == "RollingUpdate":
            wanted = [name for name, fits in self.fits.items() if fits.run]
            delete, create = rollout.step(self.ds, on, wanted, hash_, self.now)
        return await self._write(create[:BURST], delete[:BURST], hash_)

    def _place(self, name: str, fits: Fit, pods: Sequence[PodView] | None, hash_: str) -> tuple[bool, list[PodView]]:
        """Whether the node needs a pod, and the pods that are too many on it."""
        if pods is None:
            return fits.run, []
        staying = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
        if not fits.stay:
            return False, staying
        running = [pod for pod in staying if not podlib.is_terminal(pod)]
        ended = [pod for pod in staying if podlib.is_terminal(pod) and self._may_replace(pod, name)]
        if not rollout.surges(self.ds):
            return False, ended + running[1:]
        if len(running) <= 1:
            return not running and fits.run, ended
        return False, ended + self._surplus(running, hash_)

    def _surplus(self, running: Sequence[PodView], hash_: str) -> list[PodView]:
        """While surging a node has its oldest new and its oldest old pod, as long as the old one is the better one."""
        new = [pod for pod in running if pod.metadata.labels.get(REVISION_HASH) == hash_]
        old = [pod for pod in running if pod not in new]
        surplus = new[1:] + old[1:]
        if new and old:
            seconds = self.ds.spec.min_ready_seconds
            if not podlib.is_ready(old[0]) or podlib.is_available(new[0], seconds, self.now):
                surplus.append(old[0])
        return surplus

    def _may_replace(self, pod: PodView, node: str) -> bool:
        """An ended pod is replaced; one that has failed, not again and again without a pause."""
        where = f"{pod.metadata.namespace}/{pod.metadata.name} on node {node}"
        if pod.status.phase == "Succeeded":
            message = f"Found succeeded daemon pod {where}, will try to delete it"
            self._event("Normal", "SucceededDaemonPod", message)
            return True
        key = (self.ds.metadata.uid, str(self.ds.status.observed_generation), node)
        left = self.controller.backoff.left(key)
        if left > 0:
            self.again.append(left)
            return False
        self.controller.backoff.next(key)
        self._event("Warning", "FailedDaemonPod", f"Found failed daemon pod {where}, will try to kill it")
        return True

    async def _write(self, create: Sequence[str], delete: Sequence[PodView], hash_: str) -> errors.ApiError | None:
        async def make(node: str) -> errors.ApiError | None:
            return await podcontrol.create(self.context, self.ds, pod_for(self.ds, hash_, node))

        failure = await slow_start(create, make)
        results = await together([podcontrol.delete(self.context, self.ds, pod) for pod in delete])
        return failure or next((error for error in results if error is not None), None)

    # --- reporting

    async def _report(self, on: dict[str, list[PodView]], hash_: str) -> None:
        ds = self.ds
        status = status_of(ds, self.fits, on, hash_, self.now)
        if status != ds.status:
            await self.context.client.update_status(
                apps_v1.DaemonSet(metadata=ds.metadata, spec=ds.spec, status=status)
            )

    def _event(self, type_: EventType, reason: str, message: str) -> None:
        self.context.recorder.event(self.ds, type_, reason, message)


def status_of(
    ds: apps_v1.DaemonSet, fits: dict[str, Fit], on: dict[str, list[PodView]], hash_: str, now: float
) -> apps_v1.DaemonSetStatus:
    """The status that these pods make: of several on a node the oldest counts."""
    desired = [name for name, fits_ in fits.items() if fits_.run]
    oldest = [on[name][0] for name in desired if on.get(name)]
    available = sum(podlib.is_available(pod, ds.spec.min_ready_seconds, now) for pod in oldest)
    return apps_v1.DaemonSetStatus(
        current_number_scheduled=len(oldest),
        number_misscheduled=sum(not fits_.run and bool(on.get(name)) for name, fits_ in fits.items()),
        desired_number_scheduled=len(desired),
        number_ready=sum(map(podlib.is_ready, oldest)),
        observed_generation=ds.metadata.generation,
        updated_number_scheduled=sum(is_updated(ds, pod, hash_) for pod in oldest),
        number_available=available,
        number_unavailable=len(desired) - available,
        collision_count=ds.status.collision_count,
        conditions=ds.status.conditions,
    )


def _concerns(old: PodView, new: PodView) -> bool:
    """A change to a pod that nobody controls matters only if it may now be adopted."""
    owned = controller_of(new) is not None or controller_of(old) is not None
    return owned or old.metadata.labels != new.metadata.labels


def _fits_otherwise(old: core_v1.Node, new: core_v1.Node) -> bool:
    return old.metadata.labels != new.metadata.labels or old.spec.taints != new.spec.taints
