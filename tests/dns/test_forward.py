"""Everything but the cluster: asked of resolvers, kept as long as it holds, and how failures end."""

import asyncio
import contextlib
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest
import uvloop
from tests.dns.world import Upstream, World, outcome, service, texts, upstream, world

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.clock import SystemClock
from orlop.dns import DnsConfig
from orlop.dns.upstream import Server, parse_server, read_resolv_conf


class Shifted(SystemClock):
    """The machine's time, which a test moves on."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


async def test_an_answer_is_kept_as_long_as_it_holds_and_counts_down(api: ApiServer, outside: Upstream) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7", "192.0.2.8"]
    clock = Shifted()
    async with world(api, clock, upstreams=(outside.address,)) as node:
        first = await node.ask("www.example.com")
        assert texts(first) == {"192.0.2.7", "192.0.2.8"}
        assert first.answer[0].ttl == 30
        assert first.flags & dns.flags.RA
        assert not first.flags & dns.flags.AA
        clock.ahead += 12
        assert 17 <= (await node.ask("WWW.example.com")).answer[0].ttl <= 18
        assert len(outside.asked) == 1
        clock.ahead += 20
        assert (await node.ask("www.example.com")).answer[0].ttl == 30
        assert len(outside.asked) == 2


async def test_that_there_is_nothing_is_kept_too(api: ApiServer, outside: Upstream) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]
    clock = Shifted()
    async with world(api, clock, upstreams=(outside.address,)) as node:
        for _ in range(3):
            assert outcome(await node.ask("nope.example.com")) == "NXDOMAIN"
            nothing = await node.ask("www.example.com", "AAAA")
            assert outcome(nothing) == "NOERROR"
            assert nothing.authority
        assert len(outside.asked) == 2
        clock.ahead += 31
        await node.ask("nope.example.com")
        assert len(outside.asked) == 3


async def test_a_question_of_many_is_asked_once(api: ApiServer, outside: Upstream) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]
    async with world(api, upstreams=(outside.address,)) as node:
        await node.ask("other.example.com")
        outside.asked.clear()
        lost = asyncio.Event()
        outside.change = lambda _: lost.set()
        asking = [asyncio.ensure_future(node.ask("www.example.com")) for _ in range(20)]
        async with asyncio.timeout(5):
            await lost.wait()
        outside.change = lambda answer: answer
        answers = await asyncio.gather(*asking)
        assert all(texts(answer) == {"192.0.2.7"} for answer in answers)
        assert len(outside.asked) == 2, "one that was lost, and one again for all"


async def test_an_external_name_is_followed_outside(api: ApiServer, outside: Upstream) -> None:
    outside.zone["CNAME", "www.example.com."] = ["edge.example.com."]
    outside.zone["A", "edge.example.com."] = ["192.0.2.9"]
    async with world(api, upstreams=(outside.address,)) as node:
        await node.admin.create(service("ext", type="ExternalName", external_name="www.example.com", ports=()))
        await node.becomes({"www.example.com.", "edge.example.com.", "192.0.2.9"}, "ext.default.svc.cluster.local")
        assert outcome(await node.ask("ext.default.svc.cluster.local", "CNAME")) == {"www.example.com."}
        missing = await node.ask("ext.default.svc.cluster.local", "AAAA")
        assert texts(missing) == {"www.example.com.", "edge.example.com."}


async def test_what_a_resolver_cannot_send_by_udp_it_sends_by_tcp(api: ApiServer, outside: Upstream) -> None:
    outside.zone["A", "big.example.com."] = [f"192.0.2.{n}" for n in range(1, 200)]
    async with world(api, upstreams=(outside.address,)) as node:
        assert len(await node.texts("big.example.com", tcp=True)) == 199
        assert outside.by_tcp == 1
        cut = await node.ask("big.example.com", use_edns=0, payload=1232)
        assert cut.flags & dns.flags.TC
        assert outside.by_tcp == 1


async def test_a_resolver_that_is_silent_is_passed_over_and_asked_last_from_then_on(
    api: ApiServer, outside: Upstream
) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]
    outside.zone["A", "two.example.com."] = ["192.0.2.8"]
    async with upstream() as silent:
        silent.change = lambda _: None
        async with world(api, upstreams=(silent.address, outside.address)) as node:
            assert await node.texts("www.example.com") == {"192.0.2.7"}
            silent.asked.clear()
            assert await node.texts("two.example.com") == {"192.0.2.8"}
            assert silent.asked == []


async def test_a_stub_domain_has_resolvers_of_its_own_and_the_longest_counts(api: ApiServer, outside: Upstream) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]
    async with upstream() as corp, upstream() as lab:
        corp.zone["A", "git.corp.example."] = ["192.0.2.8"]
        corp.zone["A", "corp.example."] = ["192.0.2.9"]
        lab.zone["A", "a.lab.corp.example."] = ["192.0.2.10"]
        outside.zone["A", "notcorp.example."] = ["192.0.2.11"]
        stubs = (f"corp.example={corp.address}", f"Lab.Corp.Example.={lab.address}")
        async with world(api, upstreams=(outside.address,), stub_domains=stubs) as node:
            assert await node.texts("www.example.com") == {"192.0.2.7"}
            assert await node.texts("git.corp.example") == {"192.0.2.8"}
            assert await node.texts("corp.example") == {"192.0.2.9"}
            assert await node.texts("a.lab.corp.example") == {"192.0.2.10"}
            assert await node.texts("notcorp.example") == {"192.0.2.11"}, "a domain is whole labels"
            assert len(corp.asked) == 2
            assert len(lab.asked) == 1
            corp.change = lambda _: None
            lab.change = lambda _: None
            outside.asked.clear()
            assert (await node.ask("other.corp.example")).rcode() == dns.rcode.SERVFAIL
            assert outside.asked == [], "nobody else is told of it"


@pytest.mark.parametrize(
    "text", ["corp.example", "corp.example=", "=192.0.2.1", "corp.example=there", "a..b=192.0.2.1"]
)
def test_a_stub_domain_that_cannot_be_read_names_the_flag(text: str) -> None:
    with pytest.raises(ValueError, match=f"--stub-domain: Invalid value: '{text}'"):
        DnsConfig(node_name="here", stub_domains=(text,))


async def test_a_resolver_that_refuses_or_fails_is_passed_over_too(api: ApiServer, outside: Upstream) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]
    async with upstream() as unwilling:
        for rcode in (dns.rcode.REFUSED, dns.rcode.SERVFAIL):
            unwilling.rcode = rcode
            async with world(api, upstreams=(unwilling.address, outside.address)) as node:
                assert await node.texts("www.example.com") == {"192.0.2.7"}


async def test_what_no_resolver_answers_fails_and_that_is_remembered_for_a_moment(
    api: ApiServer, outside: Upstream
) -> None:
    outside.change = lambda _: b"\0\0garbage"
    clock = Shifted()
    async with world(api, clock, upstreams=(outside.address,)) as node:
        assert (await node.ask("www.example.com")).rcode() == dns.rcode.SERVFAIL
        outside.change = lambda answer: answer
        outside.zone["A", "www.example.com."] = ["192.0.2.7"]
        assert (await node.ask("www.example.com")).rcode() == dns.rcode.SERVFAIL
        clock.ahead += 1.1
        assert await node.texts("www.example.com") == {"192.0.2.7"}


async def test_an_answer_to_another_question_or_with_another_number_is_not_taken(
    api: ApiServer, outside: Upstream
) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]

    def forged(answer: dns.message.Message) -> bytes:
        outside.change = lambda right: right
        wrong = dns.message.from_wire(answer.to_wire())
        wrong.id = (answer.id + 1) % 65536
        return wrong.to_wire()

    async with world(api, upstreams=(outside.address,)) as node:
        await node.ask("other.example.com")
        outside.change = forged
        assert await node.texts("www.example.com") == {"192.0.2.7"}
        assert len([n for _, n in outside.asked if n == "www.example.com."]) == 2


async def test_without_resolvers_others_names_are_refused(node: World) -> None:
    await node.admin.create(service("ext", type="ExternalName", external_name="www.example.com", ports=()))
    await node.becomes({"www.example.com."}, "ext.default.svc.cluster.local")
    assert (await node.ask("www.example.com")).rcode() == dns.rcode.REFUSED


async def test_a_resolver_that_asks_us_is_found_out(api: ApiServer, tmp_path: Path) -> None:
    """Two of our own servers, each the other's resolver: every question would go round for ever."""
    async with world(api, resolv_conf=tmp_path / "resolv.conf") as one:
        (tmp_path / "resolv.conf").write_text(f"nameserver 127.0.0.1#{one.port}\n")
        async with world(api, upstreams=(f"127.0.0.1#{one.port}",)) as two:
            one.server._resolv_conf._servers = [Server("127.0.0.1", two.port)]  # type: ignore[union-attr]
            one.server._resolv_conf._looked = SystemClock().monotonic() + 3600  # type: ignore[union-attr]
            assert (await one.ask("www.example.com")).rcode() in (dns.rcode.SERVFAIL, dns.rcode.REFUSED)
            assert (await two.ask("two.example.com")).rcode() in (dns.rcode.SERVFAIL, dns.rcode.REFUSED)
            assert one.server.forwarder._looping or two.server.forwarder._looping


async def test_a_resolv_conf_that_names_us_is_passed_over(api: ApiServer, tmp_path: Path, outside: Upstream) -> None:
    outside.zone["A", "www.example.com."] = ["192.0.2.7"]
    path = tmp_path / "resolv.conf"
    clock = Shifted()
    async with world(api, clock, resolv_conf=path) as node:
        assert (await node.ask("www.example.com")).rcode() == dns.rcode.REFUSED
        path.write_text(f"search x\nnameserver 127.0.0.1#{node.port}\nnameserver {outside.address}\noptions ndots:1\n")
        clock.ahead += 5
        assert await node.texts("www.example.com") == {"192.0.2.7"}


def test_reading_resolv_conf(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    assert read_resolv_conf(path) == []
    path.write_text(
        "# nameserver 192.0.2.1\nnameserver 192.0.2.2\n\tnameserver  fe80::1%eth0 \nnameserver nonsense\n"
        "nameserver 192.0.2.3\nnameserver 192.0.2.4\nsearch a b\n"
    )
    assert read_resolv_conf(path) == [Server("192.0.2.2", 53), Server("fe80::1%eth0", 53), Server("192.0.2.3", 53)]


def test_servers_with_ports() -> None:
    assert parse_server("192.0.2.1#5353") == Server("192.0.2.1", 5353)
    for text in ("example.com", "192.0.2.1#0", "192.0.2.1#x", "192.0.2.1:53"):
        with contextlib.suppress(ValueError):
            parse_server(text)
            raise AssertionError(f"{text} was taken")


async def test_dnssec_records_are_passed_on_to_who_wants_them(api: ApiServer, outside: Upstream) -> None:
    outside.zone["TXT", "signed.example.com."] = ['"hello"']
    async with world(api, upstreams=(outside.address,)) as node:
        await node.ask("signed.example.com", "TXT", use_edns=0, want_dnssec=True)
        await node.ask("signed.example.com", "TXT")
        assert outside.dnssec == [True, False]


def test_on_the_loop_of_our_processes(tmp_path: Path) -> None:
    """Its sockets are not asyncio's own."""

    async def all_ways() -> None:
        async with (
            ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None)) as api,
            upstream() as outside,
            world(api, upstreams=(outside.address,)) as node,
        ):
            outside.zone["A", "big.example.com."] = [f"192.0.2.{n}" for n in range(1, 200)]
            for tcp in (False, True):
                assert await node.texts("kubernetes.default.svc.cluster.local", tcp=tcp) == {"10.96.0.1"}
            assert len(await node.texts("big.example.com", tcp=True)) == 199
            assert outside.by_tcp == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_ways())
