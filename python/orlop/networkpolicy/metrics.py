"""The figures of policies' enforcement. Upstream has none to take the names from: it leaves enforcement to others."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from orlop.metrics import REGISTRY

SYNC_BUCKETS = [0.001 * 2**n for n in range(15)]


class Metrics:
    """One node's."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.policies = Gauge(
            "orlop_networkpolicy_policies", "NetworkPolicies that are enforced on this node", registry=registry
        )
        self.sync = Histogram(
            "orlop_networkpolicy_sync_duration_seconds",
            "Time from noticing a change until the kernel has it",
            registry=registry,
            buckets=SYNC_BUCKETS,
        )
        self.failures = Counter(
            "orlop_networkpolicy_sync_failures_total", "Changes that the kernel refused", registry=registry
        )


@cache
def process_metrics() -> Metrics:
    """The process's own: a registry takes each name once."""
    return Metrics()
