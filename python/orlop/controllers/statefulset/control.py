"""The order in which one set's pods are made, ended and updated.

OrderedReady: by number, each pod available before the next is made; down from the highest; one after the other.
Parallel: all at once. Updates go down from the highest number to the partition, at most maxUnavailable at a time; with
Parallel, pods of an old revision that are unavailable anyway do not wait for that (so a bad revision is left for a
good one). What blocks ends the round: the next event begins another.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import floor

from orlop.api import errors
from orlop.api.types import apps_v1, core_v1
from orlop.control import Context
from orlop.controllers import pods as podlib
from orlop.controllers.batches import slow_start
from orlop.controllers.history import Revision, template_of
from orlop.controllers.statefulset import identity
from orlop.controllers.statefulset.claims import Claims
from orlop.controllers.statefulset.identity import ordinal_of, ordinals, revision_of
from orlop.controllers.views import PodView

Step = Callable[["Replica"], Awaitable[bool]]


@dataclass
class Replica:
    """A number and its pod, if there is one."""

    ordinal: int
    pod: PodView | None


@dataclass
class Revisions:
    """The revision that pods come from, the one they go to, and the hash collisions met."""

    current: Revision
    update: Revision
    collisions: int


class Control:
    """One round over one set."""

    def __init__(
        self, context: Context, s: apps_v1.StatefulSet, revisions: Revisions, claims: Claims, pods: Sequence[PodView]
    ) -> None:
        self._client = context.client
        self._recorder = context.recorder
        self._set = s
        self._revisions = revisions
        self._claims = claims
        self._now = context.clock.now()
        self._ordered = s.spec.pod_management_policy != "Parallel"
        self.ended: list[PodView] = []
        """The pods that this round has deleted."""
        wanted = ordinals(s)
        by_ordinal = {ordinal_of(pod): pod for pod in pods}
        self.replicas = [Replica(n, by_ordinal.get(n)) for n in wanted]
        condemned = [pod for pod in pods if ordinal_of(pod) not in wanted and ordinal_of(pod) >= 0]
        condemned.sort(key=ordinal_of, reverse=True)
        self.condemned = [Replica(ordinal_of(pod), pod) for pod in condemned]

    async def run(self) -> None:
        """Does what can be done now. Raises ApiError."""
        if await self._all(self.replicas, self._keep):
            return
        if await self._all(self.condemned, self._keep_claims):
            return
        if await self._all(self.condemned, self._end):
            return
        if self._set.spec.update_strategy.type != "OnDelete":
            await self._update()

    async def _all(self, replicas: Sequence[Replica], step: Step) -> bool:
        """The step for each: in order until one blocks, or for all at once. True if the round has ended."""
        if self._ordered:
            for replica in replicas:
                if await step(replica):
                    return True
            return False

        async def attempt(replica: Replica) -> errors.ApiError | None:
            try:
                await step(replica)
            except errors.ApiError as error:
                return error
            return None

        error = await slow_start(replicas, attempt)
        if error is not None:
            raise error
        return False

    # --- steps; True blocks those that follow

    async def _keep(self, replica: Replica) -> bool:
        """Makes the pod if it is not there, replaces it if it has ended, repairs its identity."""
        pod = replica.pod
        if pod is None:
            return await self._make(replica)
        if podlib.is_terminal(pod):
            # Whether an evicted pod has failed or succeeded is chance (its processes' exit codes): both are replaced.
            if pod.metadata.deletion_timestamp is None:
                await self._delete(pod)
            return True
        if pod.status.phase == "Pending":
            await self._claims.make(pod)
            await self._claims.keep_policy(pod)
        if self._ordered and (pod.metadata.deletion_timestamp is not None or not self._available(pod)):
            return True
        if identity.labels_match(pod) and identity.storage_matches(self._set, pod):
            if not self._claims.match_policy(pod):
                await self._claims.keep_policy(pod)
        else:
            await self._repair(pod)
        return False

    async def _make(self, replica: Replica) -> bool:
        pod = self._new_pod(replica.ordinal)
        if self._claims.stale(pod):
            return True
        try:
            await self._claims.make(pod)
            created = await self._client.create(pod)
        except errors.AlreadyExists:
            raise
        except errors.ApiError as error:
            self._tell("create", pod, error)
            raise
        await self._claims.keep_policy(created)
        self._tell("create", pod, None)
        return self._ordered

    def _new_pod(self, ordinal: int) -> core_v1.Pod:
        """The pod of that number, of the revision that the update strategy has for it now."""
        revision = self._revisions.current if self._keeps_current(ordinal) else self._revisions.update
        return identity.new_pod(self._set, template_of(revision), revision.metadata.name, ordinal)

    def _keeps_current(self, ordinal: int) -> bool:
        strategy = self._set.spec.update_strategy
        if strategy.type == "OnDelete":
            return False
        rolling = strategy.rolling_update
        index = ordinal - ordinals(self._set).start
        if rolling is None:
            return index < self._set.status.current_replicas
        return index < (rolling.partition or 0)

    async def _repair(self, pod: PodView) -> None:
        """Gives the pod its labels and volumes."""
        ordinal = ordinal_of(pod)
        try:
            await self._claims.make(pod)
            await self._claims.keep_policy(pod)
            live = await self._client.get(core_v1.Pod, pod.metadata.name, pod.metadata.namespace)
            live.metadata.labels.update(identity.identity_labels(pod.metadata.name, ordinal))
            live.spec.volumes = identity.volumes(self._set, live.spec.volumes, ordinal)
            await self._client.update(live)
        except errors.ApiError as error:
            self._tell("update", pod, error)
            raise
        self._tell("update", pod, None)

    async def _keep_claims(self, replica: Replica) -> bool:
        if replica.pod is not None and not self._claims.match_policy(replica.pod):
            await self._claims.keep_policy(replica.pod)
        return False

    async def _end(self, replica: Replica) -> bool:
        """Deletes a pod that is one too many; in order only when all others are well, or it is itself the first ill."""
        pod = replica.pod
        assert pod is not None
        if pod.metadata.deletion_timestamp is not None:
            return True
        if self._ordered and not self._available(pod) and pod is not self._first_unavailable():
            return True
        await self._delete(pod)
        return True

    def _first_unavailable(self) -> PodView | None:
        everyone = [*self.replicas, *reversed(self.condemned)]
        return next((r.pod for r in everyone if self._unavailable(r)), None)

    # --- updating

    async def _update(self) -> None:
        """Deletes pods of other revisions than the newest, as many as may be missing now."""
        rolling = self._set.spec.update_strategy.rolling_update
        partition = (rolling.partition or 0) if rolling is not None else 0
        outdated = [r for r in reversed(self.replicas[partition:]) if self._outdated(r)]
        if not self._ordered:
            for replica in outdated:
                if not self._available(replica.pod):
                    await self._replace(replica)
            outdated = [r for r in outdated if self._available(r.pod)]
        missing = sum(map(self._unavailable, self.replicas))
        for replica in outdated[: max(0, max_unavailable(self._set) - missing)]:
            await self._replace(replica)

    def _outdated(self, replica: Replica) -> bool:
        pod = replica.pod
        return (
            pod is not None
            and pod.metadata.deletion_timestamp is None
            and revision_of(pod) != self._revisions.update.metadata.name
        )

    async def _replace(self, replica: Replica) -> None:
        if replica.pod is not None:
            await self._delete(replica.pod)

    # --- looking and writing

    def _available(self, pod: PodView | None) -> bool:
        return pod is not None and is_running_and_available(pod, self._set.spec.min_ready_seconds, self._now)

    def _unavailable(self, replica: Replica) -> bool:
        pod = replica.pod
        return pod is None or pod.metadata.deletion_timestamp is not None or not self._available(pod)

    async def _delete(self, pod: PodView) -> None:
        meta = pod.metadata
        try:
            await self._client.delete(core_v1.Pod, meta.name, meta.namespace, uid=meta.uid)
        except errors.NotFound:
            return
        except errors.ApiError as error:
            self._tell("delete", pod, error)
            raise
        self.ended.append(pod)
        self._tell("delete", pod, None)

    def _tell(self, verb: str, pod: PodView | core_v1.Pod, error: Exception | None) -> None:
        about = f"{verb.title()} Pod {pod.metadata.name} in StatefulSet {self._set.metadata.name}"
        if error is None:
            self._recorder.event(self._set, "Normal", f"Successful{verb.title()}", f"{about} successful")
        else:
            self._recorder.event(self._set, "Warning", f"Failed{verb.title()}", f"{about} failed error: {error}")


def is_running_and_available(pod: PodView, min_ready_seconds: int, now: float) -> bool:
    return pod.status.phase == "Running" and podlib.is_available(pod, min_ready_seconds, now)


def max_unavailable(s: apps_v1.StatefulSet) -> int:
    """Pods that an update may leave missing; percentages are rounded down, at least 1."""
    rolling = s.spec.update_strategy.rolling_update
    value = rolling.max_unavailable if rolling is not None else None
    if value is None:
        return 1
    if isinstance(value, str):
        value = floor(int(value.removesuffix("%")) * len(ordinals(s)) / 100)
    return max(1, value)
