"""Rules of DaemonSets: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation, pkg/registry/apps/daemonset."""

from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, required
from orlop.api.types import apps_v1
from orlop.apiserver.registry import poddefaults, podtemplate, podwarnings
from orlop.apiserver.registry.common import at_most_100, int_or_percent, is_zero, not_negative
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

HISTORY = 10
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class DaemonSets(Strategy):
    """A pod on every node that fits."""

    generation = True

    def default(self, obj: apps_v1.DaemonSet) -> None:
        spec = obj.spec
        poddefaults.pod_spec(spec.template.spec)
        strategy = spec.update_strategy
        if not strategy.type:
            strategy.type = "RollingUpdate"
        if strategy.type == "RollingUpdate":
            if strategy.rolling_update is None:
                strategy.rolling_update = apps_v1.RollingUpdateDaemonSet()
            if strategy.rolling_update.max_unavailable is None:
                strategy.rolling_update.max_unavailable = 1
            if strategy.rolling_update.max_surge is None:
                strategy.rolling_update.max_surge = 0
        if spec.revision_history_limit is None:
            spec.revision_history_limit = HISTORY

    def prepare_create(self, obj: apps_v1.DaemonSet) -> None:
        annotations = obj.metadata.annotations
        if not annotations.get(TEMPLATE_GENERATION, "").isdecimal() or annotations[TEMPLATE_GENERATION] == "0":
            annotations[TEMPLATE_GENERATION] = "1"

    def prepare_update(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> None:
        number = old.metadata.annotations.get(TEMPLATE_GENERATION, "0")
        number = number if number.isdecimal() else "0"
        changed = new.spec.template != old.spec.template
        new.metadata.annotations[TEMPLATE_GENERATION] = str(int(number) + 1) if changed else number

    def validate(self, obj: apps_v1.DaemonSet) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if spec.selector is None:
            errors.append(required("spec.selector"))
        else:
            errors += podtemplate.validate_selector(spec.selector, "spec.selector")
            if not spec.selector.match_labels and not spec.selector.match_expressions:
                errors.append(invalid_value("spec.selector", spec.selector, "empty selector is invalid for daemonset"))
        errors += podtemplate.validate_template(spec.template, spec.selector, "spec.template", owner="DaemonSet")
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        errors += _update_strategy(spec.update_strategy)
        return errors + not_negative(spec.revision_history_limit, "spec.revisionHistoryLimit")

    def validate_update(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> list[FieldError]:
        errors = self.validate(new)
        if new.spec.selector != old.spec.selector:
            errors.append(invalid_value("spec.selector", new.spec.selector, IMMUTABLE))
        return errors

    def validate_status(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> list[FieldError]:
        status = new.status
        errors: list[FieldError] = []
        for name, value in (
            ("currentNumberScheduled", status.current_number_scheduled),
            ("numberMisscheduled", status.number_misscheduled),
            ("desiredNumberScheduled", status.desired_number_scheduled),
            ("numberReady", status.number_ready),
            ("observedGeneration", status.observed_generation),
            ("updatedNumberScheduled", status.updated_number_scheduled),
            ("numberAvailable", status.number_available),
            ("numberUnavailable", status.number_unavailable),
            ("collisionCount", status.collision_count),
        ):
            errors += not_negative(value, f"status.{name}")
        if (status.collision_count or 0) < (old.status.collision_count or 0):
            errors.append(invalid_value("status.collisionCount", status.collision_count, "cannot be decremented"))
        return errors

    def warnings(self, obj: apps_v1.DaemonSet) -> list[str]:
        return podwarnings.warnings(obj.spec.template.spec, "spec.template.spec")


def _update_strategy(strategy: apps_v1.DaemonSetUpdateStrategy) -> list[FieldError]:
    path = "spec.updateStrategy"
    if strategy.type == "OnDelete":
        return []
    if strategy.type != "RollingUpdate":
        return [unsupported(f"{path}.type", strategy.type, ("RollingUpdate", "OnDelete"))]
    rolling = strategy.rolling_update
    if rolling is None:
        return [required(f"{path}.rollingUpdate")]
    path += ".rollingUpdate"
    unavailable = 0 if rolling.max_unavailable is None else rolling.max_unavailable
    surge = 0 if rolling.max_surge is None else rolling.max_surge
    errors = int_or_percent(unavailable, f"{path}.maxUnavailable") + int_or_percent(surge, f"{path}.maxSurge")
    errors += at_most_100(unavailable, f"{path}.maxUnavailable") + at_most_100(surge, f"{path}.maxSurge")
    if not is_zero(unavailable) and not is_zero(surge):
        errors.append(invalid_value(f"{path}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif is_zero(unavailable) and is_zero(surge):
        errors.append(required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors
