"""What a pod needs next: a pure function from its spec and what runs to what should be started and stopped.

The rules are upstream's computePodActions (pkg/kubelet/kuberuntime/kuberuntime_manager.go).
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from orlop.api.types import core_v1
from orlop.kubelet.runtime import values as v

HASH_ANNOTATION = "io.kubernetes.container.hash"


class Kill(msgspec.Struct, frozen=True):
    """A container to stop, and why, in the event's words."""

    container: v.ContainerStatus
    message: str
    reason: str


class Plan(msgspec.Struct):
    """The next step."""

    sandbox: bool = False
    """A new sandbox is needed; the old one and all containers go first."""
    kill: list[Kill] = msgspec.field(default_factory=list)
    start: list[core_v1.Container] = msgspec.field(default_factory=list)
    initialized: bool = False
    """All init containers are done (sidecars: started)."""
    finished: bool = False
    """Every container has ended for good: the sandbox can go."""


def sidecar(container: core_v1.Container) -> bool:
    """An init container that runs on beside the others (KEP-753)."""
    return container.restart_policy == "Always"


def ephemeral_containers(pod: core_v1.Pod) -> list[core_v1.Container]:
    """The pod's ephemeral containers as containers."""
    return [
        core_v1.Container(**{name: getattr(c, name) for name in core_v1.Container.__struct_fields__})
        for c in pod.spec.ephemeral_containers
    ]


def _ephemeral(pod: core_v1.Pod, newest: Mapping[str, v.ContainerStatus]) -> list[core_v1.Container]:
    """Those to start: each once, even while the init containers are at work, and never again."""
    if pod.metadata.deletion_timestamp:
        return []
    known = {s.name for s in pod.status.ephemeral_container_statuses if s.state.running or s.state.terminated}
    return [c for c in ephemeral_containers(pod) if c.name not in newest and c.name not in known]


def container_hash(container: core_v1.Container) -> str:
    """Changes when the container must be made anew: only its name and image may change in place."""
    return hashlib.sha256(f"{container.name}\0{container.image}".encode()).hexdigest()[:8]


def by_name(statuses: Sequence[v.ContainerStatus]) -> dict[str, v.ContainerStatus]:
    """The newest of each name."""
    newest: dict[str, v.ContainerStatus] = {}
    for status in sorted(statuses, key=lambda s: (s.metadata.attempt, s.created_at)):
        newest[status.metadata.name] = status
    return newest


def should_restart(pod: core_v1.Pod, container: core_v1.Container, status: v.ContainerStatus | None) -> bool:
    """Whether a container that does not run should be started (again)."""
    if pod.metadata.deletion_timestamp:
        return False
    if status is None:
        return True
    if status.state == "running":
        return False
    if status.state in ("unknown", "created"):
        return True
    policy = container.restart_policy or pod.spec.restart_policy
    if policy == "Never":
        return False
    return not (policy == "OnFailure" and status.exit_code == 0)


def plan(
    pod: core_v1.Pod,
    sandbox: v.PodSandboxStatus | None,
    statuses: Sequence[v.ContainerStatus],
    *,
    failed_probes: Mapping[str, str],
    started: Mapping[str, bool],
) -> Plan:
    """The next step for a pod that should run.

    `failed_probes`: container id → which probe ("liveness", "startup") wants it restarted. `started`: container name →
    whether its startup probe has passed (true where it has none).
    """
    newest = by_name(statuses)
    result = Plan()
    if sandbox is None or sandbox.state != "ready" or _lost_network(pod, sandbox):
        ended = [newest.get(c.name) for c in pod.spec.containers]
        if pod.spec.restart_policy != "Always" and ended and all(s and s.state == "exited" for s in ended):
            again = [c for c in pod.spec.containers if should_restart(pod, c, newest.get(c.name))]
            if not again:
                result.initialized = result.finished = True
                return result
        result.sandbox = True
        newest = {}
    if not result.sandbox:
        result.start += _ephemeral(pod, newest)
    _init_containers(pod, newest, result, failed_probes, started)
    if not result.initialized:
        return result
    for container in pod.spec.containers:
        status = newest.get(container.name)
        if status is None or status.state != "running":
            if should_restart(pod, container, status):
                result.start.append(container)
            continue
        why = _must_kill(container, status, failed_probes)
        if why is None:
            continue
        restart = container.restart_policy or pod.spec.restart_policy
        suffix = ", will be restarted" if restart != "Never" or "definition" in why[0] else ""
        result.kill.append(Kill(status, f"Container {container.name} {why[0]}{suffix}", why[1]))
    states = [newest.get(c.name) for c in pod.spec.containers]
    if all(s is not None and s.state == "exited" for s in states) and not any(
        should_restart(pod, c, s) for c, s in zip(pod.spec.containers, states, strict=True)
    ):
        # A sidecar does not keep its pod alive: it is not started again.
        result.finished, result.start = True, []
    return result


def _lost_network(pod: core_v1.Pod, sandbox: v.PodSandboxStatus) -> bool:
    return not pod.spec.host_network and not sandbox.ips


def _must_kill(
    container: core_v1.Container, status: v.ContainerStatus, failed_probes: Mapping[str, str]
) -> tuple[str, str] | None:
    expected = container_hash(container)
    if status.annotations.get(HASH_ANNOTATION, expected) != expected:
        return "definition changed", "definition"
    probe = failed_probes.get(status.id)
    return (f"failed {probe} probe", probe) if probe else None


def _init_containers(
    pod: core_v1.Pod,
    newest: Mapping[str, v.ContainerStatus],
    result: Plan,
    failed_probes: Mapping[str, str],
    started: Mapping[str, bool],
) -> None:
    """One after the other; a sidecar is passed once it has started, and restarted whenever it ends."""
    if any(newest.get(c.name) for c in pod.spec.containers):
        # The main containers exist, so the ordinary init containers are done, whether or not they are still to be seen.
        result.initialized = True
    for container in pod.spec.init_containers:
        status = newest.get(container.name)
        if sidecar(container):
            if status is None or status.state != "running":
                result.start.append(container)
                if not result.initialized:
                    return
                continue
            why = _must_kill(container, status, failed_probes)
            if why is not None:
                result.kill.append(Kill(status, f"Init container {container.name} {why[0]}, will be restarted", why[1]))
            if not started.get(container.name, True) and not result.initialized:
                return
            continue
        if result.initialized:
            continue
        if status is None or status.state in ("created", "unknown"):
            result.start.append(container)
            return
        if status.state == "running":
            return
        if status.exit_code != 0:
            if pod.spec.restart_policy == "Never":
                result.finished = True
            else:
                result.start.append(container)
            return
    result.initialized = True
