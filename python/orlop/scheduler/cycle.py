"""Decides for pods in whose placement others than the core have a say: claims, Python plug-ins, extenders."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from orlop.api.types import resource_v1
from orlop.clock import Clock
from orlop.native import Columns, Decision, SchedulerCore
from orlop.scheduler import metrics, volumevotes
from orlop.scheduler.config import Profile
from orlop.scheduler.devices import DYNAMIC, DeviceBinder, DevicePlan, PodClaims
from orlop.scheduler.extenders import Extender, ExtenderError
from orlop.scheduler.plugins import Loaded, Nodes as PluginNodes, Pod
from orlop.scheduler.podvolumes import Nodes, PodVolumes, Unfit
from orlop.scheduler.queue import Item
from orlop.scheduler.volumebinding import Plan, VolumeBinder
from orlop.scheduler.votes import MAX_SCORE, NEVER, NOT_HELPFUL, Tally, Vote, unavailable

MAX_TRIES = 16
"""Times that a decision starts anew because nodes came or went while others were asked; then it backs off."""


class Outcome(NamedTuple):
    """What was decided for one pod. `Decision` has the words for the first four."""

    waiting: bool
    node: str | None
    message: str
    plugins: list[str]
    volumes: PodVolumes | None = None
    """The pod's claims, where it has some."""
    plan: Plan | None = None
    """What is to be written of them before the pod is bound."""
    devices: DevicePlan | None = None
    """The same of its claims for devices."""
    decision: Decision | None = None
    """What the core said, preemption included; None where it was not asked."""
    pod: Pod | None = None
    """The pod as plug-ins and extenders see it, where they have a say."""
    choice: tuple[str, list[tuple[str, str, str]]] | None = None
    """Where an extender has a say in preemption: the node that is left, "" for none, and the victims there."""


class Others(NamedTuple):
    """Those who have a say beside the core."""

    clock: Clock
    profiles: Mapping[str, Profile]
    plugins: Mapping[str, Loaded]
    extenders: Sequence[Extender]
    volumes: VolumeBinder
    devices: DeviceBinder
    nodes: Nodes
    pod: Callable[[tuple[str, str]], bytes | None]
    """A pod as the API served it."""
    node: Callable[[str], bytes | None]
    """A node as the API served it."""


def outcome_of(decision: Decision) -> Outcome:
    """The outcome where the core decides alone."""
    return Outcome(decision.waiting, decision.node, decision.message, decision.plugins, decision=decision)


class Changed(Exception):
    """Nodes came or went too often while others were asked."""


class Cycle:
    """Decides one pod at a time: each may take away what the next one wants."""

    def __init__(self, core: SchedulerCore, others: Others) -> None:
        self._core = core
        self._others = others

    def concerns(self, item: Item) -> bool:
        """Whether others have a say about this pod."""
        others = self._others
        if others.volumes.waiting(item.key) is not None or others.extenders:
            return True
        if others.devices.waiting(item.key) is not None:
            return True
        return bool(others.plugins) and any(
            plugin in others.plugins
            for point in ("filter", "score", "reserve", "permit", "preBind", "postBind")
            for plugin in others.profiles[item.scheduler_name].points[point]
        )

    async def decide(self, item: Item) -> Outcome:
        """Decides; claims are reserved. Raises PluginFailed, AllocationFailed, ExtenderError, Changed."""
        for _ in range(MAX_TRIES):
            outcome = await self._try(item)
            if outcome is not None:
                return outcome
        raise Changed("nodes came or went too often while others were asked")

    async def _try(self, item: Item) -> Outcome | None:
        """None: the nodes changed meanwhile."""
        others, core = self._others, self._core
        profile = others.profiles[item.scheduler_name]
        waiting = others.volumes.waiting(item.key)
        volumes = waiting[0] if waiting is not None else None
        filtered = core.filtered(*item.key)
        if filtered is None or not len(others.nodes):
            return outcome_of(core.schedule([item.key])[0])
        columns = core.columns()
        tally = Tally(filtered, columns.names, profile.points["filter"])
        if volumes is not None:
            try:
                tally.add(volumevotes.votes(others.volumes, item.key, volumes, others.nodes, profile.points["filter"]))
            except Unfit as unfit:
                return self._unfit(volumes, unfit)
        devices = others.devices.waiting(item.key) if DYNAMIC in profile.points["filter"] else None
        asked_for: list[resource_v1.ResourceClaim] = []
        scores: dict[str, int] = {}
        if devices is not None:
            try:
                asked_for = others.devices.wanted(devices)
            except Unfit as unfit:
                return self._unfit(devices, unfit)
            vote, scores = others.devices.vote(asked_for, others.nodes, tally.feasible_names)
            tally.add([vote])
        value = others.pod(item.key)
        pod = Pod(item.namespace, item.name, item.uid, value) if value is not None else None
        extra: list[int] = []
        asked: list[Extender] = []
        if pod is not None:
            self._ask_plugins(profile, pod, columns, tally)
            asked = [extender for extender in others.extenders if extender.interested(pod.object)]
            await self._ask_extenders(asked, pod, tally)
            extra = await self._scores(profile, asked, pod, columns, tally)
        extra = self._with_devices(profile, tally, columns.names, scores, extra)
        if not tally.feasible:
            tally.settle()
        decision = core.place(*item.key, filtered.layout, bytes(tally.allowed), extra)
        if decision is None:
            return None
        if not decision.waiting:
            return outcome_of(decision)
        if decision.node is None:
            message, plugins = tally.refusal(decision, decision.preemption == NEVER)
            refused = Outcome(True, None, message, plugins, volumes, decision=decision, pod=pod)
            if devices is not None:
                await others.devices.deallocate(devices, asked_for, others.nodes)
            return await self._preempting(item, refused, asked, tally)
        plan = None
        if volumes is not None:
            claims = others.volumes.known(volumes)
            choice = others.volumes.choose(claims, decision.node, others.nodes.labels[decision.node])
            plan = others.volumes.reserve(item.key, decision.node, choice)
        found = None
        if devices is not None:
            found = others.devices.reserve(devices, asked_for, decision.node, others.nodes.labels[decision.node])
            if found is None:
                # They went while others were asked.
                core.forget(item.namespace, item.name, item.uid)
                if plan is not None:
                    others.volumes.release(item.key, plan)
                return None
        return Outcome(True, decision.node, "", [], volumes, plan, found, decision, pod)

    def _unfit(self, pod: PodVolumes | PodClaims, unfit: Unfit) -> Outcome:
        count = len(self._others.nodes)
        preemption = NEVER if pod.never_preempts else unavailable(count, {NOT_HELPFUL: count})
        message = f"0/{count} nodes are available: {unfit}. preemption: {preemption}"
        return Outcome(True, None, message, [unfit.plugin])

    @staticmethod
    def _with_devices(
        profile: Profile, tally: Tally, names: Sequence[str], scores: Mapping[str, int], extra: list[int]
    ) -> list[int]:
        """Adds how early the alternatives stand that each node's devices are of, the best node's being 100."""
        best = max(scores.values(), default=0)
        if not best or DYNAMIC not in profile.points["score"]:
            return extra
        extra = extra or [0] * len(tally.allowed)
        for slot in tally.feasible:
            extra[slot] += profile.weights[DYNAMIC] * (MAX_SCORE * scores.get(names[slot], 0) // best)
        return extra

    # --- plug-ins

    def _ask_plugins(self, profile: Profile, pod: Pod, columns: Columns, tally: Tally) -> None:
        for name in profile.points["filter"]:
            loaded = self._others.plugins.get(name)
            if loaded is None:
                continue
            with metrics.plugin(self._others.clock, name, "Filter", profile.name):
                found = loaded.filter(pod, self._view(columns, tally))
            if found is not None:
                values, reason = found
                index = {node: value for node, value in zip(columns.names, values, strict=True) if node}
                tally.add([Vote(name, lambda node, i=index, r=reason: [] if i[node] else [r])])  # type: ignore[misc]

    def _view(self, columns: Columns, tally: Tally) -> PluginNodes:
        feasible = bytearray(len(tally.allowed))
        for slot in tally.feasible:
            feasible[slot] = 1
        return PluginNodes(columns, self._others.nodes.labels, bytes(feasible))

    async def _scores(
        self, profile: Profile, asked: Sequence[Extender], pod: Pod, columns: Columns, tally: Tally
    ) -> list[int]:
        """What is added to the total of each slot."""
        feasible = tally.feasible
        extra = [0] * len(tally.allowed)
        if len(feasible) < 2:
            return []  # there is nothing to choose
        for name in profile.points["score"]:
            loaded = self._others.plugins.get(name)
            if loaded is None:
                continue
            with metrics.plugin(self._others.clock, name, "Score", profile.name):
                scores = loaded.score(pod, self._view(columns, tally))
            if scores is not None:
                weight = profile.weights[name]
                extra = [total + weight * score for total, score in zip(extra, scores, strict=True)]
        names = [columns.names[slot] for slot in feasible]
        for extender in asked:
            if not extender.settings.prioritize_verb:
                continue
            try:
                added = await extender.prioritize(pod.object, names, self._others.node)
            except ExtenderError:
                continue  # as upstream: its opinion is left out
            for slot in feasible:
                extra[slot] += added.get(columns.names[slot], 0)
        return extra if any(extra) else []

    # --- extenders

    async def _ask_extenders(self, asked: Sequence[Extender], pod: Pod, tally: Tally) -> None:
        for extender in asked:
            names = tally.feasible_names
            if not extender.settings.filter_verb or not names:
                continue
            try:
                found = await extender.filter(pod.object, names, self._others.node)
            except ExtenderError:
                if extender.ignorable:
                    continue
                raise
            # Those that were refused before are not asked about, so they are none of its business.
            gone = frozenset(names) - found.kept
            said = {**found.failed, **found.unresolvable}

            def reasons(node: str, gone: frozenset[str] = gone, said: Mapping[str, str] = said) -> list[str]:
                return [said[node]] if node in said and node in gone else [""] if node in gone else []

            resolvable = not found.unresolvable
            tally.add([Vote(extender.name, reasons, resolvable=resolvable)])

    async def _preempting(self, item: Item, refused: Outcome, asked: Sequence[Extender], tally: Tally) -> Outcome:
        """Asks extenders about what preemption would do."""
        decision, pod = refused.decision, refused.pod
        preempting = [extender for extender in asked if extender.settings.preempt_verb]
        if decision is None or pod is None or decision.nominated is None or not preempting:
            return refused
        found = self._core.candidates(*item.key, bytes(tally.allowed))
        candidates = {node: (victims, violations) for node, victims, violations in found}
        for extender in preempting:
            try:
                left = await extender.preempt(pod.object, candidates, self._victim)
            except ExtenderError:
                if extender.ignorable:
                    continue
                self._core.nominate(*item.key, None)
                raise
            candidates = {
                node: ([v for v in candidates[node][0] if v[2] in uids], violations)
                for node, (uids, violations) in left.items()
            }
        node = next((name for name, _, _ in found if name in candidates), "")
        self._core.nominate(*item.key, node or None)
        return refused._replace(choice=(node, candidates[node][0] if node else []))

    def _victim(self, key: tuple[str, str]) -> Mapping[str, object] | None:
        value = self._others.pod(key)
        return Pod(*key, "", value).object if value is not None else None
