"""Takes pods on, one at a time, or says why not (upstream: pkg/kubelet/lifecycle; the reasons are its words)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from orlop.api.types import core_v1
from orlop.kubelet.admission import preemption
from orlop.kubelet.admission.fit import Insufficient, Misfit, Requests, misfits
from orlop.kubelet.critical import is_critical
from orlop.kubelet.ended import EVICTED, Ended
from orlop.kubelet.services import Events

OS_LABEL = "kubernetes.io/os"


class Admission:
    """One node's."""

    def __init__(
        self,
        events: Events,
        allocatable: Mapping[str, str],
        *,
        pressed: Callable[[core_v1.Pod], str],
        others: Callable[[], Sequence[core_v1.Pod]],
        node: Callable[[bool], Awaitable[core_v1.Node]],
        end: Callable[[core_v1.Pod, Ended], Awaitable[None]],
    ) -> None:
        """`pressed` says why the node's pressure forbids a pod ("": it does not); `others` gives the pods that count;
        `node` the node as this kubelet knows it, or as the API has it now; `end` ends a pod."""
        self._events = events
        self._allocatable = allocatable
        self._pressed = pressed
        self._others = others
        self._node = node
        self._end = end
        self._turn = asyncio.Lock()
        self._asked = Requests()

    async def admit(self, pod: core_v1.Pod, taken: Callable[[], None]) -> Ended | None:
        """Calls `taken` if the node takes the pod on; else why not."""
        async with self._turn:
            refused = await self._refusal(pod)
            if refused is None:
                taken()
            return refused

    async def _refusal(self, pod: core_v1.Pod) -> Ended | None:
        if message := self._pressed(pod):
            return _refused(EVICTED, message)
        if pod.metadata.labels.get(OS_LABEL, "linux") != "linux":
            message = "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"
            return _refused("PodOSSelectorNodeLabelDoesNotMatch", message)
        if pod.spec.os is not None and pod.spec.os.name != "linux":
            return _refused("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
        found = misfits(pod, self._others(), await self._node(False), self._allocatable, self._asked)
        if found and not any(isinstance(one, Insufficient) for one in found):
            # The node may have been given the label, or lost the taint, only now.
            found = misfits(pod, self._others(), await self._node(True), self._allocatable, self._asked)
        if found and is_critical(pod):
            return await self._make_room(pod, found)
        return _refused(found[0].reason, found[0].message) if found else None

    async def _make_room(self, pod: core_v1.Pod, found: Sequence[Misfit]) -> Ended | None:
        """Ends less important pods, where it is only room that a critical pod lacks."""
        missing = []
        for one in found:
            if not isinstance(one, Insufficient):
                return _refused(one.reason, one.message)
            missing.append(one)
        try:
            victims = preemption.victims(pod, self._others(), missing)
        except preemption.NothingHelps as error:
            message = f"Unexpected error while attempting to recover from admission failure: {error}"
            return _refused("UnexpectedAdmissionError", message)
        for victim in victims:
            self._events.event(victim, "Warning", preemption.REASON, preemption.MESSAGE)
            await self._end(victim, Ended(preemption.REASON, preemption.MESSAGE, disruption=True))
        return None


def _refused(reason: str, message: str) -> Ended:
    return Ended(reason, message, rejected=True)
