"""The signals of a simulated node: what it claims to have, less what its containers pretend to use.

The machine beneath plays no part in it: a full disk there taints no simulated node.
"""

from collections.abc import Mapping

from orlop.api import quantity
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.signals import Layout, Observation, Observations
from orlop.kubelet.runtime import base

PID_MAX = 32768
"""The kernel's usual limit on a small machine."""


class SimulatedSignals:
    """Implements `signals.Signals`. Images, layers and volumes share one disk."""

    def __init__(self, runtime: base.SimulatedResources, capacity: Mapping[str, str]) -> None:
        self._runtime = runtime
        self._memory = quantity.value(capacity["memory"])
        self._disk = quantity.value(capacity["ephemeral-storage"])

    async def layout(self) -> Layout:
        return Layout()

    async def observe(self) -> Observations:
        use = self._runtime.simulated_use()
        disk = Observation(max(0, self._disk - use.disk - use.images), self._disk)
        return {
            signals.MEMORY: Observation(max(0, self._memory - use.memory), self._memory),
            signals.PIDS: Observation(max(0, PID_MAX - use.pids), PID_MAX),
            signals.NODEFS: disk,
            signals.IMAGEFS: disk,
            signals.CONTAINERFS: disk,
        }
