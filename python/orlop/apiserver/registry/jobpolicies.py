"""Rules of a Job's policies: pod failure, success, pod replacement (pkg/apis/batch/validation)."""

from orlop.api.errors import FieldError, duplicate, invalid_value, required, too_many
from orlop.api.types import batch_v1
from orlop.apiserver.registry.common import one_of, without_value
from orlop.apiserver.registry.resources import unsupported

MAX_RULES = 20
MAX_EXIT_CODES = 255
MAX_PATTERNS = 20
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
    where = f"{path}.podReplacementPolicy"
    if spec.pod_failure_policy is not None:
        if spec.pod_replacement_policy is not None and spec.pod_replacement_policy != "Failed":
            errors.append(unsupported(where, spec.pod_replacement_policy, ("Failed",)))
    elif spec.pod_replacement_policy is not None:
        errors += one_of(spec.pod_replacement_policy, ("Failed", "TerminatingOrFailed"), where)
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
        errors += one_of(rule.action, ACTIONS, f"{where}.action", f"valid values: {_quoted(ACTIONS)}")
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


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _exit_codes(codes: batch_v1.PodFailurePolicyOnExitCodesRequirement, path: str, names: set[str]) -> list[FieldError]:
    errors = one_of(codes.operator, ("In", "NotIn"), f"{path}.operator", 'valid values: "In", "NotIn"')
    if codes.container_name is not None and codes.container_name not in names:
        words = "must be one of the container or initContainer names in the pod template"
        errors.append(invalid_value(f"{path}.containerName", codes.container_name, words))
    where = f"{path}.values"
    if not codes.values:
        errors.append(without_value(where, "at least one value is required"))
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
        if not pattern.type:
            errors.append(required(f"{path}[{i}].type"))
        errors += one_of(pattern.status, STATUSES, f"{path}[{i}].status", f"valid values: {_quoted(STATUSES)}")
    return errors


def _success(spec: batch_v1.JobSpec, path: str) -> list[FieldError]:
    assert spec.success_policy is not None
    rules = spec.success_policy.rules
    if spec.completion_mode != "Indexed":
        return [invalid_value(path, spec.success_policy, "requires indexed completion mode")]
    if not rules:
        return [required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")]
    errors: list[FieldError] = []
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.rules", len(rules), MAX_RULES))
    for i, rule in enumerate(rules):
        where = f"{path}.rules[{i}]"
        if rule.succeeded_count is None and rule.succeeded_indexes is None:
            words = "at least one of succeededCount or succeededIndexes must be specified"
            errors.append(required(where, words))
            continue
        total = spec.completions or 0
        if rule.succeeded_indexes is not None:
            counted = count_indexes(rule.succeeded_indexes, spec.completions or 0)
            if isinstance(counted, str):
                errors.append(invalid_value(f"{where}.succeededIndexes", rule.succeeded_indexes, counted))
                continue
            total = counted
        if rule.succeeded_count is not None:
            if rule.succeeded_count <= 0:
                words = "must be greater than 0" if rule.succeeded_count == 0 else "must be greater than or equal to 0"
                errors.append(invalid_value(f"{where}.succeededCount", rule.succeeded_count, words))
            elif rule.succeeded_count > total:
                of = (
                    "specified completions"
                    if rule.succeeded_indexes is None
                    else ("indexes in the specified succeededIndexes field")
                )
                words = f"must be less than or equal to {total} (the number of {of})"
                errors.append(invalid_value(f"{where}.succeededCount", rule.succeeded_count, words))
    return errors


def count_indexes(text: str, completions: int) -> int | str:
    """How many indexes `1,3-5` names, or what is wrong with it."""
    total, before = 0, -1
    for part in text.split(",") if text else ():
        limits = part.split("-")
        if len(limits) > 2 or not all(limit.isdecimal() for limit in limits):
            return f'error parsing succeededIndexes: cannot convert string to integer for index: "{part}"'
        first, last = int(limits[0]), int(limits[-1])
        if first <= before:
            return f"non-increasing order, previous: {before}, current: {first}"
        if len(limits) == 2 and last <= first:
            return f"non-increasing order, previous: {first}, current: {last}"
        if last >= completions:
            return f'too large index: "{last}"'
        total += last - first + 1
        before = last
    return total
