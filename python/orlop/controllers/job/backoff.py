"""How long a Job waits after failures before it makes new pods. Upstream: pkg/controller/job/backoff_utils.go."""

from collections.abc import Iterable
from typing import NamedTuple

from orlop.clock import parse_time
from orlop.controllers.pods import ready_condition
from orlop.controllers.views import PodView

BASE = 10.0
MOST = 600.0
"""Seconds after the first failure, doubled with each further one, and the most they grow to."""


class Record(NamedTuple):
    """The failures since the last success."""

    failures: int = 0
    last_failure: float = 0.0

    def after(self, succeeded: Iterable[PodView], failed: Iterable[PodView]) -> "Record":
        """The record when these pods have ended too: only failures later than the last success count."""
        last_success = max(map(finished_at, succeeded), default=None)
        times = sorted(map(finished_at, failed))
        if last_success is not None:
            fresh = [at for at in times if at > last_success]
            return Record(len(fresh), fresh[-1] if fresh else 0.0)
        return Record(self.failures + len(times), max([self.last_failure, *times]))

    def remaining(self, now: float) -> float:
        """Seconds still to wait."""
        return remaining(self.failures, self.last_failure, now)


def remaining(failures: int, last_failure: float, now: float) -> float:
    """Seconds still to wait after so many failures, the last at that time."""
    if failures <= 0:
        return 0.0
    wait = min(BASE * 2.0 ** min(failures - 1, 16), MOST)
    return max(0.0, last_failure + wait - now)


def finished_at(pod: PodView) -> float:
    """When the pod ended.

    The latest end of its containers, sidecars included, if all have ended; else when it stopped being ready; else when
    its deletion was asked for; else, which no kubelet or pod collector leaves, when it was made.
    """
    sidecars = {container.name for container in pod.spec.init_containers if container.restart_policy == "Always"}
    kept = (status for status in pod.status.init_container_statuses if status.name in sidecars)
    ends = [s.state.terminated if s.state is not None else None for s in (*pod.status.container_statuses, *kept)]
    times = [end.finished_at for end in ends if end is not None and end.finished_at is not None]
    if ends and len(times) == len(ends):
        return max(map(parse_time, times))
    condition = ready_condition(pod)
    if condition is not None and condition.status == "False" and condition.last_transition_time:
        return parse_time(condition.last_transition_time)
    if pod.metadata.deletion_timestamp is not None:
        return parse_time(pod.metadata.deletion_timestamp) - (pod.metadata.deletion_grace_period_seconds or 0)
    return parse_time(pod.metadata.creation_timestamp)
