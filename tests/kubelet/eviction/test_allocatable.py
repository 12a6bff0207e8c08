"""What pods may have of a node, and the flags that say so."""

import argparse
from pathlib import Path

import pytest

from orlop.cli import options
from orlop.cluster.settings import Settings, SettingsError, decode, encode
from orlop.kubelet.eviction.allocatable import allocatable, pods_memory, reservation
from orlop.kubelet.eviction.config import SHARED_HARD, EvictionConfig, on_shared_machine
from orlop.kubelet.eviction.thresholds import DEFAULT_HARD, parse

CAPACITY = {
    "cpu": "4",
    "memory": "16Gi",
    "ephemeral-storage": "101430960Ki",
    "pods": "110",
    "hugepages-2Mi": "0",
}


def test_thresholds_and_reservations_are_taken_off() -> None:
    held = reservation(CAPACITY, [{"cpu": "100m", "memory": "1Gi"}, {"memory": "500Mi"}], parse(DEFAULT_HARD))
    assert allocatable(CAPACITY, held) == {
        **CAPACITY,
        "cpu": "3900m",
        "memory": "14760Mi",
        "ephemeral-storage": "93478772582",
    }


def test_soft_thresholds_are_not() -> None:
    soft = parse({}, {"memory.available": "1Gi"}, {"memory.available": "30s"})
    assert allocatable(CAPACITY, reservation(CAPACITY, [], soft)) == CAPACITY


def test_huge_pages_are_taken_from_memory() -> None:
    pages = {**CAPACITY, "hugepages-2Mi": "4Gi"}
    assert allocatable(pages, {})["memory"] == "12Gi"


def test_more_than_there_is_cannot_be_reserved() -> None:
    with pytest.raises(
        ValueError, match=r'invalid Node Allocatable configuration\. Resource "memory" has a reservation'
    ):
        reservation(CAPACITY, [{"memory": "17Gi"}], [])


def test_all_pods_together() -> None:
    assert pods_memory(CAPACITY, [{}, {"cpu": "1"}]) is None
    assert pods_memory(CAPACITY, [{"memory": "1Gi"}, {"memory": "1Gi"}]) == 14 << 30


def said(*flags: str) -> EvictionConfig:
    parser = argparse.ArgumentParser()
    options.add_eviction(parser)
    return options.eviction(parser.parse_args(flags), EvictionConfig())


def test_flags_are_kept_with_the_cluster() -> None:
    config = said(
        "--eviction-hard=memory.available<1Gi,nodefs.available<5%",
        "--eviction-soft=memory.available<2Gi",
        "--eviction-soft-grace-period=memory.available=1m30s",
        "--eviction-pressure-transition-period=30s",
        "--kube-reserved=cpu=1",
    )
    assert config.hard == {"memory.available": "1Gi", "nodefs.available": "5%"}
    assert config.pressure_transition_period == 30.0
    assert config.reserved == ({"cpu": "1"}, {})
    settings = Settings(data_dir=Path("/x"), eviction=config)
    assert decode(encode(settings), Settings).eviction == config
    assert said("--eviction-hard=").hard == {}


def test_a_node_that_shares_its_machine_has_its_own_defaults() -> None:
    assert on_shared_machine(said()).hard == SHARED_HARD
    assert on_shared_machine(said("--eviction-hard=")).hard == {}
    assert parse(SHARED_HARD)


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--kube-reserved=gpu=1", '--kube-reserved: cannot reserve "gpu" resource'),
        ("--system-reserved=cpu=-1", '--system-reserved: resource quantity for "cpu" cannot be negative: -1'),
        ("--system-reserved=cpu=x", '--system-reserved: failed to parse quantity "x" for "cpu" resource'),
        ("--eviction-hard=disk<1", "unsupported eviction signal disk"),
        ("--eviction-max-pod-grace-period=-1", "--eviction-max-pod-grace-period -1 must not be negative"),
    ],
)
def test_what_is_wrong_is_said(flag: str, words: str) -> None:
    with pytest.raises(SettingsError) as error:
        said(flag)
    assert str(error.value).startswith(words)
