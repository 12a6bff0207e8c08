"""Watches over nodes: marks the silent ones, taints by condition, marks pods of lost nodes not ready.

Upstream: pkg/controller/nodelifecycle. Evicting the pods is the taint eviction controller's work. Upstream looks at
all nodes every 5 seconds; here each node has a deadline that its heartbeats move.
"""

import asyncio

from orlop.api import errors
from orlop.api.types import coordination_v1, core_v1
from orlop.clock import rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.views import PodView
from orlop.controllers.zones import Zones

GRACE_PERIOD = 50.0
"""Seconds without a heartbeat after which a node is unreachable (upstream: --node-monitor-grace-period)."""
STARTUP_GRACE_PERIOD = 60.0
"""Seconds a new node may take to its first heartbeat (upstream: --node-startup-grace-period)."""

LEASE_NAMESPACE = "kube-node-lease"

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

CONDITION_TAINTS = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
"""NoSchedule taints by (condition, status)."""
MANAGED = frozenset(CONDITION_TAINTS.values()) | {UNSCHEDULABLE}

WATCHED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""What becomes Unknown when a node falls silent."""


class NodeLifecycleController(Controller):
    """One node a key."""

    name = "node-lifecycle-controller"
    component = "node-controller"

    def __init__(self, grace_period: float = GRACE_PERIOD, startup_grace_period: float = STARTUP_GRACE_PERIOD) -> None:
        self.grace_period = grace_period
        self.startup_grace_period = max(startup_grace_period, grace_period)
        self.heard: dict[str, tuple[str, float]] = {}
        """Node → (what its heartbeat said, when this clock first saw that): other machines' clocks may differ."""
        self.zones = Zones()

    def setup(self, builder: Builder) -> None:
        self.nodes = builder.for_(core_v1.Node)
        self.leases = builder.watches(
            coordination_v1.Lease, lambda lease: [Key("", lease.metadata.name)], namespace=LEASE_NAMESPACE
        )
        self.pods = builder.informer(PodView, indexers={"node": lambda p: [p.spec.node_name]})

    async def reconcile(self, key: Key) -> Result | None:
        node = self.nodes.get("", key.name)
        if node is None:
            self.heard.pop(key.name, None)
            self.zones.forget(key.name)
            return None
        left = self._silence(node)
        if left <= 0:
            node = await self._mark_unknown(node)
        ready = condition(node, "Ready")
        status = ready.status if ready else "Unknown"
        delay = self.zones.seen(node, status, self.context.clock.monotonic())
        await self._taint(node, status, evict=delay <= 0)
        if status != "True":
            await self._mark_pods(node)
        waits = [w for w in (left, delay) if w > 0]
        return Result(requeue_after=min(waits)) if waits else None

    def _silence(self, node: core_v1.Node) -> float:
        """Seconds until the node counts as silent; zero or less: it does now."""
        name = node.metadata.name
        lease = self.leases.get(LEASE_NAMESPACE, name)
        ready = condition(node, "Ready")
        own = ready.last_heartbeat_time if ready and ready.reason != "NodeStatusUnknown" else ""
        beat = f"{lease.spec.renew_time if lease else ''} {own}"
        now = self.context.clock.monotonic()
        known = self.heard.get(name)
        if known is None or known[0] != beat:
            known = self.heard[name] = (beat, now)
        never = ready is None and lease is None
        grace = self.startup_grace_period if never else self.grace_period
        return known[1] + grace - now

    async def _mark_unknown(self, node: core_v1.Node) -> core_v1.Node:
        """Every watched condition becomes Unknown, as the node's own last word is too old."""
        now = rfc3339(self.context.clock.now())
        changed = []
        for type_ in WATCHED_CONDITIONS:
            old = condition(node, type_)
            if old is not None and old.status == "Unknown":
                continue
            never = old is None
            changed.append(
                {
                    "type": type_,
                    "status": "Unknown",
                    "reason": "NodeStatusNeverUpdated" if never else "NodeStatusUnknown",
                    "message": "Kubelet never posted node status." if never else "Kubelet stopped posting node status.",
                    "lastHeartbeatTime": old.last_heartbeat_time if old else node.metadata.creation_timestamp,
                    "lastTransitionTime": now,
                }
            )
        if not changed:
            return node
        self.context.recorder.event(
            node, "Normal", "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady"
        )
        return await self.context.client.patch(
            core_v1.Node,
            node.metadata.name,
            None,
            {"metadata": {"uid": node.metadata.uid}, "status": {"conditions": changed}},
            type="strategic",
            subresource="status",
        )

    async def _taint(self, node: core_v1.Node, ready: str, *, evict: bool) -> None:
        """NoSchedule taints as the conditions say; NoExecute ones where the node's zone lets it be emptied."""
        wanted: dict[tuple[str, str], core_v1.Taint] = {}
        now = rfc3339(self.context.clock.now())

        def want(key: str, effect: str) -> None:
            old = next((t for t in node.spec.taints if (t.key, t.effect) == (key, effect)), None)
            stamp = now if effect == "NoExecute" else None
            wanted[key, effect] = old or core_v1.Taint(key=key, effect=effect, time_added=stamp)

        for c in node.status.conditions:
            key = CONDITION_TAINTS.get((c.type, c.status))
            if key is not None:
                want(key, "NoSchedule")
        if condition(node, "Ready") is None:
            want(NOT_READY, "NoSchedule")
        if node.spec.unschedulable:
            want(UNSCHEDULABLE, "NoSchedule")
        lost = {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready)
        has = any(t.key == lost and t.effect == "NoExecute" for t in node.spec.taints)
        if lost is not None and (evict or has):
            want(lost, "NoExecute")
        kept = [
            t
            for t in node.spec.taints
            if not (
                (t.key in MANAGED and t.effect == "NoSchedule")
                or (t.key in (NOT_READY, UNREACHABLE) and t.effect == "NoExecute")
            )
        ]
        taints = kept + list(wanted.values())
        before = {(t.key, t.effect, t.value) for t in node.spec.taints}
        if {(t.key, t.effect, t.value) for t in taints} == before:
            return
        await self.context.client.patch(
            core_v1.Node,
            node.metadata.name,
            None,
            {
                "metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version},
                "spec": {"taints": taints or None},
            },
            type="merge",
        )

    async def _mark_pods(self, node: core_v1.Node) -> None:
        """Pods of a node that is not ready are not ready either: Services must not send to them."""
        now = rfc3339(self.context.clock.now())
        pods = []
        for pod in self.pods.by_index("node", node.metadata.name):
            ready = next((c for c in pod.status.conditions if c.type == "Ready"), None)
            if ready is not None and ready.status == "True":
                pods.append(pod)

        async def mark(pod: PodView) -> None:
            patch = {
                "metadata": {"uid": pod.metadata.uid},
                "status": {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": now}]},
            }
            try:
                await self.context.client.patch(
                    core_v1.Pod,
                    pod.metadata.name,
                    pod.metadata.namespace,
                    patch,
                    type="strategic",
                    subresource="status",
                )
            except (errors.NotFound, errors.Conflict):
                return
            self.context.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")

        await asyncio.gather(*(mark(pod) for pod in pods))


def condition(node: core_v1.Node, type_: str) -> core_v1.NodeCondition | None:
    """The node's condition of that type."""
    return next((c for c in node.status.conditions if c.type == type_), None)
