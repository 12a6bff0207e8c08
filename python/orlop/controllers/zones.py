"""How fast the nodes of a zone may be emptied: slowly when most of it is gone, for then the network may be at fault.

Upstream: pkg/controller/nodelifecycle, ComputeZoneState and the rate-limited taint queues.
"""

from orlop.api.types import core_v1

EVICTION_RATE = 0.1
"""Nodes a second (upstream: --node-eviction-rate)."""
SECONDARY_EVICTION_RATE = 0.01
"""Nodes a second in a large zone that is mostly gone (upstream: --secondary-node-eviction-rate)."""
UNHEALTHY_THRESHOLD = 0.55
"""Share of lost nodes from which a zone counts as mostly gone (upstream: --unhealthy-zone-threshold)."""
LARGE_ZONE = 50
"""More nodes than this make a zone large: a small one is not emptied at all when mostly gone."""

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"

RECHECK = 10.0
"""Seconds until a node that may not be emptied now is looked at again."""


class Zones:
    """Knows which nodes are lost, zone by zone, and gives turns."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[str, bool]] = {}
        self._next_turn: dict[str, float] = {}
        self._had_turn: set[str] = set()

    def forget(self, node: str) -> None:
        """The node is gone."""
        self._nodes.pop(node, None)
        self._had_turn.discard(node)

    def seen(self, node: core_v1.Node, ready: str, now: float) -> float:
        """Takes in the node's state. Seconds until it may be emptied; zero: now (or there is no need)."""
        name = node.metadata.name
        zone = f"{node.metadata.labels.get(REGION_LABEL, '')}:{node.metadata.labels.get(ZONE_LABEL, '')}"
        self._nodes[name] = (zone, ready == "True")
        if ready == "True":
            self._had_turn.discard(name)
            return 0.0
        if name in self._had_turn:
            return 0.0
        rate = self._rate(zone)
        if rate == 0:
            return RECHECK
        turn = self._next_turn.get(zone, 0.0)
        if turn > now:
            return turn - now
        self._next_turn[zone] = now + 1 / rate
        self._had_turn.add(name)
        return 0.0

    def _rate(self, zone: str) -> float:
        if not any(ready for _, ready in self._nodes.values()):
            # Not one node of the cluster is heard: it is rather us who are cut off.
            return 0.0
        states = [ready for z, ready in self._nodes.values() if z == zone]
        lost = states.count(False)
        if not any(states):
            # The whole zone is gone, others are not: its pods must move, at the ordinary rate.
            return EVICTION_RATE
        if lost > 2 and lost / len(states) >= UNHEALTHY_THRESHOLD:
            return SECONDARY_EVICTION_RATE if len(states) > LARGE_ZONE else 0.0
        return EVICTION_RATE
