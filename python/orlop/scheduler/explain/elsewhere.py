"""A pod that does not wait for the scheduler: whose it is, and what holds it back there, in one line."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from orlop.scheduler.explain.results import State

Object = dict[str, Any]

VOLUME_EVENTS = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")
SANDBOX_EVENTS = ("FailedCreatePodSandBox", "NetworkNotReady", "FailedCreatePodContainer")
WAITING = {
    "ImagePullBackOff": "its image cannot be pulled",
    "ErrImagePull": "its image cannot be pulled",
    "InvalidImageName": "the name of its image is not valid",
    "ErrImageNeverPull": "its image is not on the node and must not be pulled",
    "CrashLoopBackOff": "it keeps ending and is started again after a while",
    "CreateContainerConfigError": "its configuration is not complete",
    "CreateContainerError": "it cannot be created",
    "RunContainerError": "it cannot be started",
}
"""What a container's waiting reason means."""


class Elsewhere(NamedTuple):
    """What holds a pod back that is not the scheduler's (any more)."""

    state: State
    summary: str
    hints: list[str]


def of(pod: Object, events: Sequence[Object]) -> Elsewhere | None:
    """What is to be said of a pod that the scheduler has nothing to do with; None for one that waits for a node.

    `events` are those about the pod, the newest last.
    """
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    where = f"-n {metadata['namespace']} {metadata['name']}"
    node = spec.get("nodeName", "")
    if status.get("phase") in ("Succeeded", "Failed"):
        return _ended(status, where)
    if metadata.get("deletionTimestamp"):
        return _deleting(metadata, node, where)
    if node:
        summary, hints = _on_node(pod, node, where, events)
        return Elsewhere("placed", summary, hints)
    return None


def _ended(status: Object, where: str) -> Elsewhere:
    reason = f" ({status['reason']})" if status.get("reason") else ""
    return Elsewhere("ended", f"it has ended: {status['phase']}{reason}", [f"kubectl logs {where}"])


def _deleting(metadata: Object, node: str, where: str) -> Elsewhere:
    since = f"it is being deleted since {metadata['deletionTimestamp']} and will not be placed"
    if finalizers := metadata.get("finalizers"):
        since += f"; it waits for its finalizers: {', '.join(finalizers)}"
    elif node:
        since = f"it is being deleted since {metadata['deletionTimestamp']}: node {node} is ending its containers"
    return Elsewhere("deleting", since, [f"kubectl get pod {where} -o yaml"])


def _on_node(pod: Object, node: str, where: str, events: Sequence[Object]) -> tuple[str, list[str]]:
    status = pod.get("status") or {}
    ready: Object = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    if ready.get("status") == "True":
        return f"it runs on node {node} and is ready", [f"orlop why-here {where}"]
    describe = f"kubectl describe pod {where}"
    inits, containers = status.get("initContainerStatuses") or [], status.get("containerStatuses") or []
    for container in (*inits, *containers):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in WAITING:
            text = f"it is on node {node}; container {container['name']}: {WAITING[reason]} ({reason})"
            detail = f": {waiting['message']}" if waiting.get("message") else ""
            onward = f"kubectl logs {where} -c {container['name']} --previous"
            return text + detail, [onward if reason == "CrashLoopBackOff" else describe]
    last = {event.get("reason"): event for event in events}
    for reason in (*VOLUME_EVENTS, *SANDBOX_EVENTS):
        if reason in last and not any(c.get("started") for c in containers):
            what = "a volume cannot be mounted" if reason in VOLUME_EVENTS else "its sandbox cannot be set up"
            return f"it is on node {node}; {what} ({reason}): {last[reason].get('message', '')}", [describe]
    for container in inits:
        if not (container.get("state") or {}).get("terminated") and not container.get("started"):
            return f"it is on node {node} and waits for init container {container['name']}", [
                f"kubectl logs {where} -c {container['name']}"
            ]
    unready = [c["name"] for c in containers if not c.get("ready")]
    if unready and all((c.get("state") or {}).get("running") for c in containers):
        said = last.get("Unhealthy", {}).get("message", "")
        text = f"it runs on node {node}, but container {unready[0]} is not ready"
        return text + (f": {said}" if said else " (its readiness probe has not succeeded)"), [describe]
    if not containers:
        # Nothing was heard of the node's agent.
        return f"it is bound to node {node}, which has not started it yet", [f"kubectl describe node {node}", describe]
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    true = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
    if missing := [gate for gate in gates if gate not in true]:
        return f"it runs on node {node} and waits for its readiness gates: {', '.join(missing)}", [describe]
    return f"it is on node {node}, phase {status.get('phase', 'Pending')}", [describe]
