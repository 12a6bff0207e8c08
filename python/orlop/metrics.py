"""Metrics in Prometheus' text format, one registry a process. Components make theirs with `prometheus_client`."""

from prometheus_client import CollectorRegistry, generate_latest

REGISTRY = CollectorRegistry()
"""Each process's metrics: pass it as `registry=` so that nothing of the library's defaults slips in."""

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(registry: CollectorRegistry = REGISTRY) -> bytes:
    """The body of /metrics."""
    return generate_latest(registry)
