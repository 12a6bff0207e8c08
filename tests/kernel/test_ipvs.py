"""What only the IPVS mode does: weights, schedulers, other people's virtual servers. Traffic is in tests/proxy."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.proxy.conftest import machine as machine
from tests.proxy.objects import endpoint_slice, service
from tests.proxy.test_traffic import Proxy, who
from tests.proxy.world import World

pytestmark = [pytest.mark.kernel, pytest.mark.network, pytest.mark.root]

IP = "10.96.0.10"


@pytest.fixture
async def proxy(machine: World) -> AsyncIterator[Proxy]:
    before = machine.node.rules()
    made = Proxy(machine, "ipvs", ipvs_scheduler="wlc")
    await made.start()
    yield made
    await made.backend.cleanup()
    assert machine.node.rules() == before
    machine.node.output("conntrack", "-F")


def server(machine: World, ip: str = IP) -> list[str]:
    """The lines of `ipvsadm -Sn` of one address."""
    return [line for line in machine.node.output("ipvsadm", "-Sn").splitlines() if f" {ip}:" in line]


def pods(machine: World) -> list[str]:
    return [pod.addresses[0] for pod in machine.pods]


@pytest.mark.campaign
async def test_an_endpoint_that_goes_has_weight_0_until_its_connections_end(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pods(machine)[:1]))
    talk = machine.pods[2].connect(IP, 80)
    assert talk.ask().startswith("pod0")
    await proxy.put(endpoint_slice("web", pods(machine)[1:2]))
    assert f"-a -t {IP}:80 -r {pods(machine)[0]}:8080 -m -w 0" in server(machine)
    assert await proxy.backend.drain() == 1  # type: ignore[attr-defined]
    assert talk.ask().startswith("pod0")
    assert who(lambda: machine.pods[2].ask(IP, 80), 5) == {"pod1": 5}
    # It comes back, and is there as before.
    await proxy.put(endpoint_slice("web", pods(machine)[:2]))
    assert f"-a -t {IP}:80 -r {pods(machine)[0]}:8080 -m -w 1" in server(machine)
    talk.close()


async def test_one_without_connections_goes_at_the_first_look(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pods(machine)))
    await proxy.put(endpoint_slice("web", pods(machine)[:1]))
    assert await proxy.backend.drain() == 0  # type: ignore[attr-defined]
    assert server(machine) == [f"-A -t {IP}:80 -s wlc", f"-a -t {IP}:80 -r {pods(machine)[0]}:8080 -m -w 1"]


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("lc", "lc")]
    + [
        pytest.param(name, name, marks=pytest.mark.campaign)
        for name in ("rr", "wrr", "lblc", "lblcr", "dh", "sed", "nq", "fo", "ovf")
    ]
    + [
        pytest.param("sh,sh-port", "sh -b sh-port", marks=pytest.mark.campaign),
        pytest.param("mh,mh-fallback,mh-port", "mh -b mh-fallback,mh-port", marks=pytest.mark.campaign),
    ],
)
async def test_a_service_chooses_its_scheduler(proxy: Proxy, machine: World, asked: str, shown: str) -> None:
    chosen = json.loads(service("web", [IP], sessionAffinity="ClientIP"))
    chosen["metadata"]["annotations"] = {"orlop/ipvs-scheduler": asked}
    await proxy.put(json.dumps(chosen).encode(), endpoint_slice("web", pods(machine)[:1]))
    scheduler, _, flags = shown.partition(" ")
    assert server(machine)[0] == f"-A -t {IP}:80 -s {scheduler} -p 10800" + (f" {flags}" if flags else "")
    assert machine.pods[1].ask(IP, 80).startswith("pod0")


async def test_virtual_servers_of_others_are_left_alone(proxy: Proxy, machine: World) -> None:
    machine.node.output("ipvsadm", "-A", "-t", "192.0.2.77:80", "-s", "rr")
    try:
        await proxy.put(service("web", [IP]), endpoint_slice("web", pods(machine)))
        await proxy.restarted()
        assert not proxy.changed
        await proxy.backend.cleanup()
        assert machine.node.output("ipvsadm", "-Sn").split() == ["-A", "-t", "192.0.2.77:80", "-s", "rr"]
    finally:
        machine.node.output("ipvsadm", "-D", "-t", "192.0.2.77:80")
