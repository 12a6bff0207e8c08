"""Ranges of nodes, tolerations, node ports: rules that need no cluster."""

from ipaddress import ip_network

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.controllers.nodeipam import Range, RangeExhausted
from orlop.controllers.serviceaddresses import goes_before, node_ports_of, port_range
from orlop.controllers.tainteviction import tolerated_for


def test_pieces_go_round() -> None:
    pool = Range(ip_network("10.0.0.0/22"))
    given = [str(pool.free([])) for _ in range(5)]
    assert given == ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24", "10.0.0.0/24"]


def test_what_overlaps_is_taken_whatever_its_size() -> None:
    pool = Range(ip_network("10.0.0.0/22"))
    taken = [ip_network(t) for t in ("10.0.0.0/23", "10.0.2.128/26", "192.168.0.0/16", "fd00::/64")]
    assert str(pool.free(taken)) == "10.0.3.0/24"
    with pytest.raises(RangeExhausted):
        pool.free([ip_network("10.0.0.0/8")])


def test_a_range_smaller_than_a_piece_is_one_piece() -> None:
    assert str(Range(ip_network("10.0.0.0/26")).free([])) == "10.0.0.0/26"
    assert str(Range(ip_network("fd00::/48")).free([ip_network("fd00::/64")])) == "fd00:0:0:1::/64"


def taint(key: str, value: str = "") -> core_v1.Taint:
    return core_v1.Taint(key=key, value=value, effect="NoExecute")


def tolerate(key: str = "", seconds: int | None = None, **more: str) -> core_v1.Toleration:
    operator = "Equal" if "value" in more else "Exists"
    return core_v1.Toleration(key=key, **{"operator": operator, **more}, toleration_seconds=seconds)


@pytest.mark.parametrize(
    ("tolerations", "taints", "seconds"),
    [
        ([], [], None),
        ([], [taint("a")], 0),
        ([tolerate("a", 10)], [taint("a"), taint("b")], 0),
        ([tolerate("a", 10), tolerate("b", 5)], [taint("a"), taint("b")], 5),
        ([tolerate("a"), tolerate("b", 5)], [taint("a"), taint("b")], 5),
        ([tolerate("a"), tolerate("b")], [taint("a"), taint("b")], None),
        ([tolerate("a", 60), tolerate("", 10)], [taint("a")], 60),  # the first counts
        ([tolerate("a", -5)], [taint("a")], 0),
        ([tolerate("a", value="x")], [taint("a", "x")], None),
        ([tolerate("a", value="x")], [taint("a", "y")], 0),
        ([tolerate("a", effect="NoSchedule")], [taint("a")], 0),
        ([tolerate("a", effect="NoExecute")], [taint("a")], None),
    ],
)
def test_how_long_pods_bear_with_taints(
    tolerations: list[core_v1.Toleration], taints: list[core_v1.Taint], seconds: float | None
) -> None:
    assert tolerated_for(tolerations, taints) == seconds


def service(name: str, created: str, *ports: tuple[str, int], health: int = 0) -> core_v1.Service:
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=name, uid=name, creation_timestamp=created),
        spec=core_v1.ServiceSpec(
            ports=[core_v1.ServicePort(protocol=protocol, node_port=port) for protocol, port in ports],
            health_check_node_port=health,
        ),
    )


def test_of_two_services_with_a_port_the_older_has_it() -> None:
    old, young = service("z", "2026-01-01T00:00:00Z"), service("a", "2026-01-01T00:00:01Z")
    twin = service("b", "2026-01-01T00:00:01Z")
    assert goes_before(old, young)
    assert not goes_before(young, old)
    assert goes_before(young, twin)
    assert not goes_before(old, old)


def test_node_ports_of_a_service() -> None:
    held = node_ports_of(service("a", "", ("TCP", 30080), ("UDP", 30080), ("TCP", 0), health=31000))
    assert held == {("TCP", 30080), ("UDP", 30080), ("TCP", 31000)}


def test_a_range_of_ports_holds_its_end() -> None:
    assert port_range("30000-32767") == range(30000, 32768)
    for bad in ("", "30000", "x-y", "32767-30000", "0-10", "1-70000"):
        with pytest.raises(ValueError, match="is not a range of ports"):
            port_range(bad)
