"""How fast the nodes of a zone may be emptied: slowly when most of it is gone, for then the network may be at fault.

Upstream: pkg/controller/nodelifecycle, ComputeZoneState, handleDisruption and the rate-limited taint queues.
"""

from collections import Counter
from dataclasses import dataclass

from orlop.api.types import core_v1

EVICTION_RATE = 0.1
"""Nodes a second (upstream: --node-eviction-rate)."""
SECONDARY_EVICTION_RATE = 0.01
"""Nodes a second in a large zone that is mostly gone (upstream: --secondary-node-eviction-rate)."""
UNHEALTHY_THRESHOLD = 0.55
"""Share of lost nodes from which a zone counts as mostly gone (upstream: --unhealthy-zone-threshold)."""
LARGE_ZONE = 50
"""More nodes than this make a zone large (upstream: --large-cluster-size-threshold); a small one is not emptied at all
when mostly gone."""
FEW = 2
"""So many lost nodes are never mostly gone, whatever the share (upstream, ComputeZoneState)."""

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
EXCLUDED_LABEL = "node.kubernetes.io/exclude-disruption"
"""A node with this label does not count when zones are judged."""


def zone_of(node: core_v1.Node) -> str:
    """Region and zone of a node."""
    labels = node.metadata.labels
    return f"{labels.get(REGION_LABEL, '')}:{labels.get(ZONE_LABEL, '')}"


@dataclass(frozen=True)
class _State:
    zone: str
    ready: bool
    counted: bool


class Zones:
    """Knows which nodes are lost, zone by zone, and gives turns."""

    def __init__(self) -> None:
        self._nodes: dict[str, _State] = {}
        self._rates: dict[str, float] = {}
        self._last_turn: dict[str, float] = {}
        self._had_turn: set[str] = set()
        self.halted = False
        """Not one node of the cluster is heard: it is rather the control plane that is cut off. Nothing is emptied."""

    def observe(self, node: core_v1.Node, ready: bool) -> list[str]:
        """Takes in a node's state. The nodes to look at again, as their turn may have come (or gone)."""
        name = node.metadata.name
        state = _State(zone_of(node), ready, EXCLUDED_LABEL not in node.metadata.labels)
        if ready:
            self._had_turn.discard(name)
        if self._nodes.get(name) == state:
            return []
        self._nodes[name] = state
        return self._judge()

    def forget(self, node: str) -> list[str]:
        """The node is gone. As `observe`."""
        self._had_turn.discard(node)
        return self._judge() if self._nodes.pop(node, None) is not None else []

    def had_turn(self, node: str) -> None:
        """The node is being emptied already, since before this process began."""
        self._had_turn.add(node)

    def wait(self, node: str, now: float) -> float | None:
        """Takes a turn for a lost node: seconds until it comes, 0 if it may be emptied now, None while none may."""
        if self.halted:
            return None
        if node in self._had_turn:
            return 0.0
        zone = self._nodes[node].zone
        rate = self._rates.get(zone, EVICTION_RATE)
        if rate == 0:
            return None
        last = self._last_turn.get(zone)
        if last is not None and last + 1 / rate > now:
            return last + 1 / rate - now
        self._last_turn[zone] = now
        self._had_turn.add(node)
        return 0.0

    def _judge(self) -> list[str]:
        """Computes the rates anew; the lost nodes of zones for which they are different, all nodes if it halts."""
        totals, lost = Counter[str](), Counter[str]()
        for state in self._nodes.values():
            if state.counted:
                totals[state.zone] += 1
                lost[state.zone] += not state.ready
        before, was_halted = self._rates, self.halted
        self._rates = {zone: eviction_rate(lost[zone], total) for zone, total in totals.items()}
        self.halted = bool(totals) and all(lost[zone] == total for zone, total in totals.items())
        if self.halted != was_halted:
            if self.halted:
                self._had_turn.clear()  # what is emptied again later takes its turn again
            return list(self._nodes)
        return [
            name
            for name, state in self._nodes.items()
            if not state.ready and before.get(state.zone) != self._rates.get(state.zone)
        ]


def eviction_rate(lost: int, total: int) -> float:
    """Nodes a second that may be emptied in a zone where `lost` of `total` nodes are not ready."""
    if lost == total:
        # The whole zone is gone while others are there: its pods must move, at the ordinary rate.
        return EVICTION_RATE
    if lost > FEW and lost / total >= UNHEALTHY_THRESHOLD:
        return SECONDARY_EVICTION_RATE if total > LARGE_ZONE else 0.0
    return EVICTION_RATE
