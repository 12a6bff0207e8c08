"""The allocation of devices against the model: it finds a way where there is one, and what it finds may be."""

from typing import Any

import msgspec
from hypothesis import given, settings, strategies as st
from tests.model.devices import RULES, SLOTS, Given, Object, fitting, holds, possible
from tests.model.test_sched import EXAMPLES

from orlop.api.types import resource_v1
from orlop.native import CelSelector
from orlop.scheduler.devices.allocate import Search
from orlop.scheduler.devices.slices import Slices
from orlop.scheduler.devices.used import Used


@st.composite
def device(draw: Any, index: int) -> Object:
    return {
        "name": f"dev-{index}",
        "color": draw(st.sampled_from(["red", "blue", None])),
        "size": draw(st.integers(1, 3)),
        "memory": draw(st.integers(2, 6)),
        "shared": draw(st.booleans()),
        "tainted": draw(st.integers(0, 5)) == 0,
        "slots": draw(st.sampled_from([0, 0, 1, 2])),
    }


@st.composite
def ask(draw: Any, name: str) -> Object:
    return {
        "name": name,
        "rule": draw(st.sampled_from(sorted(RULES))),
        "count": draw(st.sampled_from([1, 1, 1, 2, None])),
        "memory": draw(st.sampled_from([None, None, 1, 2, 4])),
        "tolerates": draw(st.booleans()),
    }


@st.composite
def request(draw: Any, name: str) -> Object:
    many = draw(st.integers(1, 2))
    names = [name] if many == 1 else [f"{name}/s{index}" for index in range(many)]
    return {"name": name, "alternatives": [draw(ask(of)) for of in names]}


@st.composite
def world(draw: Any) -> tuple[list[Object], list[Object], set[str]]:
    devices = [draw(device(index)) for index in range(draw(st.integers(1, 4)))]
    claims = []
    for _ in range(draw(st.integers(1, 2))):
        requests = [draw(request(f"r{index}")) for index in range(draw(st.integers(1, 2)))]
        constraints = draw(st.lists(st.sampled_from(["match", "distinct"]), max_size=1))
        claims.append({"requests": requests, "constraints": constraints})
    used = set(draw(st.lists(st.sampled_from([d["name"] for d in devices]), max_size=1)))
    return claims, devices, used


def _device(of: Object) -> Object:
    attributes: Object = {"size": {"int": of["size"]}}
    if of["color"] is not None:
        attributes["color"] = {"string": of["color"]}
    made: Object = {
        "name": of["name"],
        "attributes": attributes,
        "capacity": {"memory": {"value": str(of["memory"])}},
        "allowMultipleAllocations": of["shared"],
    }
    if of["tainted"]:
        made["taints"] = [{"key": "broken", "effect": "NoSchedule"}]
    if of["slots"]:
        made["consumesCounters"] = [{"counterSet": "set", "counters": {"slots": {"value": str(of["slots"])}}}]
    return made


def _ask(of: Object) -> Object:
    made: Object = {"deviceClassName": "any", "selectors": [{"cel": {"expression": of["rule"]}}]}
    made |= {"allocationMode": "All"} if of["count"] is None else {"allocationMode": "ExactCount", "count": of["count"]}
    if of["memory"] is not None:
        made["capacity"] = {"requests": {"memory": str(of["memory"])}}
    if of["tolerates"]:
        made["tolerations"] = [{"operator": "Exists"}]
    return made


def _claim(of: Object, index: int) -> resource_v1.ResourceClaim:
    requests = []
    for one in of["requests"]:
        if len(one["alternatives"]) == 1:
            requests.append({"name": one["name"], "exactly": _ask(one["alternatives"][0])})
        else:
            subs = [{"name": sub["name"].partition("/")[2], **_ask(sub)} for sub in one["alternatives"]]
            requests.append({"name": one["name"], "firstAvailable": subs})
    fields = {"match": "matchAttribute", "distinct": "distinctAttribute"}
    constraints = [{fields[constraint]: "d/color"} for constraint in of["constraints"]]
    document = {
        "metadata": {"name": f"c{index}", "namespace": "default"},
        "spec": {"devices": {"requests": requests, "constraints": constraints}},
    }
    return msgspec.convert(document, resource_v1.ResourceClaim)


ANY = msgspec.convert({"metadata": {"name": "any"}}, resource_v1.DeviceClass)


@settings(max_examples=EXAMPLES, deadline=None)
@given(world())
def test_it_finds_a_way_where_there_is_one(found: tuple[list[Object], list[Object], set[str]]) -> None:
    claims, devices, used_names = found
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 2}
    slices = Slices()
    common = {"driver": "d", "pool": pool, "nodeName": "n"}
    counters = {"sharedCounters": [{"name": "set", "counters": {"slots": {"value": str(SLOTS)}}}]}
    for name, more in (("a", {"devices": [_device(of) for of in devices]}), ("b", counters)):
        document = {"metadata": {"name": name}, "spec": {**common, **more}}
        slices.replace(None, msgspec.convert(document, resource_v1.ResourceSlice))
    used = Used()
    by_name = {of["name"]: of for of in devices}
    for name in used_names:
        shared = by_name[name]["shared"]
        result = {"request": "x", "driver": "d", "pool": "p", "device": name}
        if shared:
            result |= {"shareID": "s", "consumedCapacity": {"memory": str(by_name[name]["memory"])}}
        used.take([msgspec.convert(result, resource_v1.DeviceRequestAllocationResult)])
    search = Search(used, CelSelector, lambda name: ANY, [_claim(of, index) for index, of in enumerate(claims)])
    got = search.run("n", slices.pools("n", {}))
    if got is None:
        assert not possible(claims, devices, used_names)
        return
    given = [
        Given(index, result.request, result.device)
        for index, allocation in enumerate(got)
        for result in allocation.result.devices.results
    ]
    assert holds(given, claims, devices, used_names), given
    for index, claim in enumerate(claims):
        for one in claim["requests"]:
            mine = [g for g in given if g.claim == index and g.request.partition("/")[0] == one["name"]]
            (chosen,) = {g.request for g in mine}
            asked = next(of for of in one["alternatives"] if of["name"] == chosen)
            fit = set(fitting(asked, devices, used_names))
            assert {g.device for g in mine} <= fit
            assert len(mine) == (asked["count"] or len(fit))
