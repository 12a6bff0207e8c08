"""Which nodes a set's pod is to be on. Of the scheduler's filters those count that do not change with the node's load:
node name, node selector and affinity, taints. Resources do not: a pod without room waits, pinned to its node.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from orlop.api import nodeselectors
from orlop.api.nodeselectors import NODE_FIELD
from orlop.api.taints import tolerates
from orlop.api.types import apps_v1, core_v1
from orlop.client import copy
from orlop.controllers.history import REVISION_HASH
from orlop.controllers.podcontrol import pod_of
from orlop.controllers.views import PodView

GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
GENERATION_LABEL = "pod-template-generation"

_NO_EXECUTE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_NO_SCHEDULE = (
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/unschedulable",
)
_HOST_NETWORK = "node.kubernetes.io/network-unavailable"


class Fit(NamedTuple):
    """What a node is to a set."""

    run: bool
    """A pod is to be on it."""
    stay: bool
    """A pod that is on it may stay."""


def fit(ds: apps_v1.DaemonSet, node: core_v1.Node) -> Fit:
    """Whether the set's pod is to run on the node, and whether one that does may go on."""
    spec = ds.spec.template.spec
    if spec.node_name not in ("", node.metadata.name) or not matches_affinity(spec, node):
        return Fit(False, False)
    tolerations = with_tolerations(spec)
    untolerated = {
        taint.effect
        for taint in node.spec.taints
        if not any(tolerates(toleration, taint) for toleration in tolerations)
    }
    return Fit(not untolerated & {"NoSchedule", "NoExecute"}, "NoExecute" not in untolerated)


def with_tolerations(spec: core_v1.PodSpec) -> list[core_v1.Toleration]:
    """The template's tolerations, and those that keep a daemon on its node whatever the node's state."""
    wanted = [(key, "NoExecute") for key in _NO_EXECUTE] + [(key, "NoSchedule") for key in _NO_SCHEDULE]
    if spec.host_network:
        wanted.append((_HOST_NETWORK, "NoSchedule"))
    extra = [core_v1.Toleration(key=key, operator="Exists", effect=effect) for key, effect in wanted]
    return [*spec.tolerations, *(t for t in extra if t not in spec.tolerations)]


def matches_affinity(spec: core_v1.PodSpec, node: core_v1.Node) -> bool:
    """Node selector and required node affinity, as the scheduler reads them."""
    if not spec.node_selector.items() <= node.metadata.labels.items():
        return False
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    return required is None or nodeselectors.selects(required, node.metadata.labels, node.metadata.name)


def pod_for(ds: apps_v1.DaemonSet, hash_: str, node: str) -> core_v1.Pod:
    """The set's pod for the node: the scheduler binds it there and nowhere else."""
    pod = pod_of(ds, ds.spec.template)
    generation = ds.metadata.annotations.get(GENERATION_ANNOTATION)
    if generation is not None:
        pod.metadata.labels[GENERATION_LABEL] = generation
    pod.metadata.labels[REVISION_HASH] = hash_
    pod.spec.tolerations = with_tolerations(pod.spec)
    affinity = copy(pod.spec.affinity) if pod.spec.affinity is not None else core_v1.Affinity()
    nodes = affinity.node_affinity or core_v1.NodeAffinity()
    # What the template requires has been checked; the scheduler needs only the name.
    named = core_v1.NodeSelectorRequirement(key=NODE_FIELD, operator="In", values=[node])
    selector = core_v1.NodeSelector(node_selector_terms=[core_v1.NodeSelectorTerm(match_fields=[named])])
    affinity.node_affinity = replace(nodes, required_during_scheduling_ignored_during_execution=selector)
    pod.spec.affinity = affinity
    return pod


def node_of(pod: PodView) -> str:
    """The node that the pod is on or pinned to; "" if there is none."""
    if pod.spec.node_name:
        return pod.spec.node_name
    affinity = pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None
    required = affinity.required if affinity is not None else None
    for term in required.node_selector_terms if required is not None else ():
        for field in term.match_fields:
            if field.key == NODE_FIELD and field.operator == "In" and len(field.values) == 1:
                return field.values[0]
    return ""


def by_node(pods: Iterable[PodView]) -> dict[str, list[PodView]]:
    """The pods by their node, each list the oldest first and those that are bound before those that wait."""
    found: dict[str, list[PodView]] = {}
    for pod in sorted(pods, key=lambda p: (not p.spec.node_name, p.metadata.creation_timestamp, p.metadata.name)):
        if node := node_of(pod):
            found.setdefault(node, []).append(pod)
    return found


def without_node(pods: dict[str, list[PodView]], nodes: Sequence[core_v1.Node]) -> list[PodView]:
    """Pods that wait for nodes that are not there: nobody else would ever delete them."""
    there = {node.metadata.name for node in nodes}
    return [pod for name, on in pods.items() if name not in there for pod in on if not pod.spec.node_name]


def is_updated(ds: apps_v1.DaemonSet, pod: PodView, hash_: str) -> bool:
    """Whether the pod is of the present template."""
    labels = pod.metadata.labels
    generation = ds.metadata.annotations.get(GENERATION_ANNOTATION)
    by_generation = generation is not None and labels.get(GENERATION_LABEL) == generation
    return by_generation or labels.get(REVISION_HASH) == hash_
