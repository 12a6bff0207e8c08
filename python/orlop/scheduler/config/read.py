"""Reads KubeSchedulerConfiguration v1: from YAML or JSON to settings, defaults filled in, everything wrong named."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from orlop.api.errors import FieldError
from orlop.scheduler.config import plugins, types, validate, validate_args
from orlop.scheduler.config.durations import seconds
from orlop.scheduler.config.profile import LeaderElection, Profile, Settings

DEFAULT_NAME = "default-scheduler"
KIND = "KubeSchedulerConfiguration"

T = TypeVar("T")


class ConfigurationError(ValueError):
    """What is wrong with a configuration, a line for each error."""

    def __init__(self, errors: Iterable[object]) -> None:
        super().__init__("\n".join(str(error) for error in errors))


class _Loader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which one would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                raise ConfigurationError([f'yaml: line {line}: mapping key "{key}" already defined'])
        return super().construct_mapping(node, deep)


def load(path: Path, known: Mapping[str, Iterable[str]] | None = None) -> Settings:
    """The settings in a file. Raises ConfigurationError, and OSError where it cannot be read."""
    return read(path.read_bytes(), known)


def read(text: bytes, known: Mapping[str, Iterable[str]] | None = None) -> Settings:
    """The settings in a configuration. `known` are plug-ins beside upstream's, with their extension points.

    Raises ConfigurationError."""
    try:
        raw = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError([f"yaml: {error}"]) from error
    if not isinstance(raw, dict):
        raise ConfigurationError(["the configuration is not an object"])
    version, kind = raw.get("apiVersion", ""), raw.get("kind", "")
    if (version, kind) != (validate.VERSION, KIND):
        raise ConfigurationError(
            [f'no kind "{kind}" is registered for version "{version}": use {validate.VERSION}, {KIND}']
        )
    given = _convert(_without_nulls(raw), types.Configuration, "")
    return settings(given, known)


def standard(name: str = DEFAULT_NAME, known: Mapping[str, Iterable[str]] | None = None) -> Profile:
    """Upstream's default profile under a scheduler name; plug-ins of `known` are enabled after the others."""
    extra = [types.Plugin(name=plugin) for plugin in known or ()]
    wanted = types.Plugins(multi_point=types.PluginSet(enabled=extra)) if extra else None
    return _profile("profiles[0]", types.Profile(scheduler_name=name, plugins=wanted), known or {})


def settings(given: types.Configuration, known: Mapping[str, Iterable[str]] | None = None) -> Settings:
    """Fills in defaults and checks. Raises ConfigurationError."""
    given.profiles = given.profiles or [types.Profile()]
    if len(given.profiles) == 1 and given.profiles[0].scheduler_name is None:
        given.profiles[0].scheduler_name = DEFAULT_NAME
    if errors := list(validate.configuration(given)):
        raise ConfigurationError(errors)
    profiles = [_profile(f"profiles[{i}]", profile, known or {}) for i, profile in enumerate(given.profiles)]
    for profile in profiles:
        fit = profile.args["NodeResourcesFit"]
        assert isinstance(fit, types.NodeResourcesFitArgs)
        fit.ignored_resources += _left_to_extenders(given)
    elect = given.leader_election
    return Settings(
        profiles=tuple(profiles),
        initial_backoff=float(given.pod_initial_backoff_seconds),
        max_backoff=float(given.pod_max_backoff_seconds),
        extenders=tuple(given.extenders or ()),
        leader_election=LeaderElection(
            enabled=elect.leader_elect is not False,
            name=elect.resource_name,
            namespace=elect.resource_namespace,
            lease_duration=seconds(elect.lease_duration),
            renew_deadline=seconds(elect.renew_deadline),
            retry_period=seconds(elect.retry_period),
        ),
        kubeconfig=given.client_connection.kubeconfig,
    )


def _left_to_extenders(given: types.Configuration) -> list[str]:
    """Resources that extenders manage and that the scheduler is not to look at itself."""
    managed = (resource for extender in given.extenders or () for resource in extender.managed_resources or ())
    return [resource.name for resource in managed if resource.ignored_by_scheduler]


def _profile(path: str, given: types.Profile, extra: Mapping[str, Iterable[str]]) -> Profile:
    name = given.scheduler_name or ""
    try:
        points = plugins.expand(given.plugins, {**plugins.IN_TREE, **extra}, name)
    except plugins.PluginError as error:
        raise ConfigurationError([f'{path}.plugins: profile "{name}": {error}']) from error
    weights = dict(points["score"])
    if sum(weights.values()) > validate.MAX_TOTAL_WEIGHT:
        raise ConfigurationError([f"{path}.plugins.score: the weights sum to more than {validate.MAX_TOTAL_WEIGHT}"])
    stated = {config.name: (i, config.args or {}) for i, config in enumerate(given.plugin_config or ())}
    args: dict[str, types.Args] = {}
    errors: list[FieldError] = []
    for plugin, kind in types.ARGS.items():
        index, raw = stated.get(plugin, (0, {}))
        where = f"{path}.pluginConfig[{index}].args"
        if raw.get("kind", kind.__name__) != kind.__name__:
            raise ConfigurationError([f"{where}: Invalid value: {raw['kind']}: has to match plugin args"])
        args[plugin] = _defaulted(_convert(raw, kind, where))
        errors += validate_args.arguments(where, args[plugin])
    if errors:
        raise ConfigurationError(errors)
    return Profile(
        name=name,
        points={point: tuple(plugin for plugin, _ in there) for point, there in points.items()},
        weights=weights,
        args=args,
    )


def _defaulted(args: types.Args) -> types.Args:
    """The arguments with upstream's defaults (pkg/scheduler/apis/config/v1/defaults.go)."""
    match args:
        case types.NodeResourcesFitArgs():
            strategy = args.scoring_strategy or types.ScoringStrategy(type="LeastAllocated")
            strategy.resources = _resources(strategy.resources)
            args.scoring_strategy = strategy
        case types.NodeResourcesBalancedAllocationArgs():
            args.resources = _resources(args.resources)
        case types.InterPodAffinityArgs(hard_pod_affinity_weight=None):
            args.hard_pod_affinity_weight = 1
        case types.PodTopologySpreadArgs():
            args.defaulting_type = args.defaulting_type or "System"
        case types.VolumeBindingArgs(bind_timeout_seconds=None):
            args.bind_timeout_seconds = 600
        case types.DefaultPreemptionArgs():
            if args.min_candidate_nodes_percentage is None:
                args.min_candidate_nodes_percentage = 10
            if args.min_candidate_nodes_absolute is None:
                args.min_candidate_nodes_absolute = 100
    return args


def _resources(given: list[types.ResourceSpec]) -> list[types.ResourceSpec]:
    wanted = given or [types.ResourceSpec(name="cpu"), types.ResourceSpec(name="memory")]
    return [types.ResourceSpec(name=r.name, weight=r.weight or 1) for r in wanted]


_AT = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


def _convert(raw: dict[str, Any], kind: type[T], path: str) -> T:
    """Typed; unknown fields are refused, all of them named. Raises ConfigurationError."""
    try:
        typed = msgspec.convert(raw, kind, strict=True)
    except msgspec.ValidationError as error:
        found = _AT.fullmatch(str(error))
        why, where = found.groups() if found is not None else (str(error), "")
        full = ".".join(part for part in (path, where) if part)
        raise ConfigurationError([f"{full}: Invalid value: {why}" if full else why]) from error
    if unknown := list(_unknown(raw, typed, path)):
        listed = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise ConfigurationError([f"strict decoding error: {listed}"])
    return typed


def _without_nulls(raw: Any) -> Any:
    """null is a field that is not given, as in Go."""
    if isinstance(raw, dict):
        return {key: _without_nulls(value) for key, value in raw.items() if value is not None}
    return [_without_nulls(item) for item in raw] if isinstance(raw, list) else raw


def _unknown(raw: Any, typed: Any, path: str) -> Iterator[str]:
    if isinstance(raw, dict) and isinstance(typed, msgspec.Struct):
        fields = {field.encode_name: field.name for field in msgspec.structs.fields(typed)}
        for key, value in raw.items():
            where = f"{path}.{key}" if path else str(key)
            if key in fields:
                yield from _unknown(value, getattr(typed, fields[key]), where)
            else:
                yield where
    elif isinstance(raw, list) and isinstance(typed, list):
        for index, (item, of) in enumerate(zip(raw, typed, strict=True)):
            yield from _unknown(item, of, f"{path}[{index}]")
