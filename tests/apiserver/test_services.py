"""Cluster IPs and node ports: given inside the create, kept, given back."""

import asyncio
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from tests.apiserver.conftest import SERVICES, Api

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}], **spec},
    }


async def test_an_address_is_given_and_given_back(api: Api) -> None:
    made = await api.made(SERVICES, service("a"))
    ip = made["spec"]["clusterIP"]
    assert made["spec"]["clusterIPs"] == [ip]
    assert made["spec"]["ipFamilies"] == ["IPv4"]
    held = (await api("GET", f"{ADDRESSES}/{ip}")).body
    assert held["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "a"}
    taken = await api("POST", SERVICES, service("b", clusterIP=ip))
    assert taken.status == 422
    assert taken.message == (
        f'Service "b" is invalid: spec.clusterIPs: Invalid value: ["{ip}"]: failed to allocate IP {ip}: provided IP is '
        "already allocated"
    )
    await api("DELETE", f"{SERVICES}/a")
    assert (await api("GET", f"{ADDRESSES}/{ip}")).status == 404
    assert (await api.made(SERVICES, service("b", clusterIP=ip)))["spec"]["clusterIP"] == ip


async def test_an_address_out_of_range_is_refused(api: Api) -> None:
    answer = await api("POST", SERVICES, service("a", clusterIP="1.2.3.4"))
    assert "IP 1.2.3.4: the provided network does not match the current range" in answer.message
    edge = await api("POST", SERVICES, service("a", clusterIP="10.96.0.0"))
    assert "the provided IP (10.96.0.0) is not in the valid range" in edge.message
    assert (await api("GET", f"{SERVICES}/a")).status == 404


async def test_many_at_once_get_different_addresses(api: Api) -> None:
    made = await asyncio.gather(*(api.made(SERVICES, service(f"s{i}", type="NodePort")) for i in range(30)))
    assert len({m["spec"]["clusterIP"] for m in made}) == 30
    ports = {m["spec"]["ports"][0]["nodePort"] for m in made}
    assert len(ports) == 30
    assert all(30000 <= port <= 32767 for port in ports)


async def test_one_wanted_address_goes_to_one_of_many(api: Api) -> None:
    answers = await asyncio.gather(*(api("POST", SERVICES, service(f"s{i}", clusterIP="10.96.0.77")) for i in range(8)))
    assert sorted(a.status for a in answers) == [201] + [422] * 7


async def test_an_update_keeps_what_was_given(api: Api) -> None:
    made = await api.made(SERVICES, service("a", type="NodePort"))
    again = service("a", type="NodePort")
    again["spec"]["selector"] = {"x": "y"}
    updated = (await api("PUT", f"{SERVICES}/a", again)).body
    assert updated["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert updated["spec"]["ports"] == made["spec"]["ports"]
    other = service("a", type="NodePort", clusterIP="10.96.5.5", clusterIPs=["10.96.5.5"])
    refused = await api("PUT", f"{SERVICES}/a", other)
    assert refused.status == 422
    assert "may not change once set" in refused.message


async def test_a_change_of_type_takes_and_gives(api: Api) -> None:
    made = await api.made(SERVICES, service("a"))
    ip = made["spec"]["clusterIP"]
    made["spec"]["type"] = "NodePort"
    with_port = (await api("PUT", f"{SERVICES}/a", made)).body
    assert 30000 <= with_port["spec"]["ports"][0]["nodePort"] <= 32767
    with_port["spec"]["type"] = "ClusterIP"
    without = (await api("PUT", f"{SERVICES}/a", with_port)).body
    assert "nodePort" not in without["spec"]["ports"][0]
    external = {
        **without,
        "spec": {"type": "ExternalName", "externalName": "example.com", "ports": without["spec"]["ports"]},
    }
    named = await api("PUT", f"{SERVICES}/a", external)
    assert named.status == 200, named.body
    assert "clusterIP" not in named.body["spec"]
    assert (await api("GET", f"{ADDRESSES}/{ip}")).status == 404


async def test_node_ports_that_are_asked_for(api: Api) -> None:
    asked = service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert (await api.made(SERVICES, asked))["spec"]["ports"][0]["nodePort"] == 30080
    taken = await api("POST", SERVICES, {**asked, "metadata": {"name": "b"}})
    assert "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated" in taken.message
    low = await api("POST", SERVICES, service("c", type="NodePort", ports=[{"port": 80, "nodePort": 80}]))
    assert "The range of valid ports is 30000-32767" in low.message


async def test_a_dry_run_takes_nothing(api: Api) -> None:
    path = f"{SERVICES}?dryRun=All"
    assert (await api("POST", path, service("a", clusterIP="10.96.0.99"))).status == 201
    assert (await api("GET", f"{ADDRESSES}/10.96.0.99")).status == 404
    assert (await api("POST", path, service("b", clusterIP="10.96.0.99"))).status == 201


async def test_headless_and_external_services_have_no_address(api: Api) -> None:
    headless = await api.made(SERVICES, service("h", clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]
    named = await api.made(SERVICES, service("e", type="ExternalName", externalName="a.b"))
    assert "clusterIP" not in named["spec"]


async def test_the_server_has_a_service_of_its_own(api: Api) -> None:
    found = (await api("GET", f"{SERVICES}/kubernetes")).body
    assert found["spec"]["clusterIP"] == "10.96.0.1"
    assert found["spec"]["ports"][0]["name"] == "https"


async def test_more_ranges_are_used_while_they_are_ready(tmp_path: Path) -> None:
    """The server's own range of six addresses, one of which is its own Service's, and then another."""
    config = Config(data_dir=tmp_path, store="memory", secure_port=None, service_cidrs=(ip_network("10.96.0.0/29"),))
    async with ApiServer(config) as server:
        api = Api(server)
        for n in range(5):
            assert (await api.made(SERVICES, service(f"s{n}")))["spec"]["clusterIP"].startswith("10.96.0.")
        assert "range is full" in (await api("POST", SERVICES, service("full"))).message
        more = {"metadata": {"name": "more"}, "spec": {"cidrs": ["10.97.0.0/29", "fd00::/112"]}}
        await api.made(CIDRS, more)
        assert "range is full" in (await api("POST", SERVICES, service("full"))).message, "nobody has said it is ready"
        ready = {
            "type": "Ready",
            "status": "True",
            "lastTransitionTime": "2024-01-01T00:00:00Z",
            "reason": "",
            "message": "",
        }
        status = {"status": {"conditions": [ready]}}
        media = "application/merge-patch+json"
        assert (await api("PATCH", f"{CIDRS}/more/status", status, media)).status == 200
        assert (await api.made(SERVICES, service("more")))["spec"]["clusterIP"].startswith("10.97.0.")
        taken = (await api("GET", f"{SERVICES}/more")).body["spec"]["clusterIP"]
        asked = "10.97.0.2" if taken != "10.97.0.2" else "10.97.0.3"
        await api.made(SERVICES, service("asked", clusterIP=asked))
        assert "already allocated" in (await api("POST", SERVICES, service("again", clusterIP=asked))).message
        assert "does not match" in (await api("POST", SERVICES, service("no", clusterIP="10.98.0.2"))).message
        await api("PATCH", f"{CIDRS}/more", {"metadata": {"finalizers": ["example.com/wait"]}}, media)
        await api("DELETE", f"{CIDRS}/more")
        assert "range is full" in (await api("POST", SERVICES, service("late"))).message
        await api.transport.close()
