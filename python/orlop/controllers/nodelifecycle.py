"""Watches over nodes: marks the silent ones, taints by condition, marks pods of silent nodes not ready.

Upstream: pkg/controller/nodelifecycle. Evicting the pods is the taint eviction controller's work. Upstream looks at
all nodes every 5 seconds; here each node has a deadline that its heartbeats move.
"""

import asyncio
from collections.abc import Iterable

from orlop.api import errors
from orlop.api.types import coordination_v1, core_v1
from orlop.clock import parse_time, rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers import pods
from orlop.controllers.views import PodView
from orlop.controllers.zones import Zones

GRACE_PERIOD = 50.0
"""Seconds without a heartbeat after which a node is unreachable (upstream: --node-monitor-grace-period)."""
STARTUP_GRACE_PERIOD = 60.0
"""Seconds a new node may take to its first status (upstream: --node-startup-grace-period)."""

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
MANAGED = frozenset(
    [(key, "NoSchedule") for key in (*CONDITION_TAINTS.values(), UNSCHEDULABLE)]
    + [(key, "NoExecute") for key in (NOT_READY, UNREACHABLE)]
)
"""The taints, by key and effect, that are this controller's alone."""

WATCHED_CONDITIONS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""What becomes Unknown when a node falls silent. NetworkUnavailable does not: it is the control plane's own."""

BETA_LABELS = {
    "kubernetes.io/os": "beta.kubernetes.io/os",
    "kubernetes.io/arch": "beta.kubernetes.io/arch",
}
"""Labels of which there is an older twin that must say the same."""


class NodeLifecycleController(Controller):
    """One node a key."""

    name = "node-lifecycle-controller"
    account = "node-controller"
    component = "node-controller"

    def __init__(self, grace_period: float = GRACE_PERIOD, startup_grace_period: float = STARTUP_GRACE_PERIOD) -> None:
        self.grace_period = grace_period
        self.startup_grace_period = max(startup_grace_period, grace_period)
        self.heard: dict[str, tuple[tuple[str, ...], float]] = {}
        """Node → (what its heartbeat said, when this clock first saw that): other machines' clocks may differ."""
        self.known: dict[str, core_v1.ObjectReference] = {}
        self.zones = Zones()

    def setup(self, builder: Builder) -> None:
        self.nodes = builder.for_(core_v1.Node)
        self.leases = builder.watches(
            coordination_v1.Lease, lambda lease: [Key("", lease.metadata.name)], namespace=LEASE_NAMESPACE
        )
        self.pods = builder.informer(PodView, indexers={"node": lambda p: [p.spec.node_name]})

    async def prepare(self) -> None:
        """Judges the zones by all nodes at once, not by those that happen to come first."""
        for node in self.nodes.items():
            ready = condition(node, "Ready")
            self.zones.observe(node, ready is not None and ready.status == "True")
            if any(t.effect == "NoExecute" and t.key in (NOT_READY, UNREACHABLE) for t in node.spec.taints):
                self.zones.had_turn(node.metadata.name)

    async def reconcile(self, key: Key) -> Result | None:
        node = self.nodes.get("", key.name)
        if node is None:
            self._forget(key.name)
            return None
        self._greet(node)
        left = self._silence(node)
        if left <= 0:
            node = await self._mark_unknown(node)
        ready = condition(node, "Ready")
        was_halted = self.zones.halted
        again = self.zones.observe(node, ready is not None and ready.status == "True")
        if was_halted and not self.zones.halted:
            self._give_time()
        self._look_again(name for name in again if name != key.name)
        wait: float | None = 0.0
        if ready is not None and ready.status != "True":
            wait = self.zones.wait(key.name, self.context.clock.monotonic())
        await self._taint(node, ready.status if ready is not None else "", evict=wait == 0)
        if ready is not None and ready.status == "Unknown":
            await self._mark_pods(node)
        waits = [w for w in (left, wait) if w is not None and w > 0]
        return Result(requeue_after=min(waits)) if waits else None

    # --- who is there

    def _greet(self, node: core_v1.Node) -> None:
        name = node.metadata.name
        if name not in self.known:
            self.known[name] = core_v1.ObjectReference(api_version="v1", kind="Node", name=name, uid=node.metadata.uid)
            message = f"Node {name} event: Registered Node {name} in Controller"
            self.context.recorder.event(self.known[name], "Normal", "RegisteredNode", message)

    def _forget(self, name: str) -> None:
        self.heard.pop(name, None)
        known = self.known.pop(name, None)
        if known is not None:
            message = f"Node {name} event: Removing Node {name} from Controller"
            self.context.recorder.event(known, "Normal", "RemovingNode", message)
        self._look_again(self.zones.forget(name))

    def _look_again(self, names: Iterable[str]) -> None:
        for name in names:
            self.context.enqueue(Key("", name), 0)

    # --- who is silent

    def _silence(self, node: core_v1.Node) -> float:
        """Seconds until the node counts as silent; zero or less: it does now."""
        name = node.metadata.name
        lease = self.leases.get(LEASE_NAMESPACE, name)
        ready = condition(node, "Ready")
        beat = (
            (lease.spec.renew_time or "") if lease is not None else "",
            (ready.last_heartbeat_time or "") if ready is not None else "",
        )
        now = self.context.clock.monotonic()
        known = self.heard.get(name)
        if known is None and beat == ("", ""):
            # It has never said a word: its time runs from when it was made.
            age = self.context.clock.now() - parse_time(node.metadata.creation_timestamp)
            known = self.heard[name] = (beat, now - max(0.0, age))
        elif known is None or known[0] != beat:
            known = self.heard[name] = (beat, now)
        grace = self.startup_grace_period if ready is None else self.grace_period
        return known[1] + grace - now

    def _give_time(self) -> None:
        """After all were silent, and one is heard again: the others get the time to be heard too."""
        now = self.context.clock.monotonic()
        self.heard = {name: (beat, now) for name, (beat, _) in self.heard.items()}

    async def _mark_unknown(self, node: core_v1.Node) -> core_v1.Node:
        """Every watched condition becomes Unknown, as the node's own last word is too old."""
        ready = condition(node, "Ready")
        if ready is not None and ready.status == "Unknown":
            return node
        now = rfc3339(self.context.clock.now())
        changed = []
        for type_ in WATCHED_CONDITIONS:
            old = condition(node, type_)
            if old is None:
                reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
            elif old.status != "Unknown":
                reason, message = "NodeStatusUnknown", "Kubelet stopped posting node status."
            else:
                continue
            changed.append(
                {
                    "type": type_,
                    "status": "Unknown",
                    "reason": reason,
                    "message": message,
                    "lastHeartbeatTime": old.last_heartbeat_time if old else node.metadata.creation_timestamp,
                    "lastTransitionTime": now,
                }
            )
        patch = {
            "metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version},
            "status": {"conditions": changed},
        }
        name = node.metadata.name
        marked = await self.context.client.patch(
            core_v1.Node, name, None, patch, type="strategic", subresource="status"
        )
        if ready is not None and ready.status == "True":
            message = f"Node {name} status is now: NodeNotReady"
            self.context.recorder.event(node, "Normal", "NodeNotReady", message)
        return marked

    # --- what follows from it

    async def _taint(self, node: core_v1.Node, ready: str, *, evict: bool) -> None:
        """NoSchedule taints as the conditions say; a NoExecute one where the node's zone lets it be emptied."""
        wanted = [(CONDITION_TAINTS.get((c.type, c.status)), "NoSchedule") for c in node.status.conditions]
        if node.spec.unschedulable:
            wanted.append((UNSCHEDULABLE, "NoSchedule"))
        if evict:
            wanted.append((CONDITION_TAINTS.get(("Ready", ready)), "NoExecute"))
        present = {(t.key, t.effect): t for t in node.spec.taints}
        now = rfc3339(self.context.clock.now())
        taints = [taint for place, taint in present.items() if place not in MANAGED]
        for key, effect in wanted:
            if key is not None:
                taints.append(present.get((key, effect)) or core_v1.Taint(key=key, effect=effect, time_added=now))
        labels = {
            twin: node.metadata.labels[label]
            for label, twin in BETA_LABELS.items()
            if label in node.metadata.labels and node.metadata.labels.get(twin) != node.metadata.labels[label]
        }
        tainted = {(t.key, t.effect) for t in taints} != present.keys()
        if not tainted and not labels:
            return
        patch: dict[str, dict[str, object]] = {
            "metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version}
        }
        if labels:
            patch["metadata"]["labels"] = labels
        if tainted:
            patch["spec"] = {"taints": taints or None}
        await self.context.client.patch(core_v1.Node, node.metadata.name, None, patch, type="merge")

    async def _mark_pods(self, node: core_v1.Node) -> None:
        """Pods of a silent node are not ready: Services must not send to them. A node that speaks tells of its own."""
        ready = [pod for pod in self.pods.by_index("node", node.metadata.name) if pods.is_ready(pod)]
        await asyncio.gather(*(self._mark_pod(pod) for pod in ready))

    async def _mark_pod(self, pod: PodView) -> None:
        meta = pod.metadata
        now = rfc3339(self.context.clock.now())
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": now}
        patch = {"metadata": {"uid": meta.uid}, "status": {"conditions": [condition]}}
        try:
            await self.context.client.patch(
                core_v1.Pod, meta.name, meta.namespace, patch, type="strategic", subresource="status"
            )
        except (errors.NotFound, errors.Conflict):
            return  # it is gone, or made anew elsewhere
        self.context.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


def condition(node: core_v1.Node, type_: str) -> core_v1.NodeCondition | None:
    """The node's condition of that type."""
    return next((c for c in node.status.conditions if c.type == type_), None)
