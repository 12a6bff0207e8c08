"""Rules of scheduling.k8s.io/v1beta1's Workloads and PodGroups: pods that are placed together (KEP-4671)."""

from orlop.api.errors import IMMUTABLE, FieldError, duplicate, invalid_value, required, too_many
from orlop.api.types import scheduling_v1beta1 as types
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import duplicates
from orlop.apiserver.registry.strategy import Strategy

MAX_TEMPLATES = 8
ONE_POLICY = "must specify exactly one of: `basic`, `gang`"


def _policy(policy: types.PodGroupSchedulingPolicy, path: str) -> list[FieldError]:
    if policy.basic is None and policy.gang is None:
        return [required(path, ONE_POLICY)]
    if policy.basic is not None and policy.gang is not None:
        return [invalid_value(path, "{`basic`, `gang`}", ONE_POLICY)]
    if policy.gang is not None and policy.gang.min_count < 1:
        return [invalid_value(f"{path}.gang.minCount", policy.gang.min_count, "must be greater than or equal to 1")]
    return []


class PodGroups(Strategy):
    """Pods that are scheduled as one."""

    generation = True

    def validate(self, obj: types.PodGroup) -> list[FieldError]:
        return _policy(obj.spec.scheduling_policy, "spec.schedulingPolicy")

    def validate_update(self, new: types.PodGroup, old: types.PodGroup) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]


class Workloads(Strategy):
    """Templates of the pod groups that a controller makes."""

    generation = True

    def validate(self, obj: types.Workload) -> list[FieldError]:
        templates, path = obj.spec.pod_group_templates, "spec.podGroupTemplates"
        errors: list[FieldError] = []
        if not templates and not obj.spec.composite_pod_group_templates:
            errors.append(required(path))
        if len(templates) > MAX_TEMPLATES:
            errors.append(too_many(path, len(templates), MAX_TEMPLATES))
        for i, template in enumerate(templates):
            errors += [invalid_value(f"{path}[{i}].name", template.name, m) for m in names.label(template.name)]
            errors += _policy(template.scheduling_policy, f"{path}[{i}].schedulingPolicy")
        return errors + [
            duplicate(f"{path}[{i}].name", templates[i].name) for i in duplicates(t.name for t in templates)
        ]

    def validate_update(self, new: types.Workload, old: types.Workload) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]
