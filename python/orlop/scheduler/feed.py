"""Brings what the API tells of nodes and pods to the core's table and to the queue."""

from collections.abc import Container

import msgspec

from orlop import logging
from orlop.api.types.base import ApiStruct
from orlop.client import Meta
from orlop.clock import Clock
from orlop.native import PodFacts, SchedulerCore
from orlop.scheduler import events
from orlop.scheduler.devices import DeviceBinder
from orlop.scheduler.events import ClusterEvent
from orlop.scheduler.gangs import Gangs
from orlop.scheduler.queue import Item, SchedulingQueue
from orlop.scheduler.report import GATED_MESSAGE, Reporter
from orlop.scheduler.volumebinding import VolumeBinder

_log = logging.get("scheduler")


class _Metadata(Meta):
    generation: int = 0


class _Spec(ApiStruct):
    node_name: str = ""
    scheduler_name: str = ""
    priority: int = 0


class _Outline(ApiStruct):
    """Enough of a pod that the core cannot read to say so to its owner."""

    metadata: _Metadata = msgspec.field(default_factory=_Metadata)
    spec: _Spec = msgspec.field(default_factory=_Spec)


_read_outline = msgspec.json.Decoder(_Outline).decode


class Objects:
    """Pods and nodes as the API served them, for plug-ins and extenders. Where there are none, nothing is kept."""

    def __init__(self, *, pods: bool, nodes: bool) -> None:
        self._pods: dict[tuple[str, str], bytes] | None = {} if pods else None
        self._nodes: dict[str, bytes] | None = {} if nodes else None

    def pod(self, key: tuple[str, str], value: bytes | None) -> None:
        """A pod as it is now; None: it is gone."""
        if self._pods is not None:
            if value is None:
                self._pods.pop(key, None)
            else:
                self._pods[key] = value

    def node(self, name: str, value: bytes | None) -> None:
        """A node as it is now; None: it is gone."""
        if self._nodes is not None:
            if value is None:
                self._nodes.pop(name, None)
            else:
                self._nodes[name] = value

    def get_pod(self, key: tuple[str, str]) -> bytes | None:
        """The pod as the API served it last."""
        return self._pods.get(key) if self._pods is not None else None

    def get_node(self, name: str) -> bytes | None:
        """The node as the API served it last."""
        return self._nodes.get(name) if self._nodes is not None else None


class Feed:
    """The raw handlers of the scheduler's informers. An object that cannot be read is reported and passed over."""

    def __init__(
        self,
        core: SchedulerCore,
        queue: SchedulingQueue,
        volumes: VolumeBinder,
        devices: DeviceBinder,
        objects: Objects,
        gangs: Gangs,
        reporter: Reporter,
        clock: Clock,
        names: Container[str],
    ) -> None:
        self._core = core
        self._queue = queue
        self._volumes = volumes
        self._devices = devices
        self._objects = objects
        self._gangs = gangs
        self._reporter = reporter
        self._clock = clock
        self._names = names

    def node(self, type: str, namespace: str, name: str, value: bytes) -> None:
        """A Node was added, changed or deleted."""
        if type == "DELETED":
            self._objects.node(name, None)
            if self._core.delete_node(name):
                self._queue.happened(ClusterEvent.NODE_DELETE, node=name)
            return
        try:
            changed = self._core.upsert_node(value)
        except ValueError as error:
            _log.error("cannot read node; it stays as it was", extra={"node": name, "error": str(error)})
            return
        self._objects.node(name, value)
        self._queue.happened(events.of_node(changed), node=name)

    def namespace(self, type: str, namespace: str, name: str, value: bytes) -> None:
        """A Namespace was added, changed or deleted."""
        if type == "DELETED":
            self._core.delete_namespace(name)
            return
        try:
            self._core.upsert_namespace(value)
        except ValueError as error:
            _log.error("cannot read namespace", extra={"namespace": name, "error": str(error)})

    def budget(self, type: str, namespace: str, name: str, value: bytes) -> None:
        """A PodDisruptionBudget was added, changed or deleted."""
        if type == "DELETED":
            self._core.delete_budget(namespace, name)
            return
        try:
            self._core.upsert_budget(value)
        except ValueError as error:
            _log.error("cannot read budget", extra={"budget": f"{namespace}/{name}", "error": str(error)})

    def pod(self, type: str, namespace: str, name: str, value: bytes) -> None:
        """A Pod was added, changed or deleted. One that ends may come as deleted: the informer's selector says so."""
        if type == "DELETED":
            self._queue.delete((namespace, name))
            self._volumes.pod((namespace, name), None)
            self._devices.pod((namespace, name), None)
            self._objects.pod((namespace, name), None)
            self._gangs.pod((namespace, name), None)
            if node := self._core.delete_pod(namespace, name):
                self._queue.happened(ClusterEvent.ASSIGNED_POD_FREED, node=node)
            return
        try:
            facts = self._core.upsert_pod(value)
            placed = bool(facts.node)
            self._volumes.pod((namespace, name), None if facts.ended else value, node=facts.node)
            self._devices.pod((namespace, name), None if facts.ended else value, node=facts.node)
            self._objects.pod((namespace, name), None if facts.ended else value)
            kept = None if facts.ended else value
            self._gangs.pod((namespace, name), kept, node=facts.node, gated=facts.gated)
        except ValueError as error:
            self._unreadable(namespace, name, value, str(error))
            return
        self._queue.happened(events.of_pod(facts.changed), node=facts.freed or facts.node)
        if facts.ended or placed:
            self._queue.delete((namespace, name))
            self._volumes.wake([(namespace, name)])
        elif facts.scheduler_name in self._names:
            self._waits(facts)

    def _waits(self, facts: PodFacts) -> None:
        item = self._queue.get((facts.namespace, facts.name))
        known = item is not None and item.uid == facts.uid
        gated = facts.gated or self._gangs.holds((facts.namespace, facts.name))
        if facts.terminating:
            self._queue.delete((facts.namespace, facts.name))
            self._volumes.wake([(facts.namespace, facts.name)])
            if item is not None and known:
                self._reporter.skipped(item)
        elif item is not None and known:
            item.condition, item.generation = facts.condition, facts.generation
            item.nominated = facts.nominated
            changed = bool(facts.changed & SchedulerCore.POD_SPEC)
            self._queue.update(item, priority=facts.priority, gated=gated, changed=changed)
            self._gated(item, facts.gated)
        elif not facts.assumed:  # else it is bound, which the API is yet to tell
            item = Item(
                namespace=facts.namespace,
                name=facts.name,
                uid=facts.uid,
                scheduler_name=facts.scheduler_name,
                priority=facts.priority,
                gated=gated,
                condition=facts.condition,
                generation=facts.generation,
                nominated=facts.nominated,
                created=self._clock.monotonic(),
            )
            self._queue.add(item)
            self._gated(item, facts.gated)

    def _gated(self, item: Item, gated: bool) -> None:
        if gated and (item.condition is None or item.condition[1] != "SchedulingGated"):
            # The API server says so itself at creation; one that does not leaves its users without a reason.
            self._reporter.condition(item, "SchedulingGated", GATED_MESSAGE)

    def _unreadable(self, namespace: str, name: str, value: bytes, error: str) -> None:
        """Nothing is known of what the pod asks for, so it is not scheduled; its owner is told why."""
        _log.error("cannot read pod", extra={"pod": f"{namespace}/{name}", "error": error})
        self._queue.delete((namespace, name))
        try:
            outline = _read_outline(value)
        except msgspec.MsgspecError:
            return
        if outline.spec.node_name or outline.spec.scheduler_name not in self._names:
            return
        item = Item(
            namespace=namespace,
            name=name,
            uid=outline.metadata.uid,
            scheduler_name=outline.spec.scheduler_name,
            priority=outline.spec.priority,
            gated=False,
            condition=None,
            generation=outline.metadata.generation,
            created=self._clock.monotonic(),
        )
        self._reporter.failed(item, "SchedulerError", error)
