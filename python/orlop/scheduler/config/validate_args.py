"""What is wrong with the arguments of plug-ins, in upstream's words (validation_pluginargs.go)."""

from collections.abc import Iterator, Sequence
from typing import Any

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, not_supported, required
from orlop.api.selectors import key_errors
from orlop.scheduler.config import types
from orlop.scheduler.config.durations import Durations

STRATEGIES = ("LeastAllocated", "MostAllocated", "RequestedToCapacityRatio")


def arguments(path: str, args: types.Args) -> Iterator[FieldError]:
    """All that is wrong with a plug-in's arguments."""
    match args:
        case types.NodeResourcesFitArgs():
            yield from _fit(path, args)
        case types.NodeResourcesBalancedAllocationArgs():
            yield from _balanced(path, args)
        case types.InterPodAffinityArgs(hard_pod_affinity_weight=weight):
            if weight is not None and not 0 <= weight <= 100:
                yield invalid_value(f"{path}.hardPodAffinityWeight", weight, "not in valid range [0, 100]")
        case types.PodTopologySpreadArgs():
            yield from _spread(path, args)
        case types.NodeAffinityArgs():
            yield from _affinity(f"{path}.addedAffinity", args)
        case types.VolumeBindingArgs():
            yield from _volume_binding(path, args)
        case types.DefaultPreemptionArgs():
            yield from _preemption(path, args)
        case types.DynamicResourcesArgs():
            times = Durations()
            if times.read(f"{path}.bindingTimeout", args.binding_timeout or "600s") < 1 and not times.errors:
                yield invalid_value(f"{path}.bindingTimeout", args.binding_timeout, "must be at least 1 second")
            if times.read(f"{path}.filterTimeout", args.filter_timeout or "10s") < 0:
                yield invalid_value(f"{path}.filterTimeout", args.filter_timeout, "must be zero or positive")
            yield from times.errors


def _fit(path: str, args: types.NodeResourcesFitArgs) -> Iterator[FieldError]:
    for index, name in enumerate(args.ignored_resources):
        yield from _label_name(f"{path}.ignoredResources[{index}]", name)
    for index, group in enumerate(args.ignored_resource_groups):
        where = f"{path}.ignoredResourceGroups[{index}]"
        if "/" in group:
            yield invalid_value(where, group, "resource group name can't contain '/'")
        yield from _label_name(where, group)
    strategy = args.scoring_strategy
    where = f"{path}.scoringStrategy"
    if strategy is None:
        yield required(where, "ScoringStrategy field is required")
        return
    if strategy.type not in STRATEGIES:
        yield not_supported(f"{where}.type", strategy.type, STRATEGIES)
    for index, resource in enumerate(strategy.resources):
        if not 0 < resource.weight <= 100:
            detail = f"resource weight of {resource.name} not in valid range (0, 100]"
            yield invalid_value(f"{where}.resources[{index}].weight", resource.weight, detail)
    ratio = strategy.requested_to_capacity_ratio
    if strategy.type != "RequestedToCapacityRatio":
        if ratio is not None:
            detail = "must be nil when type is not RequestedToCapacityRatio"
            yield forbidden_field(f"{where}.requestedToCapacityRatio", detail)
    elif ratio is None:
        detail = "must be specified when type is RequestedToCapacityRatio"
        yield required(f"{where}.requestedToCapacityRatio", detail)
    else:
        yield from _shape(f"{where}.requestedToCapacityRatio.shape", ratio.shape)


def _shape(path: str, shape: Sequence[types.ShapePoint]) -> Iterator[FieldError]:
    if not shape:
        yield required(path, "at least one point must be specified")
    for index in range(1, len(shape)):
        if shape[index - 1].utilization >= shape[index].utilization:
            detail = "values must be sorted in increasing order"
            yield invalid_value(f"{path}[{index}].utilization", shape[index].utilization, detail)
            break
    for index, point in enumerate(shape):
        for field, value, most in (("utilization", point.utilization, 100), ("score", point.score, 10)):
            if not 0 <= value <= most:
                yield invalid_value(f"{path}[{index}].{field}", value, f"not in valid range [0, {most}]")


def _balanced(path: str, args: types.NodeResourcesBalancedAllocationArgs) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, resource in enumerate(args.resources):
        if resource.name in seen:
            yield duplicate(f"{path}.resources[{index}].name", resource.name)
        seen.add(resource.name)
        if resource.weight != 1:
            yield invalid_value(f"{path}.resources[{index}].weight", resource.weight, "must be 1")


def _spread(path: str, args: types.PodTopologySpreadArgs) -> Iterator[FieldError]:
    kind = args.defaulting_type
    if kind not in ("System", "List"):
        yield not_supported(f"{path}.defaultingType", kind, ("System", "List"))
    elif kind == "System" and args.default_constraints:
        yield invalid_value(f"{path}.defaultingType", kind, "when .defaultConstraints are not empty")
    seen: set[tuple[str, str]] = set()
    for index, constraint in enumerate(args.default_constraints):
        where = f"{path}.defaultConstraints[{index}]"
        if constraint.max_skew <= 0:
            yield invalid_value(f"{where}.maxSkew", constraint.max_skew, "not in valid range (0, inf)")
        if not constraint.topology_key:
            yield required(f"{where}.topologyKey", "can not be empty")
        else:
            yield from _label_name(f"{where}.topologyKey", constraint.topology_key)
        action = constraint.when_unsatisfiable
        actions = ("DoNotSchedule", "ScheduleAnyway")
        if not action:
            yield required(f"{where}.whenUnsatisfiable", "can not be empty")
        elif action not in actions:
            yield not_supported(f"{where}.whenUnsatisfiable", action, actions)
        if constraint.label_selector is not None:
            detail = "constraint must not define a selector, as they deduced for each pod"
            yield forbidden_field(f"{where}.labelSelector", detail)
        if (constraint.topology_key, action) in seen:
            yield duplicate(where, f"{{{constraint.topology_key}, {action}}}")
        seen.add((constraint.topology_key, action))


_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def _affinity(path: str, args: types.NodeAffinityArgs) -> Iterator[FieldError]:
    affinity = args.added_affinity
    if affinity is None:
        return
    needed = affinity.required_during_scheduling_ignored_during_execution
    terms = [
        (f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{index}]", term)
        for index, term in enumerate(needed.node_selector_terms if needed is not None else ())
    ] + [
        (f"{path}.preferredDuringSchedulingIgnoredDuringExecution[{index}].preference", preferred.preference)
        for index, preferred in enumerate(affinity.preferred_during_scheduling_ignored_during_execution)
    ]
    for where, term in terms:
        for index, expression in enumerate(term.match_expressions):
            yield from _requirement(f"{where}.matchExpressions[{index}]", expression)
        for index, field in enumerate(term.match_fields):
            if field.operator not in ("In", "NotIn"):
                yield not_supported(f"{where}.matchFields[{index}].operator", field.operator, ("In", "NotIn"))
            elif len(field.values) != 1:
                yield invalid_value(f"{where}.matchFields[{index}].values", field.values, "must have one element")


def _requirement(path: str, requirement: Any) -> Iterator[FieldError]:
    operator, values = requirement.operator, requirement.values
    if operator not in _OPERATORS:
        yield not_supported(f"{path}.operator", operator, sorted(_OPERATORS))
    elif operator in ("In", "NotIn") and not values:
        yield invalid_value(f"{path}.values", values, "for 'in', 'notin' operators, values set can't be empty")
    elif operator in ("Exists", "DoesNotExist") and values:
        yield invalid_value(f"{path}.values", values, "values set must be empty for exists and does not exist")
    elif operator in ("Gt", "Lt") and len(values) != 1:
        yield invalid_value(f"{path}.values", values, "for 'Gt', 'Lt' operators, exactly one value is required")
    yield from _label_name(f"{path}.key", requirement.key)


def _volume_binding(path: str, args: types.VolumeBindingArgs) -> Iterator[FieldError]:
    if args.bind_timeout_seconds is not None and args.bind_timeout_seconds < 0:
        detail = "invalid BindTimeoutSeconds, should not be a negative value"
        yield invalid_value(f"{path}.bindTimeoutSeconds", args.bind_timeout_seconds, detail)
    if args.shape is not None:
        detail = "unexpected field `shape`, remove it or turn on the feature gate StorageCapacityScoring"
        yield invalid_value(f"{path}.shape", [{"utilization": p.utilization} for p in args.shape], detail)


def _preemption(path: str, args: types.DefaultPreemptionArgs) -> Iterator[FieldError]:
    percentage, absolute = args.min_candidate_nodes_percentage, args.min_candidate_nodes_absolute
    if percentage is not None and not 0 <= percentage <= 100:
        yield invalid_value(f"{path}.minCandidateNodesPercentage", percentage, "not in valid range [0, 100]")
    if absolute is not None and absolute < 0:
        yield invalid_value(f"{path}.minCandidateNodesAbsolute", absolute, "not in valid range [0, inf)")
    if percentage == 0 and absolute == 0:
        same = "cannot be zero at the same time as"
        yield invalid_value(f"{path}.minCandidateNodesPercentage", 0, f"{same} minCandidateNodesAbsolute")
        yield invalid_value(f"{path}.minCandidateNodesAbsolute", 0, f"{same} minCandidateNodesPercentage")


def _label_name(path: str, name: str) -> Iterator[FieldError]:
    yield from (invalid_value(path, name, message) for message in key_errors(name))
