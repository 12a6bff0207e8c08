"""What the workload controllers ask of pods. The rules are upstream's pkg/api/v1/pod and pkg/controller."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cmp_to_key

from orlop.clock import parse_time
from orlop.control import controller_of
from orlop.controllers.views import PodConditionView, PodView

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
BY_OWNER = "owner"
"""The index of pods by their controller's uid; those without one by `orphans(namespace)`."""
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def owner_index(pod: PodView) -> list[str]:
    """The indexer of BY_OWNER."""
    ref = controller_of(pod)
    return [ref.uid if ref is not None else orphans(pod.metadata.namespace)]


def orphans(namespace: str) -> str:
    """The BY_OWNER value of pods that nobody controls."""
    return f"orphans/{namespace}"


def is_terminal(pod: PodView) -> bool:
    return pod.status.phase in ("Succeeded", "Failed")


def is_active(pod: PodView) -> bool:
    """Neither ended nor being deleted."""
    return not is_terminal(pod) and pod.metadata.deletion_timestamp is None


def is_terminating(pod: PodView) -> bool:
    return not is_terminal(pod) and pod.metadata.deletion_timestamp is not None


def ready_condition(pod: PodView) -> PodConditionView | None:
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition
    return None


def is_ready(pod: PodView) -> bool:
    condition = ready_condition(pod)
    return condition is not None and condition.status == "True"


def available_at(pod: PodView, min_ready_seconds: int) -> float | None:
    """The wall-clock time from which a ready pod counts as available; None if it is not ready."""
    condition = ready_condition(pod)
    if condition is None or condition.status != "True":
        return None
    if min_ready_seconds == 0:
        return 0.0
    if condition.last_transition_time is None:
        return None
    return parse_time(condition.last_transition_time) + min_ready_seconds


def is_available(pod: PodView, min_ready_seconds: int, now: float) -> bool:
    """Ready for at least `min_ready_seconds`."""
    at = available_at(pod, min_ready_seconds)
    return at is not None and at <= now


def next_available(pods: Iterable[PodView], min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the next ready pod becomes available; None if none will."""
    if min_ready_seconds == 0:
        return None  # at once
    times = (available_at(pod, min_ready_seconds) for pod in pods)
    return min((at - now for at in times if at is not None and at > now), default=None)


def deletion_cost(pod: PodView) -> int:
    """The cost that the user gave; 0 if none or not a 32-bit integer."""
    text = pod.metadata.annotations.get(DELETION_COST, "")
    digits = text[1:] if text[:1] in "+-" else text
    if not digits.isascii() or not digits.isdecimal() or text[:1] == "+" or (len(digits) > 1 and digits[0] == "0"):
        return 0
    cost = int(text)
    return cost if -(2**31) <= cost < 2**31 else 0


def deletion_order(pods: Sequence[PodView], related: Iterable[PodView], now: float) -> list[PodView]:
    """The pods in the order in which they are to go when there are too many: upstream's ActivePodsWithRanks.

    Unassigned before assigned, Pending before Unknown before Running, not ready before ready, cheaper (by deletion
    cost) before dearer, on a node with more related pods before fewer, ready for a shorter time before longer, more
    restarts before fewer, younger before older. Times are compared by order of magnitude, so that pods of much the
    same age go at random (by uid).
    """
    crowd = Counter(pod.spec.node_name for pod in related if is_active(pod))

    def compare(a: PodView, b: PodView) -> int:
        ready_a, ready_b = is_ready(a), is_ready(b)
        for x, y in (
            (bool(a.spec.node_name), bool(b.spec.node_name)),
            (_PHASE_ORDER.get(a.status.phase, 0), _PHASE_ORDER.get(b.status.phase, 0)),
            (ready_a, ready_b),
            (deletion_cost(a), deletion_cost(b)),
            (-crowd[a.spec.node_name], -crowd[b.spec.node_name]),
        ):
            if x != y:
                return -1 if x < y else 1
        if ready_a and ready_b and (order := _by_age(_ready_time(a), _ready_time(b), a, b, now)):
            return order
        if (restarts := _restarts(b) - _restarts(a)) != 0:
            return restarts
        return _by_age(a.metadata.creation_timestamp, b.metadata.creation_timestamp, a, b, now)

    return sorted(pods, key=cmp_to_key(compare))


def _ready_time(pod: PodView) -> str:
    condition = ready_condition(pod)
    return (condition.last_transition_time or "") if condition is not None else ""


def _restarts(pod: PodView) -> int:
    return max((status.restart_count for status in pod.status.container_statuses), default=0)


def _by_age(time_a: str, time_b: str, a: PodView, b: PodView, now: float) -> int:
    """Negative if `a` is younger. No time at all counts as youngest."""
    if time_a == time_b:
        return 0
    if not time_a or not time_b:
        return -1 if not time_a else 1
    order = _magnitude(now - parse_time(time_a)) - _magnitude(now - parse_time(time_b))
    if order == 0:
        return -1 if a.metadata.uid < b.metadata.uid else 1
    return order


def _magnitude(seconds: float) -> int:
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1
