"""Requests counted and timed under upstream's names, at the cost of two dictionary look-ups each."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from orlop.apiserver.request import PATHS, RequestInfo
from orlop.metrics import REGISTRY

BUCKETS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
"""Upstream's, in seconds."""
LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "connect": "CONNECT",
}
LONG_RUNNING = frozenset({"WATCH", "CONNECT"})

CONNECTS = frozenset({"exec", "attach", "portforward", "proxy"})
"""Subresources whose every verb counts as CONNECT."""

Labels = tuple[str, str, str, str, str, str]


@lru_cache(PATHS)
def labels_of(info: RequestInfo) -> Labels:
    """What a request counts under."""
    scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
    return (
        "CONNECT" if info.subresource in CONNECTS else VERBS.get(info.verb, info.verb.upper()),
        info.group,
        info.version,
        info.resource,
        info.subresource,
        scope if info.is_resource else "",
    )


class _Series:
    """Requests of the same labels, found by one look-up."""

    __slots__ = ("buckets", "codes", "seconds")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class RequestMetrics(Collector):
    """apiserver_request_total, apiserver_request_duration_seconds, apiserver_longrunning_requests."""

    def __init__(self) -> None:
        self._series: dict[Labels, _Series] = {}
        self._running: dict[Labels, int] = {}

    def started(self, labels: Labels) -> None:
        """A long-running request begins."""
        self._running[labels] = self._running.get(labels, 0) + 1

    def ended(self, labels: Labels) -> None:
        """A long-running request ends."""
        self._running[labels] -= 1

    def observe(self, labels: Labels, code: int, seconds: float) -> None:
        """A request was answered."""
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = _Series()
        found.codes[code] = found.codes.get(code, 0) + 1
        found.buckets[bisect_left(BUCKETS, seconds)] += 1
        found.seconds += seconds

    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "apiserver_request_total",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, "
            "component, and HTTP response code.",
            labels=[*LABELS, "dry_run", "code"],
        )
        series = list(self._series.items())
        for labels, found in series:
            for code, count in list(found.codes.items()):
                total.add_metric([*labels, "apiserver", "", str(code)], count)
        yield total
        duration = HistogramMetricFamily(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            labels=[*LABELS, "dry_run"],
        )
        for labels, found in series:
            if labels[0] in LONG_RUNNING:
                continue
            running = 0
            buckets = []
            for bound, count in zip([*map(str, BUCKETS), "+Inf"], found.buckets, strict=True):
                running += count
                buckets.append((bound, running))
            duration.add_metric([*labels, "apiserver", ""], buckets, found.seconds)
        yield duration
        running_now = GaugeMetricFamily(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope "
            "and component. Not all requests are tracked this way.",
            labels=list(LABELS),
        )
        for labels, count in list(self._running.items()):
            running_now.add_metric([*labels, "apiserver"], count)
        yield running_now


class CreateMetrics(Collector):
    """orlop_apiserver_creates_total: how many creates were like one before, of kinds of which many are."""

    def __init__(self) -> None:
        self.alike = 0
        self.different = 0

    def collect(self) -> Iterator[Metric]:
        total = CounterMetricFamily(
            "orlop_apiserver_creates_total",
            "Creates of kinds whose objects are often alike: decided like one before, or for themselves.",
            labels=["decided"],
        )
        total.add_metric(["alike"], self.alike)
        total.add_metric(["alone"], self.different)
        yield total


REQUESTS = RequestMetrics()
CREATES = CreateMetrics()
REGISTRY.register(REQUESTS)
REGISTRY.register(CREATES)
