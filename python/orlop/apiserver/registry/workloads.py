"""Rules of Deployments, ReplicaSets and ControllerRevisions: pkg/apis/apps and pkg/registry/apps."""

from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, required
from orlop.api.types import apps_v1
from orlop.apiserver.registry import poddefaults, podtemplate, podwarnings
from orlop.apiserver.registry.common import int_or_percent, is_zero, not_negative, percentage
from orlop.apiserver.registry.strategy import Strategy

HISTORY = 10
PROGRESS_SECONDS = 600
QUARTER = "25%"


class Deployments(Strategy):
    """Rolling updates, history, and a selector that stays."""

    generation = True

    def default(self, obj: apps_v1.Deployment) -> None:
        spec = obj.spec
        poddefaults.pod_spec(spec.template.spec)
        if spec.replicas is None:
            spec.replicas = 1
        if not spec.strategy.type:
            spec.strategy.type = "RollingUpdate"
        if spec.strategy.type == "RollingUpdate":
            if spec.strategy.rolling_update is None:
                spec.strategy.rolling_update = apps_v1.RollingUpdateDeployment()
            rolling = spec.strategy.rolling_update
            if rolling.max_unavailable is None:
                rolling.max_unavailable = QUARTER
            if rolling.max_surge is None:
                rolling.max_surge = QUARTER
        if spec.revision_history_limit is None:
            spec.revision_history_limit = HISTORY
        if spec.progress_deadline_seconds is None:
            spec.progress_deadline_seconds = PROGRESS_SECONDS

    def validate(self, obj: apps_v1.Deployment) -> list[FieldError]:
        spec = obj.spec
        errors = not_negative(spec.replicas, "spec.replicas")
        if spec.selector is None:
            errors.append(required("spec.selector"))
        else:
            errors += podtemplate.validate_selector(spec.selector, "spec.selector")
            if not spec.selector.match_labels and not spec.selector.match_expressions:
                errors.append(invalid_value("spec.selector", spec.selector, "empty selector is invalid for deployment"))
        errors += podtemplate.validate_template(spec.template, spec.selector, "spec.template")
        errors += _strategy(spec.strategy)
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        errors += not_negative(spec.revision_history_limit, "spec.revisionHistoryLimit")
        if spec.progress_deadline_seconds is not None:
            errors += not_negative(spec.progress_deadline_seconds, "spec.progressDeadlineSeconds")
            if spec.progress_deadline_seconds <= spec.min_ready_seconds:
                errors.append(
                    invalid_value(
                        "spec.progressDeadlineSeconds",
                        spec.progress_deadline_seconds,
                        "must be greater than minReadySeconds",
                    )
                )
        return errors

    def warnings(self, obj: apps_v1.Deployment) -> list[str]:
        return podwarnings.warnings(obj.spec.template.spec, "spec.template.spec")

    def validate_update(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> list[FieldError]:
        errors = self.validate(new)
        if new.spec.selector != old.spec.selector:
            errors.append(invalid_value("spec.selector", new.spec.selector, IMMUTABLE))
        return errors

    def changes_generation(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> bool:
        # Upstream counts annotations too: a deployment's are copied to its replica sets.
        return new.spec != old.spec or new.metadata.annotations != old.metadata.annotations

    def validate_status(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> list[FieldError]:
        status = new.status
        errors = not_negative(status.observed_generation, "status.observedGeneration")
        for name, value in (
            ("replicas", status.replicas),
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
            ("unavailableReplicas", status.unavailable_replicas),
            ("collisionCount", status.collision_count),
        ):
            errors += not_negative(value, f"status.{name}")
        more = "cannot be greater than status.replicas"
        if status.updated_replicas > status.replicas:
            errors.append(invalid_value("status.updatedReplicas", status.updated_replicas, more))
        if status.ready_replicas > status.replicas:
            errors.append(invalid_value("status.readyReplicas", status.ready_replicas, more))
        if status.available_replicas > status.replicas:
            errors.append(invalid_value("status.availableReplicas", status.available_replicas, more))
        if status.available_replicas > status.ready_replicas:
            errors.append(
                invalid_value(
                    "status.availableReplicas", status.available_replicas, "cannot be greater than readyReplicas"
                )
            )
        if (new.status.collision_count or 0) < (old.status.collision_count or 0):
            errors.append(invalid_value("status.collisionCount", new.status.collision_count, "cannot be decremented"))
        return errors


def _strategy(strategy: apps_v1.DeploymentStrategy) -> list[FieldError]:
    path = "spec.strategy"
    if strategy.type == "Recreate":
        if strategy.rolling_update is not None:
            return [forbidden_field(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        return []
    if strategy.type != "RollingUpdate":
        return [
            FieldError(
                "FieldValueNotSupported",
                f"{path}.type",
                strategy.type,
                'supported values: "Recreate", "RollingUpdate"',
            )
        ]
    rolling = strategy.rolling_update
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    unavailable = 0 if rolling.max_unavailable is None else rolling.max_unavailable
    surge = 0 if rolling.max_surge is None else rolling.max_surge
    errors = int_or_percent(unavailable, f"{path}.rollingUpdate.maxUnavailable")
    errors += int_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
    if not errors and is_zero(unavailable) and is_zero(surge):
        errors.append(
            invalid_value(f"{path}.rollingUpdate.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
        )
    percent = percentage(unavailable)
    if percent is not None and percent > 100:
        errors.append(
            invalid_value(f"{path}.rollingUpdate.maxUnavailable", unavailable, "must not be greater than 100%")
        )
    return errors


class ReplicaSets(Strategy):
    """A count of pods, and a selector that stays."""

    generation = True
    fields = (("status.replicas", "status.replicas=0"),)

    def default(self, obj: apps_v1.ReplicaSet) -> None:
        poddefaults.pod_spec(obj.spec.template.spec)
        if obj.spec.replicas is None:
            obj.spec.replicas = 1

    def validate(self, obj: apps_v1.ReplicaSet) -> list[FieldError]:
        spec = obj.spec
        errors = not_negative(spec.replicas, "spec.replicas")
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        if spec.selector is None:
            errors.append(required("spec.selector"))
        else:
            errors += podtemplate.validate_selector(spec.selector, "spec.selector")
            if not spec.selector.match_labels and not spec.selector.match_expressions:
                errors.append(invalid_value("spec.selector", spec.selector, "empty selector is invalid for deployment"))
        return errors + podtemplate.validate_template(spec.template, spec.selector, "spec.template")

    def warnings(self, obj: apps_v1.ReplicaSet) -> list[str]:
        return podwarnings.warnings(obj.spec.template.spec, "spec.template.spec")

    def validate_update(self, new: apps_v1.ReplicaSet, old: apps_v1.ReplicaSet) -> list[FieldError]:
        errors = self.validate(new)
        if new.spec.selector != old.spec.selector:
            errors.append(invalid_value("spec.selector", new.spec.selector, IMMUTABLE))
        return errors

    def validate_status(self, new: apps_v1.ReplicaSet, old: apps_v1.ReplicaSet) -> list[FieldError]:
        status = new.status
        errors: list[FieldError] = []
        for name, value in (
            ("replicas", status.replicas),
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
            ("observedGeneration", status.observed_generation),
        ):
            errors += not_negative(value, f"status.{name}")
        more = "cannot be greater than status.replicas"
        if status.fully_labeled_replicas > status.replicas:
            errors.append(invalid_value("status.fullyLabeledReplicas", status.fully_labeled_replicas, more))
        if status.ready_replicas > status.replicas:
            errors.append(invalid_value("status.readyReplicas", status.ready_replicas, more))
        if status.available_replicas > status.replicas:
            errors.append(invalid_value("status.availableReplicas", status.available_replicas, more))
        if status.available_replicas > status.ready_replicas:
            errors.append(
                invalid_value(
                    "status.availableReplicas", status.available_replicas, "cannot be greater than readyReplicas"
                )
            )
        return errors


class ControllerRevisions(Strategy):
    """A snapshot of some controller's data that never changes."""

    def validate(self, obj: apps_v1.ControllerRevision) -> list[FieldError]:
        errors: list[FieldError] = []
        if obj.data is None:
            errors.append(required("data", "data is mandatory"))
        return errors + not_negative(obj.revision, "revision")

    def validate_update(self, new: apps_v1.ControllerRevision, old: apps_v1.ControllerRevision) -> list[FieldError]:
        errors = self.validate(new)
        if new.data != old.data:
            errors.append(invalid_value("data", new.data, IMMUTABLE))
        return errors
