"""The kinds that are served, found by URL, by body and by struct. The rows stand in `kinds`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orlop.api.kind import STANDARD_VERBS, Kind
from orlop.api.kinds import KINDS, OPTIONAL
from orlop.api.types.base import ApiStruct

__all__ = [
    "KINDS",
    "OPTIONAL",
    "STANDARD_VERBS",
    "Kind",
    "by_kind",
    "by_resource",
    "group_versions",
    "of",
    "on_change",
    "serve",
    "wanted",
]

_BY_RESOURCE = {(k.group, k.version, k.plural): k for k in KINDS}
_BY_KIND = {(k.api_version, k.kind): k for k in KINDS}
_BY_STRUCT: dict[type[ApiStruct], Kind] = {}


_changed: list[Callable[[], None]] = []


def on_change(forget: Callable[[], None]) -> Callable[[], None]:
    """Registers what forgets anything made from the list of kinds, for when `serve` changes it."""
    _changed.append(forget)
    return forget


def wanted(config: Mapping[str, str]) -> list[Kind]:
    """The optional kinds that a `--runtime-config` asks for: `api/all`, `api/beta`, or a group-version, `=true`.

    Raises ValueError for a key that names nothing and a value that is no boolean.
    """
    known = {f"{k.group}/{k.version}" for k in (*KINDS, *OPTIONAL)} | {
        "v1",
        "api/all",
        "api/beta",
        "api/alpha",
        "api/ga",
    }
    for key, value in config.items():
        if key not in known:
            raise ValueError(f"--runtime-config: {key!r} is not a group-version; try one of {', '.join(sorted(known))}")
        if value not in ("", "true", "false"):
            raise ValueError(f"--runtime-config: {key} must be true or false, not {value!r}")

    def asked(kind: Kind) -> bool:
        stage = "api/beta" if "beta" in kind.version else "api/alpha"
        for key in (f"{kind.group}/{kind.version}", stage, "api/all"):
            if key in config:
                return config[key] != "false"
        return False

    return [kind for kind in OPTIONAL if asked(kind)]


def serve(kinds: list[Kind]) -> None:
    """Serves these optional kinds too, in this process; those served so far and not named here no longer."""
    KINDS[:] = [kind for kind in KINDS if kind not in OPTIONAL] + kinds
    _BY_RESOURCE.clear()
    _BY_RESOURCE.update({(k.group, k.version, k.plural): k for k in KINDS})
    _BY_KIND.clear()
    _BY_KIND.update({(k.api_version, k.kind): k for k in KINDS})
    for forget in _changed:
        forget()


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
