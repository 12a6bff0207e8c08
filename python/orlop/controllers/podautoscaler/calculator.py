"""How many replicas a metric asks for: upstream's pkg/controller/podautoscaler/replica_calculator.go."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from msgspec import field

from orlop.api import quantity
from orlop.api.types import core_v1
from orlop.api.types.base import ApiStruct
from orlop.clock import parse_time
from orlop.controllers.podautoscaler.metrics import MetricsError, Sample
from orlop.controllers.views import MetaView, PodConditionView

CPU_INITIALIZATION = 300.0
"""Seconds after a pod's start in which its CPU usage counts only if it is ready and measured since then."""
INITIAL_READINESS = 30.0
"""Seconds after a pod's start in which a change to unready does not show that it was ever ready."""
TOLERANCE = 0.1
"""How far from 1 the ratio of usage to target may be without anything being done."""
NO_PODS = "no pods returned by selector while calculating replica count"
NOT_READY = "did not receive metrics for targeted pods (pods might be unready)"


class _Resources(ApiStruct):
    requests: dict[str, str] = field(default_factory=dict)


class _Container(ApiStruct):
    name: str = ""
    restart_policy: str | None = None
    resources: _Resources = field(default_factory=_Resources)


class _Spec(ApiStruct):
    containers: list[_Container] = field(default_factory=list)
    init_containers: list[_Container] = field(default_factory=list)


class _Status(ApiStruct):
    phase: str = ""
    start_time: str | None = None
    conditions: list[PodConditionView] = field(default_factory=list)


class LoadedPod(ApiStruct):
    """Of a pod, what says how much load it is meant for and whether it takes any."""

    __kind__ = core_v1.Pod

    metadata: MetaView = field(default_factory=MetaView)
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)


class Tolerance(NamedTuple):
    down: float = TOLERANCE
    up: float = TOLERANCE

    def within(self, ratio: float) -> bool:
        """Whether the ratio of usage to target asks for no change."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Usage(NamedTuple):
    """What a metric asks for and what it is now."""

    replicas: int
    average: int
    """Milli-units a pod, or the whole of a metric that is not of pods."""
    utilization: int | None = None
    """Percent of what is requested."""


class Groups(NamedTuple):
    """Pods by what their samples are worth."""

    ready: int
    unready: list[str]
    missing: list[str]
    ignored: list[str]


def group(pods: Iterable[LoadedPod], samples: Mapping[str, Sample], resource: str, now: float) -> Groups:
    """Pods that count, that start, that were not measured, that are on their way out."""
    ready, unready, missing, ignored = 0, [], [], []
    for pod in pods:
        name = pod.metadata.name
        if pod.metadata.deletion_timestamp is not None or pod.status.phase == "Failed":
            ignored.append(name)
        elif pod.status.phase == "Pending":
            unready.append(name)
        elif name not in samples:
            missing.append(name)
        elif resource == "cpu" and _starts(pod, samples[name], now):
            unready.append(name)
        else:
            ready += 1
    return Groups(ready, unready, missing, ignored)


def _starts(pod: LoadedPod, sample: Sample, now: float) -> bool:
    """Whether what the pod uses is still the work of its start."""
    condition = next((c for c in pod.status.conditions if c.type == "Ready"), None)
    if condition is None or pod.status.start_time is None:
        return True
    start = parse_time(pod.status.start_time)
    changed = parse_time(condition.last_transition_time) if condition.last_transition_time else 0.0
    unready = condition.status == "False"
    if start + CPU_INITIALIZATION > now:
        return unready or sample.timestamp < changed + sample.window
    return unready and start + INITIAL_READINESS > changed


def requests_of(pods: Iterable[LoadedPod], resource: str, container: str) -> dict[str, int]:
    """What each pod requests, in milli-units. Raises MetricsError if a container says nothing."""
    found = {}
    for pod in pods:
        total = 0
        sidecars = (c for c in pod.spec.init_containers if c.restart_policy == "Always")
        for each in (*pod.spec.containers, *sidecars):
            if container not in ("", each.name):
                continue
            text = each.resources.requests.get(resource)
            if text is None:
                where = f"in container {each.name} of Pod {pod.metadata.name}"
                raise MetricsError(f"missing request for {resource} {where}")
            total += quantity.milli(text)
        found[pod.metadata.name] = total
    return found


def by_utilization(
    pods: Sequence[LoadedPod],
    samples: Mapping[str, Sample],
    current: int,
    target: int,
    resource: str,
    container: str,
    tolerance: Tolerance,
    now: float,
) -> Usage:
    """Replicas so that pods use `target` percent of what they request. Raises MetricsError."""
    if not pods:
        raise MetricsError(NO_PODS)
    groups = group(pods, samples, resource, now)
    values = _counting(samples, groups)
    requests = requests_of(pods, resource, container)

    def measure(values: Mapping[str, int]) -> tuple[float, int, int]:
        known = [(value, requests[name]) for name, value in values.items() if name in requests]
        wanted = sum(request for _, request in known)
        if wanted == 0:
            raise MetricsError("no metrics returned matched known pods")
        used = sum(value for value, _ in known)
        percent = used * 100 // wanted
        return percent / target, percent, used // len(known)

    ratio, percent, average = measure(values)
    full = {name: requests.get(name, 0) * max(100, target) // 100 for name in groups.missing}
    replicas = _replicas(groups, values, ratio, current, full, lambda v: measure(v)[0], tolerance)
    return Usage(replicas, average, percent)


def by_average(
    pods: Sequence[LoadedPod],
    samples: Mapping[str, Sample],
    current: int,
    target: int,
    resource: str,
    tolerance: Tolerance,
    now: float,
) -> Usage:
    """Replicas so that pods have `target` milli-units each. Raises MetricsError."""
    if not pods:
        raise MetricsError(NO_PODS)
    groups = group(pods, samples, resource, now)
    values = _counting(samples, groups)

    def measure(values: Mapping[str, int]) -> tuple[float, int]:
        average = sum(values.values()) // len(values)
        return average / target, average

    ratio, average = measure(values)
    full = dict.fromkeys(groups.missing, target)
    replicas = _replicas(groups, values, ratio, current, full, lambda v: measure(v)[0], tolerance)
    return Usage(replicas, average)


def _counting(samples: Mapping[str, Sample], groups: Groups) -> dict[str, int]:
    out = {*groups.ignored, *groups.unready}
    values = {name: sample.milli for name, sample in samples.items() if name not in out}
    if not values:
        raise MetricsError(NOT_READY)
    return values


def _replicas(
    groups: Groups,
    values: dict[str, int],
    ratio: float,
    current: int,
    full: Mapping[str, int],
    measure: Callable[[Mapping[str, int]], float],
    tolerance: Tolerance,
) -> int:
    """Counts pods without a sample so that they make the change smaller, never so that they turn it round."""
    grows_with_unready = bool(groups.unready) and ratio > 1.0
    if not grows_with_unready and not groups.missing:
        return current if tolerance.within(ratio) else ceil(ratio * groups.ready)
    filled = dict(values)
    if ratio < 1.0:
        filled.update(full)
    elif ratio > 1.0:
        filled.update(dict.fromkeys(groups.missing, 0))
    if grows_with_unready:
        filled.update(dict.fromkeys(groups.unready, 0))
    again = measure(filled)
    if tolerance.within(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return current
    replicas = ceil(again * len(filled))
    if (again < 1.0 and replicas > current) or (again > 1.0 and replicas < current):
        return current
    return replicas


def by_value(pods: Iterable[LoadedPod], value: int, current: int, target: int, tolerance: Tolerance) -> Usage:
    """Replicas in proportion to one value for all of them; from none, as many as the value is targets."""
    ratio = value / target
    if current == 0:
        return Usage(ceil(ratio), value)
    if tolerance.within(ratio):
        return Usage(current, value)
    listed = list(pods)
    if not listed:
        raise MetricsError(f"unable to calculate ready pods: {NO_PODS}")
    ready = sum(
        pod.status.phase == "Running" and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
        for pod in listed
    )
    return Usage(ceil(ratio * ready), value)


def by_share(value: int, replicas: int, target: int, tolerance: Tolerance) -> Usage:
    """Replicas so that each has `target` of the value; `replicas` share it now."""
    wanted = replicas
    if replicas == 0 or not tolerance.within(value / (target * replicas)):
        wanted = ceil(value / target)
    return Usage(wanted, ceil(value / replicas) if replicas else value)
