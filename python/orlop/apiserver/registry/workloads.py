"""Rules of Deployments, ReplicaSets and ControllerRevisions: pkg/apis/apps and pkg/registry/apps."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.apiserver.registry import poddefaults, podfields, podtemplate, podwarnings
from orlop.apiserver.registry.common import at_most_100, immutable, int_or_percent, is_zero, not_negative
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

HISTORY = 10
PROGRESS_SECONDS = 600
QUARTER = "25%"
MORE = "cannot be greater than status.replicas"
MORE_THAN_READY = "cannot be greater than readyReplicas"


class Deployments(Strategy):
    """Rolling updates, history, and a selector that stays."""

    generation = True
    fills_spec = True

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

    def prepare_create(self, obj: apps_v1.Deployment) -> None:
        podfields.drop(obj.spec.template.spec)

    def prepare_update(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> None:
        podfields.drop(new.spec.template.spec, old.spec.template.spec)

    def validate(self, obj: apps_v1.Deployment) -> list[FieldError]:
        spec = obj.spec
        errors = not_negative(spec.replicas, "spec.replicas")
        errors += _selector(spec.selector)
        errors += _template(spec.template, spec.selector)
        errors += _strategy(spec.strategy)
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        errors += not_negative(spec.revision_history_limit, "spec.revisionHistoryLimit")
        deadline = spec.progress_deadline_seconds
        if deadline is not None:
            errors += not_negative(deadline, "spec.progressDeadlineSeconds")
            if deadline <= spec.min_ready_seconds:
                words = "must be greater than minReadySeconds"
                errors.append(invalid_value("spec.progressDeadlineSeconds", deadline, words))
        return errors

    def warnings(self, new: apps_v1.Deployment, old: apps_v1.Deployment | None = None) -> list[str]:
        if podwarnings.seen(new, old):
            return []
        template = new.spec.template
        found = podwarnings.owner_name(new.metadata) if old is None else []
        return found + podwarnings.warnings(template.spec, template.metadata, "spec.template.")

    def validate_update(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> list[FieldError]:
        return self.validate(new) + immutable(new.spec.selector, old.spec.selector, "spec.selector")

    def changes_generation(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> bool:
        # Upstream counts annotations too: a deployment's are copied to its replica sets.
        return new.spec != old.spec or new.metadata.annotations != old.metadata.annotations

    def prepare_status(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> None:
        new.metadata.labels = old.metadata.labels

    def validate_status(self, new: apps_v1.Deployment, old: apps_v1.Deployment) -> list[FieldError]:
        status = new.status
        errors = not_negative(status.observed_generation, "status.observedGeneration")
        for name, value in (
            ("replicas", status.replicas),
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
            ("unavailableReplicas", status.unavailable_replicas),
            ("terminatingReplicas", status.terminating_replicas),
            ("collisionCount", status.collision_count),
        ):
            errors += not_negative(value, f"status.{name}")
        for name, value in (
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        ):
            if value > status.replicas:
                errors.append(invalid_value(f"status.{name}", value, MORE))
        if status.available_replicas > status.ready_replicas:
            errors.append(invalid_value("status.availableReplicas", status.available_replicas, MORE_THAN_READY))
        return errors + not_decremented(status.collision_count, old.status.collision_count)


def not_decremented(new: int | None, old: int | None) -> list[FieldError]:
    """A count of collisions only grows."""
    if old is None or (new is not None and new >= old):
        return []
    return [invalid_value("status.collisionCount", new or 0, "cannot be decremented")]


def _selector(selector: meta_v1.LabelSelector | None) -> list[FieldError]:
    if selector is None:
        return [required("spec.selector")]
    errors = podtemplate.validate_selector(selector, "spec.selector")
    if podtemplate.is_empty(selector):
        # Upstream says so of ReplicaSets too.
        errors.append(invalid_value("spec.selector", selector, "empty selector is invalid for deployment"))
    return errors


def _template(template: core_v1.PodTemplateSpec, selector: meta_v1.LabelSelector | None) -> list[FieldError]:
    path = "spec.template"
    errors = podtemplate.validate_selected(template, selector, path)
    if selector is not None and podtemplate.is_unreadable(selector):
        return [*errors, invalid_value("spec.selector", selector, "invalid label selector")]
    errors += podtemplate.validate_template(template, path)
    return errors + podtemplate.validate_running(template, path, "ReplicaSet")


def _strategy(strategy: apps_v1.DeploymentStrategy) -> list[FieldError]:
    path = "spec.strategy"
    if strategy.type == "Recreate":
        if strategy.rolling_update is not None:
            return [forbidden_field(f"{path}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")]
        return []
    if strategy.type != "RollingUpdate":
        return [unsupported(path, _shown(strategy.type, strategy.rolling_update), ("Recreate", "RollingUpdate"))]
    rolling = strategy.rolling_update
    if rolling is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    where = f"{path}.rollingUpdate.maxUnavailable"
    unavailable = 0 if rolling.max_unavailable is None else rolling.max_unavailable
    surge = 0 if rolling.max_surge is None else rolling.max_surge
    errors = int_or_percent(unavailable, where)
    errors += int_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
    if is_zero(unavailable) and is_zero(surge):
        errors.append(invalid_value(where, unavailable, "may not be 0 when `maxSurge` is 0"))
    return errors + at_most_100(unavailable, where)


def _shown(kind: str, rolling: apps_v1.RollingUpdateDeployment | None) -> object:
    """An update strategy as upstream shows its inner form."""
    if rolling is None:
        return {"Type": kind, "RollingUpdate": None}
    return {
        "Type": kind,
        "RollingUpdate": {"MaxUnavailable": rolling.max_unavailable or 0, "MaxSurge": rolling.max_surge or 0},
    }


class ReplicaSets(Strategy):
    """A count of pods, and a selector that stays."""

    generation = True
    fills_spec = True

    def default(self, obj: apps_v1.ReplicaSet) -> None:
        poddefaults.pod_spec(obj.spec.template.spec)
        if obj.spec.replicas is None:
            obj.spec.replicas = 1

    def prepare_create(self, obj: apps_v1.ReplicaSet) -> None:
        podfields.drop(obj.spec.template.spec)

    def prepare_update(self, new: apps_v1.ReplicaSet, old: apps_v1.ReplicaSet) -> None:
        podfields.drop(new.spec.template.spec, old.spec.template.spec)

    def validate(self, obj: apps_v1.ReplicaSet) -> list[FieldError]:
        spec = obj.spec
        errors = not_negative(spec.replicas, "spec.replicas")
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        return errors + _selector(spec.selector) + _template(spec.template, spec.selector)

    def warnings(self, new: apps_v1.ReplicaSet, old: apps_v1.ReplicaSet | None = None) -> list[str]:
        if podwarnings.seen(new, old):
            return []
        template = new.spec.template
        found = podwarnings.owner_name(new.metadata) if old is None else []
        return found + podwarnings.warnings(template.spec, template.metadata, "spec.template.")

    def validate_update(self, new: apps_v1.ReplicaSet, old: apps_v1.ReplicaSet) -> list[FieldError]:
        return self.validate(new) + immutable(new.spec.selector, old.spec.selector, "spec.selector")

    def validate_status(self, new: apps_v1.ReplicaSet, old: apps_v1.ReplicaSet) -> list[FieldError]:
        return replica_status(new.status)


def replica_status(status: apps_v1.ReplicaSetStatus | core_v1.ReplicationControllerStatus) -> list[FieldError]:
    """What is wrong with the counts of a ReplicaSet or ReplicationController."""
    errors: list[FieldError] = []
    counts = (
        ("fullyLabeledReplicas", status.fully_labeled_replicas),
        ("readyReplicas", status.ready_replicas),
        ("availableReplicas", status.available_replicas),
    )
    for name, value in (
        ("replicas", status.replicas),
        *counts,
        ("terminatingReplicas", getattr(status, "terminating_replicas", None)),
        ("observedGeneration", status.observed_generation),
    ):
        errors += not_negative(value, f"status.{name}")
    errors += [invalid_value(f"status.{name}", value, MORE) for name, value in counts if value > status.replicas]
    if status.available_replicas > status.ready_replicas:
        errors.append(invalid_value("status.availableReplicas", status.available_replicas, MORE_THAN_READY))
    return errors


class ControllerRevisions(Strategy):
    """A snapshot of some controller's data that never changes."""

    def validate(self, obj: apps_v1.ControllerRevision) -> list[FieldError]:
        return not_negative(obj.revision, "revision") + self._data(obj)

    @staticmethod
    def _data(obj: apps_v1.ControllerRevision) -> list[FieldError]:
        if obj.data is None:
            return [required("data", "data is mandatory")]
        return [] if isinstance(obj.data, dict) else [required("data", "data must be a valid JSON object")]

    def validate_update(self, new: apps_v1.ControllerRevision, old: apps_v1.ControllerRevision) -> list[FieldError]:
        errors = not_negative(new.revision, "revision")
        return errors + immutable(new.data, old.data, "data")
