"""Schedules of CronJobs: five fields, or `@daily` and the like, as github.com/robfig/cron/v3 reads them."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {month: i for i, month in enumerate(_MONTHS, 1)}
DAYS = {day: i for i, day in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
RANGES: list[tuple[int, int, dict[str, int]]] = [(0, 59, {}), (0, 23, {}), (1, 31, {}), (1, 12, MONTHS), (0, 6, DAYS)]
SEARCH_YEARS = 5
"""How far ahead a schedule is followed: 29 February comes within that, 30 February never."""

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Schedule(NamedTuple):
    """The minutes, hours, days, months and weekdays that fit; or a fixed interval."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = False
    any_weekday: bool = False
    every: timedelta | None = None

    def after(self, moment: datetime) -> datetime | None:
        """The first time later than `moment`, in its zone; None if there is none within five years.

        An hour that the zone leaves out has no times; one that it repeats has them twice, as the library does it.
        """
        zone = moment.tzinfo
        if zone is None:  # a wall clock that never changes
            found = self.after(moment.replace(tzinfo=UTC))
            return found.replace(tzinfo=None) if found is not None else None
        if self.every is not None:
            return (moment.astimezone(UTC).replace(microsecond=0) + self.every).astimezone(zone)
        at = moment.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = moment.year + SEARCH_YEARS
        while (local := at.astimezone(zone)).year <= limit:
            if local.month not in self.months:
                at = _midnight((local.replace(day=1) + timedelta(days=32)).replace(day=1), at)
            elif not self._day(local):
                at = _midnight(local + timedelta(days=1), at)
            elif local.hour not in self.hours:
                at += timedelta(minutes=60 - local.minute)
            elif local.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return local
        return None

    def _day(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday


def _midnight(day: datetime, later_than: datetime) -> datetime:
    """When the local day begins, in UTC: where clocks go back over midnight, the time it does so later than that."""
    start = day.replace(hour=0, minute=0, fold=0)
    first = start.astimezone(UTC)
    return first if first > later_than else start.replace(fold=1).astimezone(UTC)


def parse(text: str) -> Schedule:
    """Reads a schedule. Raises ValueError in the library's words."""
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@every "):
        return Schedule(every=_every(text))
    if text.startswith("@"):
        if text not in MACROS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = MACROS[text]
    parts = text.split()
    if len(parts) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    fields = [_field(part, *limits) for part, limits in zip(parts, RANGES, strict=True)]
    minutes, hours, days, months, weekdays = (frozenset(values) for values, _ in fields)
    return Schedule(minutes, hours, days, months, weekdays, any_day=fields[2][1], any_weekday=fields[4][1])


def _every(text: str) -> timedelta:
    wanted = text[len("@every ") :]
    pairs = _DURATION.findall(wanted)
    if not pairs or "".join(a + b for a, b in pairs) != wanted:
        raise ValueError(f'failed to parse duration {text}: time: invalid duration "{wanted}"')
    seconds = sum(float(a) * _SECONDS[b] for a, b in pairs)
    return timedelta(seconds=max(1, int(seconds)))


def _field(text: str, low: int, high: int, words: dict[str, int]) -> tuple[set[int], bool]:
    """The values, and whether it is a star."""
    values: set[int] = set()
    star = False
    for part in text.split(","):
        found, any_ = _range(part, low, high, words)
        values |= found
        star = star or any_
    return values, star


def _range(text: str, low: int, high: int, words: dict[str, int]) -> tuple[set[int], bool]:
    whole, *steps = text.split("/")
    ends = whole.split("-")
    star = ends[0] in ("*", "?")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    if len(ends) > 2:
        raise ValueError(f"too many hyphens: {text}")
    first, last = (low, high) if star else (_value(ends[0], words), _value(ends[-1], words))
    step = 1
    if steps:
        step = _number(steps[0])
        if len(ends) == 1 and not star:
            last = high
        star = star and step == 1
    if first < low:
        raise ValueError(f"beginning of range ({first}) below minimum ({low}): {text}")
    if last > high:
        raise ValueError(f"end of range ({last}) above maximum ({high}): {text}")
    if first > last:
        raise ValueError(f"beginning of range ({first}) beyond end of range ({last}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")
    return set(range(first, last + 1, step)), star


def _value(text: str, words: dict[str, int]) -> int:
    found = words.get(text.lower())
    return _number(text) if found is None else found


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if text.startswith("-"):
        raise ValueError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)
