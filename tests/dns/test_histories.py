"""Whatever happened to Services and slices, and whatever was asked: answers are those of a server that starts now."""

import ipaddress
import os

import dns.message
import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from prometheus_client import CollectorRegistry

from orlop.clock import FakeClock
from orlop.dns import names, records, wire
from orlop.dns.forward import Forwarder
from orlop.dns.metrics import Metrics
from orlop.dns.records import ServiceView, SliceView
from orlop.dns.resolver import Replies, Resolver
from orlop.dns.zone import Zone

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))
NAMES = ("a", "b")
NAMESPACES = ("x", "y")
IPS = ("10.0.0.1", "10.0.0.2", "fd00::1")
HOSTS = (None, "h", "a")
SUFFIX = "svc.cluster.local"


class Side:
    """A zone and what has been answered from it."""

    def __init__(self) -> None:
        metrics = Metrics(CollectorRegistry())

        async def nobody(name: bytes) -> tuple[()]:
            return ()

        self.zone = Zone("cluster.local")
        self.zone.replace("domain", records.of_domain(self.zone.origin, ["10.9.9.9"], 1, 5))
        self.resolver = Resolver(self.zone, Forwarder(nobody, FakeClock(), metrics), metrics, ttl=5)
        self.replies = Replies(metrics.answered)

    def replace(self, owner: tuple[str, ...], named: records.Named) -> None:
        self.replies.changed(self.zone.replace(owner, named))

    def ask(self, query: wire.Query) -> frozenset[bytes] | None:
        reply = self.replies.at.get(query.key)
        if reply is None:
            reply = self.resolver.reply(query, query.limit, "udp", "1")
            if reply is None:
                return None
            self.replies.put(query.key, reply)
        return frozenset(reply.bodies)


def question(name: str, type_: int) -> wire.Query:
    data = b"\0\0\1\0\0\1\0\0\0\0\0\0" + names.wire(name) + type_.to_bytes(2, "big") + b"\0\1"
    query = wire.parse(data)
    assert query is not None
    return query


def questions() -> list[wire.Query]:
    found = []
    for namespace in NAMESPACES:
        for name in NAMES:
            at = f"{name}.{namespace}.{SUFFIX}"
            for below in ("", "h.", "a.", "10-0-0-1.", "fd00--1.", "_tcp.", "_p._tcp.", "_q._udp."):
                found += [question(below + at, type_) for type_ in (wire.A, wire.AAAA, wire.SRV, wire.CNAME)]
        found += [
            question(f"{namespace}.{SUFFIX}", wire.A),
            question(f"10-0-0-9.{namespace}.pod.cluster.local", wire.A),
        ]
    return found + [question(records_ip, wire.PTR) for records_ip in map(reverse, IPS)]


def reverse(ip: str) -> str:
    return ipaddress.ip_address(ip).reverse_pointer


QUESTIONS = questions()
KEY = st.tuples(st.sampled_from(NAMESPACES), st.sampled_from(NAMES))
PORT = st.sampled_from([{"name": "p", "protocol": "TCP", "port": 1}, {"name": "q", "protocol": "UDP", "port": 2}])
SPEC = st.one_of(
    st.builds(
        lambda ip, ports: {"clusterIP": ip, "clusterIPs": [ip], "ports": ports}, st.sampled_from(IPS), st.lists(PORT)
    ),
    st.just({"clusterIP": "None", "clusterIPs": ["None"]}),
    st.just({"clusterIP": "None", "clusterIPs": ["None"], "publishNotReadyAddresses": True}),
    st.builds(
        lambda key: {"type": "ExternalName", "externalName": f"{key[1]}.{key[0]}.{SUFFIX}"},
        KEY,
    ),
    st.none(),
)
ENDPOINT = st.builds(
    lambda ip, host, ready: {"addresses": [ip], "hostname": host, "conditions": {"ready": ready}},
    st.sampled_from(IPS),
    st.sampled_from(HOSTS),
    st.sampled_from([True, False, None]),
)
SLICE = st.one_of(st.none(), st.builds(lambda e, p: {"endpoints": e, "ports": p}, st.lists(ENDPOINT), st.lists(PORT)))
STEP = st.one_of(
    st.tuples(st.just("service"), KEY, SPEC),
    st.tuples(st.just("slice"), KEY, SLICE),
    st.tuples(st.just("namespace"), KEY, st.booleans()),
    st.tuples(st.just("ask"), st.sampled_from(QUESTIONS), st.none()),
    st.tuples(st.just("ask all"), st.none(), st.none()),
)


class Cluster:
    """What the API has."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, str], ServiceView] = {}
        self.slices: dict[tuple[str, str], list[SliceView]] = {}
        self.namespaces: set[str] = set()

    def named(self, key: tuple[str, str], origin: bytes) -> records.Named:
        service = self.services.get(key)
        return {} if service is None else records.of_service(service, self.slices.get(key, []), origin)


def metadata(key: tuple[str, str]) -> dict[str, str]:
    return {"namespace": key[0], "name": key[1]}


@pytest.mark.campaign
@pytest.mark.timeout(120 * CAMPAIGN)
@settings(max_examples=60 * CAMPAIGN, deadline=None, derandomize=CAMPAIGN == 1)
@given(st.lists(STEP, max_size=40))
def test_histories(steps: list) -> None:
    cluster, side = Cluster(), Side()
    for what, key, value in steps:
        if what == "ask":
            side.ask(key)
        elif what == "ask all":
            for query in QUESTIONS:
                side.ask(query)
        elif what == "namespace":
            named = records.of_namespace(key[0], side.zone.origin) if value else {}
            side.replace(("namespace", key[0]), named)
            (cluster.namespaces.add if value else cluster.namespaces.discard)(key[0])
        else:
            if what == "service" and value is None:
                cluster.services.pop(key, None)
            elif what == "service":
                cluster.services[key] = msgspec.convert({"metadata": metadata(key), "spec": value}, ServiceView)
            elif value is None:
                cluster.slices.pop(key, None)
            else:
                halves = {"IPv4": [], "IPv6": []}
                for endpoint in value["endpoints"]:
                    halves["IPv6" if ":" in endpoint["addresses"][0] else "IPv4"].append(endpoint)
                cluster.slices[key] = [
                    msgspec.convert({"addressType": family, "endpoints": half, "ports": value["ports"]}, SliceView)
                    for family, half in halves.items()
                ]
            side.replace(key, cluster.named(key, side.zone.origin))
    fresh = Side()
    for key in cluster.services:
        fresh.replace(key, cluster.named(key, fresh.zone.origin))
    for namespace in cluster.namespaces:
        fresh.replace(("namespace", namespace), records.of_namespace(namespace, fresh.zone.origin))
    assert len(fresh.zone) == len(side.zone)
    for query in QUESTIONS:
        kept, anew = side.ask(query), fresh.ask(query)
        assert kept == anew or plain(kept) == plain(anew), names.text(query.name)


def plain(bodies: frozenset[bytes] | None) -> object:
    """What the answer says, in whatever order: records of several owners stand in the order in which these came."""
    if bodies is None:
        return None
    message = dns.message.from_wire(b"\0\0" + min(bodies))
    sections = (message.answer, message.authority, message.additional)
    return int(message.rcode()), [{r.to_text() for rrset in s for r in rrset} for s in sections]
