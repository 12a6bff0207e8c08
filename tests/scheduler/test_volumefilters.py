"""NodeVolumeLimits, VolumeZone and storage capacity: which nodes they leave, and when a refused pod is tried again."""

from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, storage_v1
from orlop.scheduler.storagecapacity import suffices
from orlop.scheduler.volumelimits import exceeds
from orlop.scheduler.volumezone import conflicts, places
from tests.scheduler.conftest import World
from tests.scheduler.test_volumes import Storage

ZONE = "topology.kubernetes.io/zone"
BETA = "failure-domain.beta.kubernetes.io/zone"
DRIVER = "csi.example.com"


def volume(**labels: str) -> core_v1.PersistentVolume:
    return msgspec.convert({"metadata": {"name": "v", "labels": labels}}, core_v1.PersistentVolume)


@pytest.mark.parametrize(
    ("labels", "node", "conflict"),
    [
        ({}, {ZONE: "a"}, False),
        ({ZONE: "a"}, {ZONE: "a"}, False),
        ({ZONE: "a"}, {ZONE: "b"}, True),
        ({ZONE: "a"}, {}, False),
        ({ZONE: "a"}, {"topology.kubernetes.io/region": "r"}, True),
        ({ZONE: "a__b"}, {ZONE: "b"}, False),
        ({ZONE: "a__"}, {ZONE: "b"}, False),
        ({BETA: "a"}, {ZONE: "a"}, False),
        ({BETA: "a"}, {ZONE: "b"}, True),
        ({BETA: "a"}, {BETA: "a", ZONE: "b"}, False),
    ],
)
def test_zones(labels: dict[str, str], node: dict[str, str], conflict: bool) -> None:
    assert conflicts(places([volume(**labels)]), node) == conflict


def test_limits_count_each_volume_once() -> None:
    there = [(DRIVER, "1"), (DRIVER, "2"), ("other", "1")]
    assert not exceeds({DRIVER: 3}, there, [(DRIVER, "3")])
    assert exceeds({DRIVER: 2}, there, [(DRIVER, "3")])
    assert not exceeds({DRIVER: 2}, there, [(DRIVER, "2")])
    assert not exceeds({}, there, [(DRIVER, "3")])
    assert exceeds({DRIVER: 3}, there, [(DRIVER, "3"), (DRIVER, "4")])


def capacity(name: str, size: str, zone: str, **more: Any) -> storage_v1.CSIStorageCapacity:
    document = {"metadata": {"name": name, "namespace": "default"}, "storageClassName": "near", "capacity": size}
    topology = {"nodeTopology": {"matchLabels": {ZONE: zone}}} if zone else {}
    return msgspec.convert({**document, **topology, **more}, storage_v1.CSIStorageCapacity)


def test_capacity_is_that_near_the_node() -> None:
    capacities = [
        capacity("a", "5Gi", "a"),
        capacity("b", "50Gi", "b", maximumVolumeSize="1Gi"),
        capacity("c", "9Gi", ""),
    ]
    assert suffices(capacities, "near", "2Gi", {ZONE: "a"})
    assert not suffices(capacities, "near", "6Gi", {ZONE: "a"})
    assert not suffices(capacities, "near", "2Gi", {ZONE: "b"})
    assert not suffices(capacities, "far", "1Gi", {ZONE: "a"})
    assert not suffices(capacities, "near", "1Gi", {ZONE: "c"})
    assert suffices([], "near", "", {})


@pytest.fixture
async def storage(world: World) -> Storage:
    return Storage(world)


async def label(world: World, node: str, zone: str) -> None:
    await world.admin.patch(core_v1.Node, node, None, {"metadata": {"labels": {ZONE: zone}}})


async def test_a_node_takes_as_many_volumes_as_its_driver_says(world: World, storage: Storage) -> None:
    for name in ("n1", "n2"):
        await world.node(name)
    document = {
        "metadata": {"name": "n1"},
        "spec": {"drivers": [{"name": DRIVER, "nodeID": "n1", "allocatable": {"count": 1}}]},
    }
    await world.admin.create(msgspec.convert(document, storage_v1.CSINode))
    for name in ("one", "two"):
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": DRIVER, "volumeHandle": name},
        }
        made = msgspec.convert({"metadata": {"name": name}, "spec": spec}, core_v1.PersistentVolume)
        await world.admin.create(made)
        await storage.claim(name, "")
        await storage.bind(name, name)
    async with world.scheduler():
        only = {"nodeSelector": {"kubernetes.io/hostname": "n1"}}
        await storage.pod("p", "one", **only)
        assert await world.placed("p") == "n1"
        await storage.pod("same", "one", **only)
        assert await world.placed("same") == "n1"
        await storage.pod("q", "two", **only)
        assert await world.condition("q", "Unschedulable") == (
            "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) exceed max volume "
            "count. preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
        await storage.pod("r", "two")
        assert await world.placed("r") == "n2"
        for name in ("p", "same"):
            await world.admin.delete(core_v1.Pod, name, "default", grace=0)
        assert await storage.placed("q") == "n1"


async def test_a_labelled_volume_is_used_in_its_zone(world: World, storage: Storage) -> None:
    for name, zone in (("n1", "a"), ("n2", "b")):
        await world.node(name)
        await label(world, name, zone)
    await storage.volume("v")
    await world.admin.patch(core_v1.PersistentVolume, "v", None, {"metadata": {"labels": {ZONE: "b"}}})
    await storage.claim("data", "")
    await storage.bind("data", "v")
    async with world.scheduler():
        await storage.pod("p", "data")
        assert await world.placed("p") == "n2"
        await storage.pod("q", "data", nodeSelector={ZONE: "a"})
        assert "1 node(s) had no available volume zone" in await world.condition("q", "Unschedulable")


async def test_a_volume_is_made_where_there_is_room(world: World, storage: Storage) -> None:
    for name, zone in (("n1", "a"), ("n2", "b")):
        await world.node(name)
        await label(world, name, zone)
    driver = {"metadata": {"name": DRIVER}, "spec": {"storageCapacity": True}}
    await world.admin.create(msgspec.convert(driver, storage_v1.CSIDriver))
    await storage.storage_class("near", DRIVER, volumeBindingMode="WaitForFirstConsumer")
    await world.admin.create(capacity("a", "1Gi", "a"))
    await storage.claim("data", "near", size="2Gi")
    async with world.scheduler():
        await storage.pod("p", "data")
        assert await world.condition("p", "Unschedulable") == (
            "0/2 nodes are available: 2 node(s) did not have enough free storage. preemption: 0/2 nodes are available: "
            "2 Preemption is not helpful for scheduling."
        )
        await world.admin.create(capacity("b", "5Gi", "b"))
        assert await storage.selected("data") == "n2"
