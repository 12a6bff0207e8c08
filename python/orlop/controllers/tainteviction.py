"""Moves pods away from nodes with NoExecute taints that they do not tolerate, or not that long.

Upstream: pkg/controller/tainteviction.
"""

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import parse_time, rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.views import PodView


class TaintEvictionController(Controller):
    """One pod a key."""

    name = "taint-eviction-controller"

    def setup(self, builder: Builder) -> None:
        self.pods = builder.for_(
            PodView,
            changed=lambda old, new: (
                old.spec.node_name != new.spec.node_name or old.spec.tolerations != new.spec.tolerations
            ),
            indexers={"node": lambda p: [p.spec.node_name]},
        )
        self.nodes = builder.watches(
            core_v1.Node,
            lambda n: [Key(p.metadata.namespace, p.metadata.name) for p in self.pods.by_index("node", n.metadata.name)],
            changed=lambda old, new: old.spec.taints != new.spec.taints,
        )
        self.waiting: set[str] = set()

    async def reconcile(self, key: Key) -> Result | None:
        pod = self.pods.get(key.namespace, key.name)
        if pod is None or not pod.spec.node_name or pod.metadata.deletion_timestamp:
            return None
        node = self.nodes.get("", pod.spec.node_name)
        taints = [t for t in node.spec.taints if t.effect == "NoExecute"] if node else []
        if not taints:
            self._cancel(pod)
            return None
        left = self._left(pod, taints)
        if left is None:
            self._cancel(pod)
            return None
        if left > 0:
            self.waiting.add(pod.metadata.uid)
            return Result(requeue_after=left)
        await self._evict(pod)
        return None

    def _left(self, pod: PodView, taints: list[core_v1.Taint]) -> float | None:
        """Seconds the pod may stay; None: for ever; zero or less: not at all (any longer)."""
        now = self.context.clock.now()
        ends: list[float] = []
        for taint in taints:
            matching = [t for t in pod.spec.tolerations if tolerates(t, taint)]
            if not matching:
                return 0.0
            seconds = [t.toleration_seconds for t in matching if t.toleration_seconds is not None]
            if seconds:
                began = parse_time(taint.time_added) if taint.time_added else now
                ends.append(began + max(0, min(seconds)) - now)
        return min(ends) if ends else None

    def _cancel(self, pod: PodView) -> None:
        if pod.metadata.uid in self.waiting:
            self.waiting.discard(pod.metadata.uid)
            where = f"{pod.metadata.namespace}/{pod.metadata.name}"
            self.context.recorder.event(pod, "Normal", "TaintManagerEviction", f"Cancelling deletion of Pod {where}")

    async def _evict(self, pod: PodView) -> None:
        m = pod.metadata
        self.waiting.discard(m.uid)
        self.context.recorder.event(
            pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {m.namespace}/{m.name}"
        )
        disruption = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": rfc3339(self.context.clock.now()),
        }
        patch = {"metadata": {"uid": m.uid}, "status": {"conditions": [disruption]}}
        try:
            await self.context.client.patch(
                core_v1.Pod, m.name, m.namespace, patch, type="strategic", subresource="status"
            )
            await self.context.client.delete(core_v1.Pod, m.name, m.namespace, uid=m.uid)
        except (errors.NotFound, errors.Conflict):
            return


def tolerates(toleration: core_v1.Toleration, taint: core_v1.Taint) -> bool:
    """k8s.io/component-helpers scheduling/corev1, ToleratesTaint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and bool(toleration.key) and toleration.value == taint.value
