"""What one pod's worker knows of its pod, and how the API is told."""

import asyncio
from collections.abc import Sequence

from msgspec import structs

from orlop.api.types import core_v1
from orlop.kubelet import status
from orlop.kubelet.ended import Ended
from orlop.kubelet.observer import Observer
from orlop.kubelet.plan import ephemeral_containers
from orlop.kubelet.runtime import values as v
from orlop.kubelet.services import Services
from orlop.kubelet.status import DISRUPTION_TARGET, KUBELET_CONDITIONS, TERMINAL, Facts, Waiting

DEFAULT_GRACE = 30.0
"""Seconds, where a pod does not say (terminationGracePeriodSeconds' default)."""


class PodState:
    """One pod on this node: the API's newest version of it, and what became of it here."""

    def __init__(self, services: Services, pod: core_v1.Pod) -> None:
        self.services = services
        self.pod = pod
        self.gone = False
        """The API has no such pod any more."""
        self.ending = asyncio.Event()
        """The pod is to end and to go: it is being deleted."""
        self.stopping = asyncio.Event()
        """The pod is to end, whether it goes or stays: whatever its start still waits for is given up."""
        self.observer = Observer(services)
        self.waiting: dict[str, Waiting] = {}
        """By container name: why it does not run."""
        self.phase = self.reason = self.message = ""
        """What the node has decided of the pod (`Failed`: its deadline has passed)."""
        self.ended: Ended | None = None
        """How the node has ended the pod."""
        self._told: core_v1.PodStatus | None = None
        self.update(pod)

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid

    @property
    def ips(self) -> list[str]:
        """The addresses the pod answers at, as of the last look."""
        return list(self.services.host_ips) if self.pod.spec.host_network else list(self.observer.ips)

    @property
    def ip(self) -> str:
        """The first of them; "" without one."""
        return next(iter(self.ips), "")

    @property
    def grace(self) -> float:
        """Seconds that the pod's containers have to end: its deletion's, else its own."""
        given = self.pod.metadata.deletion_grace_period_seconds
        own = self.pod.spec.termination_grace_period_seconds
        seconds = float(given if given is not None else own if own is not None else DEFAULT_GRACE)
        most = self.ended.grace if self.ended is not None else None
        return seconds if most is None else min(seconds, most)

    def update(self, pod: core_v1.Pod) -> None:
        """A newer version from the API."""
        self.pod = pod
        if pod.metadata.deletion_timestamp:
            self.ending.set()
            self.stopping.set()
        if pod.status.phase in TERMINAL and not self.phase:
            self.phase, self.reason, self.message = pod.status.phase, pod.status.reason, pod.status.message

    def notice(self) -> None:
        """The API has another status than before: what was told of it stays told."""
        if self._told is not None and not self.gone:
            self.services.statuses.noticed(self.pod, self._told)

    def remove(self) -> None:
        """The pod is gone from the API."""
        self.gone = True
        self.ending.set()
        self.stopping.set()

    def end(self, how: Ended) -> None:
        """The node has decided: the pod ends, and stays in the API as Failed."""
        if not self.phase:
            self.ended = how
            message = f"Pod was rejected: {how.message}" if how.rejected else how.message
            self.phase, self.reason, self.message = "Failed", how.reason, message
            self.stopping.set()

    def container(self, name: str) -> core_v1.Container | None:
        """The container's spec, whichever kind it is."""
        return next((c for c in self.containers if c.name == name), None)

    @property
    def containers(self) -> list[core_v1.Container]:
        """Init containers, the others, then ephemeral ones."""
        return [*self.pod.spec.init_containers, *self.pod.spec.containers, *ephemeral_containers(self.pod)]

    def start_time(self) -> str:
        """When this node took the pod on (RFC 3339); "" before it was told."""
        told = self._told.start_time if self._told is not None else None
        return self.pod.status.start_time or told or ""

    def publish(
        self,
        sandbox: v.PodSandboxStatus | None,
        statuses: Sequence[v.ContainerStatus],
        *,
        terminated: bool = False,
    ) -> None:
        """Tells the pod's status as it is now; `terminated`: it was to end, and nothing of it runs any more."""
        if self.gone:
            return
        s = self.services
        specs = {c.name: c for c in self.containers}
        mine = [(x, specs[x.metadata.name]) for x in statuses if x.metadata.name in specs]
        facts = Facts(
            sandbox=sandbox,
            containers=statuses,
            waiting=dict(self.waiting),
            ready={x.id: s.prober.ready(spec, x.id) for x, spec in mine},
            started={x.id: s.prober.started(spec, x.id) for x, spec in mine},
            host_ips=s.host_ips,
            start_time=s.clock.now(),
            phase=self.phase,
            reason=self.reason or self.pod.status.reason,
            message=self.message or self.pod.status.message,
            disruption=self.message if self.ended is not None and self.ended.disruption else "",
            rejected=self.ended is not None and self.ended.rejected,
            terminating=terminated,
            messages=self.observer.messages,
            runtime_name=s.runtime_name,
        )
        before = structs.replace(self.pod, status=self._before())
        self._told = status.generate(before, facts, s.clock.now())
        s.statuses.publish(self.pod, self._told)

    def _before(self) -> core_v1.PodStatus:
        """What was told last, which the API may not show yet, with what others have said meanwhile."""
        if self._told is None:
            return self.pod.status
        ours = [c for c in self._told.conditions if c.type in KUBELET_CONDITIONS]
        others = [c for c in self.pod.status.conditions if c.type not in KUBELET_CONDITIONS]
        mine = {c.type for c in others}
        ours += [c for c in self._told.conditions if c.type == DISRUPTION_TARGET and c.type not in mine]
        return structs.replace(
            self._told,
            conditions=[*ours, *others],
            nominated_node_name=self.pod.status.nominated_node_name,
            resize=self.pod.status.resize,
        )
