"""Topology aware hints (KEP-2433): each zone is given endpoints in proportion to its CPUs, its own before others'.

Upstream: k8s.io/endpointslice/topologycache. Where no division keeps every zone's endpoints from more than a fifth of
overload, there are no hints and all endpoints serve everybody.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from orlop.api import quantity
from orlop.api.types import core_v1, discovery_v1
from orlop.controllers.endpointslice.endpoints import ZONE_LABEL
from orlop.controllers.endpointslice.packing import identity

MODE = "service.kubernetes.io/topology-mode"
OLD_MODE = "service.kubernetes.io/topology-aware-hints"
OVERLOAD = 0.2
"""By how much more than its share an endpoint may get."""
LEFT_OUT = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
"""Labels of nodes whose CPUs do not count."""

ENABLED = "Topology Aware Hints has been enabled"
DISABLED = "Topology Aware Hints has been disabled"

Identity = tuple[str, ...]


class Refused(Exception):
    """Why there are no hints, in upstream's words."""


class Share(NamedTuple):
    """Endpoints for one zone."""

    least: int
    most: int
    wanted: float


def is_wanted(service: core_v1.Service) -> bool:
    annotations = service.metadata.annotations
    return annotations.get(OLD_MODE, annotations.get(MODE)) in ("Auto", "auto")


def capacity(node: core_v1.Node) -> tuple[str, int] | None:
    """Zone and CPU (in thousandths) of a node that counts; None for one that does not."""
    if any(label in node.metadata.labels for label in LEFT_OUT):
        return None
    if not any(c.type == "Ready" and c.status == "True" for c in node.status.conditions):
        return None
    return node.metadata.labels.get(ZONE_LABEL, ""), quantity.milli(node.status.allocatable.get("cpu", "0"))


def ratios(nodes: Iterable[core_v1.Node]) -> dict[str, float]:
    """Each zone's part of the CPUs; empty where there is one zone only, or a node tells too little."""
    cpus = Counter[str]()
    for node in nodes:
        counted = capacity(node)
        if counted is None:
            continue
        zone, cpu = counted
        if not zone or not cpu:
            return {}
        cpus[zone] += cpu
    total = cpus.total()
    return {zone: cpu / total for zone, cpu in cpus.items()} if len(cpus) > 1 else {}


def shares(parts: Mapping[str, float], endpoints: int) -> dict[str, Share]:
    """How many of so many endpoints each zone gets. Raises Refused."""
    if not parts:
        raise Refused("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")
    about = f"({endpoints} endpoints, {len(parts)} zones)"
    if len(parts) > endpoints:
        raise Refused(f"Insufficient number of endpoints {about}")
    wanted = {zone: part * endpoints for zone, part in parts.items()}
    least = {zone: math.ceil(number / (1 + OVERLOAD)) for zone, number in wanted.items()}
    spare = endpoints - sum(least.values())
    if spare < 0:
        raise Refused(
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold " + about
        )
    return {zone: Share(least[zone], least[zone] + spare, max(wanted[zone], least[zone])) for zone in parts}


def assign(
    endpoints: Sequence[discovery_v1.Endpoint], before: Mapping[Identity, str], parts: Mapping[str, float]
) -> dict[Identity, str]:
    """The zone of each ready endpoint. Raises Refused.

    An endpoint keeps the zone that it had in `before` while that leaves every zone enough: a change of one endpoint
    should not rewrite all slices.
    """
    ready = [endpoint for endpoint in endpoints if endpoint.conditions.ready]
    allotted = shares(parts, len(ready))
    if any(not endpoint.zone for endpoint in ready):
        raise Refused("One or more endpoints do not have a zone specified")
    zones, counts = _keep(ready, before, allotted)
    if any(counts[zone] < share.least for zone, share in allotted.items()):
        zones, counts = _keep(ready, {}, allotted)
    return zones


def _keep(
    ready: Sequence[discovery_v1.Endpoint], before: Mapping[Identity, str], allotted: Mapping[str, Share]
) -> tuple[dict[Identity, str], Counter[str]]:
    """Old zones where they still do, else each endpoint's own; then what has too many gives to what has too few."""
    zones: dict[Identity, str] = {}
    counts = Counter[str]()
    new = []
    for endpoint in ready:
        who = identity(endpoint)
        zone = before.get(who, "")
        if zone in allotted and counts[zone] < allotted[zone].most:
            zones[who] = zone
            counts[zone] += 1
        else:
            new.append(endpoint)
    for endpoint in new:
        zone = endpoint.zone or ""
        zones[identity(endpoint)] = zone
        counts[zone] += 1
    giving, receiving = _moves(counts, allotted)
    for endpoint in new:
        zone = endpoint.zone or ""
        if giving[zone] > 0:
            to = next(name for name, number in sorted(receiving.items()) if number > 0)
            zones[identity(endpoint)] = to
            giving[zone] -= 1
            receiving[to] -= 1
            counts[zone] -= 1
            counts[to] += 1
    return zones, counts


def _moves(counts: Mapping[str, int], allotted: Mapping[str, Share]) -> tuple[Counter[str], Counter[str]]:
    """How many endpoints each zone gives away, and how many each gets; as many one as the other."""
    over = {zone: counts.get(zone, 0) - share.wanted for zone, share in allotted.items()}
    over.update({zone: float(number) for zone, number in counts.items() if zone not in allotted})
    giving, receiving = Counter[str](), Counter[str]()
    while True:
        source = max(sorted(over), key=over.__getitem__)
        target = min(sorted(over), key=over.__getitem__)
        give, get = over[source], -over[target]
        if give < 0.5 or get < 0.5 or (give < 1 and get < 1):
            return giving, receiving
        giving[source] += 1
        receiving[target] += 1
        over[source] -= 1
        over[target] += 1
