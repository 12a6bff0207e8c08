"""Quantities: `500m`, `1Gi`, `2e3` as exact numbers.

The form is specified in Kubernetes' apimachinery, pkg/api/resource/quantity.go.
"""

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

PATTERN = r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
"""What upstream's error message names; the real grammar is stricter."""

_GRAMMAR = re.compile(r"^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]+)?$")

BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

CACHED = 4096
"""Distinct texts remembered: a cluster's manifests use few."""


@lru_cache(CACHED)
def parse(text: str) -> Decimal:
    """The number a quantity stands for. Raises ValueError in upstream's words."""
    match = _GRAMMAR.match(text)
    if match is None:
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    number, suffix = Decimal(match.group(1)), match.group(2) or ""
    if suffix in BINARY:
        return number * BINARY[suffix]
    if suffix in DECIMAL:
        return number.scaleb(DECIMAL[suffix])
    return number.scaleb(int(suffix[1:]))


def value(text: str) -> int:
    """Whole units, rounded up: bytes of memory, counts."""
    return int(parse(text).to_integral_value(ROUND_CEILING))


def milli(text: str) -> int:
    """Thousandths, rounded up: CPU in milli-cores."""
    return int((parse(text) * 1000).to_integral_value(ROUND_CEILING))


def format_milli(milli: int) -> str:
    """A decimal quantity in canonical form: 1500 → `1500m`, 2000 → `2`."""
    if milli % 1000:
        return f"{milli}m"
    return format_decimal(milli // 1000)


def format_decimal(value: int) -> str:
    """Whole units with the largest decimal suffix that leaves no fraction: 5000 → `5k`."""
    for suffix, power in (("E", 18), ("P", 15), ("T", 12), ("G", 9), ("M", 6), ("k", 3)):
        if value and value % 10**power == 0:
            return f"{value // 10**power}{suffix}"
    return str(value)


def format_binary(value: int) -> str:
    """Bytes with the largest binary suffix that leaves no fraction: 1048576 → `1Mi`."""
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        if value and value % BINARY[suffix] == 0:
            return f"{value // BINARY[suffix]}{suffix}"
    return str(value)
