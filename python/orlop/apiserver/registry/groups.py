"""Rules of scheduling.k8s.io/v1beta1's Workloads and PodGroups: pods that are placed together (KEP-4671).

Upstream has them as marks on the types' fields; findings come in the order of the fields.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from orlop.api.errors import IMMUTABLE, FieldError, duplicate, forbidden_field, invalid_value, required, too_many
from orlop.api.types import scheduling_v1beta1 as types
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import duplicates, segment, subdomain
from orlop.apiserver.registry.priorityclasses import HIGHEST
from orlop.apiserver.registry.strategy import Strategy

MAX_TEMPLATES = 8
MAX_CLAIMS = 4


def _one(of: Any, fields: Sequence[str], path: str) -> list[FieldError]:
    """Exactly one of the fields must be there. `fields` are JSON names."""
    given = [f"`{f}`" for f in fields if getattr(of, _ATTRIBUTES.get(f, f)) is not None]
    listed = ", ".join(f"`{f}`" for f in fields)
    if not given:
        return [invalid_value(path, "", f"must specify one of: {listed}")]
    if len(given) > 1:
        shown = ", ".join(given).replace("`", "")
        return [invalid_value(path, f"{{{shown}}}", f"must specify exactly one of: {listed}")]
    return []


_ATTRIBUTES = {
    "resourceClaimName": "resource_claim_name",
    "resourceClaimTemplateName": "resource_claim_template_name",
}


def _label(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    return [invalid_value(path, name, m) for m in names.label(name)]


def _policy(policy: types.PodGroupSchedulingPolicy, path: str) -> list[FieldError]:
    errors = _one(policy, ("basic", "gang"), path)
    if policy.gang is not None and not policy.gang.min_count:
        errors.append(required(f"{path}.gang.minCount"))
    elif policy.gang is not None and policy.gang.min_count < 1:
        words = "must be greater than or equal to 1"
        errors.append(invalid_value(f"{path}.gang.minCount", policy.gang.min_count, words))
    return errors


def _claims(claims: list[types.PodGroupResourceClaim], path: str) -> list[FieldError]:
    if len(claims) > MAX_CLAIMS:
        return [too_many(path, len(claims), MAX_CLAIMS)]
    again = duplicates(c.name for c in claims)
    errors = [duplicate(f"{path}[{i}]", msgspec.to_builtins(claims[i])) for i in again]
    for i, claim in enumerate(claims):
        where = f"{path}[{i}]"
        errors += _one(claim, ("resourceClaimName", "resourceClaimTemplateName"), where)
        errors += _label(claim.name, f"{where}.name")
        if claim.resource_claim_name is not None:
            errors += subdomain(claim.resource_claim_name, f"{where}.resourceClaimName")
        if claim.resource_claim_template_name is not None:
            errors += subdomain(claim.resource_claim_template_name, f"{where}.resourceClaimTemplateName")
    return errors


def _placed(of: types.PodGroupSpec | types.PodGroupTemplate, path: str) -> list[FieldError]:
    """What groups and their templates say alike."""
    errors = _policy(of.scheduling_policy, f"{path}.schedulingPolicy")
    errors += _claims(of.resource_claims, f"{path}.resourceClaims")
    if of.disruption_mode is not None:
        errors += _one(of.disruption_mode, ("single", "all"), f"{path}.disruptionMode")
    if of.priority_class_name:
        errors += subdomain(of.priority_class_name, f"{path}.priorityClassName")
    if of.priority is not None and of.priority > HIGHEST:
        words = f"must be less than or equal to {HIGHEST}"
        errors.append(invalid_value(f"{path}.priority", of.priority, words))
    return errors


def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    """What may not change; a mark does not show the value."""
    return [] if new == old else [invalid_value(path, None, IMMUTABLE)]


_FIXED = (
    ("resource_claims", "resourceClaims"),
    ("disruption_mode", "disruptionMode"),
    ("priority_class_name", "priorityClassName"),
    ("priority", "priority"),
    ("preemption_policy", "preemptionPolicy"),
)


def _kept(
    new: types.PodGroupSpec | types.PodGroupTemplate, old: types.PodGroupSpec | types.PodGroupTemplate, path: str
) -> list[FieldError]:
    """All stays but how many pods a gang has at least."""
    policy, was = new.scheduling_policy, old.scheduling_policy
    errors = immutable(policy.basic, was.basic, f"{path}.schedulingPolicy.basic")
    if (policy.gang is None) != (was.gang is None):
        words = "field cannot be cleared once set" if policy.gang is None else "field cannot be set once created"
        errors.append(invalid_value(f"{path}.schedulingPolicy.gang", None, words))
    errors += immutable(new.scheduling_constraints, old.scheduling_constraints, f"{path}.schedulingConstraints")
    for attribute, json in _FIXED:
        errors += immutable(getattr(new, attribute), getattr(old, attribute), f"{path}.{json}")
    return errors


class PodGroups(Strategy):
    """Pods that are scheduled as one."""

    unconditional_update = False

    def default(self, obj: types.PodGroup) -> None:
        if obj.spec.disruption_mode is None:
            obj.spec.disruption_mode = types.DisruptionMode(single={})

    def validate(self, obj: types.PodGroup) -> list[FieldError]:
        errors: list[FieldError] = []
        if (ref := obj.spec.workload_ref) is not None:
            path = "spec.workloadRef"
            name = f"{path}.workloadName"
            errors += subdomain(ref.workload_name, name) if ref.workload_name else [required(name)]
            errors += _label(ref.template_name, f"{path}.templateName")
        return errors + _placed(obj.spec, "spec")

    def validate_update(self, new: types.PodGroup, old: types.PodGroup) -> list[FieldError]:
        spec, was = new.spec, old.spec
        name = "spec.parentCompositePodGroupName"
        errors = self.validate(new)
        errors += immutable(spec.parent_composite_pod_group_name, was.parent_composite_pod_group_name, name)
        errors += immutable(spec.workload_ref, was.workload_ref, "spec.workloadRef")
        return errors + _kept(spec, was, "spec")


class Workloads(Strategy):
    """Templates of the pod groups that a controller makes."""

    unconditional_update = False

    def validate(self, obj: types.Workload) -> list[FieldError]:
        spec, path = obj.spec, "spec.podGroupTemplates"
        templates = spec.pod_group_templates
        errors: list[FieldError] = []
        if not templates and not spec.composite_pod_group_templates:
            words = "must specify one of: `podGroupTemplates`, `compositePodGroupTemplates`"
            errors.append(invalid_value("spec", "", words))
        if (ref := spec.controller_ref) is not None:
            where = "spec.controllerRef"
            errors += subdomain(ref.api_group, f"{where}.apiGroup") if ref.api_group else []
            errors += segment(ref.kind, f"{where}.kind") + segment(ref.name, f"{where}.name")
        if len(templates) > MAX_TEMPLATES:
            return [*errors, too_many(path, len(templates), MAX_TEMPLATES)]
        again = duplicates(t.name for t in templates)
        errors += [duplicate(f"{path}[{i}]", msgspec.to_builtins(templates[i])) for i in again]
        for i, template in enumerate(templates):
            errors += _label(template.name, f"{path}[{i}].name")
            errors += _placed(template, f"{path}[{i}]")
        if len({(t.priority_class_name, t.priority) for t in templates}) > 1:
            errors.append(invalid_value("spec", None, "detected multiple priority configurations"))
        return errors

    def validate_update(self, new: types.Workload, old: types.Workload) -> list[FieldError]:
        spec, was, path = new.spec, old.spec, "spec.podGroupTemplates"
        errors = self.validate(new) + immutable(spec.controller_ref, was.controller_ref, "spec.controllerRef")
        before = {t.name: t for t in was.pod_group_templates}
        for i, template in enumerate(spec.pod_group_templates):
            if template.name not in before:
                errors.append(forbidden_field(f"{path}[{i}]", "item may not be added"))
            else:
                errors += _kept(template, before.pop(template.name), f"{path}[{i}]")
        errors += [forbidden_field(path, "item may not be removed") for _ in before]
        composite = "spec.compositePodGroupTemplates"
        return errors + immutable(spec.composite_pod_group_templates, was.composite_pod_group_templates, composite)
