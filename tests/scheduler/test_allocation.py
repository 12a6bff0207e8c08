"""Devices for claims on one node: what the model of random worlds leaves out."""

from typing import Any

import msgspec
import pytest

from orlop.api.types import resource_v1
from orlop.native import CelSelector
from orlop.scheduler.devices.allocate import Allocation, AllocationFailed, Search
from orlop.scheduler.devices.capacity import share
from orlop.scheduler.devices.slices import DeviceID, Slices
from orlop.scheduler.devices.used import Used

CLASS = {"metadata": {"name": "gpu"}, "spec": {"config": [{"opaque": {"driver": "d", "parameters": {"a": 1}}}]}}


def slices(*devices: dict[str, Any], **spec: Any) -> Slices:
    found = Slices()
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    document = {"metadata": {"name": "s"}, "spec": {"driver": "d", "pool": pool, "devices": devices, **spec}}
    if "allNodes" not in spec and "nodeSelector" not in spec and "perDeviceNodeSelection" not in spec:
        document["spec"]["nodeName"] = "n"  # type: ignore[index]
    found.replace(None, msgspec.convert(document, resource_v1.ResourceSlice))
    return found


def search(
    found: Slices,
    used: Used,
    *requests: dict[str, Any],
    node: str = "n",
    labels: dict[str, str] | None = None,
    **more: Any,
) -> list[Allocation] | None:
    document = {
        "metadata": {"name": "c", "namespace": "ns"},
        "spec": {"devices": {"requests": [{"name": f"r{i}", **r} for i, r in enumerate(requests)], **more}},
    }
    classes = {"gpu": msgspec.convert(CLASS, resource_v1.DeviceClass)}
    claim = msgspec.convert(document, resource_v1.ResourceClaim)
    return Search(used, CelSelector, classes.get, [claim]).run(node, found.pools(node, labels or {}))


def exactly(**more: Any) -> dict[str, Any]:
    return {"exactly": {"deviceClassName": "gpu", **more}}


def devices_of(found: list[Allocation] | None) -> list[str]:
    assert found is not None
    return [result.device for result in found[0].result.devices.results]


def used(*names: str) -> Used:
    result = [resource_v1.DeviceRequestAllocationResult(driver="d", pool="p", device=name) for name in names]
    found = Used()
    found.take(result)
    return found


def test_an_administrator_gets_what_is_in_use_and_takes_nothing_away() -> None:
    there = slices({"name": "a"}, {"name": "b"})
    assert search(there, used("a", "b"), exactly()) is None
    found = search(there, used("a", "b"), exactly(adminAccess=True, count=2))
    assert devices_of(found) == ["a", "b"]
    assert found is not None
    results = found[0].result.devices.results
    assert all(result.admin_access for result in results)
    counted = used()
    counted.take(results)
    assert not counted.whole(DeviceID("d", "p", "a"))
    assert search(there, used(), exactly(adminAccess=True, count=3)) is None


def test_all_devices_need_a_whole_pool() -> None:
    there = slices({"name": "a"}, pool={"name": "p", "generation": 1, "resourceSliceCount": 2})
    assert search(there, used(), exactly()) is None
    with pytest.raises(AllocationFailed, match="asks for all devices, but resource pool d/p is currently being"):
        search(there, used(), exactly(allocationMode="All"))
    twice = slices({"name": "a"}, {"name": "a"})
    with pytest.raises(AllocationFailed, match="currently invalid"):
        search(twice, used(), exactly(allocationMode="All"))


def test_an_older_generation_is_not_there_any_more() -> None:
    there = slices({"name": "old"})
    pool = {"name": "p", "generation": 2, "resourceSliceCount": 1}
    newer = {"driver": "d", "pool": pool, "nodeName": "n", "devices": [{"name": "new"}]}
    there.replace(None, msgspec.convert({"metadata": {"name": "t"}, "spec": newer}, resource_v1.ResourceSlice))
    assert devices_of(search(there, used(), exactly())) == ["new"]


def test_where_the_devices_are_is_where_the_claim_may_go() -> None:
    term = {"matchExpressions": [{"key": "rack", "operator": "In", "values": ["r1"]}]}
    near = slices({"name": "a"}, nodeSelector={"nodeSelectorTerms": [term]})
    assert search(near, used(), exactly()) is None
    found = search(near, used(), exactly(), labels={"rack": "r1"})
    assert found is not None
    assert msgspec.to_builtins(found[0].result.node_selector) == {"nodeSelectorTerms": [term]}
    each = slices({"name": "a", "nodeName": "m"}, {"name": "b", "allNodes": True}, perDeviceNodeSelection=True)
    everywhere = search(each, used(), exactly())
    assert devices_of(everywhere) == ["b"]
    assert everywhere is not None
    assert everywhere[0].result.node_selector is None
    bound = search(each, used("b"), exactly(), node="m")
    assert bound is not None
    assert msgspec.to_builtins(bound[0].result.node_selector) == {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m"]}]}]
    }


def test_configuration_comes_from_the_class_and_the_claim() -> None:
    opaque = {"driver": "d", "parameters": {"b": 2}}
    config = [{"requests": ["r1"], "opaque": opaque}, {"requests": ["nobody"], "opaque": opaque}]
    there = slices({"name": "a"}, {"name": "b"})
    found = search(there, used(), exactly(), exactly(), config=config)
    assert found is not None
    told = [(c.source, c.requests, c.opaque.parameters) for c in found[0].result.devices.config if c.opaque]
    assert told == [("FromClass", [], {"a": 1}), ("FromClaim", ["r1"], {"b": 2})]


def test_too_many_devices_and_a_class_that_is_gone() -> None:
    there = slices({"name": "a"})
    with pytest.raises(AllocationFailed, match="number of requested devices 33 exceeds the claim limit of 32"):
        search(there, used(), exactly(count=33))
    with pytest.raises(AllocationFailed, match="could not retrieve device class other"):
        search(there, used(), {"exactly": {"deviceClassName": "other"}})


def test_a_search_that_contradicts_itself_ends() -> None:
    many = [{"name": f"d{i}", "attributes": {"x": {"int": i}}} for i in range(24)]
    with pytest.raises(AllocationFailed, match="timed out trying to allocate devices"):
        search(slices(*many), used(), exactly(count=12), exactly(count=13), constraints=[{"distinctAttribute": "d/x"}])


@pytest.mark.parametrize(
    ("policy", "asked", "taken"),
    [
        (None, None, "10Gi"),
        (None, "3Gi", "3Gi"),
        ({"default": "2Gi"}, None, "2Gi"),
        ({"default": "1Gi", "validRange": {"min": "1Gi", "step": "2Gi"}}, "500Mi", "1Gi"),
        ({"default": "1Gi", "validRange": {"min": "1Gi", "step": "2Gi"}}, "2Gi", "3Gi"),
        ({"default": "1Gi", "validRange": {"min": "1Gi", "max": "4Gi"}}, "5Gi", None),
        ({"default": "500m", "validRange": {"min": "500m", "step": "250m"}}, "600m", "750m"),
        ({"default": "1Gi", "validValues": ["1Gi", "4Gi"]}, "2Gi", "4Gi"),
        ({"default": "1Gi", "validValues": ["1Gi", "4Gi"]}, "5Gi", None),
        (None, "11Gi", None),
    ],
)
def test_shares_are_rounded_as_their_policy_says(policy: Any, asked: str | None, taken: str | None) -> None:
    capacity = {"memory": {"value": "10Gi", **({"requestPolicy": policy} if policy else {})}}
    there = slices({"name": "a", "allowMultipleAllocations": True, "capacity": capacity})
    offer = there.offer(DeviceID("d", "p", "a"))
    assert offer is not None
    found = share(offer, {"memory": asked} if asked else {}, ())
    assert found == ({"memory": taken} if taken else None)
    assert share(offer, {"d/memory": asked} if asked else {}, ()) == found
    assert share(offer, {"other/memory": "1"}, ()) is None


def test_one_capacity_is_not_asked_for_twice() -> None:
    offer = slices({"name": "a", "capacity": {"m": {"value": "1"}}}).offer(DeviceID("d", "p", "a"))
    assert offer is not None
    with pytest.raises(ValueError, match="requested twice"):
        share(offer, {"m": "1", "d/m": "1"}, ())


def test_a_rule_taints_devices_from_outside() -> None:
    there = slices({"name": "a"}, {"name": "b"})
    spec = {"deviceSelector": {"driver": "d", "device": "a"}, "taint": {"key": "broken", "effect": "NoSchedule"}}
    rule = msgspec.convert({"metadata": {"name": "r"}, "spec": spec}, resource_v1.DeviceTaintRule)
    before = there.age("n")
    there.rule(None, rule)
    assert there.age("n") != before
    assert devices_of(search(there, used(), exactly())) == ["b"]
    assert devices_of(search(there, used(), exactly(tolerations=[{"key": "broken", "operator": "Exists"}]))) == ["a"]
    there.rule(rule, None)
    assert devices_of(search(there, used(), exactly())) == ["a"]
