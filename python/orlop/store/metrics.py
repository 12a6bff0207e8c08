"""orlop_store_*: what a store says of itself, read when /metrics is."""

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from orlop.metrics import REGISTRY
from orlop.store.base import Gauges, Store, StoreError

_GAUGES: tuple[tuple[str, str, str], ...] = (
    ("revision", "revision", "Newest revision."),
    ("compacted_revision", "compacted", "Oldest revision at which everything can be read."),
    ("records", "records", "Versions kept of all objects, the present ones among them."),
    ("size_bytes", "size", "Size of the store."),
    ("free_bytes", "free", "Part of the store's size that new writes use before it grows."),
    ("disk_available_bytes", "room", "Space left on the store's disk."),
    ("readers", "readers", "Read transactions under way, those of other processes too."),
    ("oldest_reader_lag", "lag", "Transactions since the oldest reader began; what they freed is not used again yet."),
)
_COUNTERS: tuple[tuple[str, str, str], ...] = (
    ("writes", "writes", "Writes committed."),
    ("conflicts", "conflicts", "Writes refused because the object was at another revision."),
    ("full", "full", "Requests refused because there was no room."),
    ("failed", "failed", "Requests refused for any other fault of the store."),
    ("commits", "transactions", "Transactions: writes that come together share one, and one sync."),
    ("commit_seconds", "seconds", "Time spent in transactions, syncs included."),
    ("compaction_records", "compacted", "Records that compaction has looked at."),
    ("stale_readers", "stale_readers", "Reader slots freed of processes that ended in the middle of a read."),
)


class StoreMetrics(Collector):
    """The figures of the store that this process has open (the last one, where a test opens several)."""

    def __init__(self) -> None:
        self._stores: list[Store] = []

    @contextmanager
    def of(self, store: Store) -> Iterator[None]:
        """While this store is open, its figures are shown."""
        self._stores.append(store)
        try:
            yield
        finally:
            self._stores.remove(store)

    def collect(self) -> Iterator[Metric]:
        if not self._stores:
            return
        try:
            gauges: Gauges = self._stores[-1].gauges()
        except StoreError:
            return  # it is being closed, or cannot be read: its own log tells
        for name, field, text in _GAUGES:
            yield GaugeMetricFamily(f"orlop_store_{name}", text, value=getattr(gauges, field))
        for name, field, text in _COUNTERS:
            yield CounterMetricFamily(f"orlop_store_{name}", text, value=getattr(gauges.counts, field))


METRICS = StoreMetrics()
REGISTRY.register(METRICS)
