"""The scheduler's metrics, with upstream's names (pkg/scheduler/metrics).

The core filters and scores in one pass over all nodes, so its share is scheduling_algorithm_duration; the extension
points that are told apart are those that run in Python.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from prometheus_client import Counter, Gauge, Histogram

from orlop.clock import Clock
from orlop.metrics import REGISTRY

MAX_ATTEMPTS_LABEL = 16
"""Attempts are told apart up to this number, as upstream."""

Queue = Literal["active", "backoff", "unschedulable", "gated"]


class _Family(NamedTuple):
    attempts: Counter
    attempt_duration: Histogram
    algorithm: Histogram
    sli: Histogram
    attempts_of_pod: Histogram
    preemptions: Counter
    victims: Histogram
    pending: Gauge
    incoming: Counter
    unschedulable: Gauge
    cache: Gauge
    goroutines: Gauge
    point: Histogram
    plugin: Histogram
    evaluations: Counter
    permit: Histogram
    hints: Histogram


@lru_cache(maxsize=1)
def _family() -> _Family:
    def counter(name: str, text: str, *labels: str) -> Counter:
        return Counter(f"scheduler_{name}", text, labels, registry=REGISTRY)

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"scheduler_{name}", text, labels, registry=REGISTRY)

    def histogram(name: str, text: str, first: float, factor: float, count: int, *labels: str) -> Histogram:
        buckets = tuple(first * factor**i for i in range(count))
        return Histogram(f"scheduler_{name}", text, labels, registry=REGISTRY, buckets=buckets)

    return _Family(
        attempts=counter(
            "schedule_attempts_total",
            "Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be scheduled, "
            "while 'error' means an internal scheduler problem.",
            "result",
            "profile",
        ),
        attempt_duration=histogram(
            "scheduling_attempt_duration_seconds",
            "Scheduling attempt latency in seconds (scheduling algorithm + binding)",
            *(0.001, 2, 15),
            "result",
            "profile",
        ),
        algorithm=histogram(
            "scheduling_algorithm_duration_seconds", "Scheduling algorithm latency in seconds", 0.00001, 2, 18
        ),
        sli=histogram(
            "pod_scheduling_sli_duration_seconds",
            "E2e latency for a pod being scheduled, from the time the pod enters the scheduling queue and might "
            "involve multiple scheduling attempts.",
            *(0.01, 2, 20),
            "attempts",
        ),
        attempts_of_pod=histogram(
            "pod_scheduling_attempts", "Number of attempts to successfully schedule a pod.", 1, 2, 5
        ),
        preemptions=counter("preemption_attempts_total", "Total preemption attempts in the cluster till now"),
        victims=histogram("preemption_victims", "Number of selected preemption victims", 1, 2, 7),
        pending=gauge(
            "pending_pods",
            "Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means "
            "number of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler "
            "attempted to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never "
            "attempted to schedule because they are gated.",
            "queue",
        ),
        incoming=counter(
            "queue_incoming_pods_total",
            "Number of pods added to scheduling queues by event and queue type.",
            "queue",
            "event",
        ),
        unschedulable=gauge(
            "unschedulable_pods",
            "The number of unschedulable pods broken down by plugin name. A pod will increment the gauge for all "
            "plugins that caused it to not schedule and so this metric have meaning only when broken down by plugin.",
            "plugin",
            "profile",
        ),
        cache=gauge("cache_size", "Number of nodes, pods, and assumed (bound) pods in the scheduler cache.", "type"),
        goroutines=gauge(
            "goroutines", "Number of running goroutines split by the work they do such as binding.", "operation"
        ),
        point=histogram(
            "framework_extension_point_duration_seconds",
            "Latency for running all plugins of a specific extension point.",
            *(0.0001, 2, 12),
            "extension_point",
            "status",
            "profile",
        ),
        plugin=histogram(
            "plugin_execution_duration_seconds",
            "Duration for running a plugin at a specific extension point.",
            *(0.00001, 1.5, 20),
            "plugin",
            "extension_point",
            "status",
        ),
        evaluations=counter(
            "plugin_evaluation_total",
            "Number of attempts to schedule pods by each plugin and the extension point (available only in "
            "PreFilter, Filter, PreScore, and Score).",
            "plugin",
            "extension_point",
            "profile",
        ),
        permit=histogram("permit_wait_duration_seconds", "Duration of waiting on permit.", 0.001, 2, 15, "result"),
        hints=histogram(
            "queueing_hint_execution_duration_seconds",
            "Latency for running a queueing hint function of a plugin.",
            *(0.00001, 2, 12),
            "plugin",
            "event",
            "hint",
        ),
    )


@lru_cache(maxsize=1024)
def _labelled(field: str, *values: str) -> Any:
    """The child of a metric, looked for once: this is in the path of every pod."""
    return getattr(_family(), field).labels(*values)


Result = Literal["scheduled", "unschedulable", "error"]


def attempted(result: Result, profile: str, seconds: float) -> None:
    """An attempt for one pod has ended, after so many seconds."""
    _labelled("attempts", result, profile).inc()
    _labelled("attempt_duration", result, profile).observe(seconds)


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
    _labelled("sli", label).observe(seconds)
    _family().attempts_of_pod.observe(attempts)


def queued(queue: Queue, event: str) -> None:
    """A pod came into a part of the queue because of an event."""
    _labelled("incoming", queue, event).inc()


def refused(plugins: list[str], profile: str, sign: int) -> None:
    """A pod begins (1) or ends (-1) to be unschedulable because of plug-ins."""
    for plugin in plugins:
        _labelled("unschedulable", plugin, profile).inc(sign)


def waited(result: Literal["allowed", "rejected", "error"], seconds: float) -> None:
    """A pod was held at Permit."""
    _labelled("permit", result).observe(seconds)


def hinted(event: str, woken: bool, seconds: float) -> None:
    """The core was asked whether an event helps pods."""
    _labelled("hints", "core", event, "Queue" if woken else "QueueSkip").observe(seconds)


@contextmanager
def plugin(clock: Clock, name: str, point: str, profile: str) -> Iterator[None]:
    """Times one plug-in at an extension point."""
    with _timed(clock, "plugin", name, point):
        yield
    if point in ("Filter", "Score"):
        _labelled("evaluations", name, point, profile).inc()


@contextmanager
def point(clock: Clock, name: str, profile: str) -> Iterator[None]:
    """Times an extension point as a whole."""
    with _timed(clock, "point", name, after=(profile,)):
        yield


@contextmanager
def _timed(clock: Clock, field: str, *before: str, after: tuple[str, ...] = ()) -> Iterator[None]:
    started = clock.monotonic()
    status = "Success"
    try:
        yield
    except BaseException:
        status = "Error"
        raise
    finally:
        _labelled(field, *before, status, *after).observe(clock.monotonic() - started)


def watch(counts: Callable[[Queue], float], sizes: Callable[[str], float]) -> None:
    """From now on the gauges show this scheduler's queue and table, looked at when they are read."""
    for queue in ("active", "backoff", "unschedulable", "gated"):
        _family().pending.labels(queue).set_function(lambda queue=queue: counts(queue))  # type: ignore[misc]
    for kind in ("nodes", "pods", "assumed_pods"):
        _family().cache.labels(kind).set_function(lambda kind=kind: sizes(kind))  # type: ignore[misc]
    # Here they are tasks, and pods that share a request are one.
    _family().goroutines.labels("binding").set_function(lambda: sizes("bindings"))
