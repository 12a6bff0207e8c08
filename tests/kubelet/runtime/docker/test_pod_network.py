"""Docker pods on the bridge network: real containers, real addresses."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support import machine, runtimes
from tests.support.runtimes import World

from orlop.kubelet.network.base import PortMapping
from orlop.kubelet.network.bridge import BridgeNetwork
from orlop.kubelet.runtime import values as v

pytestmark = [pytest.mark.docker, pytest.mark.root, pytest.mark.network]

CIDR = "10.214.9.0/24"
SERVER = {"command": ("httpd", "-f", "-p", "80", "-h", "/www")}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    name = f"ot{uuid4().hex[:8]}"
    async with runtimes.opened("docker", tmp_path / "state", BridgeNetwork(name, tmp_path / "state"), CIDR) as opened:
        assert any("DOCKER-USER" in line for line in machine.traces(name))
        yield opened
    assert machine.traces(name, "10.214.9.") == []


async def served(world: World, name: str, *ports: PortMapping) -> tuple[v.PodSandboxStatus, str]:
    pod = world.pod(name, port_mappings=ports)
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    container_id = await world.container(sandbox_id, pod, SERVER)
    return await world.runtime.pod_sandbox_status(sandbox_id), container_id


async def fetch(world: World, container_id: str, address: str) -> bytes:
    script = f"for n in 1 2 3 4 5; do wget -qO- http://{address}/ && break; sleep 0.2; done"
    return (await world.runtime.exec_sync(container_id, ["sh", "-c", script], 20)).stdout


async def fetch_from_node(address: str, port: int) -> bytes:
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        try:
            return (await reader.read()).rpartition(b"\r\n\r\n")[2]
        finally:
            writer.close()


async def test_pods_have_addresses_that_answer(world: World) -> None:
    (one, in_one), (two, in_two) = (
        await served(world, "one"),
        await served(world, "two", PortMapping(container_port=80, host_port=28090)),
    )
    assert (one.ips, two.ips) == (("10.214.9.2",), ("10.214.9.3",))
    assert await fetch(world, in_one, "10.214.9.3") == b"hello\n"
    assert await fetch(world, in_two, "10.214.9.2") == b"hello\n"
    assert await fetch(world, in_two, "127.0.0.1") == b"hello\n"
    assert await fetch(world, in_one, "10.214.9.1:28090") == b"hello\n"
    assert await fetch_from_node("10.214.9.2", 80) == b"hello\n"
    assert await fetch_from_node("127.0.0.1", 28090) == b"hello\n"
    [stats, _] = await world.runtime.list_pod_sandbox_stats()
    [interface] = stats.interfaces
    assert interface.name == "eth0"
    assert interface.rx_bytes > 0


async def test_a_restart_keeps_addresses_and_connections(world: World) -> None:
    status, _ = await served(world, "one")
    gone, _ = await served(world, "gone")
    await world.runtime.close()
    os.kill(gone.pid, signal.SIGKILL)
    assert isinstance(world.network, BridgeNetwork)
    world.network = BridgeNetwork(world.network._name, world.network._path.parent)
    world.runtime = world.make()
    await world.runtime.open()
    await world.network.configure([CIDR])
    again = await world.runtime.pod_sandbox_status(status.id)
    assert again == status
    assert await fetch_from_node(status.ips[0], 80) == b"hello\n"
    dead = await world.runtime.pod_sandbox_status(gone.id)
    assert (dead.state, dead.ips) == ("notready", ())


async def test_the_end_of_a_sandbox_is_told_and_frees_its_address(world: World) -> None:
    status, _ = await served(world, "one")
    events = world.runtime.events()
    assert (await anext(events)).type == "relist"
    os.kill(status.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        async for event in events:
            if (event.type, event.container_id) == ("stopped", status.id):
                break
    await events.aclose()
    await world.runtime.remove_pod_sandbox(status.id)
    assert world.network.attachment(status.id) is None
