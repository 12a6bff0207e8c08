"""The nftables backend's text: what is rendered, read back and compared. Traffic is in test_traffic.py."""

from pathlib import Path

import pytest

from orlop.native import ServicePort
from orlop.nftables.listing import parse
from orlop.nftables.ruleset import Ruleset, commands, needs_rebuild
from orlop.proxy.backends import ProgramError, Unsupported, make
from orlop.proxy.backends.flows import Flow
from orlop.proxy.backends.nftables.flows import stale
from orlop.proxy.backends.nftables.rules import duration, frame, service_port
from orlop.proxy.config import ProxyConfig

CONFIG = ProxyConfig(hostname_override="here", cluster_cidr="10.244.0.0/16,fd00:10:244::/64")


def port(
    backends: list[tuple[str, int, int]], protocol: str = "UDP", affinity: int = 0, node_port: int = 0
) -> ServicePort:
    frontends = [("ClusterIP", "10.96.0.10", 53, False)]
    if node_port:
        frontends.append(("NodePort", "0.0.0.0", node_port, False))
    return ServicePort(("d", "dns", "p", protocol, 4), frontends, backends, [], affinity, bool(backends))


A, B = ("10.1.0.1", 53, 1), ("10.1.0.2", 53, 1)


def whole(*ports: ServicePort) -> Ruleset:
    rules = frame(4, CONFIG)
    for each in ports:
        rules.add(service_port(each, CONFIG))
    return rules


def test_equal_rulesets_need_no_command() -> None:
    assert commands("ip t", whole(port([A, B])), whole(port([A, B]))) == []


def test_a_change_mentions_only_what_differs() -> None:
    script = "\n".join(commands("ip t", whole(port([A, B])), whole(port([A]))))
    assert "10.1.0.1:53" in script
    assert "service-ips" not in script
    assert "nat-prerouting" not in script
    assert script.count("flush chain") == 1


def test_weights_become_ranges() -> None:
    rules = service_port(port([("10.1.0.1", 53, 3), ("10.1.0.2", 53, 0), ("10.1.0.3", 53, 1)]), CONFIG)
    assert rules.chains["service-d/dns/udp/p"][-2:] == [
        "meta l4proto 17 dnat ip to numgen random mod 4 map { 0-2 : 10.1.0.1 . 53, 3 : 10.1.0.3 . 53 }",
        "meta l4proto 17 dnat to 10.1.0.1:53",
    ]


def test_the_longest_names_fit_into_the_kernels_255_bytes() -> None:
    long = ServicePort(
        ("n" * 63, "s" * 63, "p" * 63, "SCTP", 6), [], [("fd00:" + "ffff:" * 6 + "ffff", 65535, 1)], [], 60, True
    )
    assert max(map(len, [*service_port(long, CONFIG).chains, *service_port(long, CONFIG).sets])) <= 255


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (60, "1m"), (10800, "3h"), (86400, "1d"), (90061, "1d1h1m1s"), (86399, "23h59m59s")],
)
def test_durations_are_written_as_nft_prints_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


LISTING = """table ip orlop-proxy {
\tmap service-ips {
\t\ttype ipv4_addr . inet_proto . inet_service : verdict
\t\telements = { 10.96.0.10 . 17 . 53 : goto service-d/dns/udp/p,
\t\t\t     10.96.0.11 . 6 . 80 : goto service-d/web/tcp/ }
\t}

\tset affinity-x__10.1.0.1/80 {
\t\ttype ipv4_addr
\t\tsize 65535
\t\tflags dynamic,timeout
\t\telements = { 10.2.0.1 timeout 3h expires 2h59m58s }
\t}

\tset cluster-ips {
\t\ttype ipv4_addr
\t\telements = { 10.96.0.10, 10.96.0.11 }
\t}

\tchain nat-prerouting {
\t\ttype nat hook prerouting priority -100; policy accept;
\t\tjump services
\t}

\tchain service-d/dns/udp/p {
\t\tmeta l4proto 17 dnat ip to numgen random mod 1 map { 0 : 10.1.0.1 . 53 }
\t}

\tchain empty {
\t}
}
"""


def test_a_listing_is_read() -> None:
    rules = parse(LISTING)
    assert rules.elements == {
        ("service-ips", "10.96.0.10 . 17 . 53"): "goto service-d/dns/udp/p",
        ("service-ips", "10.96.0.11 . 6 . 80"): "goto service-d/web/tcp/",
        ("cluster-ips", "10.96.0.10"): "",
        ("cluster-ips", "10.96.0.11"): "",
    }
    assert rules.sets["affinity-x__10.1.0.1/80"] == "set type ipv4_addr; size 65535; flags dynamic,timeout"
    assert rules.chains["service-d/dns/udp/p"] == [
        "meta l4proto 17 dnat ip to numgen random mod 1 map { 0 : 10.1.0.1 . 53 }"
    ]
    assert rules.chains["empty"] == []


def test_another_hook_or_type_needs_a_rebuild() -> None:
    wanted = whole()
    assert not needs_rebuild(parse(LISTING), wanted)
    assert needs_rebuild(parse(LISTING.replace("priority -100", "priority -99")), wanted)
    assert needs_rebuild(parse(LISTING.replace("inet_service : verdict", "inet_service : mark")), wanted)


@pytest.mark.parametrize("affinity", [0, 60])
def test_flows_to_an_endpoint_that_goes_are_stale(affinity: int) -> None:
    before, after = (whole(port(b, affinity=affinity, node_port=30053)) for b in ([A, B], [B]))
    assert stale(4, before, after) == [
        Flow(4, "10.96.0.10", 53, "10.1.0.1"),
        Flow(4, None, 30053, "10.1.0.1"),
    ]
    assert stale(4, before, before) == []
    assert stale(4, whole(port([A], "TCP")), whole()) == []


def test_flows_to_what_is_newly_served_are_stale() -> None:
    assert stale(4, whole(port([])), whole(port([A]))) == [Flow(4, "10.96.0.10", 53)]


def test_ipv6_flows_are_understood() -> None:
    def six(*backends: str) -> Ruleset:
        frontends = [("ClusterIP", "fd00::10", 53, False)]
        id = ("d", "dns", "", "UDP", 6)
        rules = frame(6, CONFIG)
        rules.add(service_port(ServicePort(id, frontends, [(b, 53, 1) for b in backends], [], 0, True), CONFIG))
        return rules

    assert stale(6, six("fd01::1", "fd01::2"), six("fd01::2")) == [Flow(6, "fd00::10", 53, "fd01::1")]


async def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="the program nft is not installed: install the package nftables"):
        await make(CONFIG).check()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("Error: Could not process rule: Operation not permitted", "needs root"),
        ("Error: Could not process rule: No such file or directory", "the kernel does not take the rules"),
    ],
)
async def test_what_the_kernel_lacks_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, expected: str
) -> None:
    nft = tmp_path / "nft"
    nft.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit 1\n")
    nft.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match=expected):
        await make(CONFIG).check()
    with pytest.raises(ProgramError, match="Could not process rule"):
        await make(CONFIG).sync([])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"proxy_mode": "lvs"}, '--proxy-mode: Unsupported value: "lvs"'),
        ({"cluster_cidr": "10.0.0.0"}, None),
        ({"cluster_cidr": "10.0.0.1/8"}, "--cluster-cidr: Invalid value"),
        ({"cluster_cidr": "10.0.0.0/8,11.0.0.0/8"}, "only one CIDR allowed or a valid DualStack CIDR"),
        ({"nodeport_addresses": ("x",)}, "--nodeport-addresses: Invalid value"),
        ({"masquerade_bit": 32}, "--masquerade-bit: Invalid value: 32"),
    ],
)
def test_bad_flags_are_named(settings: dict[str, object], expected: str | None) -> None:
    if expected is None:
        make(ProxyConfig(hostname_override="here", **settings))  # type: ignore[arg-type]
        return
    with pytest.raises(ValueError, match=expected):
        make(ProxyConfig(hostname_override="here", **settings))  # type: ignore[arg-type]
