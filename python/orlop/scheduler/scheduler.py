"""The scheduler: watch → queue → core → assume → bind."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from orlop import logging
from orlop.api import errors
from orlop.api.types import core_v1, policy_v1
from orlop.client import Client, Head, Informer, LeaderElector, Recorder, Unreachable
from orlop.clock import Clock
from orlop.native import Decision, SchedulerCore
from orlop.scheduler import metrics
from orlop.scheduler.binder import Binder, Parts
from orlop.scheduler.config import LeaderElection, Settings, standard
from orlop.scheduler.cycle import Changed, Cycle, Others, Outcome, outcome_of
from orlop.scheduler.devices import DYNAMIC, AllocationFailed, DeviceBinder
from orlop.scheduler.events import ClusterEvent
from orlop.scheduler.explain.stamp import Stamper
from orlop.scheduler.extenders import Extender, ExtenderError
from orlop.scheduler.feed import Feed, Objects
from orlop.scheduler.gangs import Gang, Gangs, settle
from orlop.scheduler.hints import Hints
from orlop.scheduler.plugins import Loaded, PluginFailed, points
from orlop.scheduler.podvolumes import Nodes
from orlop.scheduler.preempt import Name, Preemptor
from orlop.scheduler.queue import Item, Key, Place, SchedulingQueue
from orlop.scheduler.report import PodHead, Reporter
from orlop.scheduler.volumebinding import NodeLabels, VolumeBinder
from orlop.tasks import Group, in_thread, run_all

MAX_BATCH = 256
"""Pods decided in one call of the core, so that what the API tells meanwhile is heard within some 25 ms (at 5,000
nodes and with every pod different)."""
INLINE_EVALUATIONS = 20_000
"""Pods × nodes up to which the core is called on the event loop: it takes less time (0.4 ms) than a busy thread's
turn."""
ASK_AGAIN = 1.0
"""Seconds until a server that did not answer is asked again whether it has a kind."""

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
        plugins: Mapping[str, Loaded] | None = None,
        seed: int | None = None,
        leader_elect: bool = False,
        identity: str = "",
    ) -> None:
        """`settings` are those of a KubeSchedulerConfiguration; without any there is upstream's default profile, in
        which all `plugins` are enabled.

        `seed` decides among equally good nodes; without one the clock's chance does. `identity` names this
        candidate for the lease (upstream: host name and a UUID); one is made up if empty."""
        self._client = client
        self._clock = clock
        settings = settings or Settings((standard(known=points(plugins or {})),))
        self.profiles = {profile.name: profile for profile in settings.profiles}
        self._names = list(self.profiles)
        self._election = settings.leader_election
        self._leader_elect = leader_elect
        self._identity = identity or f"orlop_{clock.uuid()}"
        seed = clock.random.getrandbits(64) if seed is None else seed
        self.core = SchedulerCore(seed, [profile.for_core() for profile in settings.profiles])
        hints = Hints(self.core, clock)
        self.queue = SchedulingQueue(clock, settings.initial_backoff, settings.max_backoff, hints)
        self._reporter = Reporter(client, clock, self._names)
        self._volumes = VolumeBinder(client, clock, self._storage_changed)
        self._devices = DeviceBinder(client, clock, self._devices_changed)
        self._nodes: Informer[NodeLabels] = Informer(client, NodeLabels)
        self._table = Nodes()
        self._nodes.on_change(self._node_changed)
        self._plugins = dict(plugins or {})
        self._extenders = [Extender(one) for one in settings.extenders]
        asked = bool(self._plugins or self._extenders)
        full = any(not e.settings.node_cache_capable for e in self._extenders)
        self._objects = Objects(pods=asked, nodes=full)
        others = Others(
            clock,
            self.profiles,
            self._plugins,
            self._extenders,
            self._volumes,
            self._devices,
            self._table,
            self._objects.get_pod,
            self._objects.get_node,
        )
        self._cycle = Cycle(self.core, others)
        self._stamper = Stamper("", [])
        self._gangs = Gangs(client, self._group_changed)
        self._feed = Feed(
            self.core,
            self.queue,
            self._volumes,
            self._devices,
            self._objects,
            self._gangs,
            self._reporter,
            clock,
            frozenset(self._names),
        )
        self._preemptor = Preemptor(client, clock, self._reporter)
        self._binder = Binder(
            Parts(
                client,
                clock,
                self.core,
                self.queue,
                self._reporter,
                self._volumes,
                self._devices,
                self.profiles,
                self._plugins,
                self._extenders,
            )
        )
        self._preemptions = Group(self._task_failed)
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
        binding = len(self._binder) + len(self._preemptions)
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
        metrics.watch(self._waiting, self._size)
        try:
            plain, held = self._binder.groups
            async with plain, held, self._preemptions:
                await self._binder.look()
                informers: list[Informer[Any]] = [nodes, namespaces, pods, budgets, *self._volumes.informers]
                optional = [
                    *self._volumes.optional_informers,
                    *self._devices.optional_informers,
                    *self._gangs.optional_informers,
                ]
                informers += await self._served(optional)
                self._stamper = Stamper(self._clock.uuid()[:8], informers)
                await run_all(
                    *(informer.run() for informer in informers),
                    self.queue.run(),
                    self._reporter.run(),
                    self._schedule(informers),
                )
        finally:
            self._ready.clear()
            for extender in self._extenders:
                await extender.close()

    async def _served(self, optional: Sequence[Informer[Any]]) -> list[Informer[Any]]:
        """Those of the informers whose kind the server has and shows: the others would wait for it for ever."""
        return [informer for informer in optional if await self._serves(informer)]

    async def _serves(self, informer: Informer[Any]) -> bool:
        while True:
            try:
                await self._client.list(informer.kind, limit=1)
            except (errors.NotFound, errors.Forbidden) as error:
                _log.info("goes on without", extra={"resource": informer.resource, "error": str(error)})
                return False
            except (errors.ApiError, Unreachable) as error:
                _log.warning("asks again", extra={"resource": informer.resource, "error": str(error)})
                await self._clock.sleep(ASK_AGAIN)
            else:
                return True

    async def _schedule(self, informers: Sequence[Informer[Any]]) -> None:
        # A choice made before all nodes and pods are known would be a wrong one.
        for informer in informers:
            await informer.synced()
        self._ready.set()
        while True:
            batch = await self.queue.pop(min(MAX_BATCH, await self._binder.room()))
            batch = self._with_gangs(batch)
            self._act(zip(batch, await self._decide(batch), strict=True))

    def _waiting(self, queue: metrics.Queue) -> float:
        return self.queue.counts()[Place(queue)]

    def _size(self, kind: str) -> float:
        nodes, pods, _ = self.core.stats()
        return {"nodes": nodes, "pods": pods, "bindings": self._binder.tasks}.get(kind, len(self._binder))

    def _node_changed(self, old: NodeLabels | None, new: NodeLabels | None) -> None:
        if new is not None:
            self._table.set(new.metadata.name, new.metadata.labels)
        elif old is not None:
            self._table.set(old.metadata.name, None)

    def _storage_changed(self, pods: Iterable[Key] | None) -> None:
        self.queue.happened(ClusterEvent.STORAGE, pods)

    def _devices_changed(self, pods: Iterable[Key] | None) -> None:
        self.queue.happened(ClusterEvent.DEVICES, pods)

    def _group_changed(self, members: Iterable[Key]) -> None:
        for key in members:
            if (item := self.queue.get(key)) is not None:
                gated = self._gangs.gated(key) or self._gangs.holds(key)
                self.queue.update(item, priority=item.priority, gated=gated, changed=False)
        self.queue.happened(ClusterEvent.POD_GROUP, members)

    def _with_gangs(self, batch: list[Item]) -> list[Item]:
        """The batch, with each gang whole and in one piece: all its pods that wait."""
        whole: dict[Key, Item] = {}
        for item in batch:
            gang = self._gangs.gang(item.key)
            there = [other for other in batch if gang is not None and other.key in gang.members]
            taken = self.queue.take(gang.members - {item.key for item in there} - whole.keys()) if gang else []
            whole |= {member.key: member for member in (item, *there, *taken)}
        return list(whole.values())

    async def _decide(self, batch: list[Item]) -> list[Outcome | Exception]:
        """In the order of the batch. A gang's pods are placed together or not at all."""
        outcomes: list[Outcome | Exception] = []
        for gang, items in groupby(batch, lambda item: self._gangs.gang(item.key)):
            members = list(items)
            found = await self._decide_each(members)
            outcomes += found if gang is None else self._settled(gang, members, found)
        return outcomes

    def _settled(self, gang: Gang, items: list[Item], outcomes: list[Outcome | Exception]) -> list[Outcome | Exception]:
        binding = sum(
            item.place is Place.IN_FLIGHT and item not in items
            for key in gang.members
            if (item := self.queue.get(key)) is not None
        )
        settled = settle(gang, outcomes, binding, len(self._table))
        for item, before, after in zip(items, outcomes, settled, strict=True):
            if isinstance(before, Outcome) and after is not before and before.node is not None:
                # Nobody has seen that it was placed: it was no event.
                self.core.forget(item.namespace, item.name, item.uid)
                self._binder.release(item, before)
        return settled

    async def _decide_each(self, batch: list[Item]) -> list[Outcome | Exception]:
        """In the order of the batch: pods that concern the core alone go to it together."""
        outcomes: list[Outcome | Exception] = []
        for with_others, items in groupby(batch, self._cycle.concerns):
            if not with_others:
                group = list(items)
                self._stamper.stamp(group)
                outcomes += map(outcome_of, await self._decide_plain([item.key for item in group]))
                continue
            for item in items:
                self._stamper.stamp([item])
                try:
                    outcomes.append(await self._cycle.decide(item))
                except (PluginFailed, ExtenderError, Changed) as error:
                    outcomes.append(error)
                except AllocationFailed as error:
                    outcomes.append(RuntimeError(f'running "{DYNAMIC}" filter plugin: {error}'))
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

    def _act(self, decided: Iterable[tuple[Item, Outcome | Exception]]) -> None:
        placed: list[tuple[Item, Outcome]] = []
        for item, outcome in decided:
            if isinstance(outcome, Exception):
                self._binder.fail(item, str(outcome))
            elif self.queue.get(item.key) is not item:
                # It was deleted (or made anew) while the core decided: what was assumed is not of this pod any more.
                self._binder.forget(item, outcome)
            elif not outcome.waiting:
                self.queue.done(item)
            elif outcome.node is not None:
                placed.append((item, outcome))
            else:
                self._refuse(item, outcome)
        self._binder.bind(placed)

    def _refuse(self, item: Item, outcome: Outcome) -> None:
        metrics.attempted("unschedulable", item.scheduler_name, self._clock.monotonic() - item.tried)
        decision = outcome.decision
        nominated, victims = None, []
        if decision is not None and decision.nodes:
            metrics.asked_preemption()
            nominated = "" if decision.helpless else decision.nominated
            victims = decision.victims
        if outcome.choice is not None:
            nominated, victims = outcome.choice
        self._reporter.failed(item, "Unschedulable", outcome.message, nominated)
        if decision is not None and nominated and (victims or decision.displaced):
            # It stays in flight until its victims are told to go: tried before, it would ask for others.
            displaced = decision.displaced if nominated == decision.nominated else []
            self._preemptions.start("preempt", self._preempt(item, outcome, nominated, victims, displaced))
        else:
            self.queue.refuse(item, outcome.plugins)

    async def _preempt(
        self, item: Item, outcome: Outcome, node: str, victims: list[Name], displaced: list[Name]
    ) -> None:
        try:
            await self._preemptor.preempt(item, node, victims, displaced)
        except errors.ApiError as error:
            _log.warning("error preempting; retrying", extra={"pod": "/".join(item.key), "error": str(error)})
            self.queue.fail(item)
        else:
            # Room that was made meanwhile counts as an event that it missed.
            self.queue.refuse(item, outcome.plugins)

    def _task_failed(self, name: str, error: BaseException) -> None:
        _log.error("task failed", extra={"task": name}, exc_info=error)
