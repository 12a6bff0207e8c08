"""What comes over the wire: every way a question can be put, cut, broken or hidden."""

import asyncio
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given, settings, strategies as st
from tests.dns.world import World, endpoint, outcome, service, slice_, texts

from orlop.dns import names, wire
from orlop.dns.wire import Query, Record

KUBERNETES = "kubernetes.default.svc.cluster.local"


async def exchange(node: World, data: bytes) -> bytes:
    """One datagram there, one back."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(("127.0.0.1", node.port))
        await loop.sock_sendall(sock, data)
        async with asyncio.timeout(5):
            return await loop.sock_recv(sock, 65535)


async def many(node: World, count: int = 100) -> None:
    await node.admin.create(service("many", cluster_ip="None"))
    await node.admin.create(slice_("many", *(endpoint(f"10.244.{n // 250}.{n % 250 + 2}") for n in range(count))))
    await node.comes(lambda answer: len(texts(answer)) == count, "many.default.svc.cluster.local", tcp=True)


async def test_the_case_of_a_name_comes_back_as_it_was_sent(node: World) -> None:
    for name in ("kUbErNeTeS.dEfAuLt.SVC.cluster.LOCAL", "KUBERNETES.default.svc.cluster.local", KUBERNETES) * 2:
        answer = await node.ask(name)
        assert answer.question[0].name.to_text() == name + "."
        assert answer.answer[0].name.to_text() == name + "."
        assert texts(answer) == {"10.96.0.1"}


async def test_what_does_not_fit_is_cut_and_comes_whole_by_tcp(node: World) -> None:
    await many(node)
    name = "many.default.svc.cluster.local"
    plain = dns.message.make_query(name, "A")
    cut = await exchange(node, plain.to_wire())
    assert len(cut) <= 512
    message = dns.message.from_wire(cut, raise_on_truncation=False)
    assert message.flags & dns.flags.TC
    assert 0 < len(message.answer[0]) < 100
    assert len(texts(await node.send(plain, tcp=True))) == 100


@pytest.mark.parametrize("size", [512, 1232, 1400, 4096, 65000])
async def test_a_client_gets_as_much_as_it_takes(node: World, size: int) -> None:
    await many(node)
    query = dns.message.make_query("many.default.svc.cluster.local", "A", use_edns=0, payload=size)
    data = await exchange(node, query.to_wire())
    assert len(data) <= size
    message = dns.message.from_wire(data, raise_on_truncation=False)
    assert bool(message.flags & dns.flags.TC) == (size < 1700)
    assert message.edns == 0
    assert message.payload == 4096


async def test_additional_records_are_left_out_without_a_word(node: World) -> None:
    await many(node, 12)
    query = dns.message.make_query("_http._tcp.many.default.svc.cluster.local", "SRV", use_edns=0, payload=900)
    message = dns.message.from_wire(await exchange(node, query.to_wire()))
    assert len(message.answer[0]) == 12
    assert not message.flags & dns.flags.TC
    assert len(message.additional) < 12


async def test_a_question_too_many_a_type_too_wide_and_other_errands_are_refused(node: World) -> None:
    for type_ in ("ANY", "AXFR", "IXFR"):
        assert (await node.ask(KUBERNETES, type_)).rcode() == dns.rcode.REFUSED
    two = dns.message.make_query(KUBERNETES, "A")
    two.question.append(dns.message.make_query("a.example", "A").question[0])
    answer = await exchange(node, two.to_wire())
    assert answer[3] & 15 == dns.rcode.FORMERR
    for opcode in (dns.opcode.NOTIFY, dns.opcode.UPDATE, dns.opcode.STATUS):
        other = dns.message.make_query(KUBERNETES, "A")
        other.set_opcode(opcode)
        answer = await exchange(node, other.to_wire())
        assert answer[3] & 15 == dns.rcode.NOTIMP
        assert answer[2] >> 3 & 15 == opcode
    chaos = dns.message.make_query("version.bind", "TXT", "CH")
    assert (await node.send(chaos)).rcode() == dns.rcode.REFUSED


async def test_edns_of_a_later_version_is_refused_and_options_are_passed_over(node: World) -> None:
    later = dns.message.make_query(KUBERNETES, "A", use_edns=1)
    answer = await node.send(later)
    assert answer.rcode() == dns.rcode.BADVERS
    cookie = dns.edns.GenericOption(10, b"12345678")
    for secret in (b"12345678", b"87654321"):
        cookie = dns.edns.GenericOption(10, secret)
        answer = await node.ask(KUBERNETES, use_edns=0, options=[cookie])
        assert texts(answer) == {"10.96.0.1"}
        assert answer.options == ()
    assert len(node.server.listeners[0].replies.at) == 1, "one answer serves whatever the cookie is"


async def test_flags_of_the_question_come_back(node: World) -> None:
    query = dns.message.make_query(KUBERNETES, "A", use_edns=0, want_dnssec=True)
    query.flags = dns.flags.CD
    answer = await node.send(query)
    assert answer.flags & (dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.CD) == (
        dns.flags.QR | dns.flags.AA | dns.flags.CD
    )
    assert answer.ednsflags & dns.flags.DO


async def test_many_questions_on_one_connection_then_a_broken_one_and_silence(node: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
    queries = [dns.message.make_query(name, "A") for name in (KUBERNETES, "nope.cluster.local", KUBERNETES)]
    for query in queries:
        data = query.to_wire()
        writer.write(len(data).to_bytes(2, "big") + data)
    for query in queries:
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = dns.message.from_wire(await reader.readexactly(size))
        assert query.is_response(answer)
    writer.write(b"\x00\x03abc")
    assert await reader.read() == b"", "what is no message ends the connection"
    writer.close()


async def test_answers_sent_as_questions_get_no_answer(node: World) -> None:
    """Two servers that answered each other's answers would never stop."""
    answer = dns.message.make_response(dns.message.make_query(KUBERNETES, "A")).to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.connect(("127.0.0.1", node.port))
        sock.send(answer)
        sock.send(b"short")
        # The server takes datagrams in order: had it answered these, the answers would be here first.
        query = dns.message.make_query(KUBERNETES, "A")
        sock.send(query.to_wire())
        async with asyncio.timeout(5):
            first = dns.message.from_wire(await asyncio.get_running_loop().sock_recv(sock, 4096))
        assert query.is_response(first)


async def test_ipv6(api: object) -> None:
    from tests.dns.world import world

    async with world(api, addresses=("::1",)) as node:  # type: ignore[arg-type]
        assert await node.texts(KUBERNETES) == {"10.96.0.1"}
        assert await node.texts(KUBERNETES, tcp=True) == {"10.96.0.1"}


async def test_metrics(node: World) -> None:
    for _ in range(3):
        await node.ask(KUBERNETES)
    await node.ask(KUBERNETES, tcp=True)
    await node.ask("nope.cluster.local")
    await node.ask(KUBERNETES, "ANY")
    where = {"server": "dns://:53", "zone": "cluster.local.", "view": ""}
    asked = {**where, "family": "1"}
    assert node.value("coredns_dns_requests_total", **asked, proto="udp", type="A") == 4
    assert node.value("coredns_dns_requests_total", **asked, proto="tcp", type="A") == 1
    told = {**where, "plugin": "kubernetes"}
    assert node.value("coredns_dns_responses_total", **told, rcode="NOERROR") == 4
    assert node.value("coredns_dns_responses_total", **told, rcode="NXDOMAIN") == 1
    assert node.value("coredns_dns_responses_total", **told, rcode="REFUSED") == 1


async def test_a_label_that_ends_as_the_domain_is_spelt_is_not_the_domain(node: World) -> None:
    strange = b"\x0fx\x07cluster\x05local\0"
    assert strange.endswith(names.wire("cluster.local"))
    data = await exchange(node, b"\0\7\1\0\0\1\0\0\0\0\0\0" + strange + b"\0\1\0\1")
    assert data[3] & 15 == dns.rcode.REFUSED, "it is somebody else's"


async def test_outcome_of_names_that_cannot_be(node: World) -> None:
    assert outcome(await node.ask("a" * 63 + ".svc.cluster.local")) == "NXDOMAIN"


# --- bytes


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=600))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    try:
        query = wire.parse(data)
    except wire.Refused as refused:
        dns.message.from_wire(wire.error(data, refused))
        return
    if query is not None:
        assert names.labels(query.name) is not None


LABEL = st.binary(min_size=1, max_size=20)
NAME = st.lists(LABEL, max_size=6).map(lambda labels: b"".join(bytes((len(x),)) + x for x in labels) + b"\0")


@settings(max_examples=300, deadline=None)
@given(
    NAME,
    st.integers(0, 65535),
    st.one_of(st.none(), st.tuples(st.integers(0, 65535), st.booleans(), st.binary(max_size=20))),
    st.sampled_from([0, wire.RD, wire.CD, wire.AD, wire.RD | wire.AD]),
)
def test_a_question_is_read_as_dnspython_reads_it(
    name: bytes, type_: int, edns: tuple[int, bool, bytes] | None, flags: int
) -> None:
    data = struct.pack("!HHHHHH", 7, flags, 1, 0, 0, 1 if edns else 0) + name + struct.pack("!HH", type_, 1)
    if edns:
        size, do, option = edns
        options = struct.pack("!HH", 65001, len(option)) + option
        data += struct.pack("!BHHIH", 0, 41, size, 0x8000 if do else 0, len(options)) + options
    query = wire.parse(data)
    assert query is not None
    theirs = dns.message.from_wire(data)
    question = theirs.question[0]
    assert question.name.to_wire() == query.question[:-4]
    assert (int(question.rdtype), int(question.rdclass)) == (query.type, query.class_)
    assert query.edns == (theirs.edns == 0)
    assert query.dnssec == bool(theirs.ednsflags & dns.flags.DO)
    if edns:
        assert query.limit == min(max(512, theirs.payload), 4096)


HOSTS = st.sampled_from(["a.b.example", "b.example", "www.a.b.example", "other.test", "b.other.test"]).map(names.wire)
RECORD = st.one_of(
    st.builds(lambda n, d: Record(n, wire.A, 5, d), HOSTS, st.binary(min_size=4, max_size=4)),
    st.builds(lambda n, t: Record(n, wire.CNAME, 5, t), HOSTS, HOSTS),
    st.builds(lambda n, t, p: Record(n, wire.SRV, 5, wire.srv(0, 1, p, t)), HOSTS, HOSTS, st.integers(0, 65535)),
    st.builds(lambda n, t: Record(n, wire.PTR, 5, t), HOSTS, HOSTS),
)
RECORDS = st.lists(RECORD, max_size=40)


@settings(max_examples=300, deadline=None)
@given(HOSTS, RECORDS, RECORDS, RECORDS, st.integers(512, 3000), st.booleans())
def test_an_answer_is_read_by_dnspython_as_it_was_meant(
    name: bytes, answer: list[Record], authority: list[Record], additional: list[Record], limit: int, edns: bool
) -> None:
    query = Query(b"", name + b"\0\x01\0\x01", name, 1, 1, wire.RD, edns, False, limit)
    data = b"\0\x07" + wire.build(query, limit, 0, answer=answer, authority=authority, additional=additional)
    assert len(data) <= limit
    message = dns.message.from_wire(data, one_rr_per_rrset=True, raise_on_truncation=False)

    def read(section: list[dns.rrset.RRset]) -> list[Record]:
        return [Record(r.name.to_wire(), int(r.rdtype), r.ttl, r[0].to_wire()) for r in section]

    sections = [read(section) for section in (message.answer, message.authority, message.additional)]
    for got, meant in zip(sections, (answer, authority, additional), strict=True):
        assert got == meant[: len(got)]
    assert bool(message.flags & dns.flags.TC) == (sections[0] != answer or sections[1] != authority)
