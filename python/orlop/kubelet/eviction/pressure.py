"""From observations to node conditions, and to what must be reclaimed now."""

from collections.abc import Sequence

from orlop.kubelet.eviction import signals, thresholds as t
from orlop.kubelet.eviction.signals import Observations
from orlop.kubelet.eviction.thresholds import Threshold


class Pressure:
    """Since when each threshold is met, and when each condition was last seen. Times are monotonic seconds."""

    def __init__(self, thresholds: Sequence[Threshold], transition_period: float) -> None:
        self._thresholds = thresholds
        self._transition_period = transition_period
        self._met_since: dict[Threshold, float] = {}
        self._open: list[Threshold] = []
        """Acted upon, and not yet back above value and minimum reclaim."""
        self._last_seen: dict[str, float] = {}
        self.conditions: tuple[str, ...] = ()
        """What the node has: seen within the transition period."""

    def observe(self, seen: Observations, now: float) -> list[Threshold]:
        """The thresholds to act upon, most urgent first: met, for as long as their grace periods."""
        met = t.met(self._thresholds, seen)
        met += [one for one in t.met(self._open, seen, reclaimed=True) if one not in met]
        self._met_since = {one: self._met_since.get(one, now) for one in met}
        for one in met:
            self._last_seen[signals.CONDITION_OF[one.signal]] = now
        self.conditions = tuple(
            name for name, at in self._last_seen.items() if at == now or now - at < self._transition_period
        )
        self._open = [one for one, since in self._met_since.items() if now - since >= one.grace_period]
        return sorted(self._open, key=lambda one: signals.RESOURCE_OF[one.signal] != "memory")

    def is_relieved(self, seen: Observations) -> bool:
        """Whether enough has been reclaimed that no pod need go."""
        return not t.met(self._thresholds, seen, reclaimed=True)
