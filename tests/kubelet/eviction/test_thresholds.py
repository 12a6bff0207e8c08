"""Thresholds: flags to amounts, in upstream's words and to upstream's byte."""

from collections.abc import Mapping

import pytest

from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.config import pairs
from orlop.kubelet.eviction.signals import Layout, Observation
from orlop.kubelet.eviction.thresholds import DEFAULT_HARD, Threshold, Value, for_layout, met, parse

GI = 1 << 30


def test_upstream_s_defaults() -> None:
    found = {t.signal: t.value for t in parse(DEFAULT_HARD)}
    assert found[signals.MEMORY] == Value(100 << 20) == found[signals.ALLOCATABLE_MEMORY]
    assert round(found[signals.NODEFS].fraction, 6) == 0.1
    assert round(found[signals.IMAGEFS].fraction, 6) == 0.15
    assert round(found[signals.NODEFS_INODES].fraction, 6) == 0.05 == round(found[signals.IMAGEFS_INODES].fraction, 6)


def test_percentages_are_go_s_single_floats() -> None:
    """A node of upstream's with a disk of 101430960Ki has 93478772582 bytes for pods, not ten percent less exactly."""
    capacity = 101430960 * 1024
    (threshold,) = parse({"nodefs.available": "10%"})
    assert capacity - threshold.value.of(capacity) == 93478772582


def test_soft_thresholds_have_a_grace_period() -> None:
    (soft,) = parse({}, {"memory.available": "1Gi"}, {"memory.available": "1m30s"}, {"memory.available": "500Mi"})
    assert soft == Threshold(signals.MEMORY, Value(GI), 90.0, Value(500 << 20))
    assert not soft.hard


@pytest.mark.parametrize("nothing", ["0%", "100%"])
def test_what_is_as_good_as_none(nothing: str) -> None:
    assert parse({"nodefs.available": nothing}) == []


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (({"mem.available": "1Gi"},), "unsupported eviction signal mem.available"),
        (({"memory.available": "-1Gi"},), "eviction threshold memory.available must be positive: -1Gi"),
        (({"memory.available": "0"},), "eviction threshold memory.available must be positive: 0"),
        (({"nodefs.available": "-5%"},), "eviction percentage threshold nodefs.available must be >= 0%: -5%"),
        (({"nodefs.available": "101%"},), "eviction percentage threshold nodefs.available must be <= 100%: 101%"),
        (({"nodefs.available": "x%"},), 'strconv.ParseFloat: parsing "x": invalid syntax'),
        (({"memory.available": "much"},), "memory.available 'much': quantities must match the regular expression"),
        (
            ({}, {"memory.available": "1Gi"}),
            "grace period must be specified for the soft eviction threshold memory.available",
        ),
        (
            ({}, {}, {"memory.available": "-1s"}),
            "invalid eviction grace period specified: -1s, must be a positive value",
        ),
        (({}, {}, {"memory.available": "5"}), 'time: missing unit in duration "5"'),
        (({}, {}, {"disk": "5s"}), "unsupported eviction signal disk"),
        (
            ({}, {}, {}, {"nodefs.available": "0%"}),
            "eviction percentage minimum reclaim nodefs.available must be positive: 0%",
        ),
        (({}, {}, {}, {"memory.available": "-1"}), "negative eviction minimum reclaim specified for memory.available"),
    ],
)
def test_what_is_wrong_is_said(flags: tuple[Mapping[str, str], ...], words: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(*({}, *flags[1:]) if not flags[0] else flags)
    assert str(error.value).startswith(words)


def test_pairs() -> None:
    assert pairs("memory.available<1Gi, nodefs.available<10%", "<") == {
        "memory.available": "1Gi",
        "nodefs.available": "10%",
    }
    assert pairs("", "<") == {}
    with pytest.raises(ValueError, match="malformed pair, expect string<string"):
        pairs("memory.available=1Gi", "<")


@pytest.mark.parametrize(
    ("layout", "like"),
    [
        (Layout(), signals.NODEFS),
        (Layout(images_apart=True, layers_with_images=True), signals.IMAGEFS),
        (Layout(images_apart=True, layers_with_images=False), signals.NODEFS),
    ],
)
def test_containerfs_goes_by_the_disk_it_is_on(layout: Layout, like: str) -> None:
    given = parse({"nodefs.available": "10%", "imagefs.available": "15%", "containerfs.available": "1%"})
    found = {t.signal: t.value for t in for_layout(given, layout)}
    assert found[signals.CONTAINERFS] == found[like]


def test_a_threshold_is_met_below_it_and_left_above_the_minimum_reclaim() -> None:
    (threshold,) = parse({"memory.available": "1Gi"}, {}, {}, {"memory.available": "1Gi"})[:1]
    at = {signals.MEMORY: Observation(GI, 8 * GI)}
    assert met([threshold], {signals.MEMORY: Observation(GI - 1, 8 * GI)}) == [threshold]
    assert met([threshold], at) == []
    assert met([threshold], at, reclaimed=True) == [threshold]
    assert met([threshold], {signals.MEMORY: Observation(2 * GI, 8 * GI)}, reclaimed=True) == []
    assert met([threshold], {}) == [], "what is not measured is not short"
