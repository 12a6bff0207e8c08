"""Moves pods away from nodes with NoExecute taints that they do not tolerate, or not that long.

Upstream: pkg/controller/tainteviction.
"""

from collections.abc import Iterable
from typing import NamedTuple

from orlop.api.taints import tolerates
from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers import evictions
from orlop.controllers.views import PodView

REASON = "TaintManagerEviction"


class Waiting(NamedTuple):
    """A pod that is to go later."""

    pod: core_v1.ObjectReference
    began: float
    """The wall-clock time from which its toleration runs."""


class TaintEvictionController(Controller):
    """One pod a key."""

    name = "taint-eviction-controller"

    def __init__(self) -> None:
        self.waiting: dict[Key, Waiting] = {}

    def setup(self, builder: Builder) -> None:
        self.pods = builder.watches(
            PodView,
            self._concerned,
            changed=lambda old, new: (
                old.spec.node_name != new.spec.node_name or old.spec.tolerations != new.spec.tolerations
            ),
            indexers={"node": lambda p: [p.spec.node_name]},
        )
        self.nodes = builder.watches(
            core_v1.Node,
            lambda n: [Key(p.metadata.namespace, p.metadata.name) for p in self.pods.by_index("node", n.metadata.name)],
            changed=lambda old, new: no_execute(old) != no_execute(new),
        )

    def _concerned(self, pod: PodView) -> Iterable[Key]:
        """The pod where it may have to go. Most nodes have no such taint; of one that gets some, all pods are looked
        at."""
        key = Key(pod.metadata.namespace, pod.metadata.name)
        node = self.nodes.get("", pod.spec.node_name)
        return (key,) if key in self.waiting or (node is not None and no_execute(node)) else ()

    async def reconcile(self, key: Key) -> Result | None:
        pod = self.pods.get(key.namespace, key.name)
        waiting = self.waiting.get(key)
        if pod is None or (waiting is not None and waiting.pod.uid != pod.metadata.uid):
            self._cancel(key)
        if pod is None or not pod.spec.node_name or pod.metadata.deletion_timestamp is not None:
            return None
        node = self.nodes.get("", pod.spec.node_name)
        taints = no_execute(node) if node is not None else []
        seconds = tolerated_for(pod.spec.tolerations, taints)
        if seconds is None:
            self._cancel(key)
            return None
        if seconds > 0:
            left = self._began(key, pod, taints) + seconds - self.context.clock.now()
            if left > 0:
                return Result(requeue_after=left)
        await self._evict(key, pod)
        return None

    def _began(self, key: Key, pod: PodView, taints: list[core_v1.Taint]) -> float:
        """When the pod's time began: with the oldest taint, but not before the pod came to the node.

        Once begun it goes on when one taint takes the place of another, as not-ready and unreachable do.
        """
        if key not in self.waiting:
            now = self.context.clock.now()
            tainted = min(parse_time(t.time_added) if t.time_added else now for t in taints)
            bound = next((c.last_transition_time for c in pod.status.conditions if c.type == "PodScheduled"), None)
            came = parse_time(bound or pod.metadata.creation_timestamp)
            meta = pod.metadata
            reference = core_v1.ObjectReference(
                api_version="v1", kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid
            )
            self.waiting[key] = Waiting(reference, max(tainted, came))
        return self.waiting[key].began

    def _cancel(self, key: Key) -> None:
        waiting = self.waiting.pop(key, None)
        if waiting is not None:
            self.context.recorder.event(waiting.pod, "Normal", REASON, f"Cancelling deletion of Pod {key}")

    async def _evict(self, key: Key, pod: PodView) -> None:
        self.context.recorder.event(pod, "Normal", REASON, f"Marking for deletion Pod {key}")
        message = "Taint manager: deleting due to NoExecute taint"
        await evictions.evict(self.context, pod, "DeletionByTaintManager", message)
        self.waiting.pop(key, None)


def no_execute(node: core_v1.Node) -> list[core_v1.Taint]:
    """The node's taints that make pods leave."""
    return [taint for taint in node.spec.taints if taint.effect == "NoExecute"]


def tolerated_for(tolerations: list[core_v1.Toleration], taints: list[core_v1.Taint]) -> float | None:
    """Seconds that the tolerations bear with the taints: 0 not at all, None for ever.

    Of several tolerations for a taint the first counts, as upstream's GetMatchingTolerations has it.
    """
    limits = []
    for taint in taints:
        toleration = next((t for t in tolerations if tolerates(t, taint)), None)
        if toleration is None:
            return 0.0
        if toleration.toleration_seconds is not None:
            limits.append(max(0.0, float(toleration.toleration_seconds)))
    return min(limits, default=None)
