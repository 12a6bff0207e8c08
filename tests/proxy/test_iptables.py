"""The iptables backend's text: names, rules, and the steps between two states. Traffic is in test_traffic.py."""

import pytest

from orlop.native import ServicePort
from orlop.proxy.backends.flows import Flow
from orlop.proxy.backends.iptables.flows import stale
from orlop.proxy.backends.iptables.layout import Layout
from orlop.proxy.backends.iptables.rules import frame, service_port
from orlop.proxy.backends.iptables.ruleset import SINGLE_CHANGES, Rules, parse, step, whole
from orlop.proxy.config import ProxyConfig

CONFIG = ProxyConfig(hostname_override="here", cluster_cidr="10.244.0.0/16")
LAYOUT = Layout()
A, B, C = ("10.180.0.1", 80, 1), ("10.180.0.2", 80, 1), ("10.180.0.3", 80, 1)


def port(
    backends: list[tuple[str, int, int]], protocol: str = "TCP", name: str = "svc1", ip: str = "172.30.0.41"
) -> ServicePort:
    frontends = [("ClusterIP", ip, 80, False), ("NodePort", "0.0.0.0", 3001, False)]
    return ServicePort(("ns1", name, "p80", protocol, 4), frontends, backends, [], 0, bool(backends))


def rules(*ports: ServicePort) -> Rules:
    made = Rules()
    for each in ports:
        made.add(service_port(each, CONFIG, LAYOUT))
    return made


def wanted(*ports: ServicePort) -> Rules:
    made = frame(4, CONFIG, LAYOUT)
    made.add(rules(*ports))
    return made


def applied(restore: str, layout: Layout = LAYOUT) -> Rules:
    """What `iptables-save` would print after this restore from nothing."""
    lines: list[str] = []
    table = 0
    for line in restore.splitlines():
        if line.startswith("*"):
            table = len(lines)
        if line.startswith("-I "):  # at the start of its chain
            first = next((i for i, other in enumerate(lines) if i > table and other.startswith("-A ")), len(lines))
            lines.insert(first, line.replace("-I ", "-A ", 1))
        else:
            lines.append(line)
    return parse("\n".join(lines), layout)


def test_chains_have_upstreams_names() -> None:
    # Of the service port default/kubernetes:https of every cluster, and of two in upstream's own tests.
    assert LAYOUT.chain("SVC", ("default", "kubernetes", "https", "TCP", 4)) == "KUBE-SVC-NPX46M4PTMTKRN6Y"
    assert LAYOUT.chain("SVC", ("ns1", "svc1", "p80", "TCP", 4)) == "KUBE-SVC-XPGD46QRK7WJZT7O"
    assert LAYOUT.chain("SEP", ("ns1", "svc1", "p80", "TCP", 4), "10.180.0.1:80") == "KUBE-SEP-SXIVWICOYRO3J4NJ"


def test_the_longest_name_fits_and_two_clusters_have_their_own() -> None:
    other = Layout.of("second")
    assert len(other.chain("SVC", ("n" * 63, "s" * 63, "p" * 63, "SCTP", 6))) <= 28
    assert not other.is_ours("KUBE-SERVICES")
    assert not LAYOUT.is_ours(other.services)
    assert not LAYOUT.is_ours("KUBE-FIREWALL"), "the kubelet's"


def test_a_service_reads_as_upstreams() -> None:
    made = rules(port([A, B, C]))
    assert made.lines.keys() == {
        (
            "nat",
            "KUBE-SERVICES",
            '-d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" -m tcp --dport 80 '
            "-j KUBE-SVC-XPGD46QRK7WJZT7O",
        ),
        (
            "nat",
            "KUBE-NODEPORTS",
            '-p tcp -m comment --comment "ns1/svc1:p80" -m tcp --dport 3001 -j KUBE-EXT-XPGD46QRK7WJZT7O',
        ),
        (
            "filter",
            "KUBE-CLUSTER-IPS",
            '-d 172.30.0.41/32 -m comment --comment "no such port" -j KUBE-REJECT',
        ),
    }
    assert made.chains["nat", "KUBE-SVC-XPGD46QRK7WJZT7O"][:2] == [
        '! -s 10.244.0.0/16 -d 172.30.0.41/32 -p tcp -m comment --comment "ns1/svc1:p80 cluster IP" '
        "-m tcp --dport 80 -j KUBE-MARK-MASQ",
        '-m comment --comment "ns1/svc1:p80 -> 10.180.0.1:80" -m statistic --mode random --probability 0.33333333349 '
        "-j KUBE-SEP-SXIVWICOYRO3J4NJ",
    ]
    assert made.chains["nat", "KUBE-SEP-SXIVWICOYRO3J4NJ"] == [
        '-s 10.180.0.1/32 -m comment --comment "ns1/svc1:p80" -j KUBE-MARK-MASQ',
        '-p tcp -m comment --comment "ns1/svc1:p80" -m tcp -j DNAT --to-destination 10.180.0.1:80',
    ]


def test_weights_become_shares_of_what_is_left() -> None:
    made = rules(port([(*A[:2], 3), (*B[:2], 0), (*C[:2], 1)]))
    lines = made.chains["nat", "KUBE-SVC-XPGD46QRK7WJZT7O"][1:]
    assert ["--probability 0.75000000000" in line for line in lines] == [True, False]
    assert not any("10.180.0.2" in line for line in lines)


def test_a_change_names_only_the_chains_that_differ() -> None:
    text = step(rules(port([A, B])), rules(port([A, C])))
    declared = [line.split()[0][1:] for line in text.splitlines() if line.startswith(":")]
    gone = LAYOUT.chain("SEP", ("ns1", "svc1", "p80", "TCP", 4), "10.180.0.2:80")
    new = LAYOUT.chain("SEP", ("ns1", "svc1", "p80", "TCP", 4), "10.180.0.3:80")
    assert sorted(declared) == sorted(["KUBE-SVC-XPGD46QRK7WJZT7O", gone, new])
    assert f"-X {gone}" in text
    assert "KUBE-SERVICES" not in text
    assert step(rules(port([A])), rules(port([A]))) == ""


def test_a_service_that_is_served_again_is_translated_before_it_is_no_longer_refused() -> None:
    text = step(rules(port([])), rules(port([A])))
    assert text.index("-I KUBE-SERVICES -d 172.30.0.41/32") < text.index("*filter") < text.index("-D KUBE-SERVICES")


def test_what_is_right_stays_and_what_is_wrong_is_put_right() -> None:
    many = wanted(*(port([A, B], name=f"s{i}", ip=f"172.30.1.{i}") for i in range(9)))
    right = applied(whole(Rules(), many))
    assert whole(right, many) == ""
    meddled = applied(whole(Rules(), many))
    meddled.chains["nat", "KUBE-POSTROUTING"].clear()
    meddled.chains["nat", "KUBE-SERVICES"].insert(0, "-j RETURN")
    meddled.chains["nat", "KUBE-SVC-STRANGER"] = []
    meddled.hooks["filter", "FORWARD"].reverse()
    text = whole(meddled, many)
    assert "-D KUBE-SERVICES -j RETURN\n" in text
    assert "-X KUBE-SVC-STRANGER" in text
    assert text.count("-D FORWARD") == text.count("-I FORWARD") == 5
    assert ":KUBE-SERVICES" not in text


def test_a_chain_in_which_much_is_wrong_or_whose_end_is_missing_is_written_anew() -> None:
    many = wanted(port([A]))
    found = applied(whole(Rules(), many))
    found.chains["nat", "KUBE-SERVICES"][:0] = [f"-d 10.0.0.{i}/32 -j RETURN" for i in range(SINGLE_CHANGES + 1)]
    assert ":KUBE-SERVICES - [0:0]" in whole(found, many)
    found = applied(whole(Rules(), many))
    found.chains["nat", "KUBE-SERVICES"].pop()
    assert ":KUBE-SERVICES - [0:0]" in whole(found, many)


def test_nothing_is_left_by_a_cleanup() -> None:
    text = whole(applied(whole(Rules(), wanted(port([A])))), Rules())
    assert not any(line.startswith(("-A ", "-I ")) for line in text.splitlines())
    flushed = [line.split()[0][1:] for line in text.splitlines() if line.startswith(":")]
    assert sorted(flushed) == sorted(line.split()[1] for line in text.splitlines() if line.startswith("-X"))
    assert "KUBE-SVC-XPGD46QRK7WJZT7O" in flushed


@pytest.mark.parametrize("found", [False, True])
def test_flows_to_an_endpoint_that_goes_are_stale(found: bool) -> None:
    """Also where the state before was read from the kernel."""
    before = applied(whole(Rules(), wanted(port([A, B], "UDP")))) if found else rules(port([A, B], "UDP"))
    assert set(stale(4, before, rules(port([B], "UDP")))) == {
        Flow(4, "172.30.0.41", 80, "10.180.0.1"),
        Flow(4, None, 3001, "10.180.0.1"),
    }
    assert stale(4, before, rules(port([A, B], "UDP"))) == []
    assert set(stale(4, rules(port([], "UDP")), before)) == {Flow(4, "172.30.0.41", 80), Flow(4, None, 3001)}
    assert stale(4, rules(port([A])), rules()) == []
