"""A pod's status from what runs: phase, conditions and container statuses, worded as upstream.

The rules are those of pkg/kubelet/kubelet_pods.go (getPhase, convertStatusToAPIStatus) and
pkg/kubelet/status/generate.go.
"""

from collections.abc import Mapping, Sequence

import msgspec

from orlop.api.types import core_v1
from orlop.clock import rfc3339
from orlop.kubelet.plan import ephemeral_containers, sidecar
from orlop.kubelet.runtime import values as v

POD_INITIALIZING = "PodInitializing"
CONTAINER_CREATING = "ContainerCreating"

TERMINAL = ("Failed", "Succeeded")
"""Phases that a pod never leaves."""

DISRUPTION_TARGET = "DisruptionTarget"
"""A condition that the kubelet shares with others: it sets it with a terminal phase, and leaves theirs alone."""

KUBELET_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


class Waiting(msgspec.Struct, frozen=True):
    """Why a container does not run yet or not again: `CrashLoopBackOff`, `ErrImagePull`, …"""

    reason: str
    message: str = ""


class Facts(msgspec.Struct, kw_only=True):
    """What the worker knows of a pod on this node."""

    sandbox: v.PodSandboxStatus | None = None
    containers: Sequence[v.ContainerStatus] = ()
    waiting: Mapping[str, Waiting] = {}
    ready: Mapping[str, bool] = {}
    """Container id → whether its readiness probe (if any) holds."""
    started: Mapping[str, bool] = {}
    """Container id → whether its startup probe (if any) has passed."""
    host_ips: Sequence[str] = ()
    start_time: float = 0.0
    phase: str = ""
    """Set where the node has decided (`Failed`: deadline passed, evicted, never admitted)."""
    reason: str = ""
    message: str = ""
    disruption: str = ""
    """Set where the node ended the pod for others' sake: why (condition DisruptionTarget)."""
    rejected: bool = False
    """The node never took the pod on."""
    terminating: bool = False
    """The pod was to end, and nothing of it runs any more."""
    messages: Mapping[str, str] = {}
    """Container id → termination message."""
    runtime_name: str = ""


def generate(pod: core_v1.Pod, facts: Facts, now: float) -> core_v1.PodStatus:
    """The pod's whole status. Conditions of others (readiness gates, DisruptionTarget) are kept as they are."""
    old = pod.status
    if facts.rejected or (old.phase in TERMINAL and not old.container_statuses and not facts.containers):
        return _rejected(pod, facts, now)
    init = [_container(pod, c, facts, old.init_container_statuses, True) for c in pod.spec.init_containers]
    main = [_container(pod, c, facts, old.container_statuses, False) for c in pod.spec.containers]
    phase = facts.phase or _phase(pod, init, main, old.phase)
    if facts.terminating and phase not in TERMINAL:
        codes = [s.state.terminated.exit_code if s.state.terminated else -1 for s in main]
        phase = "Failed" if any(codes) else "Succeeded"
    elif phase in TERMINAL and old.phase not in TERMINAL and any(c.state == "running" for c in facts.containers):
        # A phase that says that all has ended is told when all has ended, sidecars included; and so is the reason.
        phase = old.phase or "Pending"
        facts = msgspec.structs.replace(facts, reason=old.reason, message=old.message, disruption="")
    ips = list(facts.sandbox.ips) if facts.sandbox and facts.sandbox.state == "ready" else []
    if pod.spec.host_network:
        ips = list(facts.host_ips)
    if not ips and (facts.terminating or phase in TERMINAL):
        ips = [p.ip for p in old.pod_ips]
    status = core_v1.PodStatus(
        observed_generation=pod.metadata.generation,
        phase=phase,
        reason=facts.reason,
        message=facts.message,
        host_ip=facts.host_ips[0] if facts.host_ips else "",
        host_ips=[core_v1.HostIP(ip=ip) for ip in facts.host_ips],
        pod_ip=ips[0] if ips else "",
        pod_ips=[core_v1.PodIP(ip=ip) for ip in ips],
        start_time=old.start_time or rfc3339(facts.start_time or now),
        init_container_statuses=init,
        container_statuses=main,
        ephemeral_container_statuses=[_ephemeral(pod, c, facts) for c in ephemeral_containers(pod)],
        nominated_node_name=old.nominated_node_name,
        qos_class=old.qos_class or qos_class(pod),
        resize=old.resize,
    )
    status.conditions = _conditions(pod, status, facts, now)
    return status


def _rejected(pod: core_v1.Pod, facts: Facts, now: float) -> core_v1.PodStatus:
    """Of a pod that never was on the node: nothing is known of its containers."""
    return core_v1.PodStatus(
        observed_generation=pod.metadata.generation,
        phase=facts.phase or pod.status.phase,
        reason=facts.reason,
        message=facts.message,
        start_time=pod.status.start_time or rfc3339(facts.start_time or now),
        nominated_node_name=pod.status.nominated_node_name,
        qos_class=pod.status.qos_class or qos_class(pod),
        conditions=pod.status.conditions,
    )


def _container(
    pod: core_v1.Pod,
    container: core_v1.Container,
    facts: Facts,
    before: Sequence[core_v1.ContainerStatus],
    init: bool,
) -> core_v1.ContainerStatus:
    mine = sorted(
        (s for s in facts.containers if s.metadata.name == container.name),
        key=lambda s: (s.metadata.attempt, s.created_at),
    )
    old = next((s for s in before if s.name == container.name), None)
    status = core_v1.ContainerStatus(
        name=container.name,
        image=container.image,
        image_id="",
        volume_mounts=[
            core_v1.VolumeMountStatus(
                name=m.name,
                mount_path=m.mount_path,
                read_only=m.read_only,
                recursive_read_only="Disabled" if m.read_only else None,
            )
            for m in container.volume_mounts
        ],
        started=False,
    )
    waiting = facts.waiting.get(container.name)
    if not mine:
        if old is not None and (old.state.terminated or old.state.running or old.restart_count):
            # Its containers are gone from the node (removed with their sandbox): what was known stays known.
            status.restart_count = old.restart_count
            status.last_state = old.last_state if old.state.running is None else _lost(old)
            if old.state.terminated and (facts.terminating or facts.phase or (init and not waiting)):
                status.state, status.container_id = old.state, old.container_id
                status.image_id = old.image_id
                status.ready = init and old.state.terminated.exit_code == 0
                return status
            if old.state.terminated:
                status.last_state = old.state
        creating = POD_INITIALIZING if pod.spec.init_containers and not init else CONTAINER_CREATING
        if init and pod.spec.init_containers[0].name != container.name:
            creating = POD_INITIALIZING
        reason = waiting or Waiting(creating)
        if facts.terminating or facts.phase in TERMINAL:
            status.state = _never_ran(status)
        else:
            status.state = core_v1.ContainerState(
                waiting=core_v1.ContainerStateWaiting(reason=reason.reason, message=reason.message)
            )
        return status
    latest = mine[-1]
    status.restart_count = latest.metadata.attempt
    status.container_id = _container_id(latest, facts)
    status.image_id = latest.image_ref
    status.image = latest.image or container.image
    status.state = _state(latest, facts)
    if len(mine) > 1 and mine[-2].state == "exited":
        status.last_state = _state(mine[-2], facts)
    elif old is not None and old.last_state.terminated and old.container_id in ("", status.container_id):
        status.last_state = old.last_state
    if latest.state != "running" and waiting is not None:
        status.last_state = status.state if status.state.terminated else status.last_state
        status.state = core_v1.ContainerState(
            waiting=core_v1.ContainerStateWaiting(reason=waiting.reason, message=waiting.message)
        )
    running = latest.state == "running"
    status.started = running and facts.started.get(latest.id, True)
    if init and not sidecar(container):
        status.ready = latest.state == "exited" and latest.exit_code == 0
    else:
        status.ready = running and bool(status.started) and facts.ready.get(latest.id, True)
    if running:
        status.allocated_resources = dict(container.resources.requests)
        status.resources = container.resources
    return status


def _ephemeral(pod: core_v1.Pod, container: core_v1.Container, facts: Facts) -> core_v1.ContainerStatus:
    """It runs once, and is never ready: nothing may rely on it."""
    before = pod.status.ephemeral_container_statuses
    known = next((s for s in before if s.name == container.name), None)
    if known is not None and not any(s.metadata.name == container.name for s in facts.containers):
        if known.state.terminated:
            return known
        if known.state.running:
            return msgspec.structs.replace(known, state=_never_ran(known))
    status = _container(pod, container, facts, before, False)
    status.ready, status.started = False, None
    return status


def _lost(old: core_v1.ContainerStatus) -> core_v1.ContainerState:
    """It ran when it was last heard of, and is gone: the node lost its power, or somebody removed it."""
    assert old.state.running is not None
    return core_v1.ContainerState(
        terminated=core_v1.ContainerStateTerminated(
            exit_code=137,
            reason="ContainerStatusUnknown",
            message="The container could not be located when the pod was started again",
            started_at=old.state.running.started_at,
            container_id=old.container_id,
        )
    )


def _never_ran(status: core_v1.ContainerStatus) -> core_v1.ContainerState:
    return core_v1.ContainerState(
        terminated=core_v1.ContainerStateTerminated(
            exit_code=137,
            reason="ContainerStatusUnknown",
            message="The container could not be located when the pod was terminated",
        )
    )


def _container_id(status: v.ContainerStatus, facts: Facts) -> str:
    return f"{facts.runtime_name}://{status.id}"


def _seconds(nanoseconds: int) -> str | None:
    return rfc3339(nanoseconds / 1e9) if nanoseconds else None


def _state(status: v.ContainerStatus, facts: Facts) -> core_v1.ContainerState:
    if status.state == "running":
        return core_v1.ContainerState(running=core_v1.ContainerStateRunning(started_at=_seconds(status.started_at)))
    if status.state == "exited":
        return core_v1.ContainerState(
            terminated=core_v1.ContainerStateTerminated(
                exit_code=status.exit_code,
                reason=status.reason or ("Completed" if status.exit_code == 0 else "Error"),
                message=facts.messages.get(status.id, "") or status.message,
                started_at=_seconds(status.started_at),
                finished_at=_seconds(status.finished_at),
                container_id=_container_id(status, facts),
            )
        )
    if status.state == "unknown":
        return core_v1.ContainerState(
            terminated=core_v1.ContainerStateTerminated(
                exit_code=137,
                reason="ContainerStatusUnknown",
                message="The container could not be located when the pod was terminated",
                container_id=_container_id(status, facts),
            )
        )
    return core_v1.ContainerState(waiting=core_v1.ContainerStateWaiting(reason=CONTAINER_CREATING))


def _phase(
    pod: core_v1.Pod,
    init: Sequence[core_v1.ContainerStatus],
    main: Sequence[core_v1.ContainerStatus],
    old: str,
) -> str:
    if old in TERMINAL:
        return old
    pending_init = failed_init = 0
    for container, status in zip(pod.spec.init_containers, init, strict=True):
        if sidecar(container):
            if not status.started and not (status.last_state.terminated or status.restart_count):
                pending_init += 1
            continue
        terminated = status.state.terminated
        if terminated is not None:
            if terminated.exit_code != 0:
                failed_init += 1
        else:
            pending_init += 1
    running = waiting = stopped = succeeded = unknown = 0
    for status in main:
        if status.state.running:
            running += 1
        elif status.state.terminated:
            stopped += 1
            succeeded += status.state.terminated.exit_code == 0
        elif status.state.waiting:
            if status.last_state.terminated:
                stopped += 1
            else:
                waiting += 1
        else:
            unknown += 1
    if failed_init and pod.spec.restart_policy == "Never":
        return "Failed"
    has_run = running or stopped
    if (pending_init or failed_init) and not has_run:
        return "Pending"
    if waiting:
        return "Pending"
    if running and not unknown:
        return "Running"
    if stopped and not running and not unknown:
        if pod.spec.restart_policy == "Always":
            return "Running"
        if stopped == succeeded:
            return "Succeeded"
        return "Failed" if pod.spec.restart_policy == "Never" else "Running"
    return "Pending"


def _conditions(pod: core_v1.Pod, status: core_v1.PodStatus, facts: Facts, now: float) -> list[core_v1.PodCondition]:
    done = status.phase in TERMINAL
    unready = [s.name for s in status.container_statuses if not s.ready]
    unready += [
        s.name
        for c, s in zip(pod.spec.init_containers, status.init_container_statuses, strict=True)
        if sidecar(c) and not s.ready
    ]
    incomplete = [
        s.name
        for c, s in zip(pod.spec.init_containers, status.init_container_statuses, strict=True)
        if (not s.started if sidecar(c) else not s.ready)
    ]
    has_run = any(s.state.running or s.state.terminated or s.last_state.terminated for s in status.container_statuses)
    sandbox = facts.sandbox is not None and facts.sandbox.state == "ready"
    values: dict[str, tuple[bool, str, str]] = {"PodReadyToStartContainers": (sandbox and not done, "", "")}
    if status.phase == "Succeeded":
        values["Initialized"] = (True, "PodCompleted", "")
        values["ContainersReady"] = values["Ready"] = (False, "PodCompleted", "")
    else:
        complete = not incomplete or has_run
        values["Initialized"] = (
            (True, "", "")
            if complete
            else (False, "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]")
        )
        if status.phase == "Failed":
            values["ContainersReady"] = (False, "PodFailed", "")
        elif unready:
            values["ContainersReady"] = (
                False,
                "ContainersNotReady",
                f"containers with unready status: [{' '.join(unready)}]",
            )
        else:
            values["ContainersReady"] = (True, "", "")
        values["Ready"] = values["ContainersReady"]
        if values["Ready"][0] and (missing := _gates(pod)):
            values["Ready"] = (False, "ReadinessGatesNotReady", missing)
    values["PodScheduled"] = (True, "", "")
    old = {c.type: c for c in pod.status.conditions}
    result = []
    for type_ in KUBELET_CONDITIONS:
        truth, reason, message = values[type_]
        text = "True" if truth else "False"
        before = old.get(type_)
        changed = before is None or before.status != text
        result.append(
            core_v1.PodCondition(
                type=type_,
                status=text,
                reason=reason,
                message=message,
                observed_generation=pod.metadata.generation,
                last_transition_time=rfc3339(now) if changed or before is None else before.last_transition_time,
            )
        )
    others = [c for c in pod.status.conditions if c.type not in KUBELET_CONDITIONS]
    if facts.disruption and done:
        others = [c for c in others if c.type != DISRUPTION_TARGET]
        before = old.get(DISRUPTION_TARGET)
        since = before.last_transition_time if before and before.status == "True" else rfc3339(now)
        others.append(
            core_v1.PodCondition(
                type=DISRUPTION_TARGET,
                status="True",
                reason="TerminationByKubelet",
                message=facts.disruption,
                observed_generation=pod.metadata.generation,
                last_transition_time=since,
            )
        )
    return result + others


def _gates(pod: core_v1.Pod) -> str:
    conditions = {c.type: c.status for c in pod.status.conditions}
    texts = []
    for gate in pod.spec.readiness_gates:
        name = gate.condition_type
        if name not in conditions:
            texts.append(f'corresponding condition of pod readiness gate "{name}" does not exist.')
        elif conditions[name] != "True":
            texts.append(f'the status of pod readiness gate "{name}" is not "True", but {conditions[name]}')
    return ", ".join(texts)


def qos_class(pod: core_v1.Pod) -> str:
    """Guaranteed, Burstable or BestEffort, by the cpu and memory of all containers."""
    guaranteed, any_set = True, False
    for container in [*pod.spec.init_containers, *pod.spec.containers]:
        for resource in ("cpu", "memory"):
            request = container.resources.requests.get(resource)
            limit = container.resources.limits.get(resource)
            any_set = any_set or bool(request) or bool(limit)
            if not limit or (request or limit) != limit:
                guaranteed = False
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
