"""Rules of admission policies and their bindings: pkg/apis/admissionregistration."""

from typing import Any

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import admissionregistration_v1 as types, meta_v1
from orlop.apiserver.registry import expressions, names, podtemplate, webhooks
from orlop.apiserver.registry.common import duplicates, one_of
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")


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


def _match(match: types.MatchResources, path: str, needed: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    if match.match_policy not in (None, "Equivalent", "Exact"):
        errors.append(unsupported(f"{path}.matchPolicy", match.match_policy, ("Equivalent", "Exact")))
    for name, selector in (("namespaceSelector", match.namespace_selector), ("objectSelector", match.object_selector)):
        if selector is not None:
            errors += podtemplate.validate_selector(selector, f"{path}.{name}")
    if needed and not match.resource_rules:
        errors.append(required(f"{path}.resourceRules"))
    for name, rules in (
        ("resourceRules", match.resource_rules),
        ("excludeResourceRules", match.exclude_resource_rules),
    ):
        for i, rule in enumerate(rules):
            errors += webhooks.validate_rule(rule, f"{path}.{name}[{i}]")
    return errors


class _Policies(Strategy):
    generation = True

    def default(self, obj: Any) -> None:
        obj.spec.failure_policy = obj.spec.failure_policy or "Fail"
        _default_match(obj.spec.match_constraints)

    def _common(
        self, spec: types.ValidatingAdmissionPolicySpec | types.MutatingAdmissionPolicySpec
    ) -> list[FieldError]:
        errors: list[FieldError] = []
        if spec.failure_policy not in (None, "Fail", "Ignore"):
            errors.append(unsupported("spec.failurePolicy", spec.failure_policy, ("Fail", "Ignore")))
        if spec.param_kind is not None:
            if not spec.param_kind.api_version:
                errors.append(required("spec.paramKind.apiVersion"))
            if not spec.param_kind.kind:
                errors.append(required("spec.paramKind.kind"))
        if spec.match_constraints is None:
            errors.append(required("spec.matchConstraints"))
        else:
            errors += _match(spec.match_constraints, "spec.matchConstraints", needed=True)
        params = spec.param_kind is not None
        errors += webhooks.match_conditions(spec.match_conditions, "spec.matchConditions", params=params)
        for i, variable in enumerate(spec.variables):
            if not variable.name:
                errors.append(required(f"spec.variables[{i}].name"))
            elif not variable.name.isidentifier():
                words = "name is not a valid CEL identifier"
                errors.append(invalid_value(f"spec.variables[{i}].name", variable.name, words))
            if not variable.expression.strip():
                errors.append(required(f"spec.variables[{i}].expression"))
            place, earlier = f"spec.variables[{i}].expression", spec.variables[:i]
            errors += expressions.check(variable.expression, place, "any", params=params, variables=earlier)
        again = duplicates(v.name for v in spec.variables)
        return errors + [
            FieldError("FieldValueDuplicate", f"spec.variables[{i}].name", spec.variables[i].name, "") for i in again
        ]


class ValidatingAdmissionPolicies(_Policies):
    """What requests must fulfil, in CEL."""

    def validate(self, obj: types.ValidatingAdmissionPolicy) -> list[FieldError]:
        spec = obj.spec
        errors = self._common(spec)
        params, variables = spec.param_kind is not None, spec.variables
        if not spec.validations and not spec.audit_annotations:
            words = "validations or auditAnnotations must contain at least one item"
            errors += [required("spec.validations", words), required("spec.auditAnnotations", words)]
        for i, validation in enumerate(spec.validations):
            path = f"spec.validations[{i}]"
            if not validation.expression.strip():
                errors.append(required(f"{path}.expression", "expression is not specified"))
            place = f"{path}.expression"
            errors += expressions.check(validation.expression, place, "bool", params=params, variables=variables)
            errors += expressions.check(
                validation.message_expression,
                f"{path}.messageExpression",
                "string",
                params=params,
                authorizer=False,
                variables=variables,
            )
            if "\n" in validation.message:
                errors.append(
                    invalid_value(f"{path}.message", validation.message, "message must not contain line breaks")
                )
            if validation.reason is not None and validation.reason not in REASONS:
                errors.append(unsupported(f"{path}.reason", validation.reason, REASONS))
        for i, annotation in enumerate(spec.audit_annotations):
            path = f"spec.auditAnnotations[{i}]"
            if not annotation.key:
                errors.append(required(f"{path}.key"))
            if not annotation.value_expression.strip():
                errors.append(required(f"{path}.valueExpression", "valueExpression is not specified"))
            errors += expressions.check(
                annotation.value_expression,
                f"{path}.valueExpression",
                "string",
                params=params,
                authorizer=False,
                variables=variables,
            )
        return errors


class MutatingAdmissionPolicies(_Policies):
    """What requests become, in CEL."""

    def default(self, obj: types.MutatingAdmissionPolicy) -> None:
        super().default(obj)
        obj.spec.reinvocation_policy = obj.spec.reinvocation_policy or "Never"

    def validate(self, obj: types.MutatingAdmissionPolicy) -> list[FieldError]:
        spec = obj.spec
        errors = self._common(spec)
        if not spec.mutations:
            errors.append(required("spec.mutations", "mutations must contain at least one item"))
        for i, mutation in enumerate(spec.mutations):
            path = f"spec.mutations[{i}]"
            parts = {"ApplyConfiguration": mutation.apply_configuration, "JSONPatch": mutation.json_patch}
            errors += one_of(mutation.patch_type, tuple(parts), f"{path}.patchType")
            part = parts.get(mutation.patch_type)
            name = "jsonPatch" if mutation.patch_type == "JSONPatch" else "applyConfiguration"
            if mutation.patch_type in parts and part is None:
                errors.append(required(f"{path}.{name}"))
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
            errors += _match(spec.match_resources, "spec.matchResources", needed=False)
        return errors


def _param_ref(ref: types.ParamRef, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if bool(ref.name) == (ref.selector is not None):
        words = "one of name or selector must be specified"
        if ref.name:
            return [FieldError("FieldValueForbidden", path, None, "name and selector are mutually exclusive")]
        errors.append(required(path, words))
    if ref.selector is not None:
        errors += podtemplate.validate_selector(ref.selector, f"{path}.selector")
    return errors + one_of(ref.parameter_not_found_action, ("Allow", "Deny"), f"{path}.parameterNotFoundAction")


class MutatingAdmissionPolicyBindings(_Bindings):
    """Where a mutating policy holds, and with which parameters."""


class ValidatingAdmissionPolicyBindings(_Bindings):
    """Where a validating policy holds, with which parameters, and what follows."""

    def validate(self, obj: types.ValidatingAdmissionPolicyBinding) -> list[FieldError]:
        errors = super().validate(obj)
        actions = obj.spec.validation_actions
        if not actions:
            errors.append(required("spec.validationActions", "at least one validation action is required"))
        for i, action in enumerate(actions):
            if action not in ACTIONS:
                errors.append(unsupported(f"spec.validationActions[{i}]", action, ACTIONS))
            if action in actions[:i]:
                errors.append(FieldError("FieldValueDuplicate", f"spec.validationActions[{i}]", action, ""))
        if {"Deny", "Warn"} <= set(actions):
            words = 'must not contain both "Deny" and "Warn" (repeating the same validation failure information in the '
            words += "API response and headers serves no purpose)"
            errors.append(invalid_value("spec.validationActions", actions, words))
        return errors
