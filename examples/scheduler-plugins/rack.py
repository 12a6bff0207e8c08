"""A plug-in for orlop's scheduler: pods of one team share few racks, and never a rack that is under maintenance."""

from typing import Any

from orlop.scheduler.plugins import Nodes, Pod, Refused

RACK = "example.com/rack"
TEAM = "example.com/team"


class Racks:
    """Enabled by `orlop scheduler --kubeconfig FILE --plugin rack:Racks`, or in a profile under its name."""

    name = "Racks"
    normalize = True  # the scores below are counts: the highest becomes 100, the others in proportion

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.teams: dict[tuple[str, str], int] = {}
        """How many pods of a team are in a rack."""

    def filter(self, pod: Pod, nodes: Nodes) -> Any:
        """A value for each node, and the reason for those that are not allowed."""
        racks = nodes.label(RACK)
        return [rack not in self.closed for rack in racks], "node(s) were in a rack under maintenance"

    def score(self, pod: Pod, nodes: Nodes) -> Any:
        """The racks where the team is already; among those, the nodes with the most CPU left."""
        team = pod.labels.get(TEAM)
        if team is None:
            return None
        there = [self.teams.get((team, rack or ""), 0) for rack in nodes.label(RACK)]
        # Columns are read without a copy; numpy.asarray(...) does as well as memoryview(...).
        allocatable, requested = memoryview(nodes.allocatable("cpu")), memoryview(nodes.requested("cpu"))
        free = [(a - r) / a if a else 0 for a, r in zip(allocatable, requested, strict=True)]
        return [100 * count + 99 * share for count, share in zip(there, free, strict=True)]

    def permit(self, pod: Pod, node: str) -> None:
        """Refuses a pod that names a ticket which is not approved. A coroutine may wait here instead."""
        if pod.annotations.get("example.com/ticket") == "rejected":
            raise Refused("its ticket was rejected")

    def post_bind(self, pod: Pod, node: str) -> None:
        """The pod is bound."""
        if team := pod.labels.get(TEAM):
            rack = node.split("-")[0]
            self.teams[team, rack] = self.teams.get((team, rack), 0) + 1
