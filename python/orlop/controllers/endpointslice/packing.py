"""How endpoints are laid into slices: few writes first, few slices second.

A change of one endpoint rewrites the slice it stands in and no other. New endpoints go into slices that are rewritten
anyway, then into one that has room for all of them, then into new slices.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from orlop.api.types import discovery_v1

MAX_ENDPOINTS = 100
"""Endpoints a slice (upstream: --max-endpoints-per-slice)."""

PortKey = frozenset[tuple[str, str, int, str]]
"""Ports regardless of their order: slices of one Service differ where pods serve a named port at different numbers."""


@dataclass
class Group:
    """Endpoints with the same ports."""

    ports: list[discovery_v1.EndpointPort]
    endpoints: dict[tuple[str, ...], discovery_v1.Endpoint] = field(default_factory=dict)


@dataclass
class Content:
    """What a slice is to hold."""

    ports: list[discovery_v1.EndpointPort]
    endpoints: list[discovery_v1.Endpoint]


@dataclass
class Plan:
    """The writes that bring the slices of one address family to what is wanted."""

    create: list[Content] = field(default_factory=list)
    update: list[tuple[discovery_v1.EndpointSlice, Content]] = field(default_factory=list)
    delete: list[discovery_v1.EndpointSlice] = field(default_factory=list)


def port_key(ports: Collection[discovery_v1.EndpointPort]) -> PortKey:
    return frozenset((p.name or "", p.protocol or "TCP", p.port or 0, p.app_protocol or "") for p in ports)


def identity(endpoint: discovery_v1.Endpoint) -> tuple[str, ...]:
    """The same pod at the same addresses."""
    return (endpoint.target_ref.uid if endpoint.target_ref else "", endpoint.hostname or "", *endpoint.addresses)


def group(pods: Sequence[tuple[list[discovery_v1.EndpointPort], discovery_v1.Endpoint]]) -> dict[PortKey, Group]:
    """The endpoints by their ports."""
    groups: dict[PortKey, Group] = {}
    for ports, endpoint in pods:
        found = groups.setdefault(port_key(ports), Group(ports))
        found.endpoints[identity(endpoint)] = endpoint
    return groups


def pack(
    wanted: dict[PortKey, Group],
    present: Sequence[discovery_v1.EndpointSlice],
    labels: dict[str, str],
    limit: int = MAX_ENDPOINTS,
) -> Plan:
    """The plan. `labels` are what every slice should carry."""
    by_ports: dict[PortKey, list[discovery_v1.EndpointSlice]] = {}
    for slice_ in present:
        by_ports.setdefault(port_key(slice_.ports), []).append(slice_)
    plan = Plan()
    for key, members in wanted.items():
        _fill(plan, members, by_ports.pop(key, []), labels, limit)
    plan.delete += (slice_ for slices in by_ports.values() for slice_ in slices)
    if len(plan.delete) == len(present) and not plan.create:
        _keep_one_empty(plan, labels)
    while plan.create and plan.delete:
        # Rewriting one that is no longer needed is one write where there would be two.
        plan.update.append((plan.delete.pop(0), plan.create.pop(0)))
    return plan


def _fill(
    plan: Plan, wanted: Group, present: list[discovery_v1.EndpointSlice], labels: dict[str, str], limit: int
) -> None:
    missing = dict(wanted.endpoints)
    changed: list[tuple[discovery_v1.EndpointSlice, Content]] = []
    same: list[tuple[discovery_v1.EndpointSlice, Content]] = []
    for slice_ in present:
        held = [missing.pop(identity(endpoint), None) for endpoint in slice_.endpoints]
        content = Content(wanted.ports, [endpoint for endpoint in held if endpoint is not None])
        if not content.endpoints:
            plan.delete.append(slice_)
        elif slice_.metadata.labels != labels or content.endpoints != slice_.endpoints:
            changed.append((slice_, content))
        else:
            same.append((slice_, content))
    left = list(missing.values())
    for _, content in sorted(changed, key=lambda c: -len(c[1].endpoints)):
        room = limit - len(content.endpoints)
        content.endpoints += left[:room]
        left = left[room:]
    while left:
        fitting = [c for c in same if len(c[1].endpoints) + len(left) <= limit]
        if fitting:
            fullest = max(fitting, key=lambda c: len(c[1].endpoints))
            fullest[1].endpoints += left
            changed.append(fullest)
            break
        plan.create.append(Content(wanted.ports, left[:limit]))
        left = left[limit:]
    plan.update += changed


def _keep_one_empty(plan: Plan, labels: dict[str, str]) -> None:
    """A Service without endpoints keeps one slice without any, so that its readers know that it has none."""
    for slice_ in plan.delete:
        if not slice_.endpoints and not slice_.ports and slice_.metadata.labels == labels:
            plan.delete.remove(slice_)
            return
    plan.create.append(Content([], []))
