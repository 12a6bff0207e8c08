"""The eviction manager: looks every ten seconds, and lets pods go before the machine has to.

One pod at most goes for a resource that is short, after the node has given back what it can itself; every pod goes that
is above its own limit of local storage. A critical pod never goes. Upstream: pkg/kubelet/eviction/eviction_manager.go.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from orlop import logging
from orlop.api.taints import tolerates
from orlop.api.types import core_v1
from orlop.clock import Clock
from orlop.kubelet.critical import is_critical
from orlop.kubelet.ended import EVICTED, Ended
from orlop.kubelet.eviction import limits, messages, rank, signals
from orlop.kubelet.eviction.meter import Meter
from orlop.kubelet.eviction.pressure import Pressure
from orlop.kubelet.eviction.reclaim import Reclaimer
from orlop.kubelet.eviction.signals import Layout, Observation, Observations, Signals
from orlop.kubelet.eviction.thresholds import Threshold, for_layout
from orlop.kubelet.eviction.usage import PodUse
from orlop.kubelet.services import Events
from orlop.kubelet.status import qos_class

log = logging.get("kubelet")

MONITORING_INTERVAL = 10.0
"""Seconds between looks (upstream: evictionMonitoringPeriod)."""

IMMEDIATE = 1.0
"""Seconds that a pod has to end where there is no time to lose (immediateEvictionGracePeriodSeconds)."""

_MEMORY_PRESSURE_TAINT = core_v1.Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")


class Settings(msgspec.Struct, kw_only=True):
    """What the manager goes by."""

    thresholds: Sequence[Threshold] = ()
    transition_period: float = 300.0
    max_pod_grace_period: int = 0
    pods_memory: int | None = None
    """Bytes that all pods together may use, where that is less than the machine has."""


Evict = Callable[[core_v1.Pod, Ended], Awaitable[None]]
"""Ends a pod for good, and returns when nothing of it runs or its time is up."""


class EvictionManager:
    """One node's."""

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        source: Signals,
        meter: Meter,
        reclaimer: Reclaimer,
        *,
        pods: Callable[[], Sequence[core_v1.Pod]],
        evict: Evict,
        events: Events,
        node: core_v1.ObjectReference,
        changed: Callable[[str, bool], None],
    ) -> None:
        """`pods` gives those that have not ended; `changed` is told which condition of the node has come or gone."""
        self._clock = clock
        self._settings = settings
        self._source = source
        self._meter = meter
        self._reclaimer = reclaimer
        self._pods = pods
        self._evict = evict
        self._events = events
        self._node = node
        self._changed = changed
        self._pressure = Pressure([], 0.0)
        self._layout: Layout | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """The pressures that the node is under now."""
        return self._pressure.conditions

    def refusal(self, pod: core_v1.Pod) -> str:
        """Why the node takes no such pod now; "" where it does."""
        conditions = self.conditions
        if not conditions or is_critical(pod):
            return ""
        if conditions == (signals.MEMORY_PRESSURE,) and (
            qos_class(pod) != "BestEffort"
            or any(tolerates(toleration, _MEMORY_PRESSURE_TAINT) for toleration in pod.spec.tolerations)
        ):
            return ""
        return messages.node_condition(conditions)

    async def run(self) -> None:
        """Looks until cancelled; at once again after a pod went."""
        while True:
            gone = False
            try:
                gone = bool(await self.synchronize())
            except Exception as error:
                log.error("Eviction manager: failed to synchronize", extra={"err": error}, exc_info=error)
            if not gone:
                await self._clock.sleep(MONITORING_INTERVAL)

    async def synchronize(self) -> list[core_v1.Pod]:
        """One look, and what follows from it: the pods that went."""
        pods = list(self._pods())
        limited = [pod for pod in pods if limits.has_limits(pod)]
        if not self._settings.thresholds and not limited:
            return []
        layout = await self._prepared()
        seen: Observations = {}
        urgent: list[Threshold] = []
        if self._settings.thresholds:
            seen = await self._observe()
            urgent = self._weigh(seen)
        if gone := await self._enforce_limits(limited, layout):
            return gone
        if not urgent:
            return []
        return await self._relieve(urgent, seen, pods, layout)

    async def _prepared(self) -> Layout:
        """Which file systems there are: asked once, before the first look."""
        if self._layout is None:
            self._layout = await self._source.layout()
            thresholds = for_layout(self._settings.thresholds, self._layout)
            self._pressure = Pressure(thresholds, self._settings.transition_period)
        return self._layout

    async def _observe(self) -> Observations:
        seen = await self._source.observe()
        if self._settings.pods_memory is None:
            return seen
        used = sum(c.memory for pod in (await self._meter.memory()).values() for c in pod.values())
        limit = self._settings.pods_memory
        return {**seen, signals.ALLOCATABLE_MEMORY: Observation(max(0, limit - used), limit)}

    def _weigh(self, seen: Observations) -> list[Threshold]:
        before = set(self.conditions)
        urgent = self._pressure.observe(seen, self._clock.monotonic())
        for condition in sorted(before ^ set(self.conditions)):
            self._changed(condition, condition in self.conditions)
        return urgent

    # Local storage

    async def _enforce_limits(self, pods: Sequence[core_v1.Pod], layout: Layout) -> list[core_v1.Pod]:
        gone = []
        uses = await self._meter.disks(pods)
        for pod in pods:
            use = uses.get(pod.metadata.uid)
            message = "" if use is None else limits.exceeded(pod, use, layout)
            if message and await self._let_go(pod, Ended(EVICTED, message, IMMEDIATE), {}):
                gone.append(pod)
        return gone

    # The node's own

    async def _relieve(
        self, urgent: Sequence[Threshold], seen: Observations, pods: Sequence[core_v1.Pod], layout: Layout
    ) -> list[core_v1.Pod]:
        first = urgent[0]
        resource = signals.RESOURCE_OF[first.signal]
        self._events.event(self._node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        tried = await self._reclaimer.reclaim(first.signal, layout)
        if tried and self._pressure.is_relieved(await self._observe()):
            log.info("Eviction manager: able to reduce resource pressure without evicting pods")
            return []
        if not pods:
            log.warning("Eviction manager: eviction thresholds have been met, but no pods are active to evict")
            return []
        uses = await self._uses(pods, disks=rank.needs_disks(first.signal))
        for pod in rank.ranked(pods, uses, first.signal, layout):
            message, annotations = messages.node_low(resource, pod, uses.get(pod.metadata.uid), urgent, seen)
            grace = IMMEDIATE if first.hard else float(self._settings.max_pod_grace_period) or None
            if await self._let_go(pod, Ended(EVICTED, message, grace, disruption=True), annotations):
                return [pod]
        log.warning("Eviction manager: unable to evict any pods from the node")
        return []

    async def _uses(self, pods: Sequence[core_v1.Pod], *, disks: bool) -> Mapping[str, PodUse]:
        if disks:
            return await self._meter.disks(pods)
        return {uid: PodUse(containers=containers) for uid, containers in (await self._meter.memory()).items()}

    async def _let_go(self, pod: core_v1.Pod, ended: Ended, annotations: dict[str, str]) -> bool:
        """False: it may not go."""
        if is_critical(pod):
            log.warning("Eviction manager: cannot evict a critical pod", extra={"pod": pod.metadata.name})
            return False
        self._events.event(pod, "Warning", EVICTED, ended.message, annotations=annotations)
        await self._evict(pod, ended)
        return True
