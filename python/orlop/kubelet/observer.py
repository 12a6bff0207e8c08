"""What the runtime has of one pod now."""

from typing import NamedTuple

from orlop.api.types import core_v1
from orlop.kubelet.plan import ephemeral_containers
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services
from orlop.kubelet.termination import termination_message


class Observation(NamedTuple):
    """The newest sandbox, all of them, and the status of every container."""

    sandbox: v.PodSandboxStatus | None
    sandboxes: list[v.PodSandbox]
    statuses: list[v.ContainerStatus]


class Observer:
    """One call for the sandboxes, one for the containers; a state that was seen is not asked for again."""

    def __init__(self, services: Services) -> None:
        self._s = services
        self._seen: dict[tuple[str, v.ContainerState], v.ContainerStatus] = {}
        self.messages: dict[str, str] = {}
        """Termination messages by container id."""
        self.ips: tuple[str, ...] = ()
        """The pod's own addresses as of the last look."""

    async def look(self, pod: core_v1.Pod) -> Observation:
        """Everything of the pod. Raises RuntimeFailure."""
        wanted = {base.LABEL_POD_UID: pod.metadata.uid}
        sandboxes = await self._s.runtime.list_pod_sandbox(wanted)
        newest = max(sandboxes, key=lambda s: (s.metadata.attempt, s.created_at), default=None)
        sandbox = None
        if newest is not None:
            try:
                sandbox = await self._s.runtime.pod_sandbox_status(newest.id)
            except base.NotFound:
                sandbox = None
        self.ips = sandbox.ips if sandbox is not None else ()
        statuses = []
        seen = {}
        for container in await self._s.runtime.list_containers(labels=wanted):
            known = self._seen.get((container.id, container.state))
            if known is None:
                try:
                    known = await self._s.runtime.container_status(container.id)
                except base.NotFound:
                    continue
            seen[known.id, known.state] = known
            statuses.append(known)
            await self._message(pod, known)
        self._seen = seen
        return Observation(sandbox, sandboxes, statuses)

    async def _message(self, pod: core_v1.Pod, status: v.ContainerStatus) -> None:
        if status.state != "exited" or status.id in self.messages or self._s.config.simulated:
            return
        name = status.metadata.name
        every = [*pod.spec.init_containers, *pod.spec.containers, *ephemeral_containers(pod)]
        spec = next((c for c in every if c.name == name), None)
        if spec is not None:
            self.messages[status.id] = await termination_message(self._s, pod, spec, status)
