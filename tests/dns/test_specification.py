"""The records of the DNS-based service discovery specification 1.1.0, asked over sockets, section by section."""

import dns.rcode
import pytest
from tests.dns.world import World, endpoint, outcome, service, slice_, texts

from orlop.api.types import core_v1, meta_v1


async def test_2_2_the_schema_s_version(node: World) -> None:
    assert await node.texts("dns-version.cluster.local", "TXT") == {'"1.1.0"'}


async def test_2_3_a_service_with_a_cluster_ip(node: World) -> None:
    ports = (("http", "TCP", 80), ("dns", "UDP", 53))
    await node.admin.create(service(cluster_ip="10.96.7.8", ports=ports))
    await node.becomes({"10.96.7.8"}, "web.default.svc.cluster.local")
    assert outcome(await node.ask("web.default.svc.cluster.local", "AAAA")) == "NOERROR"
    assert await node.texts("_http._tcp.web.default.svc.cluster.local", "SRV") == {
        "0 100 80 web.default.svc.cluster.local."
    }
    assert await node.texts("_dns._udp.web.default.svc.cluster.local", "SRV") == {
        "0 100 53 web.default.svc.cluster.local."
    }
    assert outcome(await node.ask("_dns._tcp.web.default.svc.cluster.local", "SRV")) == "NXDOMAIN"
    assert await node.texts("8.7.96.10.in-addr.arpa", "PTR") == {"web.default.svc.cluster.local."}


async def test_2_3_2_an_unnamed_port_has_no_srv_record_and_targets_come_along(node: World) -> None:
    await node.admin.create(service("plain", cluster_ip="10.96.7.1", ports=(("", "TCP", 80),)))
    await node.admin.create(service("named", cluster_ip="10.96.7.2"))
    await node.becomes({"10.96.7.2"}, "named.default.svc.cluster.local")
    assert outcome(await node.ask("_tcp.plain.default.svc.cluster.local", "SRV")) == "NXDOMAIN"
    answer = await node.ask("_http._tcp.named.default.svc.cluster.local", "SRV")
    assert [rrset.to_text() for rrset in answer.additional] == ["named.default.svc.cluster.local. 5 IN A 10.96.7.2"]


async def test_beyond_it_every_port_at_the_service_s_own_name_and_names_of_pods_that_have_one(node: World) -> None:
    await node.admin.create(service(cluster_ip="10.96.7.8", ports=(("", "TCP", 80),)))
    await node.admin.create(slice_("web", endpoint("10.244.0.3", "web-0"), endpoint("10.244.0.4")))
    await node.admin.create(service("db", cluster_ip="None"))
    await node.admin.create(slice_("db", endpoint("10.244.0.5", "db-0"), ports=(("", "TCP", 5432),)))
    await node.becomes({"0 100 80 web.default.svc.cluster.local."}, "web.default.svc.cluster.local", "SRV")
    await node.becomes({"10.244.0.3"}, "web-0.web.default.svc.cluster.local")
    assert outcome(await node.ask("10-244-0-4.web.default.svc.cluster.local")) == "NXDOMAIN"
    await node.becomes({"0 100 5432 db-0.db.default.svc.cluster.local."}, "db.default.svc.cluster.local", "SRV")


async def test_2_4_a_headless_service(node: World) -> None:
    await node.admin.create(service("db", cluster_ip="None"))
    await node.admin.create(
        slice_(
            "db", endpoint("10.244.0.3", "db-0"), endpoint("10.244.0.4"), endpoint("10.244.0.5", "db-2", ready=False)
        )
    )
    await node.becomes({"10.244.0.3", "10.244.0.4"}, "db.default.svc.cluster.local")
    assert await node.texts("db-0.db.default.svc.cluster.local") == {"10.244.0.3"}
    assert await node.texts("10-244-0-4.db.default.svc.cluster.local") == {"10.244.0.4"}
    assert outcome(await node.ask("db-2.db.default.svc.cluster.local")) == "NXDOMAIN"
    assert await node.texts("_http._tcp.db.default.svc.cluster.local", "SRV") == {
        "0 100 8080 db-0.db.default.svc.cluster.local.",
        "0 100 8080 10-244-0-4.db.default.svc.cluster.local.",
    }
    assert await node.texts("3.0.244.10.in-addr.arpa", "PTR") == {"db-0.db.default.svc.cluster.local."}
    assert outcome(await node.ask("5.0.244.10.in-addr.arpa", "PTR")) == "NXDOMAIN"


async def test_2_4_1_without_ready_endpoints_there_is_no_such_name(node: World) -> None:
    await node.admin.create(service("db", cluster_ip="None"))
    made = await node.admin.create(slice_("db", endpoint("10.244.0.3", ready=True)))
    await node.becomes({"10.244.0.3"}, "db.default.svc.cluster.local")
    made.endpoints[0].conditions.ready = False
    await node.admin.update(made)
    await node.becomes("NXDOMAIN", "db.default.svc.cluster.local")


async def test_2_4_1_unless_the_service_wants_those_not_ready_too(node: World) -> None:
    await node.admin.create(service("db", cluster_ip="None", publish_not_ready_addresses=True))
    await node.admin.create(slice_("db", endpoint("10.244.0.3", "db-0", ready=False)))
    await node.becomes({"10.244.0.3"}, "db-0.db.default.svc.cluster.local")


async def test_2_4_1_not_knowing_counts_as_ready(node: World) -> None:
    await node.admin.create(service("db", cluster_ip="None"))
    await node.admin.create(slice_("db", endpoint("10.244.0.3", ready=None)))
    await node.becomes({"10.244.0.3"}, "db.default.svc.cluster.local")


async def test_several_addresses_of_one_hostname_and_several_slices_of_one_service(node: World) -> None:
    await node.admin.create(service("db", cluster_ip="None"))
    await node.admin.create(slice_("db", endpoint("10.244.0.3", "a"), endpoint("10.244.0.4", "a")))
    await node.admin.create(slice_("db", endpoint("10.244.0.5", "b"), name="db-2"))
    await node.admin.create(slice_("db", endpoint("fd00::3", "a"), name="db-6"))
    await node.becomes({"10.244.0.3", "10.244.0.4", "10.244.0.5"}, "db.default.svc.cluster.local")
    await node.becomes({"fd00::3"}, "db.default.svc.cluster.local", "AAAA")
    assert await node.texts("a.db.default.svc.cluster.local") == {"10.244.0.3", "10.244.0.4"}
    assert await node.texts("a.db.default.svc.cluster.local", "AAAA") == {"fd00::3"}
    reverse = "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa"
    assert await node.texts(reverse, "PTR") == {"a.db.default.svc.cluster.local."}


async def test_2_5_an_external_name(node: World) -> None:
    await node.admin.create(service("inside", cluster_ip="10.96.7.9"))
    await node.admin.create(
        service("ext", type="ExternalName", external_name="inside.default.svc.cluster.local", ports=())
    )
    await node.becomes({"inside.default.svc.cluster.local."}, "ext.default.svc.cluster.local", "CNAME")
    assert await node.texts("ext.default.svc.cluster.local") == {"inside.default.svc.cluster.local.", "10.96.7.9"}


async def test_2_6_pods_by_their_address(node: World) -> None:
    assert await node.texts("10-244-3-4.default.pod.cluster.local") == {"10.244.3.4"}
    assert await node.texts("fd00--3.default.pod.cluster.local", "AAAA") == {"fd00::3"}
    for name in (
        "10-244-3-4.nowhere.pod",
        "10-244-3.default.pod",
        "a.10-244-3-4.default.pod",
        "10-244-3-256.default.pod",
    ):
        assert outcome(await node.ask(f"{name}.cluster.local")) == "NXDOMAIN", name


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("cluster.local", "NOERROR"),
        ("svc.cluster.local", "NOERROR"),
        ("pod.cluster.local", "NOERROR"),
        ("default.svc.cluster.local", "NOERROR"),
        ("default.pod.cluster.local", "NOERROR"),
        ("_tcp.kubernetes.default.svc.cluster.local", "NOERROR"),
        ("nowhere.svc.cluster.local", "NXDOMAIN"),
        ("nothing.default.svc.cluster.local", "NXDOMAIN"),
        ("a.b.c.kubernetes.default.svc.cluster.local", "NXDOMAIN"),
        ("any.cluster.local", "NXDOMAIN"),
        ("9.9.96.10.in-addr.arpa", "NXDOMAIN"),
    ],
)
async def test_names_that_are_there_with_nothing_and_names_that_are_not_there(
    node: World, name: str, code: str
) -> None:
    answer = await node.ask(name, "A")
    assert outcome(answer) == code
    owner, data = answer.authority[0].name.to_text(), answer.authority[0][0].to_text()
    assert owner == ("in-addr.arpa." if name.endswith("arpa") else "cluster.local.")
    assert data.startswith("ns.dns.cluster.local. hostmaster.cluster.local. ")
    assert answer.authority[0].ttl == 5


async def test_the_domain_itself(node: World) -> None:
    assert await node.texts("cluster.local", "NS") == {"ns.dns.cluster.local."}
    assert await node.texts("ns.dns.cluster.local") == {"127.0.0.1"}
    assert len(await node.texts("cluster.local", "SOA")) == 1


async def test_a_namespace_comes_and_goes(node: World) -> None:
    assert outcome(await node.ask("team.svc.cluster.local")) == "NXDOMAIN"
    await node.admin.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="team")))
    await node.becomes("NOERROR", "team.svc.cluster.local")
    await node.becomes({"10.1.2.3"}, "10-1-2-3.team.pod.cluster.local")
    await node.admin.delete(core_v1.Namespace, "team")
    namespace = await node.admin.get(core_v1.Namespace, "team")
    namespace.spec.finalizers = []
    await node.admin.update(namespace, subresource="finalize")
    await node.becomes("NXDOMAIN", "team.svc.cluster.local")
    assert outcome(await node.ask("10-1-2-3.team.pod.cluster.local")) == "NXDOMAIN"


async def test_a_service_changes_and_goes(node: World) -> None:
    made = await node.admin.create(service(cluster_ip="10.96.7.8"))
    await node.becomes({"10.96.7.8"}, "web.default.svc.cluster.local")
    assert await node.texts("_http._tcp.web.default.svc.cluster.local", "SRV")
    made.spec.ports[0].name, made.spec.ports[0].port = "https", 443
    made = await node.admin.update(made)
    await node.becomes({"0 100 443 web.default.svc.cluster.local."}, "_https._tcp.web.default.svc.cluster.local", "SRV")
    assert outcome(await node.ask("_http._tcp.web.default.svc.cluster.local", "SRV")) == "NXDOMAIN"
    await node.admin.delete(core_v1.Service, "web", "default")
    await node.becomes("NXDOMAIN", "web.default.svc.cluster.local")
    assert outcome(await node.ask("8.7.96.10.in-addr.arpa", "PTR")) == "NXDOMAIN"


async def test_addresses_take_turns(node: World) -> None:
    await node.admin.create(service("db", cluster_ip="None"))
    await node.admin.create(slice_("db", *(endpoint(f"10.244.0.{n}") for n in range(3, 7))))
    await node.becomes({f"10.244.0.{n}" for n in range(3, 7)}, "db.default.svc.cluster.local")
    firsts = set()
    for _ in range(8):
        answer = await node.ask("db.default.svc.cluster.local")
        assert texts(answer) == {f"10.244.0.{n}" for n in range(3, 7)}
        firsts.add(answer.answer[0][0].to_text())
    assert firsts == {f"10.244.0.{n}" for n in range(3, 7)}


async def test_an_external_name_that_leads_in_a_circle_ends(node: World) -> None:
    for name, other in (("a", "b"), ("b", "a")):
        await node.admin.create(
            service(name, type="ExternalName", external_name=f"{other}.default.svc.cluster.local", ports=())
        )
    await node.becomes({"a.default.svc.cluster.local."}, "b.default.svc.cluster.local", "CNAME")
    assert (await node.ask("a.default.svc.cluster.local")).rcode() == dns.rcode.SERVFAIL
