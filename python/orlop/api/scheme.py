"""The kinds that are served, found by URL, by body and by struct. The rows stand in `kinds`."""

from collections.abc import Iterator
from typing import Any

from orlop.api.kind import STANDARD_VERBS, Kind
from orlop.api.kinds import KINDS
from orlop.api.types.base import ApiStruct

__all__ = ["KINDS", "STANDARD_VERBS", "Kind", "by_kind", "by_resource", "group_versions", "of"]

_BY_RESOURCE = {(k.group, k.version, k.plural): k for k in KINDS}
_BY_KIND = {(k.api_version, k.kind): k for k in KINDS}
_BY_STRUCT: dict[type[ApiStruct], Kind] = {}


def by_resource(group: str, version: str, plural: str) -> Kind | None:
    """The kind that a URL names; None if it is not served."""
    return _BY_RESOURCE.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Kind | None:
    """The kind that a body names; None if it is not served."""
    return _BY_KIND.get((api_version, kind))


def of(struct: type[Any] | Kind) -> Kind:
    """The row of a struct class. A smaller struct of a reader (a projection) names its kind, or its row, by `__kind__`.

    Raises LookupError if the kind is not served.
    """
    if isinstance(struct, Kind):
        return struct
    row = _BY_STRUCT.get(struct)
    if row is None:
        named = getattr(struct, "__kind__", None)
        if named is not None:
            return of(named)
        module = struct.__module__.rsplit(".", 1)[-1]
        row = next((k for k in KINDS if f"{k.folder}_{k.version}" == module and k.kind == struct.__name__), None)
        if row is None:
            raise LookupError(f"{struct.__module__}.{struct.__qualname__} is not a kind that is served")
        _BY_STRUCT[struct] = row
    return row


def group_versions() -> Iterator[tuple[str, str]]:
    """Every served (group, version), the core first, then by name."""
    seen = dict.fromkeys((k.group, k.version) for k in KINDS)
    return iter(sorted(seen, key=lambda gv: (gv[0] != "", gv)))
