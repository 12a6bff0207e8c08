"""How fast zones may be emptied."""

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.controllers import zones
from orlop.controllers.zones import Zones, eviction_rate


def node(name: str, zone: str = "a", **labels: str) -> core_v1.Node:
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(
            name=name, labels={zones.ZONE_LABEL: zone, **{k.replace("_", "-"): v for k, v in labels.items()}}
        )
    )


def world(**states: str) -> Zones:
    """Zones by their nodes: `a="++-"` is a zone with two nodes that are ready and one that is lost."""
    made = Zones()
    for zone, marks in states.items():
        for i, mark in enumerate(marks):
            made.observe(node(f"{zone}{i}", zone), mark == "+")
    return made


@pytest.mark.parametrize(
    ("lost", "total", "rate"),
    [
        (0, 10, 0.1),
        (1, 1, 0.1),  # wholly lost, while other zones are there
        (10, 10, 0.1),
        (2, 3, 0.1),  # two are never "most of it"
        (3, 5, 0.0),
        (3, 6, 0.1),  # half
        (11, 20, 0.0),  # 55 %
        (10, 20, 0.1),
        (30, 50, 0.0),
        (30, 51, 0.01),  # large
        (51, 51, 0.1),
    ],
)
def test_the_rate_follows_the_share_that_is_lost(lost: int, total: int, rate: float) -> None:
    assert eviction_rate(lost, total) == rate


def test_turns_come_one_in_ten_seconds_and_once_for_a_node() -> None:
    z = world(a="+++++--")
    assert z.wait("a5", 100.0) == 0
    assert z.wait("a6", 104.0) == 6
    assert z.wait("a5", 104.0) == 0  # had its turn
    assert z.wait("a6", 110.0) == 0
    z.observe(node("a5"), True)
    z.observe(node("a5"), False)
    assert z.wait("a5", 111.0) == 9  # needs a new one


def test_zones_do_not_wait_for_each_other() -> None:
    z = world(a="++-", b="++-")
    assert z.wait("a2", 0.0) == 0
    assert z.wait("b2", 0.0) == 0


def test_a_small_zone_that_is_mostly_lost_is_left_alone_until_it_recovers() -> None:
    z = world(a="+----", b="+")
    assert z.wait("a1", 0.0) is None
    assert z.observe(node("a2"), True) == []
    assert sorted(z.observe(node("a3"), True)) == ["a1", "a4"]  # two are lost now: look at them again
    assert z.wait("a1", 0.0) == 0


def test_a_large_zone_that_is_mostly_lost_is_emptied_slowly() -> None:
    z = world(a="+" * 20 + "-" * 40)
    assert z.wait("a20", 0.0) == 0
    assert z.wait("a21", 0.0) == 100


def test_a_better_rate_shortens_the_wait() -> None:
    z = world(a="+" * 20 + "-" * 40)
    assert z.wait("a20", 0.0) == 0
    for i in range(22, 40):
        z.observe(node(f"a{i}"), True)
    assert z.wait("a21", 4.0) == 6


def test_when_all_is_lost_nothing_is_emptied_and_turns_are_forgotten() -> None:
    z = world(a="+-", b="+")
    assert z.wait("a1", 0.0) == 0
    z.observe(node("b0", "b"), False)
    assert not z.halted
    assert sorted(z.observe(node("a0"), False)) == ["a0", "a1", "b0"]
    assert z.halted
    assert z.wait("a1", 0.0) is None
    assert sorted(z.observe(node("b0", "b"), True)) == ["a0", "a1", "b0"]
    assert z.wait("a0", 5.0) == 5  # the zone's last turn counts
    assert z.wait("a0", 10.0) == 0
    assert z.wait("a1", 10.0) == 10


def test_a_cluster_of_one_lost_node_is_halted_and_an_empty_one_is_not() -> None:
    assert world(a="-").halted
    assert not world().halted
    z = world(a="-")
    assert z.forget("a0") == []
    assert not z.halted


def test_excluded_nodes_do_not_count() -> None:
    z = world(a="+--", b="+")
    z.observe(
        core_v1.Node(metadata=meta_v1.ObjectMeta(name="out", labels={zones.ZONE_LABEL: "a", zones.EXCLUDED_LABEL: ""})),
        False,
    )
    assert z.wait("a1", 0.0) == 0  # two of three, not three of four


def test_a_node_that_is_being_emptied_already_takes_no_turn() -> None:
    z = world(a="+--")
    z.had_turn("a1")
    assert z.wait("a1", 0.0) == 0
    assert z.wait("a2", 0.0) == 0


def test_a_node_that_goes_lets_the_others_be_looked_at() -> None:
    z = world(a="+----", b="+")
    assert z.forget("a4") == []
    assert sorted(z.forget("a3")) == ["a1", "a2"]
    assert z.forget("a3") == []
