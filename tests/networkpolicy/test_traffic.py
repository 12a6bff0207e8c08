"""Packets between pods under policies, in a real kernel: what is written by hand, and what the plain semantics say."""

from collections.abc import AsyncIterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.networkpolicy.objects import NAMES, OWNERS, Nodes, pod
from tests.networkpolicy.world import ADDRESSES, NUMBERS, PODS, Probe, World

pytestmark = [pytest.mark.network, pytest.mark.root]

CASES = yaml.safe_load((Path(__file__).parent / "cases.yaml").read_text())
PORTS = [
    {"name": "http", "containerPort": 80},
    {"name": "alt", "containerPort": 81},
    {"name": "dns", "containerPort": 80, "protocol": "UDP"},
]
ASKED = [*((protocol, 80) for protocol in NUMBERS), ("TCP", 81)]
POD_OF = {address: name for name, address in NAMES.items()}


def labels(name: str) -> dict[str, str]:
    return {"pod": name.partition("/")[2]}


@pytest.fixture
async def nodes(machines: World) -> AsyncIterator[Nodes]:
    made = Nodes(machines)
    for namespace in "xyz":
        made.namespace(namespace, {"ns": namespace})
    for name, address in NAMES.items():
        made.pod(name, pod(name, address, labels(name), PORTS))
    try:
        yield made
    finally:
        await made.remove()


def all_probes() -> list[Probe]:
    """Everything that passes a node: from each to each, but between a pod and itself, and between nodes and outside."""
    return [
        Probe(source, address, protocol, port)
        for source in ADDRESSES
        for destination in ADDRESSES
        if source != destination and (source in PODS or destination in PODS)
        for address in ADDRESSES[destination]
        for protocol, port in ASKED
    ]


def _name(one: str) -> str:
    return POD_OF.get(one, one)


def _matches(line: str, probe: Probe) -> bool:
    source, _, rest = line.partition(" -> ")
    destination, _, what = rest.partition(" ")
    protocol, _, port = what.partition(":")
    there = OWNERS[probe.destination]
    if probe.source == PODS.get(there) or there == PODS.get(probe.source):
        return False
    return (
        fnmatch(_name(probe.source), source)
        and fnmatch(_name(there), destination)
        and protocol in ("", probe.protocol)
        and port in ("", str(probe.port))
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
async def test_a_case(nodes: Nodes, machines: World, case: dict[str, Any]) -> None:
    for name, spec in case["policies"].items():
        nodes.policy(name, spec)
    await nodes.sync()
    probes = all_probes()
    refused = {
        probe
        for probe in probes
        if any(_matches(line, probe) for line in case["refused"])
        and not any(_matches(line, probe) for line in case.get("but", []))
    }
    assert {probe for probe in probes if not nodes.state.allows(probe)} == refused, "the plain semantics"
    assert set(probes) - machines.send(probes) == refused, "the kernel"
