"""Policies on what came through a Service: they see the pod that was chosen and the client that asked."""

from collections.abc import AsyncIterator

import pytest
from tests.networkpolicy.objects import NAMES, Nodes, pod
from tests.networkpolicy.world import ADDRESSES, HERE, Probe, World
from tests.proxy.objects import endpoint_slice, service

from orlop.native import ForwardTable
from orlop.proxy.backends import make
from orlop.proxy.config import ProxyConfig

CLUSTER_IP, EXTERNAL_IP = "10.96.0.10", "203.0.113.9"
MODES = [
    "nftables",
    "iptables",
    pytest.param("ipvs", marks=[pytest.mark.kernel, pytest.mark.campaign, pytest.mark.timeout(900)]),
]

pytestmark = [pytest.mark.network, pytest.mark.root]


@pytest.fixture(params=MODES)
async def nodes(machines: World, request: pytest.FixtureRequest) -> AsyncIterator[Nodes]:
    """A Service of pod x/a, on the node of both."""
    here = machines.nodes["here"]
    config = ProxyConfig(hostname_override="here", proxy_mode=request.param, cluster_cidr="10.244.0.0/16")
    backend = make(config, here.prefix)
    table = ForwardTable("here")
    # Policy Local keeps the client's address from outside, Cluster masquerades it only after policies have seen it.
    for name, more in (("web", {}), ("local", {"externalTrafficPolicy": "Local"})):
        address = CLUSTER_IP if name == "web" else "10.96.0.11"
        outside = EXTERNAL_IP if name == "web" else "203.0.113.10"
        table.apply_service(service(name, [address], externalIPs=[outside], **more))
        table.apply_slice(endpoint_slice(name, [ADDRESSES["a"][0]]))
    await backend.sync(table.difference([]).set)
    machines.spaces["outside"].ip("route", "replace", "203.0.113.0/24", "via", HERE[0])
    made = Nodes(machines)
    for name, address in NAMES.items():
        made.pod(name, pod(name, address, {"pod": name}))
    try:
        yield made
    finally:
        await made.remove()
        await backend.cleanup()


def served(machines: World, source: str, address: str) -> bool:
    """Whether a packet to port 80 of a Service's address comes to the pod behind it, at its port 8080."""
    return bool(machines.send([Probe(source, address, "TCP", 80)], reached={address: ADDRESSES["a"][0]}))


async def test_pods_are_told_apart_behind_a_cluster_ip(nodes: Nodes, machines: World) -> None:
    rule = {"from": [{"podSelector": {"matchLabels": {"pod": "x_b"}}}], "ports": [{"port": 8080}]}
    nodes.pod("x/b", pod("x/b", "b", {"pod": "x_b"}))
    nodes.policy("x/p", {"podSelector": {}, "ingress": [rule]})
    await nodes.sync()
    assert served(machines, "b", CLUSTER_IP)
    assert not served(machines, "c", CLUSTER_IP)
    assert served(machines, "here", CLUSTER_IP), "the node"


async def test_egress_is_to_the_pod_that_was_chosen_and_its_port(nodes: Nodes, machines: World) -> None:
    nodes.policy("y/to-service", {"podSelector": {}, "egress": [{"to": [{"ipBlock": {"cidr": f"{CLUSTER_IP}/32"}}]}]})
    await nodes.sync()
    assert not served(machines, "c", CLUSTER_IP), "the Service's own address is not where it goes"
    to = [{"namespaceSelector": {}}]
    nodes.policy("y/to-pods", {"podSelector": {}, "egress": [{"to": to, "ports": [{"port": 8080}]}]})
    await nodes.apply()
    assert served(machines, "c", CLUSTER_IP)


@pytest.mark.parametrize("address", [EXTERNAL_IP, "203.0.113.10"])
async def test_a_client_outside_is_seen_as_itself(nodes: Nodes, machines: World, address: str) -> None:
    nodes.policy("x/p", {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "198.51.100.2/32"}}]}]})
    await nodes.sync()
    assert served(machines, "outside", address)
    nodes.policy("x/p", {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "198.51.100.3/32"}}]}]})
    await nodes.apply()
    assert not served(machines, "outside", address)
