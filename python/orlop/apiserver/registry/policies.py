"""Rules of admission policies and their bindings: pkg/apis/admissionregistration."""

import re
from collections.abc import Sequence
from typing import Any

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import admissionregistration_v1 as types, meta_v1
from orlop.apiserver.registry import conditions as stated, expressions, meta, names, podtemplate, webhooks
from orlop.apiserver.registry.common import duplicates, one_of
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
MAX_ANNOTATIONS = 20
MAX_VALUE_EXPRESSION = 5 * 1024
"""Bytes of a valueExpression: what it makes may be twice as long."""
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*\Z")
_RESERVED = re.compile(
    r"(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return|var|void"
    r"|while)\Z"
)
_LINES = re.compile(r"[\n\r]")


def _default_match(match: types.MatchResources | None) -> None:
    if match is None:
        return
    match.match_policy = match.match_policy or "Equivalent"
    if match.namespace_selector is None:
        match.namespace_selector = meta_v1.LabelSelector()
    if match.object_selector is None:
        match.object_selector = meta_v1.LabelSelector()
    for rule in (*match.resource_rules, *match.exclude_resource_rules):
        rule.scope = rule.scope or "*"


def _match(match: types.MatchResources, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if match.match_policy not in (None, *webhooks.MATCH_POLICIES):
        errors.append(unsupported(f"{path}.matchPolicy", match.match_policy, webhooks.MATCH_POLICIES))
    for name, selector in (("namespaceSelector", match.namespace_selector), ("objectSelector", match.object_selector)):
        if selector is not None:
            errors += podtemplate.validate_selector(selector, f"{path}.{name}")
    for name, rules in (
        ("resourceRules", match.resource_rules),
        ("excludeResourceRules", match.exclude_resource_rules),
    ):
        for i, rule in enumerate(rules):
            where = f"{path}.{name}[{i}]"
            for j, named in enumerate(rule.resource_names):
                errors += [invalid_value(f"{where}.resourceNames[{j}]", named, m) for m in names.path_segment(named)]
                if named in rule.resource_names[:j]:
                    errors.append(duplicate(f"{where}.resourceNames[{j}]", named))
            errors += webhooks.validate_rule(rule, where)
    return errors


def _param_kind(kind: types.ParamKind, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    where, given = f"{path}.apiVersion", kind.api_version
    group, _, version = given.rpartition("/")
    if not given:
        errors.append(required(where))
    elif given.count("/") > 1:
        errors.append(invalid_value(where, given, f"unexpected GroupVersion string: {given}"))
    else:
        if group and (wrong := names.subdomain(group)):
            errors.append(invalid_value(where, group, ",".join(wrong)))
        if not version:
            errors.append(invalid_value(where, given, "version must be specified"))
        elif wrong := names.label_1035(version):
            errors.append(invalid_value(where, version, ",".join(wrong)))
    if not kind.kind:
        errors.append(required(f"{path}.kind"))
    elif wrong := names.label_1035(kind.kind.lower()):
        words = "may have mixed case, but should otherwise match: " + ",".join(wrong)
        errors.append(invalid_value(f"{path}.kind", kind.kind, words))
    return errors


def _variables(variables: Sequence[types.Variable], path: str, params: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, variable in enumerate(variables):
        name, expression = f"{path}[{i}].name", f"{path}[{i}].expression"
        if not variable.name.strip():
            errors.append(required(name, "name is not specified"))
        elif not _IDENTIFIER.match(variable.name) or _RESERVED.match(variable.name):
            errors.append(invalid_value(name, variable.name, "must be a valid CEL identifier"))
        if not variable.expression.strip():
            errors.append(required(expression, "expression is not specified"))
        errors += expressions.check(variable.expression, expression, "any", params=params, variables=variables[:i])
    return errors


class _Policies(Strategy):
    unconditional_update = False
    generation = True

    def default(self, obj: Any) -> None:
        obj.spec.failure_policy = obj.spec.failure_policy or "Fail"
        _default_match(obj.spec.match_constraints)

    def validate(self, obj: Any) -> list[FieldError]:
        return self._validate(obj, conditions=True)

    def validate_update(self, new: Any, old: Any) -> list[FieldError]:
        # What was taken once stays: conditions are looked at only where they, or what they may speak of, change.
        same = (new.spec.param_kind, new.spec.match_conditions) == (old.spec.param_kind, old.spec.match_conditions)
        return self._validate(new, conditions=not same)

    def _validate(self, obj: Any, *, conditions: bool) -> list[FieldError]:
        raise NotImplementedError

    def _common(
        self, spec: types.ValidatingAdmissionPolicySpec | types.MutatingAdmissionPolicySpec, conditions: bool
    ) -> list[FieldError]:
        errors: list[FieldError] = []
        if spec.failure_policy not in webhooks.FAILURE_POLICIES:
            errors.append(unsupported("spec.failurePolicy", spec.failure_policy, webhooks.FAILURE_POLICIES))
        params = spec.param_kind is not None
        if spec.param_kind is not None:
            errors += _param_kind(spec.param_kind, "spec.paramKind")
        if spec.match_constraints is None:
            errors.append(required("spec.matchConstraints"))
        else:
            errors += _match(spec.match_constraints, "spec.matchConstraints")
            if not spec.match_constraints.resource_rules:
                errors.append(required("spec.matchConstraints.resourceRules"))
        if conditions:
            errors += webhooks.match_conditions(spec.match_conditions, "spec.matchConditions", params=params)
        return errors + _variables(spec.variables, "spec.variables", params)


class ValidatingAdmissionPolicies(_Policies):
    """What requests must fulfil, in CEL."""

    status_keeps_metadata = True

    def _validate(self, obj: types.ValidatingAdmissionPolicy, *, conditions: bool) -> list[FieldError]:
        spec = obj.spec
        errors = self._common(spec, conditions)
        if not spec.validations and not spec.audit_annotations:
            words = "validations or auditAnnotations must contain at least one item"
            return [*errors, required("spec.validations", words), required("spec.auditAnnotations", words)]
        for i, validation in enumerate(spec.validations):
            errors += _validation(validation, spec, f"spec.validations[{i}]")
        if len(spec.audit_annotations) > MAX_ANNOTATIONS:
            words = f"must not have more than {MAX_ANNOTATIONS} auditAnnotations"
            errors.append(invalid_value("spec.auditAnnotations", spec.audit_annotations, words))
        again = set(duplicates(annotation.key for annotation in spec.audit_annotations))
        for i, annotation in enumerate(spec.audit_annotations):
            path = f"spec.auditAnnotations[{i}]"
            errors += _annotation(annotation, obj, path)
            if i in again:
                errors.append(duplicate(f"{path}.key", annotation.key))
        return errors

    def validate_status(
        self, new: types.ValidatingAdmissionPolicy, old: types.ValidatingAdmissionPolicy
    ) -> list[FieldError]:
        errors: list[FieldError] = []
        checking = new.status.type_checking
        for i, warning in enumerate(checking.expression_warnings if checking is not None else ()):
            path = f"status.typeChecking.expressionWarnings[{i}]"
            if not warning.warning:
                errors.append(required(f"{path}.warning"))
            if not warning.field_ref.strip():
                errors.append(required(f"{path}.fieldRef"))
        return errors + stated.validate(new.status.conditions, "status.conditions")


def _validation(validation: types.Validation, spec: types.ValidatingAdmissionPolicySpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    params, variables = spec.param_kind is not None, spec.variables
    place = f"{path}.expression"
    if not validation.expression.strip():
        errors.append(required(place, "expression is not specified"))
    errors += expressions.check(validation.expression, place, "bool", params=params, variables=variables)
    place, text = f"{path}.messageExpression", validation.message_expression
    if text and not text.strip():
        errors.append(invalid_value(place, text, "must be non-empty if specified"))
    errors += expressions.check(text, place, "message", params=params, authorizer=False, variables=variables)
    message = validation.message
    if message and not message.strip():
        errors.append(invalid_value(f"{path}.message", message, "message must be non-empty if specified"))
    elif _LINES.search(message.strip()):
        errors.append(invalid_value(f"{path}.message", message, "must not contain line breaks"))
    if validation.reason is not None and validation.reason not in REASONS:
        errors.append(unsupported(f"{path}.reason", validation.reason, REASONS))
    return errors


def _annotation(
    annotation: types.AuditAnnotation, policy: types.ValidatingAdmissionPolicy, path: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    name, spec = policy.metadata.name, policy.spec
    if not name:
        errors.append(invalid_value(f"{path}.key", annotation.key, "requires metadata.name be non-empty"))
    else:
        key = f"{name}/{annotation.key}"
        errors += [invalid_value(f"{path}.key", key, m) for m in meta.key_errors(key)]
    place, text = f"{path}.valueExpression", annotation.value_expression
    if not text.strip():
        return [*errors, required(place, "valueExpression is not specified")]
    if len(text.strip().encode()) > MAX_VALUE_EXPRESSION:
        return [*errors, required(place, f"must not exceed {MAX_VALUE_EXPRESSION} bytes in length")]
    params = spec.param_kind is not None
    return errors + expressions.check(text, place, "string", params=params, variables=spec.variables)


class MutatingAdmissionPolicies(_Policies):
    """What requests become, in CEL."""

    def _validate(self, obj: types.MutatingAdmissionPolicy, *, conditions: bool) -> list[FieldError]:
        spec = obj.spec
        errors = self._common(spec, conditions)
        if not spec.mutations:
            errors.append(required("spec.mutations", "mutations must contain at least one item"))
        for i, mutation in enumerate(spec.mutations):
            path = f"spec.mutations[{i}]"
            parts = {"ApplyConfiguration": mutation.apply_configuration, "JSONPatch": mutation.json_patch}
            errors += one_of(mutation.patch_type, tuple(parts), f"{path}.patchType")
            part = parts.get(mutation.patch_type)
            name = "jsonPatch" if mutation.patch_type == "JSONPatch" else "applyConfiguration"
            other = "applyConfiguration" if name == "jsonPatch" else "jsonPatch"
            given: object = mutation.apply_configuration if name == "jsonPatch" else mutation.json_patch
            if mutation.patch_type in parts and given is not None:
                words = f"must not be specified when patchType is {mutation.patch_type}"
                errors.append(invalid_value(f"{path}.{other}", f"{{{other}}}", words))
            if mutation.patch_type in parts and part is None:
                errors.append(required(f"{path}.{name}", f"must be specified when patchType is {mutation.patch_type}"))
            elif part is not None and not part.expression.strip():
                errors.append(required(f"{path}.{name}.expression"))
            elif part is not None:
                wanted: expressions.Wanted = "patches" if name == "jsonPatch" else "object"
                errors += expressions.check(
                    part.expression,
                    f"{path}.{name}.expression",
                    wanted,
                    params=spec.param_kind is not None,
                    variables=spec.variables,
                )
        errors += one_of(spec.reinvocation_policy, ("IfNeeded", "Never"), "spec.reinvocationPolicy")
        return errors


class _Bindings(Strategy):
    unconditional_update = False
    generation = True

    def default(self, obj: Any) -> None:
        _default_match(obj.spec.match_resources)

    def validate(self, obj: Any) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if not spec.policy_name:
            errors.append(required("spec.policyName"))
        else:
            errors += [invalid_value("spec.policyName", spec.policy_name, m) for m in names.subdomain(spec.policy_name)]
        if spec.param_ref is not None:
            errors += _param_ref(spec.param_ref, "spec.paramRef")
        if spec.match_resources is not None:
            errors += _match(spec.match_resources, "spec.matchResources")
        return errors


def _param_ref(ref: types.ParamRef, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    both = "name and selector are mutually exclusive"
    if ref.name:
        errors += [invalid_value(f"{path}.name", ref.name, m) for m in names.path_segment(ref.name)]
        if ref.selector is not None:
            errors.append(forbidden_field(f"{path}.name", both))
    if ref.selector is not None:
        errors += podtemplate.validate_selector(ref.selector, f"{path}.selector")
        if ref.name:
            errors.append(forbidden_field(f"{path}.selector", both))
    elif not ref.name:
        errors.append(required(path, "one of name or selector must be specified"))
    return errors + one_of(ref.parameter_not_found_action, ("Deny", "Allow"), f"{path}.parameterNotFoundAction")


class MutatingAdmissionPolicyBindings(_Bindings):
    """Where a mutating policy holds, and with which parameters."""


class ValidatingAdmissionPolicyBindings(_Bindings):
    """Where a validating policy holds, with which parameters, and what follows."""

    def validate(self, obj: types.ValidatingAdmissionPolicyBinding) -> list[FieldError]:
        errors = super().validate(obj)
        actions, path = obj.spec.validation_actions, "spec.validationActions"
        for i, action in enumerate(actions):
            if action not in ACTIONS:
                errors.append(unsupported(f"{path}[{i}]", action, ACTIONS))
            if action in actions[:i]:
                errors.append(duplicate(f"{path}[{i}]", action))
        if {"Deny", "Warn"} <= set(actions):
            words = "must not contain both Deny and Warn (repeating the same validation failure information in the "
            words += "API response and headers serves no purpose)"
            errors.append(invalid_value(path, actions, words))
        if not actions:
            errors.append(required(path, "at least one validation action is required"))
        return errors
