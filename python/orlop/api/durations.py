"""Durations as Go's time.ParseDuration reads them: `30s`, `1m30s`, `1.5h`, `0`."""

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def parse(text: str) -> float:
    """Seconds. Raises ValueError in Go's words."""
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if rest == "0":
        return 0.0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        missing = rest.replace(".", "", 1).isdigit()
        raise ValueError(f'time: {"missing unit in" if missing else "invalid"} duration "{text}"')
    return sign * sum(float(number) * _UNITS[unit] for number, unit in parts)
