"""The metrics of work queues, with upstream's names (component-base/metrics/prometheus/workqueue).

A controller that starts over a large cluster takes a key for each object: what is noted for one is an addition or two,
and the metrics are made of it when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from orlop.clock import Clock
from orlop.metrics import REGISTRY

K = TypeVar("K", bound=Hashable)

_BUCKETS = tuple(10.0 ** (i - 8) for i in range(10))
"""10 ns to 10 s, as upstream's (which goes on to 1000 s)."""
_LIMITS = tuple(map(floatToGoString, (*_BUCKETS, float("inf"))))


class _Durations:
    """How often something took how long."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * len(_LIMITS)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(_BUCKETS, seconds)] += 1
        self._sum += seconds

    def tell(self, family: HistogramMetricFamily, name: str) -> None:
        buckets = list(zip(_LIMITS, map(float, accumulate(self._counts)), strict=True))
        family.add_metric([name], buckets, self._sum)


class _Counts:
    """What the queues of one name have counted; queues that follow one another count on."""

    def __init__(self) -> None:
        self.depth = self.adds = self.retries = 0
        self.waited, self.worked = _Durations(), _Durations()
        self.running: Callable[[], list[float]] = list
        """For how many seconds each key has been in work that the newest queue has in work."""


class _Queues(Collector):
    """All queues of the process."""

    def __init__(self) -> None:
        self.counts: dict[str, _Counts] = {}

    def collect(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("workqueue_depth", "Current depth of workqueue", labels=["name"])
        adds = CounterMetricFamily("workqueue_adds", "Total number of adds handled by workqueue", labels=["name"])
        retries = CounterMetricFamily(
            "workqueue_retries", "Total number of retries handled by workqueue", labels=["name"]
        )
        waited = HistogramMetricFamily(
            "workqueue_queue_duration_seconds",
            "How long in seconds an item stays in workqueue before being requested.",
            labels=["name"],
        )
        worked = HistogramMetricFamily(
            "workqueue_work_duration_seconds",
            "How long in seconds processing an item from workqueue takes.",
            labels=["name"],
        )
        unfinished = GaugeMetricFamily(
            "workqueue_unfinished_work_seconds",
            "How many seconds of work has done that is in progress and hasn't been observed by work_duration.",
            labels=["name"],
        )
        longest = GaugeMetricFamily(
            "workqueue_longest_running_processor_seconds",
            "How many seconds has the longest running processor for workqueue been running.",
            labels=["name"],
        )
        for name, counts in self.counts.items():
            depth.add_metric([name], counts.depth)
            adds.add_metric([name], counts.adds)
            retries.add_metric([name], counts.retries)
            counts.waited.tell(waited, name)
            counts.worked.tell(worked, name)
            running = counts.running()
            unfinished.add_metric([name], sum(running))
            longest.add_metric([name], max(running, default=0.0))
        yield from (depth, adds, retries, waited, worked, unfinished, longest)


@lru_cache(maxsize=1)
def _queues() -> _Queues:
    queues = _Queues()
    REGISTRY.register(queues)
    return queues


class QueueMetrics(Generic[K]):
    """What one queue reports."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._now = clock.monotonic
        self._counts = _queues().counts.setdefault(name, _Counts())
        self._counts.running = self._running
        self._added_at: dict[K, float] = {}
        self._started_at: dict[K, float] = {}

    def _running(self) -> list[float]:
        now = self._now()
        return [now - started for started in self._started_at.values()]

    def added(self, key: K) -> None:
        self._counts.adds += 1
        if key not in self._added_at:
            self._added_at[key] = self._now()

    def retried(self) -> None:
        self._counts.retries += 1

    def depth(self, depth: int) -> None:
        self._counts.depth = depth

    def got(self, key: K, depth: int) -> None:
        now = self._now()
        self._counts.depth = depth
        self._counts.waited.add(now - self._added_at.pop(key, now))
        self._started_at[key] = now

    def done(self, key: K) -> None:
        now = self._now()
        self._counts.worked.add(now - self._started_at.pop(key, now))
