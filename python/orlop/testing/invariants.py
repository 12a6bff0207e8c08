"""What must never be, whatever gets lost and whoever is killed; looked at in each instant in which something changed.

* A Deployment never grows past its replicas and maxSurge, and its controller never takes it below maxUnavailable;
  replicas that nodes and people take away are not its doing, nor are those given up before word of their being ready
  could have come.
* A ReplicaSet never makes more pods than it is asked for; requests of a process that was killed may make one more.
* Evictions never take a disruption budget's pods below what it keeps.
* An index of a Job is never begun again once it has succeeded; each end of a pod counts once, and counts never fall.
* Pods of a StatefulSet never run in two places under one name.
"""

import json
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orlop import tasks
from orlop.api import selectors
from orlop.api.types import apps_v1, batch_v1, core_v1, meta_v1, policy_v1
from orlop.client.transport import Response
from orlop.control import controller_of
from orlop.testing.look import active, name, ready
from orlop.testing.truth import Truth

if TYPE_CHECKING:
    from orlop.testing.world import World

INSTANT = 1e-6
"""Seconds after a change at which it is looked at: all else that happens in that instant has happened by then."""
HEARD = 60.0
"""Seconds after which everybody has heard that a pod is gone."""
RECONNECT = 10.0
"""Seconds that caches may take to hear of anything after the server was away."""
MANAGER = "system:kube-controller-manager"
INDEX = "batch.kubernetes.io/job-completion-index"


KINDS = (core_v1.Node, core_v1.Pod, apps_v1.ReplicaSet, apps_v1.Deployment, batch_v1.Job, policy_v1.PodDisruptionBudget)
"""What is looked at."""


@dataclass
class Floor:
    """Pods that must not all be taken away, and who took those that are gone."""

    ready: set[str] = field(default_factory=set)
    losses: list[float] = field(default_factory=list)
    """When others took one."""

    def look(self, ready: set[str], ours: set[str], now: float) -> int:
        """Takes in which pods are ready now; gives how many went by our doing."""
        gone = self.ready - ready
        self.losses = [*(at for at in self.losses if at > now - HEARD), *[now] * len(gone - ours)]
        self.ready = ready
        return len(gone & ours)

    @property
    def others(self) -> int:
        """Pods lost to others that one who takes another may not have heard of."""
        return len(self.losses)


class Invariants:
    """The watch over one world. Sees the truth: what is in the store."""

    def __init__(self, world: "World", truth: Truth) -> None:
        self._world = world
        self._truth = truth
        self.nodes = truth.of(core_v1.Node)
        self.pods = truth.of(core_v1.Pod)
        self.sets = truth.of(apps_v1.ReplicaSet)
        self.deployments = truth.of(apps_v1.Deployment)
        self.jobs = truth.of(batch_v1.Job)
        self.budgets = truth.of(policy_v1.PodDisruptionBudget)
        self._specs: dict[str, dict[int, tuple[float, Any]]] = defaultdict(dict)
        """Specs of Deployments and ReplicaSets by uid and generation, and since when they are."""
        self._cut_off: Counter[str] = Counter()
        """Pods by their owner's uid that were being made when their maker was killed: nobody waits for those."""
        self._deleted: set[str] = set()
        self._evicted: set[str] = set()
        """Pods, as namespace/name, that the controllers deleted, and those that were evicted."""
        self._ready_since: dict[str, tuple[str, float]] = {}
        """Of pods that are ready the uid of their ReplicaSet, and since when."""
        self._shrunk: dict[str, float] = {}
        """When a ReplicaSet, by its uid, was last asked for fewer pods."""
        self._floors: dict[str, Floor] = defaultdict(Floor)
        self._before: Counter[str] = Counter()
        """By uid, the sums that were there at the last look."""
        self._succeeded: dict[str, set[str]] = defaultdict(set)
        """Pods by their Job's uid that have been seen to succeed."""
        self._counted: dict[str, batch_v1.JobStatus] = {}

    async def run(self) -> None:
        self.sets.on_change(self._spec)
        self.deployments.on_change(self._spec)
        self.pods.on_change(self._pod)
        self._world.listeners.append(self._done)
        await tasks.run_all(self._truth.run(), self._watch())

    # --- what happens

    def _spec(self, old: Any, new: Any) -> None:
        if new is None:
            self._specs.pop(old.metadata.uid, None)
        else:
            if old is not None and (new.spec.replicas or 0) < (old.spec.replicas or 0):
                self._shrunk[new.metadata.uid] = self._world.clock.monotonic()
            self._specs[new.metadata.uid].setdefault(new.metadata.generation, (self._world.clock.monotonic(), new.spec))

    def _pod(self, old: core_v1.Pod | None, new: core_v1.Pod | None) -> None:
        if old is not None and new is None:
            self._ready_since.pop(name(old), None)
        elif new is not None and ready(new) and (ref := controller_of(new)) is not None:
            self._ready_since.setdefault(name(new), (ref.uid, self._world.clock.monotonic()))
        if new is None or (ref := controller_of(new)) is None or ref.kind != "Job":
            return
        if new.status.phase == "Succeeded":
            self._succeeded[ref.uid].add(new.metadata.uid)
        if old is None and (index := new.metadata.annotations.get(INDEX)) is not None:
            self._begun(new, ref, int(index))

    def _begun(self, pod: core_v1.Pod, ref: meta_v1.OwnerReference, index: int) -> None:
        """A pod of that index has been made."""
        job = self.jobs.get(pod.metadata.namespace, ref.name)
        if job is None or job.metadata.uid != ref.uid or self._cut_off[ref.uid]:
            return
        if index in _indexes(job.status.completed_indexes):
            self._world.broken(f"Job {name(job)}: {pod.metadata.name} was made for index {index}, which has succeeded")

    def _done(self, who: str, method: str, target: str, body: bytes, response: Response | None, heard: bool) -> None:
        path = target.partition("?")[0]
        if method == "POST" and path.endswith("/pods") and response is None:
            for ref in json.loads(body)["metadata"].get("ownerReferences", ()):
                self._cut_off[ref["uid"]] += 1
        parts = path.split("/")
        if response is None or response.status >= 300 or len(parts) < 7 or parts[5] != "pods":
            return
        pod = f"{parts[4]}/{parts[6]}"
        if method == "POST" and parts[7:] == ["eviction"]:
            self._evicted.add(pod)
        elif method == "DELETE" and who == MANAGER and not self._on_a_tainted_node(*pod.split("/")):
            self._deleted.add(pod)

    def _on_a_tainted_node(self, namespace: str, name: str) -> bool:
        """Whether its deletion is an eviction from a node that is lost, which is nobody's doing here."""
        pod = self.pods.get(namespace, name)
        node = self.nodes.get("", pod.spec.node_name) if pod is not None else None
        return node is None or any(taint.effect == "NoExecute" for taint in node.spec.taints)

    def _unheard(self, pod: str) -> bool:
        """Whether its ReplicaSet may have been asked to give it up by one who could not know yet that it was ready."""
        uid, since = self._ready_since.get(pod, ("", 0.0))
        faults = self._world.network.faults
        slow = (
            20 * faults.delay + (4 * faults.held_for if faults.held else 0) + (RECONNECT if faults.server_life else 0)
        )
        return uid in self._shrunk and since > self._shrunk[uid] - slow

    # --- what must not be

    async def _watch(self) -> None:
        while True:
            await self._truth.news.wait()
            await self._world.clock.sleep(INSTANT)
            self._truth.news.clear()
            self._look()
            await self._places()

    def _look(self) -> None:
        busy: Counter[str] = Counter()
        for pod in self.pods.items():
            if (ref := controller_of(pod)) is not None and active(pod):
                busy[ref.uid] += 1
        asked: Counter[str] = Counter()
        for rs in self.sets.items():
            self._replica_set(rs, busy[rs.metadata.uid])
            if (ref := controller_of(rs)) is not None:
                asked[ref.uid] += rs.spec.replicas or 0
        unseen: dict[str, float] = defaultdict(lambda: math.inf)
        for rs in self.sets.items():
            if (ref := controller_of(rs)) is not None:
                unseen[ref.uid] = min(unseen[ref.uid], self._unseen(rs))
        owners = {rs.metadata.uid: ref.uid for rs in self.sets.items() if (ref := controller_of(rs)) is not None}
        up: dict[str, set[str]] = defaultdict(set)
        for pod in self.pods.items():
            if (ref := controller_of(pod)) is not None and ref.uid in owners and ready(pod):
                up[owners[ref.uid]].add(name(pod))
        for deployment in self.deployments.items():
            uid = deployment.metadata.uid
            self._deployment(deployment, asked[uid], up[uid], unseen[uid])
        for budget in self.budgets.items():
            self._budget(budget)
        for job in self.jobs.items():
            self._job(job)
        self._deleted.clear()
        self._evicted.clear()

    def _grown(self, uid: str, now: int) -> bool:
        grown = now > self._before[uid]
        self._before[uid] = now
        return grown

    def _since_observed(self, obj: Any, since: float = math.inf) -> list[Any]:
        """The specs that controllers may still be acting on: from the last that they say they have seen, and those
        that were there since that time."""
        observed = obj.status.observed_generation or 0
        specs = sorted(self._specs[obj.metadata.uid].items())
        ends = [at for _, (at, _) in specs[1:]] + [math.inf]
        return [
            spec
            for (generation, (_, spec)), end in zip(specs, ends, strict=True)
            if generation >= observed or end > since
        ]

    def _unseen(self, rs: apps_v1.ReplicaSet) -> float:
        """Since when the set's controller has not told of what it is asked for."""
        specs, observed = self._specs[rs.metadata.uid], rs.status.observed_generation
        return min((at for generation, (at, _) in specs.items() if generation > observed), default=math.inf)

    def _replica_set(self, rs: apps_v1.ReplicaSet, busy: int) -> None:
        uid = rs.metadata.uid
        most = max((spec.replicas or 0 for spec in self._since_observed(rs)), default=0) + self._cut_off[uid]
        if self._grown(uid, busy) and busy > most:
            self._world.broken(f"ReplicaSet {name(rs)} has {busy} pods, {most} are the most it was asked for")

    def _deployment(self, d: apps_v1.Deployment, asked: int, up: set[str], unseen: float) -> None:
        rolling = [spec for spec in self._since_observed(d, unseen) if spec.strategy.type == "RollingUpdate"]
        grown = self._grown(d.metadata.uid, asked)
        deleted = {pod for pod in self._deleted if not self._unheard(pod)}
        taken = self._floors[d.metadata.uid].look(up, deleted, self._world.clock.monotonic())
        if not rolling or d.spec.strategy.type != "RollingUpdate" or d.metadata.deletion_timestamp is not None:
            return
        most = max((spec.replicas or 0) + _fence(spec)[0] for spec in rolling)
        if grown and asked > most:
            self._world.broken(f"Deployment {name(d)} asks for {asked} pods, {most} are the most it may")
        fewest = min((spec.replicas or 0) - _fence(spec)[1] for spec in rolling)
        others = self._floors[d.metadata.uid].others
        if taken and len(up) + others < fewest:
            words = f"{len(up)} pods are ready, {others} were lost to others, {fewest} are the fewest it may have"
            self._world.broken(f"Deployment {name(d)}: {words}, and {taken} were deleted just now")

    def _budget(self, budget: policy_v1.PodDisruptionBudget) -> None:
        selector = selectors.from_struct(budget.spec.selector)
        namespace = budget.metadata.namespace
        up = {name(p) for p in self.pods.items(namespace) if selector.matches(p.metadata.labels) and ready(p)}
        status = budget.status
        floor = self._floors[budget.metadata.uid]
        taken = floor.look(up, self._evicted, self._world.clock.monotonic())
        if taken and len(up) + floor.others < status.desired_healthy:
            words = f"{len(up)} pods are ready, {floor.others} were lost to others, {status.desired_healthy} stay"
            self._world.broken(f"PodDisruptionBudget {name(budget)}: {words}, and {taken} were evicted just now")

    def _job(self, job: batch_v1.Job) -> None:
        uid, status = job.metadata.uid, job.status
        before = self._counted.get(uid, status)
        self._counted[uid] = status
        if status.succeeded < before.succeeded or status.failed < before.failed:
            shown = f"{before.succeeded}, {before.failed} to {status.succeeded}, {status.failed}"
            self._world.broken(f"Job {name(job)}: the counts of succeeded and failed pods went from {shown}")
        listed = status.uncounted_terminated_pods
        counted = status.succeeded + (len(listed.succeeded) if listed is not None else 0)
        seen = len(self._succeeded[uid])
        if counted > seen:
            self._world.broken(f"Job {name(job)} counts {counted} successes, {seen} pods have succeeded")
        if job.spec.completion_mode == "Indexed" and len(_indexes(status.completed_indexes)) != status.succeeded:
            shown = f"{status.completed_indexes!r} are {status.succeeded}"
            self._world.broken(f"Job {name(job)}: its completed indexes {shown}")

    async def _places(self) -> None:
        """Where pods with an identity of their own run."""
        places: dict[str, set[str]] = defaultdict(set)
        for node, runtime in self._world.runtimes.items():
            for sandbox in await runtime.list_pod_sandbox():
                meta = sandbox.metadata
                pod = self.pods.get(meta.namespace, meta.name)
                ref = controller_of(pod) if pod is not None else None
                if sandbox.state == "ready" and ref is not None and ref.kind == "StatefulSet":
                    places[f"{meta.namespace}/{meta.name}"].add(f"{node} ({meta.uid})")
        for pod_name, where in places.items():
            if len(where) > 1:
                self._world.broken(f"pod {pod_name} runs in more than one place: {', '.join(sorted(where))}")


def _fence(spec: apps_v1.DeploymentSpec) -> tuple[int, int]:
    """maxSurge and maxUnavailable as numbers: percentages are rounded up and down, and both may not be none."""
    rolling = spec.strategy.rolling_update
    if rolling is None:
        return 0, 0
    total = spec.replicas or 0
    surge = _share(rolling.max_surge, total, math.ceil)
    unavailable = _share(rolling.max_unavailable, total, math.floor)
    return surge, 1 if surge == unavailable == 0 else min(unavailable, total)


def _share(value: int | str | None, total: int, rounded: Any) -> int:
    if isinstance(value, str):
        return int(rounded(int(value.removesuffix("%")) * total / 100))
    return value or 0


def _indexes(text: str) -> set[int]:
    """`0,2-4` → {0, 2, 3, 4}."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found
