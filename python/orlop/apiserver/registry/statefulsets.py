"""Rules of StatefulSets: pkg/apis/apps/v1/defaults.go, pkg/apis/apps/validation, pkg/registry/apps/statefulset."""

import msgspec
from msgspec.structs import replace

from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, required
from orlop.api.types import apps_v1, core_v1
from orlop.apiserver.registry import claims, names, poddefaults, podfields, podtemplate, podwarnings
from orlop.apiserver.registry.common import at_most_100, immutable, int_or_percent, is_zero, not_negative
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.registry.workloads import not_decremented

HISTORY = 10
RETENTION = ("Retain", "Delete")


class StatefulSets(Strategy):
    """Pods with identities, claims of their own, and an order."""

    generation = True
    fills_spec = True

    def name_rule(self, name: str) -> list[str]:
        # The pods' host names begin with it.
        return names.label(name)

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

    def prepare_create(self, obj: apps_v1.StatefulSet) -> None:
        podfields.drop(obj.spec.template.spec)

    def prepare_update(self, new: apps_v1.StatefulSet, old: apps_v1.StatefulSet) -> None:
        podfields.drop(new.spec.template.spec, old.spec.template.spec)

    def validate(self, obj: apps_v1.StatefulSet) -> list[FieldError]:
        errors = _spec(obj.spec)
        if name := obj.spec.service_name:
            errors += [invalid_value("spec.serviceName", name, m) for m in names.label(name)]
        return errors

    def validate_update(self, new: apps_v1.StatefulSet, old: apps_v1.StatefulSet) -> list[FieldError]:
        spec, before = new.spec, old.spec
        claims_stay = spec.volume_claim_templates == before.volume_claim_templates
        # Claims that may not come need not be valid.
        errors = _spec(spec if claims_stay else replace(spec, volume_claim_templates=before.volume_claim_templates))
        errors += immutable(spec.selector, before.selector, "spec.selector")
        if not claims_stay:
            shown = [_shown(claim) for claim in spec.volume_claim_templates]
            errors.append(invalid_value("spec.volumeClaimTemplates", shown, IMMUTABLE))
        errors += immutable(spec.service_name, before.service_name, "spec.serviceName")
        return errors + immutable(spec.pod_management_policy, before.pod_management_policy, "spec.podManagementPolicy")

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
        return errors + not_decremented(status.collision_count, old.status.collision_count)

    def warnings(self, new: apps_v1.StatefulSet, old: apps_v1.StatefulSet | None = None) -> list[str]:
        template, found = new.spec.template, []
        if not podwarnings.seen(new, old):
            found += podwarnings.warnings(template.spec, template.metadata, "spec.template.")
        for i, claim in enumerate(new.spec.volume_claim_templates):
            # With upstream's slip: in an update the path goes on.
            path = f"spec.volumeClaimTemplates[{i}]" + (".Spec" if old is not None else "")
            found += podwarnings.claim(claim.spec, path)
        if new.spec.revision_history_limit is not None and new.spec.revision_history_limit < 0:
            words = "a negative value retains all historical revisions; a value >= 0 is recommended"
            found.append(f"spec.revisionHistoryLimit: {words}")
        return found


def _shown(claim: core_v1.PersistentVolumeClaim) -> dict[str, object]:
    """A claim as upstream shows its inner form, in which metadata have no place of their own."""
    metadata: dict[str, object] = msgspec.to_builtins(claim.metadata)
    return {**metadata, "Spec": go_form(claim.spec), "Status": go_form(claim.status)}


def _spec(spec: apps_v1.StatefulSetSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    policy = spec.pod_management_policy
    if not policy:
        errors.append(required("spec.podManagementPolicy"))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid_value("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'"))
    errors += _update_strategy(spec.update_strategy)
    if (retention := spec.persistent_volume_claim_retention_policy) is not None:
        path = "spec.persistentVolumeClaimRetentionPolicy"
        for name, value in (("whenDeleted", retention.when_deleted), ("whenScaled", retention.when_scaled)):
            if value not in RETENTION:
                errors.append(unsupported(f"{path}.{name}", value, RETENTION))
    errors += not_negative(spec.replicas, "spec.replicas")
    errors += not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
    if spec.ordinals is not None:
        errors += not_negative(spec.ordinals.start, "spec.ordinals.start")
    return errors + _template(spec)


def _template(spec: apps_v1.StatefulSetSpec) -> list[FieldError]:
    template, selector, path = spec.template, spec.selector, "spec.template"
    errors: list[FieldError] = []
    if selector is None:
        errors.append(required("spec.selector"))
    else:
        errors += podtemplate.validate_selector(selector, "spec.selector")
        if podtemplate.is_empty(selector):
            errors.append(invalid_value("spec.selector", selector, "empty selector is invalid for statefulset"))
    if selector is not None and podtemplate.is_unreadable(selector):
        errors.append(invalid_value("spec.selector", selector, ""))
    else:
        errors += podtemplate.validate_selected(template, selector, path)
        errors += podtemplate.validate_template(_with_claims(spec), path)
    errors += podtemplate.validate_running(template, path, "StatefulSet")
    for i, claim in enumerate(spec.volume_claim_templates):
        where = f"spec.volumeClaimTemplates[{i}]"
        errors += claims.validate_spec(claim.spec, f"{where}.spec")
    return errors


def _with_claims(spec: apps_v1.StatefulSetSpec) -> core_v1.PodTemplateSpec:
    """The template with the volumes that each pod gets besides: one for each claim, instead of one so named."""
    template = spec.template
    if not spec.volume_claim_templates:
        return template
    claimed = [claim.metadata.name for claim in spec.volume_claim_templates]
    own = [volume for volume in template.spec.volumes if volume.name not in claimed]
    for name in claimed:
        source = core_v1.PersistentVolumeClaimVolumeSource(claim_name=name)
        own.append(core_v1.Volume(name=name, persistent_volume_claim=source))
    return replace(template, spec=replace(template.spec, volumes=own))


def _update_strategy(strategy: apps_v1.StatefulSetUpdateStrategy) -> list[FieldError]:
    path = "spec.updateStrategy"
    rolling = strategy.rolling_update
    if not strategy.type:
        return [required(path)]
    if strategy.type == "OnDelete":
        if rolling is None:
            return []
        shown = {**go_form(rolling), "Partition": rolling.partition or 0}
        return [invalid_value(f"{path}.rollingUpdate", shown, "only allowed for updateStrategy 'RollingUpdate'")]
    if strategy.type != "RollingUpdate":
        return [invalid_value(path, go_form(strategy), "must be 'RollingUpdate' or 'OnDelete'")]
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
