"""The server's metrics, under CoreDNS's names, so that dashboards and alerts made for it work.

The way of most answers only adds to a number of the answer itself; `Answered` adds these up when somebody looks.
"""

from __future__ import annotations

from collections import Counter as Numbers
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from orlop.dns import wire
from orlop.metrics import REGISTRY

if TYPE_CHECKING:
    from orlop.dns.resolver import Replies
    from orlop.dns.upstream import Server

BUCKETS = [0.00025 * 2**n for n in range(16)]
"""CoreDNS's plugin/metrics/vars."""


class Kind(NamedTuple):
    """By what answers are told apart."""

    zone: str
    proto: str
    family: str
    type: str
    rcode: str


class Answered(Collector):
    """Requests and responses, by kind."""

    def __init__(self) -> None:
        self._numbers: Numbers[Kind] = Numbers()
        self._replies: list[Replies] = []

    def follow(self, replies: Replies) -> None:
        """Adds what answers kept as bytes have been given."""
        self._replies.append(replies)

    def unfollow(self, replies: Replies) -> None:
        self._replies.remove(replies)

    def add(self, kind: Kind, number: int = 1) -> None:
        self._numbers[kind] += number

    def numbers(self) -> Numbers[Kind]:
        """How many of each."""
        for replies in self._replies:
            replies.settle()
        return self._numbers

    def collect(self) -> Iterator[Metric]:
        labels = ["server", "zone", "view", "proto", "family", "type"]
        requests = CounterMetricFamily(
            "coredns_dns_requests", "Counter of DNS requests made per zone, protocol and family.", labels=labels
        )
        responses = CounterMetricFamily(
            "coredns_dns_responses",
            "Counter of response status codes.",
            labels=["server", "zone", "view", "rcode", "plugin"],
        )
        asked: Numbers[tuple[str, ...]] = Numbers()
        told: Numbers[tuple[str, ...]] = Numbers()
        for kind, number in self.numbers().items():
            asked["dns://:53", kind.zone, "", kind.proto, kind.family, kind.type] += number
            told["dns://:53", kind.zone, "", kind.rcode, "kubernetes" if kind.zone != "." else "forward"] += number
        for key, number in sorted(asked.items()):
            requests.add_metric(key, number)
        for key, number in sorted(told.items()):
            responses.add_metric(key, number)
        yield requests
        yield responses


class Metrics:
    """One process's."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.answered = Answered()
        registry.register(self.answered)
        self.duration = Histogram(
            "coredns_dns_request_duration_seconds",
            "Histogram of the time (in seconds) each request took, those answered from bytes left out.",
            ["server", "zone", "view"],
            registry=registry,
            buckets=BUCKETS,
        )
        self.panics = Counter("coredns_panics", "A metrics that counts the number of panics.", registry=registry)
        self.cache_hits = Counter("coredns_cache_hits", "The count of cache hits.", registry=registry)
        self.cache_misses = Counter("coredns_cache_misses", "The count of cache misses.", registry=registry)
        self.cache_evictions = Counter("coredns_cache_evictions", "The count of cache evictions.", registry=registry)
        self.refused = Counter(
            "coredns_forward_max_concurrent_rejects",
            "Counter of the number of queries rejected because the concurrent queries were at maximum.",
            registry=registry,
        )
        self._forward = Histogram(
            "coredns_proxy_request_duration_seconds",
            "Histogram of the time each request took.",
            ["proxy_name", "to", "rcode"],
            registry=registry,
            buckets=BUCKETS,
        )
        self.names = Gauge("orlop_dns_names", "Names of the cluster that have records.", registry=registry)

    def forward(self, server: Server, rcode: str, seconds: float) -> None:
        """One exchange with a resolver."""
        self._forward.labels("forward", str(server), rcode).observe(seconds)


def type_name(number: int) -> str:
    """As CoreDNS shows it: the common types by name, all others as "other"."""
    return wire.TYPES.get(number, "other")


def rcode_name(number: int) -> str:
    return wire.RCODES.get(number, str(number))


@cache
def process_metrics() -> Metrics:
    """The process's own: a registry takes each name once."""
    return Metrics()
