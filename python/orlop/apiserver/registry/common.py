"""Small rules that many kinds share, in upstream's words (pkg/apis/core/validation)."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from orlop.api.errors import IMMUTABLE, OMITTED, FieldError, invalid_value, required
from orlop.api.quantity import parse
from orlop.apiserver.registry import names
from orlop.apiserver.registry.resources import unsupported

NOT_NEGATIVE = "must be greater than or equal to 0"
POSITIVE = "must be greater than 0"
POSITIVE_QUANTITY = "must be greater than zero"
PERCENT_WORDS = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
    "regex used for validation is '[0-9]+%')"
)


def not_negative(value: int | None, path: str) -> list[FieldError]:
    """A count that may be zero."""
    return [invalid_value(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def percentage(value: int | str | None) -> int | None:
    """`25%` → 25; None for anything else."""
    if isinstance(value, str) and value.endswith("%") and value[:-1].isdecimal():
        return int(value[:-1])
    return None


def int_or_percent(value: int | str, path: str) -> list[FieldError]:
    """A count or a percentage, not negative."""
    if isinstance(value, str):
        return [invalid_value(path, value, PERCENT_WORDS)] if percentage(value) is None else []
    return not_negative(value, path)


def at_most_100(value: int | str | None, path: str) -> list[FieldError]:
    """A percentage that is no more than the whole."""
    percent = percentage(value)
    return (
        [invalid_value(path, value, "must not be greater than 100%")] if percent is not None and percent > 100 else []
    )


def is_zero(value: int | str | None) -> bool:
    """Whether a count or percentage is nothing."""
    percent = percentage(value)
    if percent is not None:
        return percent == 0
    return not value or (isinstance(value, str) and not _number(value))


def _number(text: str) -> int:
    """What Go reads from a text where it expects a number: nothing from one that is none."""
    return int(text) if text.removeprefix("-").removeprefix("+").isdecimal() else 0


def one_of(value: str | None, allowed: Sequence[str], path: str, detail: str = "") -> list[FieldError]:
    """A required word of a closed set."""
    if not value:
        return [required(path, detail)]
    return [] if value in allowed else [unsupported(path, value, allowed)]


def subdomain(value: str | None, path: str) -> list[FieldError]:
    """A name in another object's form: an RFC 1123 subdomain."""
    return [invalid_value(path, value, m) for m in names.subdomain(value or "")]


def segment(value: str, path: str) -> list[FieldError]:
    """A required name that can stand in a path."""
    if not value:
        return [required(path)]
    return [invalid_value(path, value, m) for m in names.path_segment(value)]


def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    """What may not change."""
    return [] if new == old else [invalid_value(path, new, IMMUTABLE)]


def quantity(value: str, path: str, words: str = NOT_NEGATIVE) -> list[FieldError]:
    """An amount that is not negative, or with other words positive."""
    amount = parse(value)
    return [invalid_value(path, value, words)] if amount < 0 or (amount == 0 and words != NOT_NEGATIVE) else []


def without_value(path: str, detail: str) -> FieldError:
    """Wrong, where the value itself is not shown."""
    return invalid_value(path, OMITTED, detail)


def not_special(address: str, path: str) -> list[FieldError]:
    """An address that others can reach."""
    return [invalid_value(path, address, m) for m in names.special_ip(address)]


def duplicates(values: Iterable[Any]) -> list[int]:
    """Indexes of the values that stand there a second time."""
    seen: set[Any] = set()
    out = []
    for i, value in enumerate(values):
        if value in seen:
            out.append(i)
        seen.add(value)
    return out


def told(problems: Iterable[tuple[str, str, bytes, str]]) -> list[FieldError]:
    """What Rust found wrong, as errors of fields."""
    return [
        FieldError(type_, path, msgspec.json.decode(value) if value else OMITTED, detail)
        for type_, path, value, detail in problems
    ]
