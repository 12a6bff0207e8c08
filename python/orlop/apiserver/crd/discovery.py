"""Discovery with custom resources in it: made from the built-in documents' parts, again when a definition changes."""

from collections.abc import Callable
from typing import Any

import msgspec

from orlop.api.scheme import Kind
from orlop.api.types.apidiscovery_v2 import APIResourceDiscovery, APIVersionDiscovery
from orlop.apiserver import discovery
from orlop.apiserver.aggregate.priorities import Priority
from orlop.apiserver.aggregate.remote import Remote
from orlop.apiserver.crd.served import Served


def _kept(served: Served, key: Any, make: Callable[[], Any]) -> Any:
    if key not in served.memo:
        served.memo[key] = make()
    return served.memo[key]


def groups(served: Served) -> dict[str, list[str]]:
    """Versions by group, in the order of lists."""

    def make() -> dict[str, list[str]]:
        remote = {gv: Priority(r.group_priority, r.version_priority) for gv, r in served.remote.items()}
        return discovery.versions_by_group(served.group_versions(), remote)

    found: dict[str, list[str]] = _kept(served, "groups", make)
    return found


def _rows(served: Served) -> dict[tuple[str, str], list[Kind]]:
    def make() -> dict[tuple[str, str], list[Kind]]:
        rows: dict[tuple[str, str], list[Kind]] = {}
        for kind in served.kinds():
            rows.setdefault((kind.group, kind.version), []).append(kind)
        return rows

    found: dict[tuple[str, str], list[Kind]] = _kept(served, "rows", make)
    return found


def rows_of(served: Served, group: str, version: str) -> list[Kind]:
    """The kinds of a group's version, built in and custom."""
    return discovery.kinds_of(group, version, _rows(served).get((group, version), ()))


def custom_of(served: Served, group: str, version: str) -> list[Kind]:
    """The custom kinds of a group's version."""
    return sorted(_rows(served).get((group, version), ()), key=lambda k: k.plural)


def aggregated(served: Served) -> bytes:
    """The APIGroupDiscoveryList of /apis."""
    if not served.group_versions() and not served.remote:
        return discovery.aggregated(False)

    def make() -> bytes:
        every = {name: versions for name, versions in groups(served).items() if name}
        built_in: dict[tuple[str, str], list[Kind]] = {}
        for kind in discovery.every():
            built_in.setdefault((kind.group, kind.version), []).append(kind)
        custom = _rows(served)

        def rows(group: str, version: str) -> list[Kind]:
            key = (group, version)
            return sorted((*built_in.get(key, ()), *custom.get(key, ())), key=lambda k: k.plural)

        return discovery.group_discoveries(every, rows, {gv: _described(r) for gv, r in served.remote.items()})

    body: bytes = _kept(served, "aggregated", make)
    return body


def _described(remote: Remote) -> APIVersionDiscovery:
    """What another server has said of itself; stale while it is not there."""
    resources = msgspec.convert(list(remote.documents.resources), list[APIResourceDiscovery])
    freshness = "Current" if remote.available else "Stale"
    return APIVersionDiscovery(version=remote.version, resources=resources, freshness=freshness)


def api_groups(served: Served) -> bytes:
    """/apis."""
    if not served.group_versions() and not served.remote:
        return discovery.api_groups()
    body: bytes = _kept(served, "api groups", lambda: discovery.group_list(groups(served)))
    return body


def resources(served: Served, group: str, version: str) -> bytes:
    """/apis/GROUP/VERSION."""
    if (group, version) not in served.group_versions():
        return discovery.resources(group, version)
    key = ("resources", group, version)
    body: bytes = _kept(served, key, lambda: discovery.resource_list(group, version, rows_of(served, group, version)))
    return body
