"""Rules of HorizontalPodAutoscalers, stored as autoscaling/v2: pkg/apis/autoscaling/v2/defaults.go and validation."""

from typing import Any

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import autoscaling_v2
from orlop.apiserver.registry import names, resources
from orlop.apiserver.registry.common import POSITIVE, POSITIVE_QUANTITY, not_negative, quantity, segment
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

CPU_PERCENT = 80
MAX_STABILIZATION = 3600
MAX_PERIOD = 1800
SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "container_resource",
}
"""The sources of a metric, in the order in which they are looked at."""
SOURCE_NAMES = tuple(sorted(SOURCES))
TARGET_TYPES = ("AverageValue", "Utilization", "Value")
ONE_SOURCE = "must populate the given metric source only"


def _json(attribute: str) -> str:
    return "containerResource" if attribute == "container_resource" else attribute


class HorizontalPodAutoscalers(Strategy):
    """How many replicas a workload should have, by metrics."""

    generation = True

    def default(self, obj: autoscaling_v2.HorizontalPodAutoscaler) -> None:
        spec = obj.spec
        if spec.min_replicas is None:
            spec.min_replicas = 1
        if not spec.metrics:
            target = autoscaling_v2.MetricTarget(type="Utilization", average_utilization=CPU_PERCENT)
            source = autoscaling_v2.ResourceMetricSource(name="cpu", target=target)
            spec.metrics = [autoscaling_v2.MetricSpec(type="Resource", resource=source)]
        if spec.behavior is not None:
            _default_behavior(spec.behavior)

    def validate(self, obj: autoscaling_v2.HorizontalPodAutoscaler) -> list[FieldError]:
        return _spec(obj.spec, _version(obj.spec.scale_target_ref))

    def validate_update(
        self, new: autoscaling_v2.HorizontalPodAutoscaler, old: autoscaling_v2.HorizontalPodAutoscaler
    ) -> list[FieldError]:
        after, before = new.spec.scale_target_ref, old.spec.scale_target_ref
        same = (after.api_version, after.kind) == (before.api_version, before.kind)
        return _spec(new.spec, "" if same else _version(after))

    def validate_status(
        self, new: autoscaling_v2.HorizontalPodAutoscaler, old: autoscaling_v2.HorizontalPodAutoscaler
    ) -> list[FieldError]:
        status = new.status
        errors = not_negative(status.current_replicas, "status.currentReplicas")
        return errors + not_negative(status.desired_replicas, "status.desiredReplicas")


def _version(ref: autoscaling_v2.CrossVersionObjectReference) -> str:
    """What is wrong with the version of what is scaled."""
    if wrong := _group_version(ref.api_version):
        return wrong
    # The one thing of the core group that scales may be named without a group.
    grouped = "/" in ref.api_version.strip("/") or ref.kind == "ReplicationController"
    return "" if grouped else "apiVersion must specify API group"


def _group_version(text: str) -> str:
    return f"unexpected GroupVersion string: {text}" if text.count("/") > 1 else ""


def _spec(spec: autoscaling_v2.HorizontalPodAutoscalerSpec, version: str) -> list[FieldError]:
    """What is wrong with a spec; `version` is what is to be said of the version of what is scaled."""
    errors: list[FieldError] = []
    if spec.min_replicas is not None and spec.max_replicas < spec.min_replicas:
        words = "must be greater than or equal to `minReplicas`"
        errors.append(invalid_value("spec.maxReplicas", spec.max_replicas, words))
    errors += _reference(spec.scale_target_ref, "spec.scaleTargetRef", version)
    for i, metric in enumerate(spec.metrics):
        errors += _metric(metric, f"spec.metrics[{i}]")
    if spec.min_replicas == 0 and not any(m.type in ("Object", "External") for m in spec.metrics):
        words = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden_field("spec.metrics", words))
    if spec.behavior is not None:
        errors += _rules(spec.behavior.scale_up, "spec.behavior.scaleUp")
        errors += _rules(spec.behavior.scale_down, "spec.behavior.scaleDown")
    return errors


def _default_behavior(behavior: autoscaling_v2.HorizontalPodAutoscalerBehavior) -> None:
    """What a rule leaves out: up at once, by four pods or double; down as far as needed."""
    policy = autoscaling_v2.HPAScalingPolicy
    up, down = behavior.scale_up, behavior.scale_down
    if up is None:
        up = behavior.scale_up = autoscaling_v2.HPAScalingRules()
    if up.stabilization_window_seconds is None:
        up.stabilization_window_seconds = 0
    up.select_policy = up.select_policy or "Max"
    if not up.policies:
        up.policies = [
            policy(type="Pods", value=4, period_seconds=15),
            policy(type="Percent", value=100, period_seconds=15),
        ]
    if down is None:
        down = behavior.scale_down = autoscaling_v2.HPAScalingRules()
    down.select_policy = down.select_policy or "Max"
    if not down.policies:
        down.policies = [policy(type="Percent", value=100, period_seconds=15)]


def _reference(ref: autoscaling_v2.CrossVersionObjectReference, path: str, version: str) -> list[FieldError]:
    errors = segment(ref.kind, f"{path}.kind") + segment(ref.name, f"{path}.name")
    return [*errors, invalid_value(f"{path}.apiVersion", ref.api_version, version)] if version else errors


def _rules(rules: autoscaling_v2.HPAScalingRules | None, path: str) -> list[FieldError]:
    if rules is None:
        return []
    errors: list[FieldError] = []
    window = rules.stabilization_window_seconds
    if window is not None and window < 0:
        words = "must be greater than or equal to zero"
        errors.append(invalid_value(f"{path}.stabilizationWindowSeconds", window, words))
    if window is not None and window > MAX_STABILIZATION:
        words = f"must be less than or equal to {MAX_STABILIZATION}"
        errors.append(invalid_value(f"{path}.stabilizationWindowSeconds", window, words))
    if rules.select_policy is not None and rules.select_policy not in ("Max", "Min", "Disabled"):
        errors.append(unsupported(f"{path}.selectPolicy", rules.select_policy, ("Disabled", "Max", "Min")))
    if not rules.policies:
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for i, policy in enumerate(rules.policies):
        where = f"{path}.policies[{i}]"
        if policy.type not in ("Pods", "Percent"):
            errors.append(unsupported(f"{where}.type", policy.type, ("Percent", "Pods")))
        if policy.value <= 0:
            errors.append(invalid_value(f"{where}.value", policy.value, POSITIVE_QUANTITY))
        if policy.period_seconds <= 0:
            errors.append(invalid_value(f"{where}.periodSeconds", policy.period_seconds, POSITIVE_QUANTITY))
        if policy.period_seconds > MAX_PERIOD:
            words = f"must be less than or equal to {MAX_PERIOD}"
            errors.append(invalid_value(f"{where}.periodSeconds", policy.period_seconds, words))
    if rules.tolerance is not None:
        errors += quantity(rules.tolerance, f"{path}.tolerance")
    return errors


def _metric(metric: autoscaling_v2.MetricSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not metric.type:
        errors.append(required(f"{path}.type", "must specify a metric source type"))
    unknown = [] if metric.type in SOURCES else [unsupported(f"{path}.type", metric.type, SOURCE_NAMES)]
    errors += unknown
    given = [a for a in SOURCES.values() if getattr(metric, a) is not None]
    for attribute in given[:1]:
        errors += _SOURCE_RULES[attribute](getattr(metric, attribute), f"{path}.{_json(attribute)}")
    expected = SOURCES.get(metric.type)
    if expected is not None and expected not in given:
        words = "must populate information for the given metric source"
        errors.append(required(f"{path}.{_json(expected)}", words))
    # An unknown type is told of twice.
    errors += unknown
    if len(given) > 1:
        errors += [forbidden_field(f"{path}.{_json(a)}", ONE_SOURCE) for a in given if a != expected]
    return errors


def _identifier(metric: autoscaling_v2.MetricIdentifier, path: str) -> list[FieldError]:
    if not metric.name:
        return [required(f"{path}.name", "must specify a metric name")]
    return segment(metric.name, f"{path}.name")


def _target(target: autoscaling_v2.MetricTarget, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not target.type:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if target.type not in TARGET_TYPES:
        words = "must be either Utilization, Value, or AverageValue"
        errors.append(invalid_value(f"{path}.type", target.type, words))
    for name, value in (("value", target.value), ("averageValue", target.average_value)):
        if value is not None and parse(value) <= 0:
            errors.append(invalid_value(f"{path}.{name}", value, "must be positive"))
    if target.average_utilization is not None and target.average_utilization < 1:
        errors.append(invalid_value(f"{path}.averageUtilization", target.average_utilization, POSITIVE))
    return errors


def _object(source: autoscaling_v2.ObjectMetricSource, path: str) -> list[FieldError]:
    ref = source.described_object
    errors = _reference(ref, f"{path}.describedObject", _group_version(ref.api_version))
    errors += _identifier(source.metric, f"{path}.metric") + _target(source.target, f"{path}.target")
    if source.target.value is None and source.target.average_value is None:
        errors.append(required(f"{path}.target.averageValue", "must set either a target value or averageValue"))
    return errors


def _external(source: autoscaling_v2.ExternalMetricSource, path: str) -> list[FieldError]:
    errors = _identifier(source.metric, f"{path}.metric") + _target(source.target, f"{path}.target")
    target = source.target
    if target.value is None and target.average_value is None:
        words = "must set either a target value for metric or a per-pod target"
        errors.append(required(f"{path}.target.averageValue", words))
    if target.value is not None and target.average_value is not None:
        words = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden_field(f"{path}.target.value", words))
    return errors


def _pods(source: autoscaling_v2.PodsMetricSource, path: str) -> list[FieldError]:
    errors = _identifier(source.metric, f"{path}.metric") + _target(source.target, f"{path}.target")
    if source.target.average_value is None:
        errors.append(required(f"{path}.target.averageValue", "must specify a positive target averageValue"))
    return errors


def _resource(
    source: autoscaling_v2.ResourceMetricSource | autoscaling_v2.ContainerResourceMetricSource, path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    if not source.name:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    if isinstance(source, autoscaling_v2.ContainerResourceMetricSource):
        if source.name:
            errors += resources.validate_container_name(source.name, f"{path}.name")
        if not source.container:
            errors.append(required(f"{path}.container", "must specify a container"))
        else:
            errors += [invalid_value(f"{path}.container", source.container, m) for m in names.label(source.container)]
    target = source.target
    errors += _target(target, f"{path}.target")
    if target.average_utilization is None and target.average_value is None:
        words = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.target.averageUtilization", words))
    if target.average_utilization is not None and target.average_value is not None:
        words = "may not set both a target raw value and a target utilization"
        errors.append(forbidden_field(f"{path}.target.averageValue", words))
    return errors


_SOURCE_RULES: dict[str, Any] = {
    "object": _object,
    "pods": _pods,
    "resource": _resource,
    "container_resource": _resource,
    "external": _external,
}
