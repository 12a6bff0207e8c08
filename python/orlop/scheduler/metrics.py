"""The scheduler's metrics, with upstream's names (pkg/scheduler/metrics)."""

from functools import lru_cache
from typing import Literal, NamedTuple

from prometheus_client import Counter, Histogram

from orlop.metrics import REGISTRY

MAX_ATTEMPTS_LABEL = 16
"""Attempts are told apart up to this number, as upstream."""


class _Family(NamedTuple):
    attempts: Counter
    algorithm: Histogram
    sli: Histogram
    preemptions: Counter
    victims: Histogram


@lru_cache(maxsize=1)
def _family() -> _Family:
    return _Family(
        Counter(
            "scheduler_schedule_attempts_total",
            "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, "
            "while 'error' means an internal scheduler problem.",
            ["result", "profile"],
            registry=REGISTRY,
        ),
        Histogram(
            "scheduler_scheduling_algorithm_duration_seconds",
            "Scheduling algorithm latency in seconds",
            registry=REGISTRY,
            buckets=tuple(0.00001 * 2**i for i in range(18)),
        ),
        Histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might "
            "involve multiple scheduling attempts.",
            ["attempts"],
            registry=REGISTRY,
            buckets=tuple(0.01 * 2**i for i in range(20)),
        ),
        Counter(
            "scheduler_preemption_attempts_total",
            "Total preemption attempts in the cluster till now",
            registry=REGISTRY,
        ),
        Histogram(
            "scheduler_preemption_victims",
            "Number of selected preemption victims",
            registry=REGISTRY,
            buckets=tuple(2**i for i in range(7)),
        ),
    )


def attempted(result: Literal["scheduled", "unschedulable", "error"], profile: str) -> None:
    """An attempt for one pod has ended."""
    _family().attempts.labels(result, profile).inc()


def asked_preemption() -> None:
    """A refused pod has been looked at for preemption, whether that helps or not."""
    _family().preemptions.inc()


def preempted(victims: int) -> None:
    """Room is being made for a pod by deleting `victims` pods."""
    _family().victims.observe(victims)


def decided(seconds: float, pods: int) -> None:
    """The core has decided for `pods` pods in `seconds`."""
    histogram = _family().algorithm
    for _ in range(pods):
        histogram.observe(seconds / pods)


def scheduled(seconds: float, attempts: int) -> None:
    """A pod is bound, `seconds` after it came into the queue."""
    label = str(attempts) if attempts < MAX_ATTEMPTS_LABEL else f"{MAX_ATTEMPTS_LABEL}+"
    _family().sli.labels(label).observe(seconds)
