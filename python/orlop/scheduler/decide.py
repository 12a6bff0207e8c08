"""Decides for a batch of pods: the core alone for those without claims, the core and `volumebinding` for the others."""

from collections import Counter
from typing import NamedTuple

from orlop.native import Decision, SchedulerCore
from orlop.scheduler.podvolumes import BINDING, ONE_POD, RESTRICTIONS, Allowed, Nodes, PodVolumes, Unfit, narrow
from orlop.scheduler.queue import Key
from orlop.scheduler.volumebinding import Plan, VolumeBinder

LATER_FILTERS = frozenset({"PodTopologySpread", "InterPodAffinity"})
"""Filters of the core that upstream runs after those of volumes: where both refuse, the volumes' reason is told."""
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."


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
    decision: Decision | None = None
    """What the core said, preemption included; None where it was not asked."""


def outcome_of(decision: Decision) -> Outcome:
    """The outcome of a pod without claims."""
    return Outcome(decision.waiting, decision.node, decision.message, decision.plugins, decision=decision)


class VolumeDecider:
    """Decides for pods with claims, one at a time: each takes away volumes that the next may want."""

    def __init__(self, core: SchedulerCore, volumes: VolumeBinder, nodes: Nodes) -> None:
        """`nodes` is kept up to date by its owner."""
        self._core = core
        self._volumes = volumes
        self._nodes = nodes

    def decide(self, key: Key, pod: PodVolumes, value: bytes) -> Outcome:
        """Decides for the waiting pod, whose JSON is `value`; what is chosen is reserved."""
        nodes = self._nodes
        if not len(nodes):
            return outcome_of(self._core.schedule([key])[0])
        try:
            claims = self._volumes.wanted(pod)
        except Unfit as unfit:
            preemption = NEVER if pod.never_preempts else _unavailable(len(nodes), Counter({NOT_HELPFUL: len(nodes)}))
            message = f"0/{len(nodes)} nodes are available: {unfit}. preemption: {preemption}"
            return Outcome(True, None, message, [unfit.plugin], pod)
        if self._volumes.is_taken(key, claims):
            plugin, allowed = RESTRICTIONS, Allowed([], lambda _: [ONE_POD])
        else:
            plugin, allowed = BINDING, self._volumes.allowed(claims, nodes)
        decision = self._ask(key, value, allowed.names)
        if decision is not None and not decision.waiting:
            return outcome_of(decision)
        if decision is None or decision.node is None:
            return self._refusal(pod, value, plugin, allowed, decision)
        choice = self._volumes.choose(claims, decision.node, nodes.labels[decision.node])
        plan = self._volumes.reserve(key, decision.node, choice)
        return Outcome(True, decision.node, "", [], pod, plan)

    def _ask(self, key: Key, value: bytes, allowed: list[str] | None) -> Decision | None:
        """What the core says of the allowed nodes (None: all); None where there is none."""
        if allowed is None or len(allowed) == len(self._nodes):
            return self._core.schedule([key])[0]
        if not allowed:
            return None
        refused = None
        if len(allowed) > len(self._nodes) // 2:
            refused = list(self._nodes.labels.keys() - allowed)
        self._core.upsert_pod(narrow(value, allowed, refused))
        try:
            return self._core.schedule([key])[0]
        finally:
            # What the API tells of the pod next must not look like a change of what it asks for.
            self._core.upsert_pod(value)

    def _refusal(
        self, pod: PodVolumes, value: bytes, plugin: str, allowed: Allowed, decision: Decision | None
    ) -> Outcome:
        reasons: Counter[str] = Counter()
        plugins = set()
        explained = self._core.explain(value)
        for name, filter_, words, _, _ in explained:
            if (filter_ is None or filter_ in LATER_FILTERS) and (why := allowed.reasons(name)):
                filter_, words = plugin, why
            if filter_ is not None:
                plugins.add(filter_)
                reasons.update(words)
        count = len(explained)
        message = _unavailable(count, reasons)
        if decision is not None:
            _, found, preemption = decision.message.partition(" preemption: ")
            message += f"{found}{preemption}"
        elif pod.never_preempts:
            message += f" preemption: {NEVER}"
        else:
            helpless = NO_VICTIMS if plugin == RESTRICTIONS else NOT_HELPFUL
            message += f" preemption: {_unavailable(count, Counter({helpless: count}))}"
        return Outcome(True, None, message, sorted(plugins), pod, decision=decision)


def _unavailable(nodes: int, reasons: "Counter[str]") -> str:
    """As upstream's FitError has it."""
    return f"0/{nodes} nodes are available: {', '.join(sorted(f'{n} {why}' for why, n in reasons.items()))}."
