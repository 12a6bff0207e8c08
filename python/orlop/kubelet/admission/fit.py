"""Whether a pod fits on a node beside those it has (upstream: scheduler.AdmissionCheck, lifecycle/predicate.go)."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from orlop.api import nodeselectors, quantity
from orlop.api.podresources import pod_requests
from orlop.api.taints import tolerates
from orlop.api.types import core_v1
from orlop.kubelet.critical import MIRROR_ANNOTATION

WELL_KNOWN = ("pods", "cpu", "memory", "ephemeral-storage")


class Insufficient(msgspec.Struct, frozen=True):
    """There is not enough of a resource. CPU is in thousandths."""

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def reason(self) -> str:
        return f"OutOf{self.resource}"

    @property
    def message(self) -> str:
        return (
            f"Node didn't have enough resource: {self.resource}, requested: {self.requested}, used: {self.used}, "
            f"capacity: {self.capacity}"
        )

    @property
    def missing(self) -> int:
        return self.requested - (self.capacity - self.used)


class Mismatch(msgspec.Struct, frozen=True):
    """The node is not one for this pod, whatever is free on it."""

    reason: str
    why: str

    @property
    def message(self) -> str:
        return f"Predicate {self.reason} failed: {self.why}"


Misfit = Insufficient | Mismatch


class Requests:
    """What pods ask for together: each version of a pod is worked out and added once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[core_v1.Pod, dict[str, int]]] = {}
        self._total: dict[str, int] = {}

    def total(self, pods: Sequence[core_v1.Pod]) -> Mapping[str, int]:
        """Of all these; what is remembered of others is forgotten. Read it before the next call."""
        for pod in pods:
            known = self._known.get(pod.metadata.uid)
            if known is not None and known[0] is pod:
                continue
            if known is not None and _asks_the_same(known[0], pod):
                self._known[pod.metadata.uid] = (pod, known[1])
                continue
            self._forget(pod.metadata.uid)
            self._known[pod.metadata.uid] = (pod, asked := requests(pod))
            self._add(asked, 1)
        if len(self._known) > len(pods):
            for uid in self._known.keys() - {pod.metadata.uid for pod in pods}:
                self._forget(uid)
        return self._total

    def _forget(self, uid: str) -> None:
        if (known := self._known.pop(uid, None)) is not None:
            self._add(known[1], -1)

    def _add(self, amounts: Mapping[str, int], sign: int) -> None:
        for name, amount in amounts.items():
            self._total[name] = self._total.get(name, 0) + sign * amount


def _asks_the_same(old: core_v1.Pod, new: core_v1.Pod) -> bool:
    """Whether nothing has changed that requests follow from: spec, and what containers have while they are resized."""

    def has(pod: core_v1.Pod) -> list[object]:
        statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
        return [(s.name, s.resources, s.allocated_resources) for s in statuses if s.resources or s.allocated_resources]

    # Servers older than 1.33 give pods no generation.
    return 0 < old.metadata.generation == new.metadata.generation and has(old) == has(new)


def misfits(
    pod: core_v1.Pod,
    others: Sequence[core_v1.Pod],
    node: core_v1.Node,
    allocatable: Mapping[str, str],
    asked: Requests,
) -> list[Misfit]:
    """Everything that is in the way; the first is what is told."""
    used = {"pods": len(others), **asked.total(others)}
    found: list[Misfit] = list(insufficient({"pods": 1, **requests(pod)}, used, allocatable))
    if not _selects(pod.spec, node):
        found.append(Mismatch("NodeAffinity", "node(s) didn't match Pod's node affinity/selector"))
    if _ports_taken(pod, others):
        found.append(Mismatch("NodePorts", "node(s) didn't have free ports for the requested pod ports"))
    untolerated = (
        taint.effect == "NoExecute" and not any(tolerates(t, taint) for t in pod.spec.tolerations)
        for taint in node.spec.taints
    )
    if MIRROR_ANNOTATION not in pod.metadata.annotations and any(untolerated):
        found.append(Mismatch("TaintToleration", "node(s) had taints that the pod didn't tolerate"))
    return found


def insufficient(
    asked: Mapping[str, int], used: Mapping[str, int], allocatable: Mapping[str, str]
) -> Iterable[Insufficient]:
    """The resources that do not suffice. An extended resource that the node does not know is another's affair."""
    for name in (*WELL_KNOWN, *sorted(asked.keys() - set(WELL_KNOWN))):
        if asked.get(name, 0) <= 0 or (name not in allocatable and name not in WELL_KNOWN):
            continue
        capacity = _amount(name, allocatable.get(name, "0"))
        if asked[name] > capacity - used.get(name, 0):
            yield Insufficient(name, asked[name], used.get(name, 0), capacity)


def requests(pod: core_v1.Pod) -> dict[str, int]:
    """What the pod asks for, CPU in thousandths."""
    return {name: _amount(name, str(amount)) for name, amount in pod_requests(pod).items()}


def _amount(name: str, text: str) -> int:
    return quantity.milli(text) if name == "cpu" else quantity.value(text)


def _selects(spec: core_v1.PodSpec, node: core_v1.Node) -> bool:
    if not spec.node_selector.items() <= node.metadata.labels.items():
        return False
    affinity = spec.affinity.node_affinity if spec.affinity is not None else None
    required = affinity.required_during_scheduling_ignored_during_execution if affinity is not None else None
    return required is None or nodeselectors.selects(required, node.metadata.labels, node.metadata.name)


def _ports_taken(pod: core_v1.Pod, others: Iterable[core_v1.Pod]) -> bool:
    wanted = list(_ports(pod))
    return bool(wanted) and any(
        protocol == other_protocol and port == other_port and (ip == other_ip or "0.0.0.0" in (ip, other_ip))
        for other in others
        for other_protocol, other_port, other_ip in _ports(other)
        for protocol, port, ip in wanted
    )


def _ports(pod: core_v1.Pod) -> Iterable[tuple[str, int, str]]:
    """Of the containers that run as long as the pod does."""
    sidecars = [c for c in pod.spec.init_containers if c.restart_policy == "Always"]
    for container in (*pod.spec.containers, *sidecars):
        for port in container.ports:
            if port.host_port:
                yield port.protocol or "TCP", port.host_port, port.host_ip or "0.0.0.0"
