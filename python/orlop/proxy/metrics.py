"""The proxy's metrics, under upstream's names and labels (pkg/proxy/metrics in kubernetes/kubernetes).

Both IP families are programmed in one step here, so a step is observed for each family that it concerns.
"""

from collections import Counter as Count
from collections.abc import Sequence
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from orlop.metrics import REGISTRY
from orlop.native import ForwardChanges, ServicePort
from orlop.proxy.backends.programmed import Id

SYNC_BUCKETS = [0.001 * 2**n for n in range(15)]
PROGRAMMING_BUCKETS = [0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30)]
FAMILIES = {4: "IPv4", 6: "IPv6"}
FAMILY, POLICY = "ip_family", "traffic_policy"
NFTABLES_MODES = ("nftables", "ipvs", "userspace")
"""Modes whose steps are transactions of nftables, as what a failure is counted under."""


class Metrics:
    """One proxier's."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            return Histogram(f"kubeproxy_{name}", text, [FAMILY], registry=registry, buckets=buckets)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"kubeproxy_{name}", text, labels, registry=registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"kubeproxy_{name}", text, labels, registry=registry)

        rules = "sync_proxy_rules"
        self._sync = histogram(f"{rules}_duration_seconds", "SyncProxyRules latency in seconds", SYNC_BUCKETS)
        self._full = histogram(
            "sync_full_proxy_rules_duration_seconds", "SyncProxyRules latency in seconds for full resyncs", SYNC_BUCKETS
        )
        self._partial = histogram(
            "sync_partial_proxy_rules_duration_seconds",
            "SyncProxyRules latency in seconds for partial resyncs",
            SYNC_BUCKETS,
        )
        self._programming = histogram(
            "network_programming_duration_seconds", "In Cluster Network Programming Latency in seconds",
            PROGRAMMING_BUCKETS,
        )  # fmt: skip
        self._last_queued = gauge(
            f"{rules}_last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued", FAMILY
        )
        self._last_sync = gauge(
            f"{rules}_last_timestamp_seconds", "The last time proxy rules were successfully synced", FAMILY
        )
        self.endpoint_changes = counter(f"{rules}_endpoint_changes", "Cumulative proxy rules Endpoint changes")
        self.service_changes = counter(f"{rules}_service_changes", "Cumulative proxy rules Service changes")
        self.endpoints_pending = gauge(f"{rules}_endpoint_changes_pending", "Pending proxy rules Endpoint changes")
        self.services_pending = gauge(f"{rules}_service_changes_pending", "Pending proxy rules Service changes")
        self._nftables_failures = counter(
            f"{rules}_nftables_sync_failures", "Cumulative proxy nftables sync failures", FAMILY
        )
        self._iptables_failures = counter(
            f"{rules}_iptables_restore_failures", "Cumulative proxy iptables restore failures", FAMILY
        )
        self._no_local_endpoints = gauge(
            f"{rules}_no_local_endpoints_total", "Number of services with a Local traffic policy and no endpoints",
            FAMILY, POLICY,
        )  # fmt: skip
        self.healthz = counter("proxy_healthz", "Cumulative proxy healthz HTTP status", "code")
        self.livez = counter("proxy_livez", "Cumulative proxy livez HTTP status", "code")
        self._lacking: dict[Id, list[tuple[str, str]]] = {}
        self._lacks: Count[tuple[str, str]] = Count()

    def queued(self, now: float) -> None:
        """Something is to be programmed, as of `now` (seconds since 1970)."""
        for family in FAMILIES.values():
            self._last_queued.labels(family).set(now)

    def programmed(self, seconds: float, now: float, changes: ForwardChanges | None) -> None:
        """A step was programmed in so many seconds; None for `changes` where everything was compared."""
        if changes is None:
            families = set(FAMILIES)
        else:
            families = {id[4] for id in changes.removed} | {port.id[4] for port in changes.set}
        for family in map(FAMILIES.__getitem__, families):
            self._sync.labels(family).observe(seconds)
            (self._full if changes is None else self._partial).labels(family).observe(seconds)
            self._last_sync.labels(family).set(now)
        self.endpoints_pending.set(0)
        self.services_pending.set(0)

    def took(self, seconds: float) -> None:
        """The network programming latency of one EndpointSlice, whose family is not known any more by then."""
        self._programming.labels(FAMILIES[4]).observe(seconds)

    def failed(self, mode: str) -> None:
        """The kernel refused a step."""
        failures = self._nftables_failures if mode in NFTABLES_MODES else self._iptables_failures
        for family in FAMILIES.values():
            failures.labels(family).inc()

    # --- Services of policy Local without an endpoint here

    def replace(self, ports: Sequence[ServicePort]) -> None:
        """These are programmed, and nothing else."""
        self._lacking = {port.id: found for port in ports if (found := _lacks(port))}
        self._lacks = Count(label for labels in self._lacking.values() for label in labels)
        self._tell()

    def take(self, changes: ForwardChanges) -> None:
        """These have changed."""
        for id in (*changes.removed, *(port.id for port in changes.set)):
            self._lacks.subtract(self._lacking.pop(id, ()))
        for port in changes.set:
            if found := _lacks(port):
                self._lacking[port.id] = found
                self._lacks.update(found)
        self._tell()

    def _tell(self) -> None:
        for family in FAMILIES.values():
            for policy in ("internal", "external"):
                self._no_local_endpoints.labels(family, policy).set(self._lacks[family, policy])


def _lacks(port: ServicePort) -> list[tuple[str, str]]:
    """The family and policy of each of its policies that is Local and leaves nobody, though there are endpoints."""
    if port.local or not port.any_endpoint:
        return []
    policies = {"internal" if kind == "ClusterIP" else "external" for kind, _, _, local in port.frontends if local}
    return [(FAMILIES[port.id[4]], policy) for policy in sorted(policies)]


@cache
def process_metrics() -> Metrics:
    """The process's own: a registry takes each name once."""
    return Metrics()
