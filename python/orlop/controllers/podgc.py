"""Removes pods that nobody will remove any more (pkg/controller/podgc)."""

import asyncio
from collections.abc import Collection

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers import evictions
from orlop.controllers.pods import is_terminal
from orlop.controllers.views import PodView

TERMINATED_PODS_KEPT = 12_500
"""Ended pods kept before the oldest are removed (upstream: --terminated-pod-gc-threshold)."""
QUARANTINE = 40.0
"""Seconds a node must be missing before its pods are removed (upstream: quarantineTime)."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

ALL = Key("", "pods")
"""The one key: a look at all pods."""


class PodGCController(Controller):
    """Looks when nodes go and pods end, and again when a quarantine ends. Upstream looks every 20 seconds."""

    name = "pod-garbage-collector-controller"
    account = "pod-garbage-collector"
    component = "podgc"

    def __init__(self, threshold: int = TERMINATED_PODS_KEPT) -> None:
        self.threshold = threshold
        self.missing_since: dict[str, float] = {}

    def setup(self, builder: Builder) -> None:
        self.pods = builder.watches(PodView, lambda p: [ALL] if self._concerns(p) else [])
        self.nodes = builder.watches(core_v1.Node, lambda n: [ALL], changed=_out_of_service_changed)
        builder.workers(1)

    def _concerns(self, pod: PodView) -> bool:
        """Whether the pod may be one to remove. Most events are of pods that are not, and a look takes in all pods."""
        if is_terminal(pod):
            return True
        if not pod.spec.node_name:
            return pod.metadata.deletion_timestamp is not None
        node = self.nodes.get("", pod.spec.node_name)
        return node is None or (pod.metadata.deletion_timestamp is not None and _is_out_of_service(node))

    async def reconcile(self, key: Key) -> Result | None:
        nodes = {n.metadata.name: n for n in self.nodes.items()}
        await self._terminated()
        await self._out_of_service(nodes)
        wait = await self._orphaned(nodes)
        await self._unscheduled()
        return Result(requeue_after=wait) if wait is not None else None

    async def _orphaned(self, nodes: Collection[str]) -> float | None:
        """Pods of nodes that are gone, after the quarantine. Seconds until the next one ends, if any lasts."""
        now = self.context.clock.monotonic()
        orphans: dict[str, list[PodView]] = {}
        for pod in self.pods.items():
            if pod.spec.node_name and pod.spec.node_name not in nodes:
                orphans.setdefault(pod.spec.node_name, []).append(pod)
        self.missing_since = {name: self.missing_since.get(name, now) for name in orphans}
        waits = []
        for name, pods in orphans.items():
            left = self.missing_since[name] + QUARANTINE - now
            if left > 0:
                waits.append(left)
            elif not await self._exists(name):
                await self._delete_all(pods, ("DeletionByPodGC", "PodGC: node no longer exists"))
        return min(waits, default=None)

    async def _exists(self, node: str) -> bool:
        """Asks the server: the cache may be behind."""
        try:
            await self.context.client.get(core_v1.Node, node)
        except errors.NotFound:
            return False
        return True

    async def _unscheduled(self) -> None:
        """Pods told to end that never had a node."""
        pods = [p for p in self.pods.items() if p.metadata.deletion_timestamp and not p.spec.node_name]
        await self._delete_all(pods, None)

    async def _out_of_service(self, nodes: dict[str, core_v1.Node]) -> None:
        """Pods told to end on a node that somebody has declared dead."""
        pods = []
        for pod in self.pods.items():
            node = nodes.get(pod.spec.node_name)
            if not pod.metadata.deletion_timestamp or node is None:
                continue
            if _is_out_of_service(node):
                pods.append(pod)
        await self._delete_all(pods, None)

    async def _terminated(self) -> None:
        """The oldest ended pods beyond the threshold."""
        if self.threshold <= 0:
            return
        ended = [p for p in self.pods.items() if is_terminal(p) and not p.metadata.deletion_timestamp]
        surplus = len(ended) - self.threshold
        if surplus > 0:
            # Evicted ones first: they are of no use to the controllers that count ended pods.
            ended.sort(key=lambda p: (not _is_evicted(p), parse_time(p.metadata.creation_timestamp), p.metadata.name))
            await self._delete_all(ended[:surplus], None)

    async def _delete_all(self, pods: list[PodView], why: tuple[str, str] | None) -> None:
        results = await asyncio.gather(*(self._delete(pod, why) for pod in pods), return_exceptions=True)
        failures = [r for r in results if isinstance(r, BaseException)]
        if failures:
            raise failures[0]

    async def _delete(self, pod: PodView, why: tuple[str, str] | None) -> None:
        m = pod.metadata
        if m.deletion_timestamp is not None and m.deletion_grace_period_seconds == 0 and is_terminal(pod):
            return  # all is done: finalizers hold it
        self.context.log.info("PodGC is force deleting Pod", extra={"pod": f"{m.namespace}/{m.name}"})
        try:
            if not is_terminal(pod):
                await self._mark_failed(pod, why)
            await self.context.client.delete(core_v1.Pod, m.name, m.namespace, grace=0, uid=m.uid)
        except (errors.NotFound, errors.Conflict):
            return

    async def _mark_failed(self, pod: PodView, why: tuple[str, str] | None) -> None:
        """Its owner must see that it has failed before it is gone."""
        status: dict[str, object] = {"phase": "Failed", "observedGeneration": pod.metadata.generation}
        if why is not None:
            status["conditions"] = [evictions.disruption_target(pod, *why, self.context.clock.now())]
        await evictions.patch_status(self.context, pod, status)


def _is_evicted(pod: PodView) -> bool:
    return pod.status.phase == "Failed" and pod.status.reason == "Evicted"


def _is_out_of_service(node: core_v1.Node) -> bool:
    ready = next((c.status for c in node.status.conditions if c.type == "Ready"), "Unknown")
    return ready != "True" and any(t.key == OUT_OF_SERVICE for t in node.spec.taints)


def _out_of_service_changed(old: core_v1.Node, new: core_v1.Node) -> bool:
    return _is_out_of_service(old) != _is_out_of_service(new)
