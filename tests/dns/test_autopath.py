"""A pod's search path, walked within its first question (`--dns-autopath`)."""

import dns.flags
import dns.rcode
import dns.rdatatype
from tests.dns.world import Upstream, outcome, service, texts, world

from orlop.apiserver.server import ApiServer

HOST, FIRST = "www.example.com", "www.example.com.default.svc.cluster.local"


async def test_what_is_outside_is_found_with_the_first_question(api: ApiServer, outside: Upstream) -> None:
    outside.zone[("A", f"{HOST}.")] = ["192.0.2.80"]
    async with world(api, upstreams=(outside.address,), autopath=True) as node:
        answer = await node.ask(FIRST)
        assert texts(answer) == {f"{HOST}.", "192.0.2.80"}
        assert answer.answer[0].name.to_text(omit_final_dot=True) == FIRST, "an alias of what was asked"
        assert outcome(await node.ask(FIRST, "AAAA")) == {f"{HOST}."}, "it is there, without such an address"
        assert outside.asked == [("A", f"{HOST}."), ("AAAA", f"{HOST}.")]
        # Kept as what is outside is kept.
        assert texts(await node.ask(FIRST)) == {f"{HOST}.", "192.0.2.80"}
        assert len(outside.asked) == 2


async def test_what_is_nowhere_is_not_there(api: ApiServer, outside: Upstream) -> None:
    async with world(api, upstreams=(outside.address,), autopath=True) as node:
        answer = await node.ask(FIRST)
        assert answer.rcode() == dns.rcode.NXDOMAIN
        assert not answer.answer
        assert answer.flags & dns.flags.AA
        assert [rrset.name.to_text() for rrset in answer.authority] == ["cluster.local."]
        assert outside.asked == [("A", f"{HOST}.")]


async def test_a_service_of_another_namespace_is_found_and_one_that_comes_goes_before(api: ApiServer) -> None:
    async with world(api, autopath=True) as node:
        first = "web.kube-system.default.svc.cluster.local"
        await node.becomes("NXDOMAIN", first)
        await node.admin.create(service("web", "kube-system", cluster_ip="10.96.7.8"))
        await node.becomes({"web.kube-system.svc.cluster.local.", "10.96.7.8"}, first)
        # Within the delivery, what was answered for the path goes when one of its names comes.
        await node.admin.create(service("kube-system", cluster_ip="None", ports=()))
        await node.admin.delete(type(service()), "web", "kube-system")
        await node.becomes("NXDOMAIN", first)


async def test_only_addresses_and_only_below_a_namespace(api: ApiServer, outside: Upstream) -> None:
    outside.zone[("A", f"{HOST}.")] = ["192.0.2.80"]
    async with world(api, upstreams=(outside.address,), autopath=True) as node:
        for name, type_ in (
            (FIRST, "SRV"),
            (FIRST, "TXT"),
            (f"{HOST}.nowhere.svc.cluster.local", "A"),
            (f"{HOST}.svc.cluster.local", "A"),
            (f"{HOST}.cluster.local", "A"),
        ):
            assert outcome(await node.ask(name, type_)) == "NXDOMAIN", (name, type_)
        assert outside.asked == []


async def test_without_it_the_first_question_says_that_there_is_no_such_name(api: ApiServer, outside: Upstream) -> None:
    outside.zone[("A", f"{HOST}.")] = ["192.0.2.80"]
    async with world(api, upstreams=(outside.address,)) as node:
        assert outcome(await node.ask(FIRST)) == "NXDOMAIN"
        assert outside.asked == []


async def test_nobody_to_ask_is_nowhere(api: ApiServer) -> None:
    async with world(api, autopath=True) as node:
        assert outcome(await node.ask(FIRST)) == "NXDOMAIN"
