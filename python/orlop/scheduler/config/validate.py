"""What is wrong with a KubeSchedulerConfiguration, in upstream's words (pkg/scheduler/apis/config/validation)."""

from collections.abc import Iterator, Sequence

from orlop.api.errors import FieldError, duplicate, invalid_value, required
from orlop.api.selectors import key_errors
from orlop.scheduler.config import types
from orlop.scheduler.config.durations import Durations
from orlop.scheduler.config.plugins import POINTS

REMOVED = ("AzureDiskLimits", "CinderLimits", "EBSLimits", "GCEPDLimits")
"""Plug-ins that there were before v1."""
VERSION = "kubescheduler.config.k8s.io/v1"
MAX_TOTAL_WEIGHT = 1_000_000
"""Sum of a profile's weights, so that no total of scores leaves the 32 bits of the core's columns."""


def configuration(given: types.Configuration) -> Iterator[FieldError]:
    """All that is wrong with a configuration whose defaults are filled in."""
    if given.client_connection.burst < 0:
        yield invalid_value("clientConnection.burst", given.client_connection.burst, "must be non-negative")
    yield from _leader_election(given.leader_election)
    if given.parallelism <= 0:
        yield invalid_value("parallelism", given.parallelism, "should be an integer value greater than zero")
    names: dict[str, int] = {}
    profiles = given.profiles or []
    for index, profile in enumerate(profiles):
        path = f"profiles[{index}]"
        yield from _profile(path, profile)
        name = profile.scheduler_name or ""
        if name in names:
            yield duplicate(f"{path}.schedulerName", f"profiles[{names[name]}].schedulerName")
        names[name] = index
        if _queue_sort(profile) != _queue_sort(profiles[0]):
            yield invalid_value(f"{path}.plugins.queueSort", _queue_sort(profile), "must be the same for all profiles")
    yield from _percentage("percentageOfNodesToScore", given.percentage_of_nodes_to_score)
    initial, longest = given.pod_initial_backoff_seconds, given.pod_max_backoff_seconds
    if initial <= 0:
        yield invalid_value("podInitialBackoffSeconds", initial, "must be greater than 0")
    if longest < initial:
        yield invalid_value(
            "podMaxBackoffSeconds", longest, "must be greater than or equal to PodInitialBackoffSeconds"
        )
    yield from _extenders(given.extenders or [])


def _queue_sort(profile: types.Profile) -> types.PluginSet | None:
    return profile.plugins.queue_sort if profile.plugins is not None else None


def _leader_election(given: types.LeaderElection) -> Iterator[FieldError]:
    if given.leader_elect is False:
        return
    path = "leaderElection"
    times = Durations()
    duration = times.read(f"{path}.leaseDuration", given.lease_duration)
    deadline = times.read(f"{path}.renewDeadline", given.renew_deadline)
    period = times.read(f"{path}.retryPeriod", given.retry_period)
    yield from times.errors
    if times.errors:
        return
    for field, value in (("leaseDuration", duration), ("renewDeadline", deadline), ("retryPeriod", period)):
        if value <= 0:
            yield invalid_value(f"{path}.{field}", value, "must be greater than zero")
    if duration <= deadline:
        yield invalid_value(f"{path}.leaseDuration", deadline, "LeaseDuration must be greater than RenewDeadline")
    if deadline <= period:
        yield invalid_value(f"{path}.renewDeadline", period, "RenewDeadline must be greater than RetryPeriod")
    if given.resource_lock != "leases":
        yield invalid_value(f"{path}.resourceLock", given.resource_lock, 'resourceLock value must be "leases"')
    if not given.resource_namespace:
        yield invalid_value(f"{path}.resourceNamespace", "", "resourceNamespace is required")
    if not given.resource_name:
        yield invalid_value(f"{path}.resourceName", "", "resourceName is required")


def _percentage(path: str, value: int | None) -> Iterator[FieldError]:
    if value is not None and not 0 <= value <= 100:
        yield invalid_value(path, value, "not in valid range [0-100]")


def _profile(path: str, profile: types.Profile) -> Iterator[FieldError]:
    if not profile.scheduler_name:
        yield required(f"{path}.schedulerName")
    yield from _percentage(f"{path}.percentageOfNodesToScore", profile.percentage_of_nodes_to_score)
    for point in (*POINTS, "multiPoint"):
        field = "".join(f"_{c.lower()}" if c.isupper() else c for c in point)
        plugins: types.PluginSet | None = getattr(profile.plugins, field, None)
        for index, plugin in enumerate((plugins.enabled if plugins is not None else None) or ()):
            where = f"{path}.plugins.{point}.enabled[{index}]"
            if plugin.name in REMOVED:
                yield _removed(where, plugin.name)
            if plugin.weight is not None and not 0 <= plugin.weight <= MAX_TOTAL_WEIGHT:
                yield invalid_value(f"{where}.weight", plugin.weight, f"not in valid range [0, {MAX_TOTAL_WEIGHT}]")
    seen: set[str] = set()
    for index, config in enumerate(profile.plugin_config or ()):
        where = f"{path}.pluginConfig[{index}]"
        if config.name in seen:
            yield duplicate(where, config.name)
        seen.add(config.name)
        if config.name in REMOVED:
            yield _removed(where, config.name)


def _removed(path: str, name: str) -> FieldError:
    return invalid_value(
        path, name, f'was invalid in version "{VERSION}" (KubeSchedulerConfiguration is version "{VERSION}")'
    )


def _extenders(extenders: Sequence[types.Extender]) -> Iterator[FieldError]:
    managed: set[str] = set()
    for index, extender in enumerate(extenders):
        path = f"extenders[{index}]"
        times = Durations()
        times.read(f"{path}.httpTimeout", extender.http_timeout)
        yield from times.errors
        if extender.prioritize_verb and extender.weight <= 0:
            yield invalid_value(f"{path}.weight", extender.weight, "must have a positive weight applied to it")
        for at, resource in enumerate(extender.managed_resources or ()):
            where = f"{path}.managedResources[{at}].name"
            wrong = key_errors(resource.name)
            yield from (invalid_value(where, resource.name, message) for message in wrong)
            if not wrong and not _is_extended(resource.name):
                yield invalid_value(where, resource.name, "is an invalid extended resource name")
            if resource.name in managed:
                yield invalid_value(where, resource.name, "duplicate extender managed resource name")
            managed.add(resource.name)
    binders = sum(bool(extender.bind_verb) for extender in extenders)
    if binders > 1:
        yield invalid_value(
            "extenders", f"found {binders} extenders implementing bind", "only one extender can implement bind"
        )


def _is_extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")
