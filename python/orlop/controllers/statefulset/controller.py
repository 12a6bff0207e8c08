"""The order of a set's reconcile: claim pods, find the revisions, do a round over the pods, report, clean up."""

from collections.abc import Iterable, Sequence

import msgspec

from orlop.api import errors, selectors
from orlop.api.types import apps_v1
from orlop.control import Builder, Claims, Controller, Key, Result, controller_of, key_of
from orlop.controllers import history, pods as podlib
from orlop.controllers.statefulset import claims
from orlop.controllers.statefulset.claims import ClaimView
from orlop.controllers.statefulset.control import Control, Revisions, is_running_and_available
from orlop.controllers.statefulset.identity import is_member, revision_of
from orlop.controllers.views import PodView

BY_OWNER = podlib.BY_OWNER
HASH_LABEL = "controller.kubernetes.io/hash"


class StatefulSetController(Controller):
    """Keeps each set's pods, by number, and updates them to its template."""

    name = "statefulset-controller"

    def setup(self, builder: Builder) -> None:
        self.sets = builder.for_(apps_v1.StatefulSet)
        self.pods = builder.watches(PodView, self._sets_of, changed=_concerns, indexers={BY_OWNER: podlib.owner_index})
        self.revisions = builder.informer(apps_v1.ControllerRevision, indexers={BY_OWNER: history.owner_index})
        self.claims = builder.watches(ClaimView, self._waiting_for, changed=lambda old, new: False)

    def _sets_of(self, pod: PodView) -> Iterable[Key]:
        """The set that controls the pod; for a pod that nobody controls, the sets that might adopt it."""
        ref = controller_of(pod)
        if ref is not None:
            if ref.kind == "StatefulSet" and ref.api_version.startswith("apps/"):
                yield Key(pod.metadata.namespace, ref.name)
            return
        for s in self.sets.items(pod.metadata.namespace):
            if is_member(s, pod) and selectors.from_struct(s.spec.selector).matches(pod.metadata.labels):
                yield key_of(s)

    def _waiting_for(self, claim: ClaimView) -> Iterable[Key]:
        """The set whose pod cannot be made while a claim of that name is being deleted."""
        for s in self.sets.items(claim.metadata.namespace):
            names = (f"{t.metadata.name}-{s.metadata.name}-" for t in s.spec.volume_claim_templates)
            if any(claim.metadata.name.startswith(name) for name in names):
                yield key_of(s)

    async def reconcile(self, key: Key) -> Result | None:
        s = self.sets.get(*key)
        if s is None:
            return None
        revisions = await history.claimed(self.context.client, self.revisions, s)
        pods = await self._claim(s)
        now = self.context.clock.now()
        found = await self._find(s, revisions)
        control = Control(self.context, s, found, claims.Claims(self.context, self.claims, s), pods)
        failure: errors.ApiError | None = None
        if s.metadata.deletion_timestamp is None:
            try:
                await control.run()
            except errors.ApiError as error:
                failure = error
        await self._report(s, status_of(s, found, pods, control.ended, now))
        if failure is not None:
            raise failure
        live = {found.current.metadata.name, found.update.metadata.name, *map(revision_of, pods)}
        await history.truncate(self.context.client, revisions, live, s.spec.revision_history_limit)
        wait = podlib.next_available(pods, s.spec.min_ready_seconds, now)
        return Result(requeue_after=wait) if wait is not None else None

    async def _claim(self, s: apps_v1.StatefulSet) -> list[PodView]:
        """The set's pods, after adopting orphans with its labels and names and releasing those that no longer match."""

        async def live() -> apps_v1.StatefulSet:
            return await self.context.client.get(apps_v1.StatefulSet, s.metadata.name, s.metadata.namespace)

        candidates = [
            pod
            for value in (s.metadata.uid, podlib.orphans(s.metadata.namespace))
            for pod in self.pods.by_index(BY_OWNER, value)
        ]
        owned = Claims(self.context.client, s, selectors.from_struct(s.spec.selector), live)
        return await owned.claim(candidates, member=lambda pod: is_member(s, pod))

    async def _find(self, s: apps_v1.StatefulSet, revisions: Sequence[history.Revision]) -> Revisions:
        """The revision of the present template, made or brought back to the front if need be, and the current one."""
        collisions = s.status.collision_count or 0
        data = history.template_patch(s.spec.template)
        equal = [r for r in revisions if history.same_data(r.data, data)]
        number = revisions[-1].revision + 1 if revisions else 1
        if equal and equal[-1] is revisions[-1]:
            update = revisions[-1]
        elif equal:
            update = await history.renumber(self.context.client, equal[-1], number)
        else:
            update, collisions = await self._create(s, data, number, collisions)
        current = next((r for r in revisions if r.metadata.name == s.status.current_revision), update)
        return Revisions(current, update, collisions)

    async def _create(
        self, s: apps_v1.StatefulSet, data: object, number: int, collisions: int
    ) -> tuple[history.Revision, int]:
        client, namespace = self.context.client, s.metadata.namespace
        label = history.data_hash(data, collisions)
        while True:
            hash_ = history.data_hash(data, collisions)
            name = f"{s.metadata.name[: history.NAME_PREFIX_MAX]}-{hash_}"
            made = history.make(s, name, HASH_LABEL, label, s.spec.template, number)
            try:
                return await client.create(made), collisions
            except errors.AlreadyExists:
                there = await client.get(history.Revision, name, namespace)
                if history.same_data(there.data, data):
                    return there, collisions
                collisions += 1

    async def _report(self, s: apps_v1.StatefulSet, status: apps_v1.StatefulSetStatus) -> None:
        if status != s.status:
            await self.context.client.update_status(
                apps_v1.StatefulSet(metadata=s.metadata, spec=s.spec, status=status)
            )


def status_of(
    s: apps_v1.StatefulSet, found: Revisions, pods: Sequence[PodView], ended: Sequence[PodView], now: float
) -> apps_v1.StatefulSetStatus:
    """The status that these pods make, some of which are being ended."""
    current, update = found.current.metadata.name, found.update.metadata.name
    doomed = {pod.metadata.uid for pod in ended}
    staying = [p for p in pods if p.metadata.deletion_timestamp is None and p.metadata.uid not in doomed]
    ready = [p for p in pods if p.status.phase == "Running" and podlib.is_ready(p)]
    status = apps_v1.StatefulSetStatus(
        observed_generation=s.metadata.generation,
        replicas=len(pods),
        ready_replicas=len(ready),
        available_replicas=sum(is_running_and_available(p, s.spec.min_ready_seconds, now) for p in ready),
        current_replicas=sum(revision_of(p) == current for p in staying),
        updated_replicas=sum(revision_of(p) == update for p in staying),
        current_revision=current,
        update_revision=update,
        collision_count=found.collisions,
        conditions=s.status.conditions,
    )
    wanted = 1 if s.spec.replicas is None else s.spec.replicas
    counts = (status.replicas, status.ready_replicas, status.available_replicas, status.updated_replicas)
    if all(count == wanted for count in counts):
        # The update is complete: what was the way to is now the way from.
        status = msgspec.structs.replace(status, current_revision=update, current_replicas=status.updated_replicas)
    return status


def _concerns(old: PodView, new: PodView) -> bool:
    """A change to a pod that nobody controls matters only if it may now be adopted."""
    owned = controller_of(new) is not None or controller_of(old) is not None
    return owned or old.metadata.labels != new.metadata.labels
