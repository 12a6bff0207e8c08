"""Rules of metav1's conditions: apimachinery's ValidateConditions."""

import re

from orlop.api.errors import FieldError, duplicate, invalid_value, required
from orlop.api.types import meta_v1
from orlop.apiserver.registry import meta
from orlop.apiserver.registry.resources import unsupported

STATUSES = ("False", "True", "Unknown")
MAX_REASON = 1024
MAX_MESSAGE = 32 * 1024
_REASON = re.compile(r"[A-Za-z](?:[A-Za-z0-9_,:]*[A-Za-z0-9_])?")
REASON_WORDS = (
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_' (e.g. 'my_name',  or 'MY_NAME',  or "
    "'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex used for validation is "
    "'[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')"
)


def validate(conditions: list[meta_v1.Condition], path: str) -> list[FieldError]:
    """What is wrong with a status's conditions."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        where = f"{path}[{i}]"
        if condition.type in seen:
            errors.append(duplicate(where, condition.type))
        seen.add(condition.type)
        errors += _one(condition, where)
    return errors


def _one(condition: meta_v1.Condition, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not condition.type:
        errors.append(required(f"{path}.type", "is required"))
    errors += [invalid_value(f"{path}.type", condition.type, m) for m in meta.key_errors(condition.type or "x")]
    if not condition.status:
        errors.append(required(f"{path}.status"))
    elif condition.status not in STATUSES:
        errors.append(unsupported(f"{path}.status", condition.status, STATUSES))
    if condition.observed_generation < 0:
        words = "must be greater than or equal to zero"
        errors.append(invalid_value(f"{path}.observedGeneration", condition.observed_generation, words))
    if not condition.last_transition_time:
        errors.append(required(f"{path}.lastTransitionTime"))
    if not condition.reason:
        errors.append(required(f"{path}.reason"))
    elif not _REASON.fullmatch(condition.reason):
        errors.append(invalid_value(f"{path}.reason", condition.reason, REASON_WORDS))
    for name, text, most in (("reason", condition.reason, MAX_REASON), ("message", condition.message, MAX_MESSAGE)):
        if len(text) > most:
            errors.append(FieldError("FieldValueTooLong", f"{path}.{name}", None, f"may not be more than {most} bytes"))
    return errors
