"""`orlop proxy --cleanup`, as a person runs it, after each mode: the machine is as it was, byte for byte."""

import os
import sys

import pytest
from tests.proxy.modes import PARAMETERS
from tests.proxy.objects import endpoint_slice, service
from tests.proxy.test_traffic import IP, IP6, Proxy, pod_ips
from tests.proxy.world import World

from orlop.proxy.backends.userspace import relay

pytestmark = [pytest.mark.network, pytest.mark.root]


@pytest.mark.parametrize("mode", PARAMETERS)
async def test_nothing_is_left_after_the_command(machine: World, mode: str) -> None:
    def everything() -> str:
        links = machine.node.output("ip", "-o", "link").splitlines()
        names = sorted(line.split(": ")[1] for line in links)
        tables = "".join(machine.node.output(f"{iptables}-save") for iptables in ("iptables", "ip6tables"))
        # The time of the listing, and how much has passed.
        kept = [line.partition(" [")[0] for line in tables.splitlines() if not line.startswith("#")]
        return "\n".join([machine.node.rules(), *kept, *names])

    before = everything()
    proxy = Proxy(machine, mode)
    await proxy.start()
    await proxy.put(
        service("web", [IP, IP6], node_port=30080, ingress=["203.0.113.20"], loadBalancerSourceRanges=["10.0.0.0/8"],
                sessionAffinity="ClientIP", externalTrafficPolicy="Local"),
        endpoint_slice("web", pod_ips(machine)),
        endpoint_slice("web", pod_ips(machine, 6)),
        service("dns", ["10.96.0.11"], 53, "UDP"),
    )  # fmt: skip
    assert everything() != before
    command = [sys.executable, "-m", "orlop.cli.main", "proxy", "--cleanup"]
    for _ in range(2):  # again is no more than once
        assert machine.node.output(*command) == ""
        assert everything() == before
    namespace = os.stat(f"/run/netns/{machine.node.name}").st_ino
    assert not list(relay.FOLDER.glob(f"*-{namespace}.*"))
    machine.node.output("conntrack", "-F")
