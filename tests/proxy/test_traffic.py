"""What every backend promises, with real traffic. One suite; the modes are a parameter."""

import asyncio
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from tests.kernel import tests as kernel
from tests.proxy.modes import PARAMETERS
from tests.proxy.objects import endpoint_slice, service
from tests.proxy.world import NODE, NODE6, POD_CIDR, POD_CIDR6, TIMEOUT, Namespace, World

from orlop.native import ForwardTable
from orlop.proxy.backends import Backend, make
from orlop.proxy.config import ProxyConfig

pytestmark = [pytest.mark.network, pytest.mark.root]

IP, IP6 = "10.96.0.10", "fd00:10:96::10"


def by_nft(table: str, masquerading: str) -> tuple[str, str]:
    meddle = (
        f"flush chain ip {table} {masquerading}; add chain ip {table} stranger; "
        f"add set ip {table} strangers {{ type ipv4_addr; elements = {{ 10.0.0.1, 10.0.0.2 }}; }}"
    )
    otherwise = (
        f"flush chain ip {table} nat-output; delete chain ip {table} nat-output; "
        f"add chain ip {table} nat-output {{ type nat hook output priority -90; }}"
    )
    return f"nft '{meddle}'", f"nft '{otherwise}'"


MEDDLE = {
    "nftables": by_nft("orlop-proxy", "masquerading"),
    "ipvs": by_nft("orlop-ipvs", "KUBE-POSTROUTING"),
    "userspace": by_nft("orlop-userspace", "services"),
    "iptables": (
        "iptables -t nat -F KUBE-POSTROUTING; iptables -t nat -N KUBE-SVC-STRANGER; "
        "iptables -t nat -A KUBE-SERVICES -d 10.96.0.99 -j KUBE-SVC-STRANGER",
        "iptables -t nat -F POSTROUTING; iptables -t filter -F FORWARD; iptables -t nat -A KUBE-SERVICES -j RETURN",
    ),
}
"""Each mode's ways of being meddled with: a chain is emptied and others come; it is laid out otherwise."""
AT_ONCE = TIMEOUT if kernel.is_inside() else 0.5
"""Seconds within which a refusal must be there: a lost packet would take TCP one to be sent again. An emulated machine
takes as long for less."""


class Proxy:
    """A table and a backend, programmed step by step."""

    def __init__(self, world: World, mode: str, **options: Any) -> None:
        self.world = world
        cidrs = f"{POD_CIDR},{POD_CIDR6}"
        self.config = ProxyConfig(hostname_override="here", proxy_mode=mode, cluster_cidr=cidrs, **options)
        self.backend: Backend = make(self.config, world.node.prefix)
        self.table = ForwardTable("here")

    async def start(self) -> bool:
        await self.backend.check()
        return await self.backend.sync(self.table.difference([]).set)

    async def put(self, *objects: bytes) -> None:
        for data in objects:
            warnings = self.table.apply_slice(data) if b"addressType" in data else self.table.apply_service(data)
            assert warnings == []
        await self.backend.apply(self.table.drain_changes())

    async def restarted(self) -> "Proxy":
        """A new one that has been told the same and finds what is programmed."""
        again = Proxy.__new__(Proxy)
        again.world, again.config, again.table = self.world, self.config, self.table
        again.backend = make(self.config, self.world.node.prefix)
        self.changed = await again.start()
        return again


@pytest.fixture
def options() -> dict[str, object]:
    return {}


@pytest.fixture(params=PARAMETERS)
async def proxy(machine: World, options: dict[str, object], request: pytest.FixtureRequest) -> AsyncIterator[Proxy]:
    before = machine.node.rules()
    made = Proxy(machine, request.param, **options)
    await made.start()
    yield made
    await made.backend.cleanup()
    await made.backend.cleanup()
    assert machine.node.rules() == before
    machine.node.output("conntrack", "-F")


def who(ask: Callable[[], str], times: int) -> Counter[str]:
    return Counter(ask().split()[0] for _ in range(times))


def pod_ips(world: World, family: int = 4) -> list[str]:
    return [pod.addresses[family == 6] for pod in world.pods]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("ip", [IP, IP6])
async def test_a_cluster_ip_answers_from_everywhere_and_spreads(
    proxy: Proxy, machine: World, protocol: str, ip: str
) -> None:
    family = 6 if ":" in ip else 4
    await proxy.put(service("web", [ip], protocol=protocol), endpoint_slice("web", pod_ips(machine, family), protocol))
    for source in (machine.node, machine.pods[0], machine.outside):
        assert source.ask(ip, 80, protocol).startswith("pod")
    answers = who(lambda: machine.pods[0].ask(ip, 80, protocol), 150)
    # Each of three is chosen with 1/3: fewer than 25 of 150 has a probability below 1e-5.
    assert set(answers) == {"pod0", "pod1", "pod2"}
    assert min(answers.values()) >= 25


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_source_addresses_are_kept_inside_and_masqueraded_from_elsewhere(
    proxy: Proxy, machine: World, protocol: str
) -> None:
    await proxy.put(service("web", [IP], protocol=protocol), endpoint_slice("web", pod_ips(machine)[:1], protocol))
    pod0, pod1 = machine.pods[:2]
    # A relay connects from its own address.
    seen = "10.244.0.1" if proxy.backend.name == "userspace" else pod1.addresses[0]
    assert pod1.ask(IP, 80, protocol) == f"pod0 {seen}"
    assert pod0.ask(IP, 80, protocol) == "pod0 10.244.0.1", "a pod that reaches itself (hairpin)"
    assert machine.outside.ask(IP, 80, protocol) == "pod0 10.244.0.1"
    assert machine.node.ask(IP, 80, protocol) == "pod0 10.244.0.1"


@pytest.mark.parametrize("options", [{"masquerade_all": True}])
async def test_masquerade_all(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)[:1]))
    assert machine.pods[1].ask(IP, 80) == "pod0 10.244.0.1"


async def test_an_endpoint_that_goes_gets_nothing_more_and_others_keep_their_connections(
    proxy: Proxy, machine: World
) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)))
    talks = [machine.pods[2].connect(IP, 80) for _ in range(12)]
    before = [talk.ask().split()[0] for talk in talks]
    await proxy.put(endpoint_slice("web", pod_ips(machine)[1:]))
    assert set(who(lambda: machine.pods[2].ask(IP, 80), 40)) == {"pod1", "pod2"}
    # Also those to the one that left: Kubernetes lets it finish what it has begun.
    assert [talk.ask().split()[0] for talk in talks] == before
    for talk in talks:
        talk.close()


@pytest.mark.parametrize("family", [4, 6])
async def test_endpoints_that_come_and_go_under_load_fail_no_connection(
    proxy: Proxy, machine: World, family: int
) -> None:
    ip = IP if family == 4 else IP6
    ips = pod_ips(machine, family)
    await proxy.put(service("web", [ip]), endpoint_slice("web", ips[:1]))
    machine.pods[2].ask(ip, 80)
    asked: list[tuple[float, float, str]] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            started = time.monotonic()
            answer = machine.pods[2].ask(ip, 80).split()[0]
            asked.append((started, time.monotonic(), answer))

    clients = asyncio.ensure_future(asyncio.to_thread(load))
    served: list[tuple[float, set[int]]] = [(time.monotonic(), {0})]
    for endpoints in [{1}, {0, 1}, {2}, {0}, {1, 2}] * 5:
        previous = served[-1][1]
        began = time.monotonic()
        await proxy.put(endpoint_slice("web", [ips[i] for i in sorted(endpoints)]))
        # While it is being programmed either may answer.
        served += [(began, previous | endpoints), (time.monotonic(), endpoints)]
        await more(asked, clients)
    done.set()
    await clients
    assert len(asked) > 100
    for started, ended, answer in asked:
        during = [endpoints for at, endpoints in served if at <= ended]
        first = max(i for i, (at, _) in enumerate(served) if at <= started)
        assert int(answer.removeprefix("pod")) in set().union(*during[first:])


async def more(asked: Sequence[object], client: "asyncio.Future[None]") -> None:
    """Waits until the client has asked some times more, or failed."""
    before = len(asked)
    for _ in range(3000):
        if client.done() or len(asked) >= before + 5:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the client does not go on")


async def test_udp_flows_leave_an_endpoint_that_goes(proxy: Proxy, machine: World) -> None:
    await proxy.put(
        service("dns", [IP], 53, "UDP", node_port=30053), endpoint_slice("dns", pod_ips(machine)[:1], "UDP")
    )
    asks = [(machine.pods[2], IP, 53, 5000), (machine.outside, NODE, 30053, 5001)]
    for source, address, port, source_port in asks:
        assert source.ask(address, port, "UDP", source_port).startswith("pod0")
    await proxy.put(endpoint_slice("dns", pod_ips(machine)[1:2], "UDP"))
    for source, address, port, source_port in asks:
        assert source.ask(address, port, "UDP", source_port).startswith("pod1"), "the same flow, from the same port"


async def test_udp_flows_from_before_a_service_find_it(proxy: Proxy, machine: World) -> None:
    with pytest.raises(OSError):
        machine.pods[2].ask(IP, 53, "UDP", 5002)
    await proxy.put(service("dns", [IP], 53, "UDP"), endpoint_slice("dns", pod_ips(machine)[:1], "UDP"))
    assert machine.pods[2].ask(IP, 53, "UDP", 5002).startswith("pod0")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("ip", [IP, IP6])
async def test_without_endpoints_it_is_refused_at_once(proxy: Proxy, machine: World, protocol: str, ip: str) -> None:
    await proxy.put(service("web", [ip], protocol=protocol, node_port=30080))
    node = NODE6 if ":" in ip else NODE
    for source, address, port in ((machine.pods[0], ip, 80), (machine.node, ip, 80), (machine.outside, node, 30080)):
        # More often than the kernel's limit on ICMP errors allows in this time, for TCP.
        for _ in range(10 if protocol == "TCP" else 1):
            refused(source, address, port, protocol)


async def test_a_port_that_the_service_does_not_have_is_refused(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)))
    for source in (machine.pods[0], machine.node):
        refused(source, IP, 81, "TCP")


def refused(source: Namespace, address: str, port: int, protocol: str) -> None:
    started = time.monotonic()
    # Sent from the node itself, a datagram that is rejected is not sent at all: EPERM.
    with pytest.raises((ConnectionRefusedError, PermissionError)):
        source.ask(address, port, protocol)
    assert time.monotonic() - started < AT_ONCE


AFFINITY = 3
IPVS_TIME_WAIT = 120
"""Seconds for which IPVS remembers a TCP connection that has ended, and with it its client's destination."""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_session_affinity_holds_and_ends(proxy: Proxy, machine: World, protocol: str) -> None:
    quiet = AFFINITY + 0.2
    if proxy.backend.name == "ipvs":
        # Of UDP it remembers five minutes, or what it is told here.
        machine.node.output("ipvsadm", "--set", "0", "0", "1")
        quiet += 2 if protocol == "UDP" else IPVS_TIME_WAIT + 2
    sticky = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": AFFINITY}}}
    await proxy.put(
        service("web", [IP], protocol=protocol, **sticky), endpoint_slice("web", pod_ips(machine), protocol)
    )
    chosen = set()
    for _ in range(8):
        answers = who(lambda: machine.outside.ask(IP, 80, protocol), 8)
        assert len(answers) == 1, "one client, one endpoint, while it asks again in time"
        chosen |= set(answers)
        if len(chosen) > 1:
            break
        await asyncio.sleep(quiet)
    assert len(chosen) > 1, "after the timeout it is chosen anew; never in 8 times has a probability below 1e-3"


async def test_affinity_does_not_lead_to_an_endpoint_that_is_gone(proxy: Proxy, machine: World) -> None:
    ips = pod_ips(machine)
    await proxy.put(service("web", [IP], sessionAffinity="ClientIP"), endpoint_slice("web", ips))
    first = machine.outside.ask(IP, 80).split()[0]
    left = [ip for pod, ip in zip(("pod0", "pod1", "pod2"), ips, strict=True) if pod != first]
    await proxy.put(endpoint_slice("web", left))
    assert first not in who(lambda: machine.outside.ask(IP, 80), 5)


async def test_external_ips_and_node_ports(proxy: Proxy, machine: World) -> None:
    external = "203.0.113.9"
    machine.outside.ip("route", "replace", external, "via", NODE)
    await proxy.put(
        service("web", [IP, IP6], node_port=30080, externalIPs=[external]),
        endpoint_slice("web", pod_ips(machine)),
        endpoint_slice("web", pod_ips(machine, 6)),
    )
    for address, port in ((external, 80), (NODE, 30080), (NODE6, 30080), ("10.244.0.1", 30080)):
        name, client = machine.outside.ask(address, port).split()
        assert name.startswith("pod")
        assert client in ("10.244.0.1", "fd00:10:244::1")
    assert machine.pods[0].ask(NODE, 30080).startswith("pod")
    assert machine.node.ask(NODE, 30080).startswith("pod")
    refused(machine.node, "127.0.0.1", 30080, "TCP")


@pytest.mark.parametrize("options", [{"nodeport_addresses": ("198.51.100.0/24", "192.0.2.0/24")}])
async def test_node_ports_on_chosen_addresses(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP], node_port=30080), endpoint_slice("web", pod_ips(machine)))
    assert machine.outside.ask(NODE, 30080).startswith("pod")
    refused(machine.outside, "10.244.0.1", 30080, "TCP")


@pytest.mark.parametrize("family", [4, 6])
async def test_a_load_balancers_address_answers_whom_its_ranges_name(proxy: Proxy, machine: World, family: int) -> None:
    """And nobody else, pods neither; cluster IP and node port are no matter of theirs."""
    ip, node, balancer = (IP, NODE, "203.0.113.20") if family == 4 else (IP6, NODE6, "2001:db8:99::20")
    outside, elsewhere = ("198.51.100.0/24", "192.0.2.0/24") if family == 4 else ("2001:db8:51::/64", "2001:db8:7::/64")
    everybody = "0.0.0.0/0" if family == 4 else "::/0"
    machine.outside.ip("route", "replace", balancer, "via", node)

    def balanced(*ranges: str) -> bytes:
        return service("web", [ip], node_port=30080, ingress=[balancer], loadBalancerSourceRanges=list(ranges))

    await proxy.put(balanced(outside), endpoint_slice("web", pod_ips(machine, family)))
    assert machine.outside.ask(balancer, 80).startswith("pod")
    assert machine.node.ask(balancer, 80).startswith("pod")
    # One in the other, an address alone, and two that touch.
    host = "198.51.100.2/32" if family == 4 else "2001:db8:51::2/128"
    await proxy.put(balanced(elsewhere, outside, host))
    assert machine.outside.ask(balancer, 80).startswith("pod")
    await proxy.put(balanced(elsewhere))
    for source in (machine.outside, machine.pods[0]):
        with pytest.raises(TimeoutError):
            source.ask(balancer, 80)
    assert machine.outside.ask(ip, 80).startswith("pod")
    assert machine.outside.ask(node, 30080).startswith("pod")
    await proxy.restarted()
    assert not proxy.changed
    for ranges in ([elsewhere, everybody], []):
        await proxy.put(balanced(*ranges))
        assert machine.outside.ask(balancer, 80).startswith("pod")
        assert machine.pods[0].ask(balancer, 80).startswith("pod")


@pytest.mark.parametrize("internal", ["Cluster", "Local"])
async def test_local_policies(proxy: Proxy, machine: World, internal: str) -> None:
    ips = pod_ips(machine)
    local = {"externalTrafficPolicy": "Local", "internalTrafficPolicy": internal, "node_port": 30080}
    here, there = endpoint_slice("web", ips[:1]), endpoint_slice("web", ips[1:], node="there", suffix="b")
    await proxy.put(service("web", [IP], **local), here, there)
    everywhere = {"pod0", "pod1", "pod2"}
    assert set(who(lambda: machine.pods[1].ask(IP, 80), 40)) == ({"pod0"} if internal == "Local" else everywhere)
    seen = "10.244.0.1" if proxy.backend.name == "userspace" else "198.51.100.2"
    assert {machine.outside.ask(NODE, 30080) for _ in range(12)} == {f"pod0 {seen}"}, "and the client's address is kept"
    # The cluster's own traffic reaches all endpoints through an external address.
    assert len(who(lambda: machine.pods[1].ask(NODE, 30080), 40)) == 3
    assert len(who(lambda: machine.node.ask(NODE, 30080), 40)) == 3
    await proxy.put(endpoint_slice("web", []))
    for source, address, port in ((machine.pods[1], IP, 80), (machine.outside, NODE, 30080)):
        if internal == "Local" or address == NODE:
            with pytest.raises(TimeoutError):
                source.ask(address, port)
    assert set(who(lambda: machine.pods[1].ask(NODE, 30080), 30)) == {"pod1", "pod2"}


async def test_an_endpoint_on_the_node_itself(proxy: Proxy, machine: World) -> None:
    """As the Service `kubernetes`: the API server listens on the node's own address."""
    machine.serve(machine.node, "apiserver", 6443)
    await proxy.put(service("kubernetes", ["10.96.0.1"], 443), endpoint_slice("kubernetes", [NODE], port=6443))
    for source in (machine.node, machine.pods[0], machine.outside):
        assert source.ask("10.96.0.1", 443).startswith("apiserver")


async def test_a_restart_changes_nothing_that_is_right(proxy: Proxy, machine: World) -> None:
    sticky = {"sessionAffinity": "ClientIP", "node_port": 30080, "externalIPs": ["203.0.113.9"]}
    await proxy.put(
        service("web", [IP, IP6], **sticky, externalTrafficPolicy="Local"),
        endpoint_slice("web", pod_ips(machine)),
        endpoint_slice("web", pod_ips(machine, 6)),
        service("dns", ["10.96.0.11"], 53, "UDP"),
        endpoint_slice("dns", pod_ips(machine), "UDP"),
        service("many", [f"10.96.1.{i}" for i in range(1)], 9, "SCTP"),
        service("none", ["10.96.0.12"], node_port=30081),
    )
    talk = machine.pods[0].connect(IP, 80)
    name = talk.ask()
    rules = machine.node.output("nft", "--handle", "--stateless", "--terse", "list", "ruleset")
    again = await proxy.restarted()
    assert not proxy.changed
    assert machine.node.output("nft", "--handle", "--stateless", "--terse", "list", "ruleset") == rules
    assert talk.ask() == name
    # And it goes on from there.
    await again.put(endpoint_slice("web", pod_ips(machine)[1:]))
    assert talk.ask() == name
    assert "pod0" not in who(lambda: machine.pods[1].ask(IP, 80), 20)
    talk.close()


async def test_a_restart_repairs_what_changed_meanwhile(proxy: Proxy, machine: World) -> None:
    await proxy.put(
        service("web", [IP]), endpoint_slice("web", pod_ips(machine)),
        service("gone", ["10.96.0.11"]), endpoint_slice("gone", pod_ips(machine)),
        service("dns", ["10.96.0.12"], 53, "UDP"), endpoint_slice("dns", pod_ips(machine)[:1], "UDP"),
    )  # fmt: skip
    talk = machine.pods[1].connect(IP, 80)
    name = talk.ask()
    assert machine.pods[2].ask("10.96.0.12", 53, "UDP", 5003).startswith("pod0")
    # While it is down: a Service goes, endpoints change, somebody meddles.
    proxy.table.delete_service("default", "gone")
    proxy.table.apply_slice(endpoint_slice("web", pod_ips(machine)[:2]))
    proxy.table.apply_slice(endpoint_slice("dns", pod_ips(machine)[1:2], "UDP"))
    proxy.table.apply_service(service("new", ["10.96.0.13"]))
    machine.node.output("sh", "-c", MEDDLE[proxy.backend.name][0])
    await proxy.restarted()
    assert proxy.changed
    assert talk.ask() == name
    assert set(who(lambda: machine.pods[1].ask(IP, 80), 30)) == {"pod0", "pod1"}
    assert machine.pods[2].ask("10.96.0.12", 53, "UDP", 5003).startswith("pod1")
    refused(machine.node, "10.96.0.13", 80, "TCP")
    repaired = lasting_rules(machine, proxy)
    await proxy.backend.cleanup()
    fresh = Proxy(machine, proxy.config.proxy_mode)
    fresh.table = proxy.table
    await fresh.start()
    assert lasting_rules(machine, fresh) == repaired, "as one that was never otherwise"
    talk.close()


def lasting_rules(machine: World, proxy: Proxy) -> list[str]:
    """All rules, but for what waits for its connections to end, and for the ports that a relay happened to get."""
    text = re.sub(r"-a .* -w 0\n", "", machine.node.rules())
    if proxy.backend.name == "userspace":
        text = re.sub(r"redirect to :\d+|\w+ \. [3-6]\d{4},?", "", text)
    # Sets and chains are listed in the order in which they came to be.
    return sorted(text.split())


async def test_another_layout_is_built_anew_without_breaking_connections(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)))
    talk = machine.pods[1].connect(IP, 80)
    name = talk.ask()
    machine.node.output("sh", "-c", MEDDLE[proxy.backend.name][1])
    await proxy.restarted()
    assert proxy.changed
    assert talk.ask() == name
    assert machine.pods[1].ask(IP, 80).startswith("pod")
    talk.close()


async def test_a_cluster_ip_shared_by_ports_and_passed_between_services(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)[:1]))
    await proxy.put(service("dns", [IP], 53, "UDP"), endpoint_slice("dns", pod_ips(machine)[1:2], "UDP"))
    proxy.table.delete_service("default", "dns")
    await proxy.put()
    refused(machine.pods[0], IP, 81, "TCP")
    # Another Service takes the address over in one step.
    proxy.table.delete_service("default", "web")
    await proxy.put(service("heir", [IP]), endpoint_slice("heir", pod_ips(machine)[2:]))
    assert who(lambda: machine.pods[0].ask(IP, 80), 5) == {"pod2": 5}
    proxy.table.delete_service("default", "heir")
    await proxy.put()
    assert IP not in machine.node.rules()


async def test_a_proxier_killed_under_load_fails_no_connection(proxy: Proxy, machine: World) -> None:
    """Killed and started again, three times, while a client goes on asking; what it holds goes on too."""
    asked: list[str] = []
    done = threading.Event()

    def load() -> None:
        while not done.is_set():
            asked.append(machine.pods[2].ask(IP, 80).split()[0])
            assert asked[-1] in ("pod0", "pod1")

    command = [sys.executable, "-m", "tests.proxy.proxier", proxy.backend.name, machine.node.name]
    command += pod_ips(machine)[:2]
    client: asyncio.Future[None] | None = None
    for _ in range(4):
        proxier = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert proxier.stdout is not None
        assert await proxier.stdout.readline() == b"programmed\n"
        if client is None:
            talk = machine.pods[1].connect(IP, 80)
            name = talk.ask()
            client = asyncio.ensure_future(asyncio.to_thread(load))
        proxier.kill()
        await proxier.wait()
        await more(asked, client)
        assert talk.ask() == name
    done.set()
    assert client is not None
    await client
    talk.close()


STRANGER = """
nft add table ip stranger; nft add chain ip stranger c; nft add rule ip stranger c accept
iptables -t nat -N KUBE-FIREWALL; iptables -t nat -A KUBE-FIREWALL -d 192.0.2.77 -j RETURN
iptables -t nat -A PREROUTING -j KUBE-FIREWALL
"""
GONE = """
nft delete table ip stranger
iptables -t nat -F PREROUTING; iptables -t nat -F KUBE-FIREWALL
iptables -t nat -X PREROUTING; iptables -t nat -X KUBE-FIREWALL
"""


async def test_strangers_rules_are_left_alone(proxy: Proxy, machine: World) -> None:
    await proxy.backend.cleanup()
    machine.node.output("sh", "-ec", STRANGER)
    try:
        before = machine.node.rules()
        await proxy.start()
        await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)))
        await proxy.restarted()
        assert not proxy.changed
        assert machine.pods[0].ask(IP, 80).startswith("pod")
        await proxy.backend.cleanup()
        assert machine.node.rules() == before
    finally:
        machine.node.output("sh", "-ec", GONE)
