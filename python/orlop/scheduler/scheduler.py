"""The scheduler: watch → queue → core → assume → bind."""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from orlop import logging
from orlop.api import errors
from orlop.api.types import core_v1, policy_v1
from orlop.client import Client, Head, Informer, LeaderElector, Recorder
from orlop.clock import Clock
from orlop.native import Decision, SchedulerCore
from orlop.scheduler import events, metrics
from orlop.scheduler.config import LeaderElection, Settings, standard
from orlop.scheduler.decide import Outcome, VolumeDecider, outcome_of
from orlop.scheduler.events import ClusterEvent
from orlop.scheduler.feed import Feed
from orlop.scheduler.podvolumes import BINDING, Nodes, PodVolumes
from orlop.scheduler.preempt import Preemptor
from orlop.scheduler.queue import Item, Key, Place, SchedulingQueue
from orlop.scheduler.report import PodHead, Reporter
from orlop.scheduler.volumebinding import BindingFailed, NodeLabels, Plan, VolumeBinder
from orlop.tasks import Group, in_thread, run_all

MAX_BATCH = 256
"""Pods decided in one call of the core, so that what the API tells meanwhile is heard within some 25 ms (at 5,000
nodes and with every pod different)."""
MAX_BINDINGS = 128
"""Bindings in flight at a time. Beyond it pods wait in the queue, where priorities still count."""
INLINE_EVALUATIONS = 20_000
"""Pods × nodes up to which the core is called on the event loop: it takes less time (0.4 ms) than a busy thread's
turn."""
NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"
"""Pods that have ended hold nothing on their nodes: they are not watched, as upstream."""

_log = logging.get("scheduler")


class NamespaceHead(Head):
    """What the scheduler's cache holds of a namespace; all else is in the core's table."""

    __kind__ = core_v1.Namespace


class BudgetHead(Head):
    """What the scheduler's cache holds of a PodDisruptionBudget; all else is in the core's table."""

    __kind__ = policy_v1.PodDisruptionBudget


class Scheduler:
    """Binds pods that have no node and name one of its profiles as their scheduler.

    Filters, scores and the words of events and conditions are those of Kubernetes 1.37; every node is looked at.
    Runs as identity system:kube-scheduler: it watches nodes, namespaces, pods and their disruption budgets, creates
    bindings and events, patches the status of pods, deletes pods of lower priority to make room for others and, with
    `leader_elect`, holds the Lease kube-system/kube-scheduler.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        settings: Settings | None = None,
        seed: int | None = None,
        leader_elect: bool = False,
        identity: str = "",
    ) -> None:
        """`settings` are those of a KubeSchedulerConfiguration; without any there is upstream's default profile.

        `seed` decides among equally good nodes; without one the clock's chance does. `identity` names this
        candidate for the lease (upstream: host name and a UUID); one is made up if empty."""
        self._client = client
        self._clock = clock
        settings = settings or Settings((standard(),))
        self.profiles = {profile.name: profile for profile in settings.profiles}
        self._names = list(self.profiles)
        self._election = settings.leader_election
        self._leader_elect = leader_elect
        self._identity = identity or f"orlop_{clock.uuid()}"
        seed = clock.random.getrandbits(64) if seed is None else seed
        self.core = SchedulerCore(seed, [profile.for_core() for profile in settings.profiles])
        self.queue = SchedulingQueue(clock, settings.initial_backoff, settings.max_backoff)
        self._reporter = Reporter(client, clock, self._names)
        self._volumes = VolumeBinder(client, clock, self._storage_changed)
        self._nodes: Informer[NodeLabels] = Informer(client, NodeLabels)
        self._table = Nodes()
        self._nodes.on_change(self._node_changed)
        self._decider = VolumeDecider(self.core, self._volumes, self._table)
        self._feed = Feed(self.core, self.queue, self._volumes, self._reporter, clock, frozenset(self._names))
        self._preemptor = Preemptor(client, clock, self._reporter)
        self._bindings = Group(self._task_failed)
        self._volume_bindings = Group(self._task_failed)
        """Pods whose volumes are being bound. How long that takes is up to others: no room of `_bindings` is theirs."""
        self._preemptions = Group(self._task_failed)
        self._room = asyncio.Event()
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Returns when the caches are filled and pods are scheduled (with leader election: when this one leads)."""
        await self._ready.wait()

    @property
    def idle(self) -> bool:
        """Nothing is to be tried now or being bound, and everything told is written. What backs off or waits for a
        change does not count, nor does what is on its way from the server."""
        counts = self.queue.counts()
        busy = counts[Place.ACTIVE] + counts[Place.IN_FLIGHT]
        binding = len(self._bindings) + len(self._volume_bindings) + len(self._preemptions)
        return self._ready.is_set() and busy == 0 and binding == 0 and self._reporter.idle

    async def run(self) -> None:
        """Runs until cancelled. Raises LeadershipLost when the lease is lost: end the process then."""
        if not self._leader_elect:
            await self._run()
            return
        recorder = Recorder(self._client, self._clock, self._names[0])
        elected = self._election or LeaderElection()
        elector = LeaderElector(
            self._client,
            elected.name,
            elected.namespace,
            self._identity,
            clock=self._clock,
            recorder=recorder,
            lease_duration=elected.lease_duration,
            renew_deadline=elected.renew_deadline,
            retry_period=elected.retry_period,
        )
        async with Group(self._task_failed) as group:
            group.start("leader events", recorder.run())
            await elector.run(self._run)

    async def _run(self) -> None:
        nodes = self._nodes
        namespaces = Informer(self._client, NamespaceHead)
        pods = Informer(self._client, PodHead, fields=NOT_ENDED)
        budgets = Informer(self._client, BudgetHead)
        nodes.add_raw_handler(self._feed.node)
        namespaces.add_raw_handler(self._feed.namespace)
        pods.add_raw_handler(self._feed.pod)
        budgets.add_raw_handler(self._feed.budget)
        try:
            async with self._bindings, self._volume_bindings, self._preemptions:
                informers: list[Informer[Any]] = [nodes, namespaces, pods, budgets, *self._volumes.informers]
                await run_all(
                    *(informer.run() for informer in informers),
                    self.queue.run(),
                    self._reporter.run(),
                    self._schedule(informers),
                )
        finally:
            self._ready.clear()

    async def _schedule(self, informers: Sequence[Informer[Any]]) -> None:
        # A choice made before all nodes and pods are known would be a wrong one.
        for informer in informers:
            await informer.synced()
        self._ready.set()
        while True:
            while len(self._bindings) >= MAX_BINDINGS:
                self._room.clear()
                await self._room.wait()
            batch = await self.queue.pop(min(MAX_BATCH, MAX_BINDINGS - len(self._bindings)))
            for item, outcome in zip(batch, await self._decide(batch), strict=True):
                self._act(item, outcome)

    def _node_changed(self, old: NodeLabels | None, new: NodeLabels | None) -> None:
        if new is not None:
            self._table.set(new.metadata.name, new.metadata.labels)
        elif old is not None:
            self._table.set(old.metadata.name, None)

    def _storage_changed(self, pods: Iterable[Key] | None) -> None:
        self.queue.happened(ClusterEvent.STORAGE, pods)

    async def _decide(self, batch: list[Item]) -> list[Outcome]:
        """In the order of the batch: pods between two with claims go to the core together."""
        outcomes: list[Outcome] = []
        for with_claims, items in groupby(batch, lambda item: self._volumes.waiting(item.key) is not None):
            keys = [item.key for item in items]
            if not with_claims:
                outcomes += map(outcome_of, await self._decide_plain(keys))
                continue
            for key in keys:
                waiting = self._volumes.waiting(key)  # it may be gone since
                outcomes.append(
                    outcome_of(self.core.schedule([key])[0]) if waiting is None else self._decider.decide(key, *waiting)
                )
        return outcomes

    async def _decide_plain(self, keys: list[Key]) -> list[Decision]:
        started = self._clock.monotonic()
        nodes, _, _ = self.core.stats()
        if len(keys) * nodes <= INLINE_EVALUATIONS:
            decisions = self.core.schedule(keys)
        else:
            decisions = await in_thread(None, self.core.schedule, keys)
        metrics.decided(self._clock.monotonic() - started, len(keys))
        return decisions

    def _act(self, item: Item, decision: Outcome) -> None:
        if self.queue.get(item.key) is not item:
            # It was deleted (or made anew) while the core decided: what was assumed is not of this pod any more.
            if decision.node is not None and self.core.forget(item.namespace, item.name, item.uid):
                self.queue.happened(ClusterEvent.ASSIGNED_POD_FREED)
            if decision.plan is not None:
                self._volumes.release(item.key, decision.plan)
        elif not decision.waiting:
            self.queue.done(item)
        elif decision.volumes is not None and decision.plan is not None:
            binding = self._bind_with_volumes(item, decision.volumes, decision.plan)
            self._volume_bindings.start("bind volumes", binding)
        elif decision.node is not None:
            self._bindings.start("bind", self._bind(item, decision.node))
        else:
            self._refuse(item, decision)

    def _refuse(self, item: Item, outcome: Outcome) -> None:
        metrics.attempted("unschedulable", item.scheduler_name)
        decision = outcome.decision
        nominated = None
        if decision is not None and decision.nodes:
            metrics.asked_preemption()
            nominated = "" if decision.helpless else decision.nominated
        self._reporter.failed(item, "Unschedulable", outcome.message, nominated)
        if decision is not None and (decision.victims or decision.displaced):
            # It stays in flight until its victims are told to go: tried before, it would ask for others.
            self._preemptions.start("preempt", self._preempt(item, outcome, decision))
        else:
            self.queue.refuse(item, events.helped_by(outcome.plugins))

    async def _preempt(self, item: Item, outcome: Outcome, decision: Decision) -> None:
        try:
            await self._preemptor.preempt(item, decision)
        except errors.ApiError as error:
            _log.warning("error preempting; retrying", extra={"pod": "/".join(item.key), "error": str(error)})
            self.queue.fail(item)
        else:
            # Room that was made meanwhile counts as an event that it missed.
            self.queue.refuse(item, events.helped_by(outcome.plugins))

    async def _bind_with_volumes(self, item: Item, pod: PodVolumes, plan: Plan) -> None:
        """Upstream's PreBind, then the binding."""
        bound = False
        try:
            await self._volumes.bind(pod, plan, lambda: self.queue.get(item.key) is item)
            bound = await self._bind(item, plan.node)
        except (BindingFailed, errors.ApiError) as error:
            if self.core.forget(item.namespace, item.name, item.uid):
                self.queue.happened(ClusterEvent.ASSIGNED_POD_FREED)
            if self.queue.get(item.key) is item:
                metrics.attempted("error", item.scheduler_name)
                self.queue.fail(item)
                message = f'running PreBind plugin "{BINDING}": binding volumes: {error}'
                _log.warning("error binding volumes; retrying", extra={"pod": "/".join(item.key), "error": str(error)})
                self._reporter.failed(item, "SchedulerError", message)
        finally:
            if not bound:
                self._volumes.release(item.key, plan)

    async def _bind(self, item: Item, node: str) -> bool:
        """Whether it is bound."""
        try:
            await self._client.bind(item.namespace, item.name, node, uid=item.uid)
        except errors.ApiError as error:
            if self.core.forget(item.namespace, item.name, item.uid):
                self.queue.happened(ClusterEvent.ASSIGNED_POD_FREED)
            if self.queue.get(item.key) is not item:
                return False  # gone, or bound by somebody else, as the API has told meanwhile
            metrics.attempted("error", item.scheduler_name)
            self.queue.fail(item)
            if not isinstance(error, errors.NotFound):
                message = f'running Bind plugin "DefaultBinder": {error}'
                _log.error("error scheduling pod; retrying", extra={"pod": "/".join(item.key), "error": str(error)})
                self._reporter.failed(item, "SchedulerError", message)
            return False
        else:
            self.queue.done(item)
            self._reporter.scheduled(item, node)
            metrics.attempted("scheduled", item.scheduler_name)
            metrics.scheduled(self._clock.monotonic() - item.created, item.attempts)
            return True
        finally:
            self._room.set()

    def _task_failed(self, name: str, error: BaseException) -> None:
        _log.error("task failed", extra={"task": name}, exc_info=error)
