"""How long a request may take: what others are asked for its sake may not take longer."""

import re

from orlop.apiserver.admission.base import Attributes
from orlop.clock import Clock

LONGEST_SECONDS = 60.0
"""Of a request that is no watch: upstream's --request-timeout."""


def remaining(a: Attributes, clock: Clock) -> float:
    """Seconds that are left of the request's time, from when this was first asked."""
    request = a.request
    if request is None:
        return LONGEST_SECONDS
    if request.deadline is None:
        asked = _seconds(request.param("timeout")) if request.scope.get("query_string") else None
        seconds = LONGEST_SECONDS if asked is None or asked <= 0 else min(asked, LONGEST_SECONDS)
        request.deadline = clock.monotonic() + seconds
    return request.deadline - clock.monotonic()


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(h|ms|m|s|us|µs|ns)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+\Z")


def _seconds(text: str) -> float | None:
    """A duration as Go writes it; None for what is none."""
    if not _WHOLE.match(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
