"""Spans of time in few characters, as k8s.io/apimachinery's pkg/util/duration.HumanDuration writes them."""

from orlop.clock import parse_time

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 31_536_000
UNKNOWN = "<unknown>"


def human(seconds: float) -> str:
    """`5s`, `3m20s`, `47m`, `5h3m`, `30h`, `2d5h`, `90d`, `2y30d`, `9y`: two units only where the second matters.

    A moment ahead counts as 0s, for clocks differ; more is `<invalid>`.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 10 * _MINUTE:
        return _two(whole, _MINUTE, "m", 1, "s")
    if whole < 3 * _HOUR:
        return f"{whole // _MINUTE}m"
    if whole < 8 * _HOUR:
        return _two(whole, _HOUR, "h", _MINUTE, "m")
    if whole < 2 * _DAY:
        return f"{whole // _HOUR}h"
    if whole < 8 * _DAY:
        return _two(whole, _DAY, "d", _HOUR, "h")
    if whole < 2 * _YEAR:
        return f"{whole // _DAY}d"
    if whole < 8 * _YEAR:
        return _two(whole, _YEAR, "y", _DAY, "d")
    return f"{whole // _YEAR}y"


def _two(whole: int, unit: int, name: str, smaller: int, smaller_name: str) -> str:
    rest = whole % unit // smaller
    return f"{whole // unit}{name}{rest}{smaller_name}" if rest else f"{whole // unit}{name}"


def since(time: str | None, now: float) -> str:
    """The age of an RFC 3339 time; `<unknown>` where there is none."""
    return human(now - parse_time(time)) if time else UNKNOWN
