"""Random worlds and histories: after each change the packets that pass are those of the plain semantics, and the table
is what a fresh start would make."""

import asyncio
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.networkpolicy.objects import NAMES, Nodes, pod
from tests.networkpolicy.test_traffic import PORTS, all_probes
from tests.networkpolicy.world import ADDRESSES, PODS, World

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.timeout(1200)]

EXAMPLES = 5
"""Of a common run; a campaign has as many more."""
STEPS = 4
PROBES = 120

values = st.sampled_from(["1", "2"])
keys = st.sampled_from(["k", "l"])
label_sets = st.dictionaries(keys, values, max_size=2)
expressions = st.one_of(
    st.builds(
        lambda key, operator, chosen: {"key": key, "operator": operator, "values": chosen},
        keys, st.sampled_from(["In", "NotIn"]), st.lists(values, min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator}, keys, st.sampled_from(["Exists", "DoesNotExist"])
    ),
)  # fmt: skip
selectors = st.one_of(
    st.just({}),
    label_sets.map(lambda found: {"matchLabels": found}),
    expressions.map(lambda one: {"matchExpressions": [one]}),
)
blocks = st.sampled_from(
    [
        {"cidr": "0.0.0.0/0"},
        {"cidr": "::/0", "except": ["fd00:10:244::2/127", "2001:db8::/32"]},
        {"cidr": "10.244.0.0/16", "except": ["10.244.0.2/31", "10.244.1.2/32"]},
        {"cidr": "10.244.1.3/32"},
        {"cidr": "198.51.100.0/24", "except": ["198.51.100.0/24"]},
        {"cidr": "fd00:10:244::/64"},
        {"cidr": "2001:db8:51::2/128"},
        {"cidr": "128.0.0.0/1"},
        {"cidr": "10.244.0.0/23"},
    ]
)
peers = st.one_of(
    blocks.map(lambda one: {"ipBlock": one}),
    selectors.map(lambda one: {"podSelector": one}),
    selectors.map(lambda one: {"namespaceSelector": one}),
    st.builds(lambda one, two: {"namespaceSelector": one, "podSelector": two}, selectors, selectors),
)
ports = st.builds(
    lambda protocol, port: {**protocol, **port},
    st.sampled_from([{}, {"protocol": "TCP"}, {"protocol": "UDP"}, {"protocol": "SCTP"}]),
    st.sampled_from(
        [{}, {"port": 80}, {"port": 81}, {"port": "http"}, {"port": "alt"}, {"port": "dns"},
         {"port": 70, "endPort": 80}, {"port": 80, "endPort": 81},
         {"port": 81, "endPort": 65535}, {"port": 1, "endPort": 79}]
    ),
)  # fmt: skip


def rules(peer: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={peer: st.lists(peers, max_size=3), "ports": st.lists(ports, max_size=3)})


policies = st.fixed_dictionaries(
    {"podSelector": selectors},
    optional={
        "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
        "ingress": st.lists(rules("from"), max_size=2),
        "egress": st.lists(rules("to"), max_size=2),
    },
)
port_sets = st.lists(st.sampled_from(PORTS), max_size=3)
moves = st.permutations([name for name, node in PODS.items() if node == "here"])
"""Who has whose addresses afterwards, on the node here."""
names = st.sampled_from(["x/p", "x/q", "y/p", "z/p"])
steps = st.one_of(
    st.tuples(st.just("policy"), names, policies),
    st.tuples(st.just("policy"), names, policies),
    st.tuples(st.just("no policy"), names),
    st.tuples(st.just("pod"), st.sampled_from(sorted(NAMES)), label_sets, port_sets),
    st.tuples(st.just("pod gone"), st.sampled_from(sorted(NAMES))),
    st.tuples(st.just("namespace"), st.sampled_from("xyz"), label_sets),
    st.tuples(st.just("moved"), moves),
    st.tuples(st.just("restart")),
)


def _step(nodes: Nodes, pods: dict[str, tuple[str, dict[str, str], list[Any]]], step: tuple[Any, ...]) -> None:
    match step:
        case "policy", name, spec:
            nodes.policy(name, spec)
        case "no policy", name:
            if name in nodes.state.policies:
                nodes.delete_policy(name)
        case "pod", name, labels, found:
            pods[name] = (pods[name][0], labels, found)
            nodes.pod(name, pod(name, *pods[name]))
        case "pod gone", name:
            if name in nodes.state.pods:
                nodes.delete_pod(name)
        case "namespace", name, labels:
            nodes.namespace(name, labels)
        case "moved", order:
            here = [name for name, address in NAMES.items() if PODS[address] == "here"]
            for name, address in zip(here, order, strict=True):
                pods[name] = (address, *pods[name][1:])
                if name in nodes.state.pods:
                    nodes.delete_pod(name)
            for name in here:
                nodes.pod(name, pod(name, *pods[name]))
        case ("restart",):
            nodes.restart()


async def _history(machines: World, first: list[Any], history: list[list[Any]], chance: Any) -> None:
    nodes = Nodes(machines)
    pods = {name: (address, {"k": "1"} if address in "ac" else {"l": "2"}, PORTS) for name, address in NAMES.items()}
    for namespace in "xyz":
        nodes.namespace(namespace, {"k": "1"} if namespace == "x" else {"l": namespace})
    for name, one in pods.items():
        nodes.pod(name, pod(name, *one))
    for name, spec in first:
        nodes.policy(name, spec)
    await nodes.sync()
    whole = all_probes()
    try:
        for together in [[], *history]:
            for step in together:
                _step(nodes, pods, step)
            if ("restart",) in together:
                await nodes.sync()
            else:
                await nodes.apply()
            # Those who are open tell little.
            told = chance.sample(whole, PROBES)
            expected = {probe for probe in told if nodes.state.allows(probe)}
            unknown = {p for p in told if not _known(nodes, p)}
            assert machines.send(told) - unknown == expected - unknown
            assert not await nodes.sync(), "a fresh start would make another table"
    finally:
        await nodes.remove()


def _known(nodes: Nodes, probe: Any) -> bool:
    """Whether no end is an address of a node's pods that no pod has: those are cut off, whatever policies say."""
    having = {ip for one in nodes.state.pods.values() for ip in one.ips}
    source = ADDRESSES[probe.source][":" in probe.destination]
    return all(end in having for end in (source, probe.destination) if "244" in end)


@settings(
    max_examples=EXAMPLES * int(os.environ.get("ORLOP_CAMPAIGN", "1")),
    deadline=None,
    derandomize="ORLOP_CAMPAIGN" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(
    first=st.lists(st.tuples(names, policies), max_size=3),
    history=st.lists(st.lists(steps, min_size=1, max_size=2), min_size=STEPS, max_size=STEPS),
    chance=st.randoms(use_true_random=False),
)
def test_a_random_history(machines: World, first: Any, history: Any, chance: Any) -> None:
    asyncio.run(_history(machines, first, history, chance))
