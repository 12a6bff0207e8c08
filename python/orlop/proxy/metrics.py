"""The proxy's metrics, under upstream's names (pkg/proxy/metrics in kubernetes/kubernetes)."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from orlop.metrics import REGISTRY

SYNC_BUCKETS = [0.001 * 2**n for n in range(15)]
PROGRAMMING_BUCKETS = [0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]


class Metrics:
    """One proxier's."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.sync = Histogram(
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds",
            registry=registry,
            buckets=SYNC_BUCKETS,
        )
        self.full_sync = Histogram(
            "kubeproxy_sync_full_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for full resyncs",
            registry=registry,
            buckets=SYNC_BUCKETS,
        )
        self.partial_sync = Histogram(
            "kubeproxy_sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs",
            registry=registry,
            buckets=SYNC_BUCKETS,
        )
        self.programming = Histogram(
            "kubeproxy_network_programming_duration_seconds",
            "In Cluster Network Programming Latency in seconds",
            registry=registry,
            buckets=PROGRAMMING_BUCKETS,
        )
        self.last_queued = Gauge(
            "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds",
            "The last time a sync of proxy rules was queued",
            registry=registry,
        )
        self.last_sync = Gauge(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "The last time proxy rules were successfully synced",
            registry=registry,
        )
        self.endpoint_changes = Counter(
            "kubeproxy_sync_proxy_rules_endpoint_changes_total",
            "Cumulative proxy rules Endpoint changes",
            registry=registry,
        )
        self.service_changes = Counter(
            "kubeproxy_sync_proxy_rules_service_changes_total",
            "Cumulative proxy rules Service changes",
            registry=registry,
        )
        self.failures = Counter(
            "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
            "Cumulative proxy nftables sync failures",
            registry=registry,
        )


@cache
def process_metrics() -> Metrics:
    """The process's own: a registry takes each name once."""
    return Metrics()
