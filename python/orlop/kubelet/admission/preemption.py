"""Which pods go so that a critical one can come (upstream: pkg/kubelet/preemption).

As few as possible, and of those the smallest; of the better classes of service only where the others do not suffice.
"""

from collections.abc import Mapping, Sequence

from orlop.api.types import core_v1
from orlop.kubelet.admission.fit import Insufficient, requests
from orlop.kubelet.critical import preemptable
from orlop.kubelet.status import qos_class

REASON = "Preempting"
MESSAGE = "Preempted in order to admit critical pod"

Needs = Mapping[str, int]
"""By resource: how much is still missing, always more than 0."""


class NothingHelps(Exception):
    """All pods that may go together do not free enough."""


def victims(pod: core_v1.Pod, others: Sequence[core_v1.Pod], missing: Sequence[Insufficient]) -> list[core_v1.Pod]:
    """The pods to end. Raises NothingHelps, in upstream's words."""
    needs = {one.resource: one.missing for one in missing}
    by_class: dict[str, list[core_v1.Pod]] = {"BestEffort": [], "Burstable": [], "Guaranteed": []}
    for other in others:
        if preemptable(pod, other):
            by_class[qos_class(other)].append(other)
    best_effort, burstable, guaranteed = by_class.values()
    if left := _without(needs, [*best_effort, *burstable, *guaranteed]):
        raise _nothing_helps(left)
    dear = _fewest(guaranteed, _without(needs, [*best_effort, *burstable]))
    middling = _fewest(burstable, _without(needs, [*best_effort, *dear]))
    cheap = _fewest(best_effort, _without(needs, [*middling, *dear]))
    return [*cheap, *middling, *dear]


def _fewest(pods: Sequence[core_v1.Pod], needs: Needs) -> list[core_v1.Pod]:
    """Again and again the pod that leaves least to be wished for; of two alike the smaller."""
    left, chosen = list(pods), []
    while needs:
        if not left:
            raise _nothing_helps(needs)
        best = min(left, key=lambda pod: (_distance(needs, pod), _size(pod)))
        left.remove(best)
        chosen.append(best)
        needs = _without(needs, [best])
    return chosen


def _distance(needs: Needs, pod: core_v1.Pod) -> float:
    return sum(max(0.0, (need - _frees(pod, name)) / need) ** 2 for name, need in needs.items())


def _without(needs: Needs, pods: Sequence[core_v1.Pod]) -> dict[str, int]:
    left = {name: need - sum(_frees(pod, name) for pod in pods) for name, need in needs.items()}
    return {name: need for name, need in left.items() if need > 0}


def _frees(pod: core_v1.Pod, resource: str) -> int:
    return 1 if resource == "pods" else requests(pod).get(resource, 0)


def _size(pod: core_v1.Pod) -> tuple[int, int]:
    asked = requests(pod)
    return asked.get("memory", 0), asked.get("cpu", 0)


def _nothing_helps(needs: Needs) -> NothingHelps:
    text = "".join(f"(res: {name}, q: {need}), " for name, need in needs.items())
    return NothingHelps(
        "preemption: error finding a set of pods to preempt: "
        f"no set of running pods found to reclaim resources: [{text}]"
    )
