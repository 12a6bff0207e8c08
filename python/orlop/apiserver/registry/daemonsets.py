"""Rules of DaemonSets: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation, pkg/registry/apps/daemonset."""

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import apps_v1
from orlop.apiserver.registry import poddefaults, podfields, podtemplate, podwarnings
from orlop.apiserver.registry.common import at_most_100, immutable, int_or_percent, is_zero, not_negative
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.registry.workloads import not_decremented

HISTORY = 10
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class DaemonSets(Strategy):
    """A pod on every node that fits."""

    generation = True
    fills_spec = True

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
        podfields.drop(obj.spec.template.spec)
        annotations = obj.metadata.annotations
        if not annotations.get(TEMPLATE_GENERATION, "").isdecimal() or annotations[TEMPLATE_GENERATION] == "0":
            annotations[TEMPLATE_GENERATION] = "1"

    def prepare_status(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> None:
        if number := old.metadata.annotations.get(TEMPLATE_GENERATION):
            new.metadata.annotations[TEMPLATE_GENERATION] = number

    def prepare_update(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> None:
        podfields.drop(new.spec.template.spec, old.spec.template.spec)
        number = old.metadata.annotations.get(TEMPLATE_GENERATION, "0")
        number = number if number.isdecimal() else "0"
        changed = new.spec.template != old.spec.template
        new.metadata.annotations[TEMPLATE_GENERATION] = str(int(number) + 1) if changed else number

    def validate(self, obj: apps_v1.DaemonSet) -> list[FieldError]:
        spec, path = obj.spec, "spec.template"
        selector = spec.selector
        errors: list[FieldError] = []
        if selector is not None:
            errors += podtemplate.validate_selector(selector, "spec.selector")
        errors += podtemplate.validate_selected(spec.template, selector, path)
        if selector is not None and podtemplate.is_empty(selector):
            errors.append(invalid_value("spec.selector", selector, "empty selector is invalid for daemonset"))
        errors += podtemplate.validate_template(spec.template, path)
        errors += podtemplate.validate_running(spec.template, path, "DaemonSet")
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        errors += _update_strategy(spec.update_strategy)
        return errors + not_negative(spec.revision_history_limit, "spec.revisionHistoryLimit")

    def validate_update(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet) -> list[FieldError]:
        return self.validate(new) + immutable(new.spec.selector, old.spec.selector, "spec.selector")

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
        return errors + not_decremented(status.collision_count, old.status.collision_count)

    def warnings(self, new: apps_v1.DaemonSet, old: apps_v1.DaemonSet | None = None) -> list[str]:
        if podwarnings.seen(new, old):
            return []
        template = new.spec.template
        return podwarnings.warnings(template.spec, template.metadata, "spec.template.")


def _update_strategy(strategy: apps_v1.DaemonSetUpdateStrategy) -> list[FieldError]:
    path = "spec.updateStrategy"
    if strategy.type == "OnDelete":
        return []
    if strategy.type != "RollingUpdate":
        return [unsupported(path, go_form(strategy), ("RollingUpdate", "OnDelete"))]
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
