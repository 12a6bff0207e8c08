"""How much of the past is kept, and how a person says so."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from orlop.api.quantity import parse
from orlop.store.names import resource_named


class Keep(msgspec.Struct, frozen=True):
    """What is kept of a resource's history: whichever limit is reached first. What is there now is kept whatever its
    age, and is never more than it takes."""

    seconds: float
    changes: int
    size: int
    """Bytes."""


class Retention(msgspec.Struct, frozen=True):
    """What is kept of each resource's history."""

    usual: Keep
    apart: Mapping[str, Keep]

    def of(self, resource: str) -> Keep:
        """What is kept of this one."""
        return self.apart.get(resource, self.usual)


MI = 1 << 20
RETENTION = Retention(
    Keep(24 * 3600, 100_000, 512 * MI),
    {
        "coordination.k8s.io/leases": Keep(600, 10_000, 16 * MI),
        "events": Keep(3600, 20_000, 64 * MI),
    },
)
"""A day to look back on and undo; Leases say nothing once renewed, and Events themselves last an hour."""

SYNTAX = "[RESOURCE=]AGE,CHANGES,SIZE"
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS = (86400, 3600, 60, 1)


def parse_retention(texts: Iterable[str], base: Retention = RETENTION) -> Retention:
    """`base` changed by what each text says: `24h,100000,512Mi` of every resource that has no limits of its own,
    `leases=10m,10000,16Mi` of one. A part left empty stays as it was. Raises ValueError with what is right.
    """
    usual, apart = base.usual, dict(base.apart)
    for text in texts:
        name, equals, limits = text.rpartition("=")
        if not equals:
            usual = _keep(text, limits, usual)
        else:
            try:
                resource = resource_named(name)
            except ValueError as error:
                raise ValueError(f"{text!r}: {error}") from None
            apart[resource] = _keep(text, limits, apart.get(resource, usual))
    return Retention(usual, apart)


def _keep(text: str, limits: str, base: Keep) -> Keep:
    parts = [part.strip() for part in limits.split(",")]
    if len(parts) > 3 or not any(parts):
        raise ValueError(f"{text!r} is not {SYNTAX}, such as 24h,100000,512Mi or leases=10m,,")
    age, changes, size = parts + [""] * (3 - len(parts))
    if age:
        found = _DURATION.fullmatch(age)
        if found is None or not any(found.groups()):
            raise ValueError(f"{text!r}: the age {age!r} is not a duration such as 10m, 24h or 7d")
        seconds: float = sum(unit * int(part or 0) for unit, part in zip(_UNITS, found.groups(), strict=True))
    else:
        seconds = base.seconds
    if changes and not (changes.isascii() and changes.isdecimal()):
        raise ValueError(f"{text!r}: {changes!r} is not a number of changes")
    try:
        bulk = int(parse(size)) if size else base.size
    except ValueError as error:
        raise ValueError(f"{text!r}: the size {size!r} is not a quantity such as 512Mi") from error
    if bulk < 0:
        raise ValueError(f"{text!r}: the size {size!r} is negative")
    return Keep(seconds, int(changes) if changes else base.changes, bulk)
