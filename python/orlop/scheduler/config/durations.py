"""Durations as Go writes them: "15s", "1m30s", "1.5h"."""

import re

from orlop.api.errors import FieldError, invalid_value

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def seconds(text: str) -> float:
    """The seconds in a Go duration. Raises ValueError in Go's words."""
    sign = -1 if text.startswith("-") else 1
    rest = text.lstrip("+-")
    if rest == "0":
        return 0.0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        raise ValueError(f'time: invalid duration "{text}"')
    return float(sign * sum(float(number) * _UNITS[unit] for number, unit in parts))


class Durations:
    """Reads durations of fields and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def read(self, field: str, text: str) -> float:
        """The seconds; 0 for what cannot be read, which is among `errors` then."""
        try:
            return seconds(text)
        except ValueError as error:
            self.errors.append(invalid_value(field, text, str(error)))
            return 0.0
