"""Ends containers: hooks, grace periods, and the order in which sidecars follow the others.

The rules are upstream's (pkg/kubelet/kuberuntime: killContainer, termination_order.go).
"""

import asyncio
from collections.abc import Sequence

from orlop import clock
from orlop.api.types import core_v1
from orlop.clock import Clock
from orlop.kubelet import hooks
from orlop.kubelet.plan import sidecar
from orlop.kubelet.podstate import PodState
from orlop.kubelet.runtime import values as v
from orlop.kubelet.services import container_reference


class Turns:
    """Who ends before whom: main containers at once; a sidecar when they and the sidecars after it have ended."""

    def __init__(self, pod: core_v1.Pod, running: Sequence[v.ContainerStatus], clock: Clock) -> None:
        names = {s.metadata.name for s in running}
        sidecars = [c.name for c in pod.spec.init_containers if sidecar(c) and c.name in names]
        self._clock = clock
        self._ended = {name: asyncio.Event() for name in names}
        self._before = {
            name: [n for n in names if n not in sidecars] + sidecars[index + 1 :] for index, name in enumerate(sidecars)
        }

    async def wait(self, name: str, seconds: float) -> None:
        """Returns when it is the container's turn, or `seconds` have passed."""
        try:
            async with clock.timeout(self._clock, seconds):
                for other in self._before.get(name, ()):
                    await self._ended[other].wait()
        except TimeoutError:
            return

    def ended(self, name: str) -> None:
        """The container has ended."""
        self._ended[name].set()


async def kill(state: PodState, container: v.ContainerStatus, message: str, turns: Turns | None = None) -> None:
    """Ends one container; `message` is the event's. Raises RuntimeFailure."""
    services, name = state.services, container.metadata.name
    spec = state.container(name)
    subject = container_reference(state.pod, spec) if spec else state.pod
    services.events.event(subject, "Normal", "Killing", message)
    turn = None if turns is None else lambda seconds: turns.wait(name, seconds)
    await hooks.stop(services, state.pod, spec, container, _grace(state, spec, container), state.ip, turn)
    if turns is not None:
        turns.ended(name)


async def kill_all(state: PodState, running: Sequence[v.ContainerStatus]) -> None:
    """Ends these containers of the pod, each in its turn. Raises the first RuntimeFailure after all were tried."""
    turns = Turns(state.pod, running, state.services.clock)
    kills = [kill(state, s, f"Stopping container {s.metadata.name}", turns) for s in running]
    results = await asyncio.gather(*kills, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _grace(state: PodState, spec: core_v1.Container | None, container: v.ContainerStatus) -> float:
    """The pod's grace period; a probe that has failed may have one of its own."""
    which = None if state.stopping.is_set() else state.services.prober.failed(container.id)
    if spec is not None and which is not None:
        probe = spec.liveness_probe if which == "liveness" else spec.startup_probe
        if probe is not None and probe.termination_grace_period_seconds is not None:
            return float(probe.termination_grace_period_seconds)
    return state.grace
