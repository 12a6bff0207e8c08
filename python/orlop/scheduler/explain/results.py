"""What an explanation says, as types; their JSON is what `orlop why -o json` prints."""

from typing import Literal

import msgspec
from msgspec import field

State = Literal["unschedulable", "schedulable", "making-room", "gated", "foreign", "deleting", "placed", "ended"]
"""Of the pod: refused by all nodes; not yet decided and to be placed; pods are being evicted for it; held back by its
gates or for its pod group; another scheduler's; and the three that have nothing to do with scheduling any more."""


class Result(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The base of all results."""


class Refusal(Result):
    """A filter that refuses a node, in upstream's words."""

    plugin: str
    reasons: list[str]


class Lack(Result):
    """A resource of which a node has too little: thousandths of cpu, whole units of all else."""

    resource: str
    wanted: int
    free: int
    """Less than nothing where pods hold more than there is."""
    allocatable: int


class Score(Result):
    """What a score plug-in says of a node: raw, and from 0 to 100; the total adds score × weight."""

    plugin: str
    raw: int
    score: int
    weight: int


class NodeReport(Result):
    """What is said of one node: refusals in the order of the filters, or scores."""

    node: str
    refusals: list[Refusal] = field(default_factory=list)
    lacks: list[Lack] = field(default_factory=list)
    scores: list[Score] = field(default_factory=list)
    total: int = 0

    @property
    def feasible(self) -> bool:
        """Whether no filter refuses it."""
        return not self.refusals


class Reason(Result):
    """Nodes that refuse for the same first reason."""

    plugin: str
    words: str
    nodes: list[str]
    detail: str = ""
    """Which taints, which labels, how much of what."""


class Change(Result):
    """A change that was tried against the core, and with which the pod has a place."""

    text: str
    """What to do, in a few words."""
    parts: list[str]
    """The same in its parts; one for a simple change."""
    node: str
    """Where the pod would go."""
    feasible: int
    """On how many nodes it could be then."""
    size: float
    """Changes are sorted by this: the smaller, the less is asked for."""
    evicts: list[str] = field(default_factory=list)
    """Pods (namespace/name) that would be evicted for it."""
    commands: list[str] = field(default_factory=list)
    """kubectl commands that do it, where there are some."""


class Moment(Result):
    """The state of the cluster that an explanation is about."""

    exact: bool
    """Whether it is the state that the scheduler decided on; else the present one."""
    revisions: dict[str, str] = field(default_factory=dict)
    """The resourceVersion of each resource."""
    note: str = ""
    """Why it is not exact, or in what it may differ."""


class Why(Result):
    """Why a pod waits, or does not."""

    namespace: str
    name: str
    uid: str
    state: State
    summary: str
    """One line for a person."""
    node: str = ""
    """Where it is, or would be placed now, or where room is made for it."""
    nodes: int = 0
    """How many there are."""
    message: str = ""
    """The refusal in upstream's words."""
    reasons: list[Reason] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """The smallest first."""
    evicts: list[str] = field(default_factory=list)
    """Pods (namespace/name) that are evicted for it, or would be."""
    owner: str = ""
    """What the pod was made by, as kind/name: changes to the pod belong into its template."""
    moment: Moment | None = None
    hints: list[str] = field(default_factory=list)
    """Where to look next."""
    reports: list[NodeReport] = field(default_factory=list)
    """What was said of each node."""


class WhyHere(Result):
    """Why a placed pod is where it is."""

    namespace: str
    name: str
    uid: str
    node: str
    summary: str
    feasible: int
    """How many nodes could have taken it."""
    best: list[str]
    """The nodes with the highest total: one of them was drawn by lot."""
    reports: list[NodeReport]
    """Of each node, the best first and the refused ones last."""
    moment: Moment


class WhyNode(Result):
    """Why a pod is on a node, or is not."""

    namespace: str
    name: str
    uid: str
    node: str
    summary: str
    report: NodeReport
    rank: int = 0
    """Its place among the feasible nodes, the best being 1; 0 where it is not feasible."""
    feasible: int = 0
    best: NodeReport | None = None
    """The node with the highest total, where that is another one."""
    changes: list[Change] = field(default_factory=list)
    """What would let the node take the pod, the smallest first."""
    moment: Moment | None = None


class Placement(Result):
    """A pod of a plan: where it would go, or why nowhere."""

    pod: str
    """namespace/name."""
    node: str = ""
    evicts: list[str] = field(default_factory=list)
    message: str = ""
    reasons: list[Reason] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    owner: str = ""


class Plan(Result):
    """What would become of a manifest's pods."""

    placements: list[Placement]
    """In the order in which they would be scheduled."""
    replaced: list[str] = field(default_factory=list)
    """Pods that are there now and that the manifest would end."""
    notes: list[str] = field(default_factory=list)

    @property
    def pending(self) -> list[Placement]:
        """The pods that would stay without a node."""
        return [placement for placement in self.placements if not placement.node]
