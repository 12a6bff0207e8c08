"""Pods: how far they are, in one word."""

from collections.abc import Sequence
from typing import Any

import msgspec

from orlop.apiserver.table.duration import since
from orlop.apiserver.table.printer import (
    AGE,
    NAME,
    NONE,
    Column,
    Condition,
    Fields,
    Metadata,
    Object,
    Printer,
    age,
    wide,
)

UNREACHABLE = "NodeLost"
"""The reason of a pod whose node does not report."""


class _Init(Fields):
    name: str = ""
    restart_policy: str | None = None


class _Gate(Fields):
    condition_type: str = ""


class _Spec(Fields):
    containers: tuple[msgspec.Raw, ...] = ()
    init_containers: tuple[_Init, ...] = ()
    node_name: str = ""
    readiness_gates: tuple[_Gate, ...] = ()


class _Running(Fields):
    """There, and nothing of it is shown."""


class _Waiting(Fields):
    reason: str = ""


class _Terminated(Fields):
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    finished_at: str | None = None


class _State(Fields):
    waiting: _Waiting | None = None
    running: _Running | None = None
    terminated: _Terminated | None = None


class _Container(Fields):
    name: str = ""
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: _State = msgspec.field(default_factory=_State)
    last_state: _State = msgspec.field(default_factory=_State)


class _Condition(Fields):
    type: str = ""
    status: str = ""
    reason: str = ""


class _Address(Fields):
    ip: str = ""


class _Status(Fields):
    phase: str = ""
    reason: str = ""
    conditions: tuple[_Condition, ...] = ()
    init_container_statuses: tuple[_Container, ...] = ()
    container_statuses: tuple[_Container, ...] = ()
    pod_ips: list[_Address] = msgspec.field(default_factory=list, name="podIPs")
    nominated_node_name: str = ""


class _Pod(Object):
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Restarts:
    """How often containers were restarted, and when the last of them ended."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def add(self, container: _Container) -> None:
        self.count += container.restart_count
        ended = container.last_state.terminated
        if ended is not None and ended.finished_at and ended.finished_at > self.last:
            self.last = ended.finished_at  # all are in UTC and of one width, so text order is time order

    def shown(self, now: float) -> str:
        return f"{self.count} ({since(self.last, now)} ago)" if self.count and self.last else str(self.count)


def _holds(status: _Status, condition: str) -> bool:
    return any(c.type == condition and c.status == "True" for c in status.conditions)


def _ended(state: _Terminated, prefix: str = "") -> str:
    if state.reason:
        return prefix + state.reason
    return f"{prefix}Signal:{state.signal}" if state.signal else f"{prefix}ExitCode:{state.exit_code}"


def _summary(pod: _Pod, metadata: Metadata) -> tuple[int, int, str, _Restarts]:
    """Ready containers, all that count, the status in one word, and the restarts."""
    spec, status = pod.spec, pod.status
    reason = status.reason or status.phase
    for condition in status.conditions:
        if condition.type == "PodScheduled" and condition.reason == "SchedulingGated":
            reason = "SchedulingGated"
    sidecars = {c.name for c in spec.init_containers if c.restart_policy == "Always"}
    total = len(spec.containers) + len(sidecars)
    ready = 0
    restarts, of_sidecars = _Restarts(), _Restarts()
    initializing = False
    for index, container in enumerate(status.init_container_statuses):
        restarts.add(container)
        if container.name in sidecars:
            of_sidecars.add(container)
        state = container.state
        if state.terminated is not None and state.terminated.exit_code == 0:
            continue
        if container.name in sidecars and container.started:
            ready += container.ready
            continue
        initializing = True
        if state.terminated is not None:
            reason = _ended(state.terminated, "Init:")
        elif state.waiting is not None and state.waiting.reason not in ("", "PodInitializing"):
            reason = f"Init:{state.waiting.reason}"
        else:
            reason = f"Init:{index}/{len(spec.init_containers)}"
        break
    if not initializing or _holds(status, "Initialized"):
        restarts = of_sidecars
        running = False
        failure = ""
        for container in reversed(status.container_statuses):
            restarts.add(container)
            state = container.state
            if state.waiting is not None and state.waiting.reason:
                reason = state.waiting.reason
            elif state.terminated is not None:
                reason = _ended(state.terminated)
                if state.terminated.exit_code != 0:
                    failure = reason
            elif container.ready and state.running is not None:
                running = True
                ready += 1
        if reason == "Completed":
            if running and _holds(status, "Ready"):
                reason = "Running"
            elif failure:
                reason = failure
            elif running:
                reason = "NotReady"
    if metadata.deletion_timestamp is not None:
        if status.reason == UNREACHABLE:
            reason = "Unknown"
        elif status.phase not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return ready, total, reason, restarts


def _gates(pod: _Pod) -> str:
    gates = pod.spec.readiness_gates
    if not gates:
        return NONE
    return f"{sum(_holds(pod.status, gate.condition_type) for gate in gates)}/{len(gates)}"


def _cells(pod: _Pod, metadata: Metadata, now: float) -> list[Any]:
    ready, total, reason, restarts = _summary(pod, metadata)
    addresses = pod.status.pod_ips
    return [
        metadata.name,
        f"{ready}/{total}",
        reason,
        restarts.shown(now),
        age(metadata, now),
        (addresses[0].ip if addresses else "") or NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        _gates(pod),
    ]


_SUCCEEDED = (Condition("Completed", "True", "Succeeded", "The pod has completed successfully."),)
_FAILED = (Condition("Completed", "True", "Failed", "The pod failed."),)


def _conditions(pod: _Pod) -> Sequence[Condition]:
    phase = pod.status.phase
    return _SUCCEEDED if phase == "Succeeded" else _FAILED if phase == "Failed" else ()


POD = Printer(
    _Pod,
    _cells,
    NAME,
    Column("Ready", description="The aggregate readiness state of this pod for accepting traffic."),
    Column("Status", description="The aggregate status of the containers in this pod."),
    Column("Restarts", description="How often the pod's containers have been restarted, and when one was last."),
    AGE,
    wide("IP", "The pod's address."),
    wide("Node", "The node that the pod runs on."),
    wide("Nominated Node", "The node that is being freed for the pod."),
    wide("Readiness Gates", "How many of the conditions that the pod's readiness also waits for are true."),
    conditions=_conditions,
)
