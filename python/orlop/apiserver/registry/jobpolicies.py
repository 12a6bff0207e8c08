"""Rules of a Job's policies: pod failure, success, pod replacement (pkg/apis/batch/validation)."""

from orlop.api.errors import FieldError, duplicate, invalid_value, required, too_many
from orlop.api.types import batch_v1
from orlop.apiserver.registry import jobindexes, meta
from orlop.apiserver.registry.common import not_negative, one_of, without_value
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.resources import unsupported

MAX_RULES = 20
MAX_EXIT_CODES = 255
MAX_PATTERNS = 20
MAX_INDEXES = 64 * 1024
"""Bytes of a list of indexes."""
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
STATUSES = ("False", "True", "Unknown")


def default(spec: batch_v1.JobSpec) -> None:
    """A pattern without a status means that the condition is true."""
    for rule in spec.pod_failure_policy.rules if spec.pod_failure_policy is not None else ():
        for pattern in rule.on_pod_conditions:
            pattern.status = pattern.status or "True"


def validate(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    """What is wrong with the policies."""
    errors: list[FieldError] = []
    if spec.pod_failure_policy is not None:
        errors += _failure(spec, f"{path}.podFailurePolicy")
    if spec.success_policy is not None:
        errors += _success(spec, f"{path}.successPolicy")
    policy = spec.pod_replacement_policy
    allowed = ("Failed",) if spec.pod_failure_policy is not None else ("Failed", "TerminatingOrFailed")
    if policy is not None and policy not in allowed:
        errors.append(unsupported(f"{path}.podReplacementPolicy", policy, allowed))
    return errors


def _failure(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    assert spec.pod_failure_policy is not None
    errors: list[FieldError] = []
    rules = spec.pod_failure_policy.rules
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.rules", len(rules), MAX_RULES))
    names = {c.name for c in (*spec.template.spec.containers, *spec.template.spec.init_containers)}
    for i, rule in enumerate(rules):
        where = f"{path}.rules[{i}]"
        if rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
            words = "requires the backoffLimitPerIndex to be set"
            errors.append(invalid_value(f"{where}.action", rule.action, words))
        errors += _word(rule.action, ACTIONS, f"{where}.action")
        if rule.on_exit_codes is not None:
            errors += _exit_codes(rule.on_exit_codes, f"{where}.onExitCodes", names)
        if rule.on_pod_conditions:
            errors += _conditions(rule, f"{where}.onPodConditions")
        if rule.on_exit_codes is not None and rule.on_pod_conditions:
            words = "specifying both OnExitCodes and OnPodConditions is not supported"
            errors.append(without_value(where, words))
        elif rule.on_exit_codes is None and not rule.on_pod_conditions:
            errors.append(without_value(where, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _word(value: str, allowed: tuple[str, ...], path: str) -> list[FieldError]:
    listed = " ".join(f'"{word}"' for word in allowed)
    return one_of(value, allowed, path, f"valid values: [{listed}]")


def _exit_codes(codes: batch_v1.PodFailurePolicyOnExitCodesRequirement, path: str, names: set[str]) -> list[FieldError]:
    errors = _word(codes.operator, ("In", "NotIn"), f"{path}.operator")
    if codes.container_name is not None and codes.container_name not in names:
        words = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid_value(f"{path}.containerName", codes.container_name, words))
    where = f"{path}.values"
    if not codes.values:
        errors.append(invalid_value(where, None, "at least one value is required"))
    elif len(codes.values) > MAX_EXIT_CODES:
        errors.append(too_many(where, len(codes.values), MAX_EXIT_CODES))
    seen: set[int] = set()
    for i, value in enumerate(codes.values):
        if codes.operator == "In" and value == 0:
            errors.append(invalid_value(f"{where}[{i}]", value, "must not be 0 for the In operator"))
        if value in seen:
            errors.append(duplicate(f"{where}[{i}]", value))
        seen.add(value)
    if codes.values != sorted(codes.values):
        errors.append(invalid_value(where, codes.values, "must be ordered"))
    return errors


def _conditions(rule: batch_v1.PodFailurePolicyRule, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(rule.on_pod_conditions) > MAX_PATTERNS:
        errors.append(too_many(path, len(rule.on_pod_conditions), MAX_PATTERNS))
    for i, pattern in enumerate(rule.on_pod_conditions):
        where = f"{path}[{i}].type"
        errors += [invalid_value(where, pattern.type, m) for m in meta.key_errors(pattern.type)]
        errors += _word(pattern.status, STATUSES, f"{path}[{i}].status")
    return errors


def _success(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    assert spec.success_policy is not None
    rules = spec.success_policy.rules
    if spec.completion_mode != "Indexed":
        return [invalid_value(path, go_form(spec.success_policy), "requires indexed completion mode")]
    errors: list[FieldError] = []
    where = f"{path}.rules"
    if not rules:
        errors.append(required(where, "at least one rules must be specified when the successPolicy is specified"))
    if len(rules) > MAX_RULES:
        errors.append(too_many(where, len(rules), MAX_RULES))
    for i, rule in enumerate(rules):
        errors += _success_rule(rule, spec.completions or 0, f"{where}[{i}]")
    return errors


def _success_rule(rule: batch_v1.SuccessPolicyRule, completions: int, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    indexes, wanted = rule.succeeded_indexes, rule.succeeded_count
    if wanted is None and indexes is None:
        words = "at least one of succeededCount or succeededIndexes must be specified"
        errors.append(required(path, words))
    total = 0
    if indexes is not None:
        where = f"{path}.succeededIndexes"
        if len(indexes) > MAX_INDEXES:
            errors.append(FieldError("FieldValueTooLong", where, None, f"may not be more than {MAX_INDEXES} bytes"))
        counted = jobindexes.count(indexes, completions)
        if isinstance(counted, str):
            errors.append(invalid_value(where, indexes, f"error parsing succeededIndexes: {counted}"))
        else:
            total = counted
    if wanted is not None:
        where = f"{path}.succeededCount"
        errors += not_negative(wanted, where)
        most = "must be less than or equal to"
        if wanted > completions:
            words = f"{most} {completions} (the number of specified completions)"
            errors.append(invalid_value(where, wanted, words))
        if indexes is not None and wanted > total:
            words = f"{most} {total} (the number of indexes in the specified succeededIndexes field)"
            errors.append(invalid_value(where, wanted, words))
    return errors
