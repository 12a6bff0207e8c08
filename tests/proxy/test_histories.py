"""Random histories in a real kernel: after every change the rules are those that a fresh start would make."""

import os
import random
from collections.abc import AsyncIterator

import pytest
from tests.kernel import tests as kernel
from tests.proxy.modes import PARAMETERS
from tests.proxy.objects import endpoint_slice, service
from tests.proxy.world import POD_CIDR, POD_CIDR6, World

from orlop.native import ForwardTable
from orlop.proxy.backends import Backend, make
from orlop.proxy.config import ProxyConfig

pytestmark = [pytest.mark.network, pytest.mark.root, pytest.mark.campaign, pytest.mark.timeout(1800)]

STEPS = (20 if kernel.is_inside() else 40) * int(os.environ.get("ORLOP_CAMPAIGN", "1"))
"""A step takes 10 to 25 seconds in the emulated machine."""
SEED = int(os.environ.get("ORLOP_SEED", "20261124"))
NAMES = ["a", "b", "c"]
# Fewer addresses than services, so that they pass from one to another and are claimed twice.
IPS = [["10.96.0.1"], ["10.96.0.2"], ["10.96.0.1", "fd00:96::1"], ["fd00:96::2", "10.96.0.3"]]

RANGES = [["192.0.2.0/24"], ["192.0.2.128/25", "192.0.2.0/25", "fd00::/8"], ["203.0.113.0/24", "0.0.0.0/0"]]


@pytest.fixture(params=PARAMETERS)
async def config(machine: World, request: pytest.FixtureRequest) -> AsyncIterator[ProxyConfig]:
    before = machine.node.rules()
    config = ProxyConfig(hostname_override="here", proxy_mode=request.param, cluster_cidr=f"{POD_CIDR},{POD_CIDR6}")
    yield config
    await make(config, machine.node.prefix).cleanup()
    assert machine.node.rules() == before


async def test_every_change_leads_to_what_a_fresh_start_would_make(config: ProxyConfig, machine: World) -> None:
    chance = random.Random(SEED)
    table = ForwardTable("here")
    backend: Backend = make(config, machine.node.prefix)
    await backend.sync(table.difference([]).set)
    for step in range(STEPS):
        for _ in range(chance.choice([1, 1, 3])):
            change(table, chance)
        await backend.apply(table.drain_changes())
        wanted = table.difference([]).set
        fresh = make(config, machine.node.prefix)
        assert not await fresh.sync(wanted), f"step {step} of seed {SEED}: something had to be put right"
        if chance.random() < 0.2:
            backend = fresh  # a restart


def change(table: ForwardTable, chance: random.Random) -> None:
    """One Service or slice comes, changes or goes."""
    name = chance.choice(NAMES)
    protocol = chance.choice(["TCP", "TCP", "UDP", "SCTP"])
    match chance.choice(["service", "service", "slice", "slice", "slice", "gone", "slice gone"]):
        case "service":
            table.apply_service(
                service(
                    name,
                    chance.choice(IPS),
                    chance.choice([80, 53]),
                    protocol,
                    node_port=chance.choice([None, 30080, 30081]),
                    ingress=chance.choice([[], [], ["203.0.113.20"], ["203.0.113.20", "2001:db8:99::20"]]),
                    loadBalancerSourceRanges=chance.choice([[], *RANGES]),
                    externalIPs=chance.choice([[], ["203.0.113.9"], ["10.96.0.2"]]),
                    sessionAffinity=chance.choice(["None", "ClientIP"]),
                    sessionAffinityConfig={"clientIP": {"timeoutSeconds": chance.choice([10, 10800, 86399])}},
                    internalTrafficPolicy=chance.choice(["Cluster", "Cluster", "Local"]),
                    externalTrafficPolicy=chance.choice(["Cluster", "Local"]),
                )
            )
        case "slice":
            prefix = chance.choice(["10.244.0.", "fd00:10:244::"])
            addresses = [f"{prefix}{last}" for last in chance.sample(range(2, 7), chance.randrange(5))]
            node, suffix = chance.choice(["here", "there"]), chance.choice(["", "b"])
            table.apply_slice(
                endpoint_slice(name, addresses, protocol, node=node, suffix=suffix, ready=chance.random() < 0.9)
            )
        case "gone":
            table.delete_service("default", name)
        case "slice gone":
            table.delete_slice("default", f"{name}-{chance.choice('46')}{chance.choice(['', 'b'])}")
