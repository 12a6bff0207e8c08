"""What happens in a cluster that may make a refused pod schedulable, and for which filters' refusals."""

from enum import Flag, auto

from orlop.native import SchedulerCore


class ClusterEvent(Flag):
    """Upstream's ClusterEvents, as far as the filters of the chain register for them."""

    NODE_ADD = auto()
    NODE_DELETE = auto()
    NODE_ALLOCATABLE = auto()
    NODE_LABEL = auto()
    NODE_TAINT = auto()
    NODE_FEATURES = auto()
    ASSIGNED_POD_ADD = auto()
    ASSIGNED_POD_LABEL = auto()
    ASSIGNED_POD_FREED = auto()
    """An assigned pod was deleted, ended, or asks for less; or an assumed one was forgotten."""
    POD_GROUP = auto()
    """The pod's group changed, or got another member."""
    STORAGE = auto()
    """A claim of the pod, or some volume or storage class, came or changed."""
    DEVICES = auto()
    """A claim of the pod for devices, or some device or class of devices, came or changed."""


_NODE_BITS = (
    (SchedulerCore.NODE_ADDED, ClusterEvent.NODE_ADD),
    (SchedulerCore.NODE_ALLOCATABLE, ClusterEvent.NODE_ALLOCATABLE),
    (SchedulerCore.NODE_LABELS, ClusterEvent.NODE_LABEL),
    (SchedulerCore.NODE_TAINTS, ClusterEvent.NODE_TAINT),
    (SchedulerCore.NODE_FEATURES, ClusterEvent.NODE_FEATURES),
    # Upstream counts a node made schedulable again as a change of its taints.
    (SchedulerCore.NODE_UNSCHEDULABLE, ClusterEvent.NODE_TAINT),
)

HELPS: dict[str, ClusterEvent] = {
    "NodeName": ClusterEvent.NODE_ADD,
    "NodeUnschedulable": ClusterEvent.NODE_ADD | ClusterEvent.NODE_TAINT,
    "TaintToleration": ClusterEvent.NODE_ADD | ClusterEvent.NODE_TAINT,
    "NodeAffinity": ClusterEvent.NODE_ADD | ClusterEvent.NODE_LABEL,
    "NodePorts": ClusterEvent.NODE_ADD | ClusterEvent.ASSIGNED_POD_FREED,
    "NodeResourcesFit": ClusterEvent.NODE_ADD | ClusterEvent.NODE_ALLOCATABLE | ClusterEvent.ASSIGNED_POD_FREED,
    "GangScheduling": ClusterEvent.POD_GROUP,
    "NodeDeclaredFeatures": ClusterEvent.NODE_ADD | ClusterEvent.NODE_FEATURES,
    "NodeVolumeLimits": ClusterEvent.NODE_ADD | ClusterEvent.ASSIGNED_POD_FREED | ClusterEvent.STORAGE,
    "VolumeZone": ClusterEvent.NODE_ADD | ClusterEvent.NODE_LABEL | ClusterEvent.STORAGE,
    "VolumeRestrictions": ClusterEvent.NODE_ADD | ClusterEvent.ASSIGNED_POD_FREED | ClusterEvent.STORAGE,
    "VolumeBinding": ClusterEvent.NODE_ADD | ClusterEvent.NODE_LABEL | ClusterEvent.NODE_TAINT | ClusterEvent.STORAGE,
    "DynamicResources": (
        ClusterEvent.NODE_ADD
        | ClusterEvent.NODE_LABEL
        | ClusterEvent.NODE_TAINT
        | ClusterEvent.ASSIGNED_POD_FREED
        | ClusterEvent.DEVICES
    ),
    "PodTopologySpread": (
        ClusterEvent.NODE_ADD
        | ClusterEvent.NODE_DELETE
        | ClusterEvent.NODE_LABEL
        | ClusterEvent.NODE_TAINT
        | ClusterEvent.ASSIGNED_POD_ADD
        | ClusterEvent.ASSIGNED_POD_LABEL
        | ClusterEvent.ASSIGNED_POD_FREED
    ),
    "InterPodAffinity": (
        ClusterEvent.NODE_ADD
        | ClusterEvent.NODE_LABEL
        | ClusterEvent.ASSIGNED_POD_ADD
        | ClusterEvent.ASSIGNED_POD_LABEL
        | ClusterEvent.ASSIGNED_POD_FREED
    ),
}
"""Which events may lift a filter's refusal (its EventsToRegister)."""


def of_node(changed: int) -> ClusterEvent:
    """The events in an update of a node (`SchedulerCore.upsert_node`)."""
    return _events(changed, _NODE_BITS)


def _events(changed: int, bits: tuple[tuple[int, ClusterEvent], ...]) -> ClusterEvent:
    events = ClusterEvent(0)
    for bit, event in bits:
        if changed & bit:
            events |= event
    return events


_POD_BITS = (
    (SchedulerCore.POD_ASSIGNED, ClusterEvent.ASSIGNED_POD_ADD),
    (SchedulerCore.POD_LABELS, ClusterEvent.ASSIGNED_POD_LABEL),
    (SchedulerCore.POD_FREED, ClusterEvent.ASSIGNED_POD_FREED),
)


def of_pod(changed: int) -> ClusterEvent:
    """The events in an update of a pod (`PodFacts.changed`)."""
    return _events(changed, _POD_BITS)


POD_EVENTS = ClusterEvent.ASSIGNED_POD_ADD | ClusterEvent.ASSIGNED_POD_LABEL | ClusterEvent.ASSIGNED_POD_FREED
"""Events that are about a pod on a node."""


def helps(plugin: str) -> ClusterEvent:
    """The events that may lift a filter's refusal; one that is not upstream's does not say, so any event may."""
    return HELPS.get(plugin, ~ClusterEvent(0))


def helped_by(plugins: list[str]) -> ClusterEvent:
    """The events that may lift a refusal by these filters; a refusal by none (there was no node) any event may."""
    if not plugins:
        return ~ClusterEvent(0)
    events = ClusterEvent(0)
    for plugin in plugins:
        events |= helps(plugin)
    return events
