"""Rules of StatefulSets: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation, pkg/registry/apps/statefulset."""

from msgspec.structs import replace

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import apps_v1
from orlop.apiserver.registry import claims, poddefaults, podtemplate, podwarnings
from orlop.apiserver.registry.common import at_most_100, int_or_percent, is_zero, not_negative, one_of
from orlop.apiserver.registry.strategy import Strategy

HISTORY = 10
RETENTION = ("Delete", "Retain")
MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "update_strategy",
    "revision_history_limit",
    "persistent_volume_claim_retention_policy",
    "min_ready_seconds",
)
ONLY = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


class StatefulSets(Strategy):
    """Pods with identities, claims of their own, and an order."""

    generation = True

    def default(self, obj: apps_v1.StatefulSet) -> None:
        spec = obj.spec
        poddefaults.pod_spec(spec.template.spec)
        for claim in spec.volume_claim_templates:
            claims.default(claim)
        if not spec.pod_management_policy:
            spec.pod_management_policy = "OrderedReady"
        strategy = spec.update_strategy
        if not strategy.type:
            strategy.type = "RollingUpdate"
            if strategy.rolling_update is None:
                strategy.rolling_update = apps_v1.RollingUpdateStatefulSetStrategy(partition=0)
        if strategy.type == "RollingUpdate" and (rolling := strategy.rolling_update) is not None:
            if rolling.partition is None:
                rolling.partition = 0
            if rolling.max_unavailable is None:
                rolling.max_unavailable = 1
        if spec.persistent_volume_claim_retention_policy is None:
            spec.persistent_volume_claim_retention_policy = apps_v1.StatefulSetPersistentVolumeClaimRetentionPolicy()
        policy = spec.persistent_volume_claim_retention_policy
        policy.when_deleted = policy.when_deleted or "Retain"
        policy.when_scaled = policy.when_scaled or "Retain"
        if spec.replicas is None:
            spec.replicas = 1
        if spec.revision_history_limit is None:
            spec.revision_history_limit = HISTORY

    def validate(self, obj: apps_v1.StatefulSet) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        policy = spec.pod_management_policy
        if not policy:
            errors.append(required("spec.podManagementPolicy"))
        elif policy not in ("OrderedReady", "Parallel"):
            errors.append(invalid_value("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
        errors += _update_strategy(spec.update_strategy)
        retention = spec.persistent_volume_claim_retention_policy
        if retention is not None:
            path = "spec.persistentVolumeClaimRetentionPolicy"
            errors += one_of(retention.when_deleted, RETENTION, f"{path}.whenDeleted")
            errors += one_of(retention.when_scaled, RETENTION, f"{path}.whenScaled")
        errors += not_negative(spec.replicas, "spec.replicas")
        errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        if spec.ordinals is not None:
            errors += not_negative(spec.ordinals.start, "spec.ordinals.start")
        if spec.selector is None:
            errors.append(required("spec.selector"))
        else:
            errors += podtemplate.validate_selector(spec.selector, "spec.selector")
            if not spec.selector.match_labels and not spec.selector.match_expressions:
                errors.append(
                    invalid_value("spec.selector", spec.selector, "empty selector is invalid for statefulset")
                )
        errors += podtemplate.validate_template(spec.template, spec.selector, "spec.template", owner="StatefulSet")
        return errors + not_negative(spec.revision_history_limit, "spec.revisionHistoryLimit")

    def validate_update(self, new: apps_v1.StatefulSet, old: apps_v1.StatefulSet) -> list[FieldError]:
        errors = self.validate(new)
        kept = replace(new.spec, **{name: getattr(old.spec, name) for name in MUTABLE})
        if kept != old.spec:
            errors.append(forbidden_field("spec", ONLY))
        return errors

    def validate_status(self, new: apps_v1.StatefulSet, old: apps_v1.StatefulSet) -> list[FieldError]:
        status = new.status
        errors: list[FieldError] = []
        counts = {
            "replicas": status.replicas,
            "readyReplicas": status.ready_replicas,
            "currentReplicas": status.current_replicas,
            "updatedReplicas": status.updated_replicas,
            "availableReplicas": status.available_replicas,
            "observedGeneration": status.observed_generation,
            "collisionCount": status.collision_count,
        }
        for name, value in counts.items():
            errors += not_negative(value, f"status.{name}")
        more = "cannot be greater than status.replicas"
        for name in ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"):
            if (counts[name] or 0) > status.replicas:
                errors.append(invalid_value(f"status.{name}", counts[name], more))
        if status.available_replicas > status.ready_replicas:
            words = "cannot be greater than status.readyReplicas"
            errors.append(invalid_value("status.availableReplicas", status.available_replicas, words))
        return errors

    def warnings(self, obj: apps_v1.StatefulSet) -> list[str]:
        found = podwarnings.warnings(obj.spec.template.spec, "spec.template.spec")
        if obj.spec.revision_history_limit is not None and obj.spec.revision_history_limit < 0:
            found.append("spec.revisionHistoryLimit: a negative value retains all historical revisions")
        return found


def _update_strategy(strategy: apps_v1.StatefulSetUpdateStrategy) -> list[FieldError]:
    path = "spec.updateStrategy"
    rolling = strategy.rolling_update
    if not strategy.type:
        return [required(path)]
    if strategy.type == "OnDelete":
        if rolling is None:
            return []
        return [invalid_value(f"{path}.rollingUpdate", rolling, "only allowed for updateStrategy 'RollingUpdate'")]
    if strategy.type != "RollingUpdate":
        return [invalid_value(path, strategy, "must be 'RollingUpdate' or 'OnDelete'")]
    if rolling is None:
        return []
    errors = not_negative(rolling.partition, f"{path}.rollingUpdate.partition")
    if rolling.max_unavailable is not None:
        where = f"{path}.rollingUpdate.maxUnavailable"
        errors += int_or_percent(rolling.max_unavailable, where)
        if is_zero(rolling.max_unavailable):
            errors.append(invalid_value(where, rolling.max_unavailable, "cannot be 0"))
        errors += at_most_100(rolling.max_unavailable, where)
    return errors
