"""ValidatingAdmissionPolicy. As k8s.io/apiserver's pkg/admission/plugin/policy/validating."""

from typing import Any

import msgspec

from orlop.api.types import admissionregistration_v1 as types
from orlop.apiserver.admission import metrics
from orlop.apiserver.admission.expressions import BUDGET, Asker, Broken, Compiled, Documents, Result, documents
from orlop.apiserver.admission.metrics import VALIDATE
from orlop.apiserver.admission.policies.policies import Policies, Trouble, Use, add, error_type, refusal
from orlop.apiserver.admission.shown import Shown

MESSAGE_MAX = 5 * 1024
"""Bytes of a message that an expression makes."""
ANNOTATION_MAX = 10 * 1024
"""Bytes of an audit annotation's value."""
FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"


class Validator(Compiled):
    """The expressions of one policy: validations, their messages, audit annotations."""

    def __init__(self, spec: types.ValidatingAdmissionPolicySpec) -> None:
        self.validations = range(len(spec.validations))
        self.messages: dict[int, int] = {}
        texts = [v.expression for v in spec.validations]
        for i, validation in enumerate(spec.validations):
            if validation.message_expression.strip():
                self.messages[i] = len(texts)
                texts.append(validation.message_expression)
        self.annotations = range(len(texts), len(texts) + len(spec.audit_annotations))
        super().__init__(spec.variables, texts + [a.value_expression for a in spec.audit_annotations])


class ValidatingPolicies(Policies[Validator]):
    """Runs ValidatingAdmissionPolicies, and does what their bindings say of failures."""

    plural = "validatingadmissionpolicies"
    bindings = "validatingadmissionpolicybindings"
    step = VALIDATE

    def compile(self, spec: types.ValidatingAdmissionPolicySpec) -> Validator:
        return Validator(spec)

    async def validate(self, shown: Shown) -> None:
        """Raises the first refusal."""
        denied: list[Trouble] = []
        asker = Asker(self.authorizer, shown.a.user, self.clock)
        annotations: dict[str, list[str]] = {}
        async for use in self.uses(shown, denied):
            self._run(use, shown, asker, denied, annotations)
        for key, values in annotations.items():
            shown.a.annotations.setdefault(key, ", ".join(dict.fromkeys(values)))
        if denied:
            raise refusal(shown, denied[0], "ValidatingAdmissionPolicy")

    def _run(
        self, use: Use, shown: Shown, asker: Asker, denied: list[Trouble], annotations: dict[str, list[str]]
    ) -> None:
        policy = use.policy
        param = None if use.param is None else use.param.document
        about = documents(shown, use.version, param, namespace=True)
        failures: list[tuple[int, Trouble]] = []
        try:
            if not policy.conditions.hold(asker, lambda: about, shown.a.operation):
                return
        except Broken as broken:
            if not policy.ignores_failure:
                why = str(broken)
                failures.append((0, Trouble(policy, use.binding, why, error=error_type(why))))
            self._act(use, shown, failures, denied, 0.0)
            return
        validator: Validator = policy.expressions
        began = self.clock.monotonic()
        results, left = asker.evaluate(validator, validator.validations, about, BUDGET)
        taken = (self.clock.monotonic() - began) / max(1, len(results))
        for i, result in enumerate(results):
            if result.kind != "value":
                error = error_type(result.error)
                if not policy.ignores_failure:
                    failures.append((i, Trouble(policy, use.binding, result.error, error=error)))
                else:
                    _count(use, error, "allow", taken)
            elif result.value is not True:
                message, left = _message(asker, validator, policy.spec.validations[i], i, about, left)
                reason = policy.spec.validations[i].reason or "Invalid"
                failures.append((i, Trouble(policy, use.binding, message, reason)))
        self._act(use, shown, failures, denied, taken)
        if validator.annotations:
            noted, _ = asker.evaluate(validator, validator.annotations, about, BUDGET)
            for annotation, result in zip(policy.spec.audit_annotations, noted, strict=True):
                _annotate(use, annotation, result, denied, annotations)

    def _act(
        self, use: Use, shown: Shown, failures: list[tuple[int, Trouble]], denied: list[Trouble], taken: float
    ) -> None:
        """Does what the binding says; `taken` are the seconds that each expression took."""
        spec: types.ValidatingAdmissionPolicyBindingSpec = use.binding.spec
        for i, failure in failures:
            for action in spec.validation_actions:
                _count(use, failure.error, action.lower(), taken)
                if action == "Deny":
                    denied.append(failure)
                elif action == "Warn":
                    shown.warn(
                        f"Validation failed for ValidatingAdmissionPolicy '{use.policy.name}' with binding "
                        f"'{use.binding.name}': {failure.message}"
                    )
                elif action == "Audit":
                    told: list[dict[str, Any]] = [
                        {
                            "message": failure.message,
                            "policy": use.policy.name,
                            "binding": use.binding.name,
                            "expressionIndex": i,
                            "validationActions": spec.validation_actions,
                        }
                    ]
                    shown.a.annotations.setdefault(FAILURE_ANNOTATION, msgspec.json.encode(told).decode())


def _count(use: Use, error: str, action: str, taken: float) -> None:
    labels = (use.policy.name, use.binding.name, error, action)
    metrics.VALIDATING_CHECKS.labels(*labels).inc()
    metrics.VALIDATING_SECONDS.labels(*labels).observe(taken)


def _message(
    asker: Asker, validator: Validator, validation: types.Validation, i: int, about: Documents, left: int
) -> tuple[str, int]:
    """What a failed validation says, and what is left of the budget."""
    message = ""
    if i in validator.messages:
        (result,), left = asker.evaluate(validator, [validator.messages[i]], about, left)
        if isinstance(result.value, str):
            text = result.value.strip()
            message = "" if len(text.encode()) > MESSAGE_MAX or "\n" in text else text
    return message or validation.message.strip() or f"failed expression: {validation.expression.strip()}", left


def _annotate(
    use: Use,
    annotation: types.AuditAnnotation,
    result: Result,
    denied: list[Trouble],
    annotations: dict[str, list[str]],
) -> None:
    if result.kind != "value":
        add(denied, use.policy, use.binding, result.error)
    elif isinstance(result.value, str):
        if text := result.value.strip():
            key = f"{use.policy.name}/{annotation.key}"
            annotations.setdefault(key, []).append(text[:ANNOTATION_MAX])
    elif result.value is not None:
        why = f"valueExpression '{annotation.value_expression}' resulted in unsupported return type. "
        add(denied, use.policy, use.binding, f"{why}Return type must be either string or null.")
