"""What filters outside the core say of the nodes for one pod, and what comes of it together with the core's own."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from orlop.native import Decision, Filtered

ALLOWED, REFUSED, REFUSED_BOTH = 1, 0, 2
"""As `SchedulerCore.place` takes them."""
NONE, ABSENT = 255, 254
"""As `Filtered.refused_by` has them."""

MAX_SCORE = 100
"""Of a plug-in for a node, before its weight (upstream: MaxNodeScore)."""
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."


@dataclass(frozen=True)
class Vote:
    """One filter's word on all nodes."""

    plugin: str
    reasons: Callable[[str], Sequence[str]]
    """Why it refuses a node, by the node's name; empty where it does not."""
    only: Collection[str] | None = None
    """The nodes that it allows at most, where that is known without asking for each."""
    resolvable: bool = False
    """Whether pods that left the node could change it."""


class Tally:
    """The votes on the slots of the core."""

    def __init__(self, filtered: Filtered, names: Sequence[str], order: Sequence[str]) -> None:
        """`names` are the nodes by slot, `order` the filters of the profile."""
        self._names = names
        self._by_core = filtered.refused_by
        self._filters = filtered.filters
        self._position = {plugin: index for index, plugin in enumerate(order)}
        self._votes: list[Vote] = []
        self._why: dict[int, Vote] = {}
        """By slot, the first vote against it in the order of the profile."""
        self.allowed = bytearray(b"\x01") * len(names)

    @property
    def feasible(self) -> list[int]:
        """The slots that neither the core nor a vote refuses."""
        return [
            s for s, (core, said) in enumerate(zip(self._by_core, self.allowed, strict=True)) if core == NONE and said
        ]

    @property
    def feasible_names(self) -> list[str]:
        return [self._names[slot] for slot in self.feasible]

    @property
    def nodes(self) -> int:
        return len(self._by_core) - self._by_core.count(ABSENT)

    def add(self, votes: Iterable[Vote]) -> None:
        """Counts votes; those of earlier filters of the profile come before those of later ones."""
        for vote in votes:
            position = self._position.get(vote.plugin, len(self._position))
            only = None if vote.only is None else frozenset(vote.only)
            for slot, name in enumerate(self._names):
                if not name or ((before := self._why.get(slot)) is not None and self._before(before, position)):
                    continue
                if (only is not None and name not in only) or (only is None and vote.reasons(name)):
                    self.allowed[slot] = REFUSED
                    self._why[slot] = vote

    def _before(self, vote: Vote, position: int) -> bool:
        return self._position.get(vote.plugin, len(self._position)) <= position

    def settle(self) -> None:
        """Leaves the reason to the core where its filter comes first; needed only where no node is feasible."""
        for slot, vote in self._why.items():
            by = self._by_core[slot]
            if by < ABSENT and self._before(vote, self._position.get(self._filters[by], 0)) is False:
                self.allowed[slot] = REFUSED_BOTH

    def refusal(self, decision: Decision, never: bool) -> tuple[str, list[str]]:
        """The message of a refusal, and the plug-ins behind it."""
        reasons: Counter[str] = Counter(dict(decision.reasons))
        plugins = set(decision.plugins)
        counted = [(slot, vote) for slot, vote in self._why.items() if self.allowed[slot] == REFUSED]
        for slot, vote in counted:
            plugins.add(vote.plugin)
            reasons.update(filter(None, vote.reasons(self._names[slot])))
        message = unavailable(self.nodes, reasons)
        preemption = decision.preemption
        if counted and decision.helpless and not never and len(counted) == self.nodes:
            victims = sum(vote.resolvable for _, vote in counted)
            told = Counter({NO_VICTIMS: victims, NOT_HELPFUL: self.nodes - victims})
            preemption = unavailable(self.nodes, +told)
        return message + (f" preemption: {preemption}" if preemption else ""), sorted(plugins)


def unavailable(nodes: int, reasons: Mapping[str, int]) -> str:
    """As upstream's FitError has it."""
    return f"0/{nodes} nodes are available: {', '.join(sorted(f'{n} {why}' for why, n in reasons.items()))}."
