"""The lines of `specification.yaml`, asked one by one of one server that follows a real API server."""

import asyncio
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
import yaml
from tests.dns.world import World, endpoint, service, slice_, world

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

TABLE = yaml.safe_load((Path(__file__).parent / "specification.yaml").read_text())
LINES: list[dict[str, Any]] = TABLE["lines"]
RANGES = ("10.96.0.0/16", "fd00:96::/112", "10.244.0.0/16")

Answers = list[dns.message.Message]


def of_service(row: dict[str, Any]) -> Any:
    ports = [(p.get("name", ""), p.get("protocol", "TCP"), p["port"]) for p in row.get("ports", ())]
    if "external" in row:
        return service(row["name"], type="ExternalName", external_name=row["external"], ports=())
    if row.get("headless"):
        unready = row.get("publishNotReady", False)
        return service(row["name"], cluster_ip="None", publish_not_ready_addresses=unready, ports=ports)
    ips = row["clusterIPs"]
    families = ["IPv6" if ":" in ip else "IPv4" for ip in ips]
    policy = "RequireDualStack" if len(ips) > 1 else "SingleStack"
    return service(
        row["name"], cluster_ip=ips[0], cluster_ips=ips, ip_families=families, ip_family_policy=policy, ports=ports
    )


def of_slice(number: int, row: dict[str, Any]) -> Any:
    ports = [(p.get("name", ""), p.get("protocol", "TCP"), p["port"]) for p in row["ports"]]
    ends = [endpoint(e["ip"], e.get("hostname"), ready=e.get("ready", True)) for e in row["endpoints"]]
    return slice_(row["of"], *ends, name=f"{row['of']}-{number}", ports=ports)


async def collect(folder: Path) -> Answers:
    from ipaddress import ip_network

    cidrs = (ip_network(RANGES[0]), ip_network(RANGES[1]))
    config = Config(data_dir=folder, store="memory", secure_port=None, service_cidrs=cidrs)
    async with ApiServer(config) as api, world(api, cluster_cidrs=RANGES) as one:
        for row in TABLE["world"]["services"]:
            await one.admin.create(of_service(row))
        for number, row in enumerate(TABLE["world"]["slices"]):
            await one.admin.create(of_slice(number, row))
        # What was made last is known when the first of its kind is: each kind comes in its order.
        await one.becomes({"10.244.1.4"}, "e-0.eager.default.svc.cluster.local")
        await one.becomes({"web.default.svc.cluster.local."}, "alias.default.svc.cluster.local", "CNAME")
        return [await ask(one, line) for line in LINES]


async def ask(one: World, line: dict[str, Any]) -> dns.message.Message:
    name, type_ = line["ask"].split()
    return await one.ask(name, type_, tcp=line.get("tcp", False))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    return asyncio.run(collect(tmp_path_factory.mktemp("dns")))


@pytest.mark.parametrize("number", range(len(LINES)), ids=[line["of"] for line in LINES])
def test_line(answers: Answers, number: int) -> None:
    line, answer = LINES[number], answers[number]
    found = [record.to_text() for rrset in answer.answer for record in rrset]
    assert sorted(found) == sorted(line.get("answer", []))
    assert dns.rcode.to_text(answer.rcode()) == line.get("code", "NOERROR")
    name, type_ = line["ask"].split()
    [question] = answer.question
    assert (question.name.to_text(omit_final_dot=True), question.rdtype) == (name, dns.rdatatype.from_text(type_))
    if line.get("code") in ("NOERROR", "NXDOMAIN"):
        assert [rrset.rdtype for rrset in answer.authority] == [dns.rdatatype.SOA]
    if line.get("code") != "REFUSED":
        assert answer.flags & dns.flags.AA or "nobody is asked" in line["of"]
    if "additional" in line:
        assert {record.to_text() for rrset in answer.additional for record in rrset} == set(line["additional"])
    if "ttl" in line:
        assert {rrset.ttl for rrset in answer.answer} == {line["ttl"]}
