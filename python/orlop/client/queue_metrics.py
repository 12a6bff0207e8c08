"""The metrics of work queues, with upstream's names (component-base/metrics/prometheus/workqueue)."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from prometheus_client import Counter, Gauge, Histogram

from orlop.clock import Clock
from orlop.metrics import REGISTRY

K = TypeVar("K", bound=Hashable)

_BUCKETS = tuple(10.0 ** (i - 8) for i in range(10))
"""10 ns to 10 s, as upstream's (which goes on to 1000 s)."""


class _Family(NamedTuple):
    depth: Gauge
    adds: Counter
    retries: Counter
    waited: Histogram
    worked: Histogram
    unfinished: Gauge
    longest: Gauge


@lru_cache(maxsize=1)
def _family() -> _Family:
    label = ["name"]
    return _Family(
        Gauge("workqueue_depth", "Current depth of workqueue", label, registry=REGISTRY),
        Counter("workqueue_adds_total", "Total number of adds handled by workqueue", label, registry=REGISTRY),
        Counter("workqueue_retries_total", "Total number of retries handled by workqueue", label, registry=REGISTRY),
        Histogram(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested.",
            label,
            registry=REGISTRY,
            buckets=_BUCKETS,
        ),
        Histogram(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes.",
            label,
            registry=REGISTRY,
            buckets=_BUCKETS,
        ),
        Gauge(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
            label,
            registry=REGISTRY,
        ),
        Gauge(
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor for workqueue been running.",
            label,
            registry=REGISTRY,
        ),
    )


class QueueMetrics(Generic[K]):
    """What one queue reports."""

    def __init__(self, name: str, clock: Clock) -> None:
        family = _family()
        self._clock = clock
        self._depth = family.depth.labels(name)
        self._adds = family.adds.labels(name)
        self._retries = family.retries.labels(name)
        self._waited = family.waited.labels(name)
        self._worked = family.worked.labels(name)
        self._added_at: dict[K, float] = {}
        self._started_at: dict[K, float] = {}
        # These two are worked out when somebody asks, from what the newest queue of the name has in work.
        family.unfinished.labels(name).set_function(lambda: sum(self._running()))
        family.longest.labels(name).set_function(lambda: max(self._running(), default=0.0))

    def _running(self) -> list[float]:
        now = self._clock.monotonic()
        return [now - started for started in self._started_at.values()]

    def added(self, key: K) -> None:
        self._adds.inc()
        self._added_at.setdefault(key, self._clock.monotonic())

    def retried(self) -> None:
        self._retries.inc()

    def depth(self, depth: int) -> None:
        self._depth.set(depth)

    def got(self, key: K, depth: int) -> None:
        now = self._clock.monotonic()
        self._depth.set(depth)
        self._waited.observe(now - self._added_at.pop(key, now))
        self._started_at[key] = now

    def done(self, key: K) -> None:
        now = self._clock.monotonic()
        self._worked.observe(now - self._started_at.pop(key, now))
