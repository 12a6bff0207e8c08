"""Topology aware hints: whatever the zones and endpoints, every zone gets enough, and little moves."""

import random

import pytest

from orlop.api.types import core_v1, discovery_v1
from orlop.controllers.endpointslice import topology
from orlop.controllers.endpointslice.packing import identity

ZONES = ("a", "b", "c", "d")


def endpoint(number: int, zone: str | None, ready: bool = True) -> discovery_v1.Endpoint:
    return discovery_v1.Endpoint(
        addresses=[f"10.0.{number // 250}.{number % 250}"],
        conditions=discovery_v1.EndpointConditions(ready=ready),
        zone=zone,
    )


def counts(zones: dict[topology.Identity, str]) -> dict[str, int]:
    return {zone: list(zones.values()).count(zone) for zone in ZONES}


@pytest.mark.parametrize("seed", range(200))
def test_every_zone_gets_its_share_and_keeps_it(seed: int) -> None:
    chance = random.Random(seed)
    cpus = {zone: chance.randint(1, 9) for zone in ZONES[: chance.randint(2, 4)]}
    parts = {zone: cpu / sum(cpus.values()) for zone, cpu in cpus.items()}
    endpoints = [endpoint(n, chance.choice(ZONES)) for n in range(chance.randint(1, 60))]
    try:
        allotted = topology.shares(parts, len(endpoints))
    except topology.Refused:
        with pytest.raises(topology.Refused):
            topology.assign(endpoints, {}, parts)
        return
    zones = topology.assign(endpoints, {}, parts)
    assert zones.keys() == {identity(e) for e in endpoints}
    for zone, share in allotted.items():
        assert counts(zones)[zone] >= share.least
        assert counts(zones)[zone] <= share.most
    assert topology.assign(endpoints, zones, parts) == zones
    own = {identity(e): e.zone for e in endpoints}
    away = [who for who, zone in zones.items() if zone != own[who]]
    surplus = sum(max(0, list(own.values()).count(z) - allotted[z].least) if z in allotted else 999 for z in ZONES)
    assert len(away) <= surplus  # nothing moves out of a zone that has no more than it needs


def test_one_more_endpoint_moves_no_other() -> None:
    parts = {"a": 0.5, "b": 0.5}
    endpoints = [endpoint(n, "a") for n in range(20)]
    zones = topology.assign(endpoints, {}, parts)
    assert counts(zones) == {"a": 10, "b": 10, "c": 0, "d": 0}
    more = topology.assign([*endpoints, endpoint(20, "a")], zones, parts)
    assert {who: more[who] for who in zones} == zones


def test_what_a_node_must_tell() -> None:
    def node(name: str, zone: str, cpu: str, ready: str = "True", **labels: str) -> core_v1.Node:
        made = core_v1.Node()
        made.metadata.name = name
        made.metadata.labels = {"topology.kubernetes.io/zone": zone, **labels} if zone else labels
        made.status.allocatable = {"cpu": cpu} if cpu else {}
        made.status.conditions = [core_v1.NodeCondition(type="Ready", status=ready)]
        return made

    east, west = node("e", "east", "3"), node("w", "west", "1")
    control = node("c", "", "", **{"node-role.kubernetes.io/control-plane": ""})
    assert topology.ratios([east, west, control]) == {"east": 0.75, "west": 0.25}
    assert topology.ratios([east, west, node("x", "", "1", ready="False")]) == {"east": 0.75, "west": 0.25}
    for lacking in (node("x", "", "1"), node("x", "east", "")):
        assert topology.ratios([east, west, lacking]) == {}
    assert topology.ratios([east]) == {}


def test_an_endpoint_without_a_zone_ends_it() -> None:
    parts = {"a": 0.5, "b": 0.5}
    with pytest.raises(topology.Refused, match="do not have a zone"):
        topology.assign([endpoint(0, "a"), endpoint(1, None)], {}, parts)
    assert len(topology.assign([endpoint(0, "a"), endpoint(1, "b"), endpoint(2, None, ready=False)], {}, parts)) == 2
