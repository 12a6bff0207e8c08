"""Services with one and two IP families, on clusters with one and two ranges."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.conftest import SERVICES, Api

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

V4, V6 = IPv4Network("10.96.0.0/16"), IPv6Network("fd00:10:96::/112")
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"


@pytest.fixture
async def dual(tmp_path: Path) -> AsyncIterator[Api]:
    """A server with both families, IPv4 first."""
    config = Config(data_dir=tmp_path, store="memory", secure_port=None, service_cidrs=(V4, V6))
    async with ApiServer(config) as server:
        api = Api(server)
        yield api
        await api.transport.close()


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}, **spec},
    }


def families(made: dict[str, Any]) -> tuple[str, list[str], list[bool]]:
    """(policy, families, whether each address lies in its family's range)."""
    spec = made["spec"]
    assert spec["clusterIPs"][0] == spec["clusterIP"]
    ranges = {4: V4, 6: V6}
    inside = [(a := ip_address(ip)) in ranges[a.version] for ip in spec["clusterIPs"]]
    return spec["ipFamilyPolicy"], spec["ipFamilies"], inside


async def test_what_is_asked_for_is_given(dual: Api) -> None:
    for spec, wanted in (
        ({}, ("SingleStack", ["IPv4"], [True])),
        ({"ipFamilies": ["IPv6"]}, ("SingleStack", ["IPv6"], [True])),
        ({"ipFamilyPolicy": "PreferDualStack"}, ("PreferDualStack", ["IPv4", "IPv6"], [True, True])),
        (
            {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]},
            ("RequireDualStack", ["IPv6", "IPv4"], [True, True]),
        ),
        ({"clusterIP": "fd00:10:96::77"}, ("SingleStack", ["IPv6"], [True])),
    ):
        made = await dual.made(SERVICES, service("a", **spec))
        assert families(made) == wanted, spec
        for ip in made["spec"]["clusterIPs"]:
            held = (await dual("GET", f"{ADDRESSES}/{ip}")).body
            assert held["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == ("IPv6" if ":" in ip else "IPv4")
        await dual("DELETE", f"{SERVICES}/a")
        for ip in made["spec"]["clusterIPs"]:
            assert (await dual("GET", f"{ADDRESSES}/{ip}")).status == 404


async def test_what_is_wrong_is_named(dual: Api, api: Api) -> None:
    for server, spec, why in (
        (dual, {"ipFamilies": ["IPv4", "IPv6"]}, "when multiple IP families are specified"),
        (
            dual,
            {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00:10:96::9"]},
            "when multiple cluster IPs are specified",
        ),
        (dual, {"clusterIP": "fd00:11::9"}, "the provided network does not match the current range"),
        (api, {"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
        (api, {"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        (api, {"clusterIP": "fd00:10:96::9"}, "IPv6 is not configured on this cluster"),
    ):
        answer = await server("POST", SERVICES, service("a", **spec))
        assert (answer.status, why in answer.message) == (422, True), answer.message


async def test_one_family_on_a_cluster_of_one(api: Api) -> None:
    made = await api.made(SERVICES, service("a", ipFamilyPolicy="PreferDualStack"))
    assert families(made) == ("PreferDualStack", ["IPv4"], [True])
    free = await api.made(SERVICES, service("b", clusterIP="None", selector=None))
    assert (free["spec"]["ipFamilyPolicy"], free["spec"]["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])
    headless = await api.made(SERVICES, service("c", clusterIP="None"))
    assert (headless["spec"]["ipFamilyPolicy"], headless["spec"]["ipFamilies"]) == ("SingleStack", ["IPv4"])


async def test_a_second_family_comes_and_goes_by_the_policy(dual: Api) -> None:
    made = await dual.made(SERVICES, service("a"))
    first = made["spec"]["clusterIP"]
    made["spec"]["ipFamilyPolicy"] = "PreferDualStack"
    both = (await dual("PUT", f"{SERVICES}/a", made)).body
    assert families(both) == ("PreferDualStack", ["IPv4", "IPv6"], [True, True])
    assert both["spec"]["clusterIP"] == first
    second = both["spec"]["clusterIPs"][1]
    fewer = {**both, "spec": {**both["spec"], "ipFamilies": ["IPv4"]}}
    refused = await dual("PUT", f"{SERVICES}/a", fewer)
    assert "must be 'SingleStack' to release the secondary IP family" in refused.message
    assert (await dual("GET", f"{ADDRESSES}/{second}")).status == 200
    both["spec"]["ipFamilyPolicy"] = "SingleStack"
    one = (await dual("PUT", f"{SERVICES}/a", both)).body
    assert families(one) == ("SingleStack", ["IPv4"], [True])
    assert one["spec"]["clusterIPs"] == [first]
    assert (await dual("GET", f"{ADDRESSES}/{second}")).status == 404


async def test_who_comes_too_late_holds_no_address(dual: Api) -> None:
    spec = {"ipFamilyPolicy": "RequireDualStack"}
    answers = await asyncio.gather(*(dual("POST", SERVICES, service("a", **spec)) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    [made] = [answer.body for answer in answers if answer.status == 201]
    held = (await dual("GET", ADDRESSES)).body["items"]
    own = (await dual("GET", f"{SERVICES}/kubernetes")).body["spec"]["clusterIP"]
    assert {item["metadata"]["name"] for item in held} == {own, *made["spec"]["clusterIPs"]}


async def test_an_update_that_says_nothing_of_it_changes_nothing(dual: Api) -> None:
    made = await dual.made(SERVICES, service("a", ipFamilyPolicy="RequireDualStack"))
    updated = (await dual("PUT", f"{SERVICES}/a", service("a", selector={"c": "d"}))).body
    for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        assert updated["spec"][field] == made["spec"][field]


async def test_the_servers_own_range_and_service(dual: Api) -> None:
    found = (await dual("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")).body
    assert found["spec"]["cidrs"] == [str(V4), str(V6)]
    assert families((await dual("GET", f"{SERVICES}/kubernetes")).body) == ("SingleStack", ["IPv4"], [True])
