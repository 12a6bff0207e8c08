"""The enforcement of a node against a real API server and a real kernel."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from tests.networkpolicy.objects import policy
from tests.networkpolicy.world import ADDRESSES, Probe, World
from tests.proxy.test_proxier import client

from orlop.api.types import core_v1, meta_v1, networking_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client
from orlop.clock import SystemClock
from orlop.networkpolicy import NetworkPolicies, PolicyConfig
from orlop.networkpolicy.explain import Judge
from orlop.networkpolicy.metrics import Metrics
from orlop.nftables.command import Unsupported
from orlop.proxy.explain.why import why

pytestmark = [pytest.mark.network, pytest.mark.root]

USER = "system:node-network-policy"
A, B = ADDRESSES["a"][0], ADDRESSES["b"][0]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None), SystemClock()) as server:
        yield server


@pytest.fixture
async def admin(server: ApiServer) -> Client:
    one = client(server, "admin", "system:masters")
    await one.create(core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default")))
    return one


def agent(server: ApiServer, machines: World) -> NetworkPolicies:
    """With the rights it has in a cluster."""
    return NetworkPolicies(
        client(server, USER),
        SystemClock(),
        PolicyConfig(node_name="here"),
        prefix=machines.nodes["here"].prefix,
        metrics=Metrics(CollectorRegistry()),
    )


@contextlib.asynccontextmanager
async def running(one: NetworkPolicies) -> AsyncIterator[NetworkPolicies]:
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put_pod(admin: Client, name: str, ips: tuple[str, ...] = (), **labels: str) -> None:
    made = await admin.create(
        core_v1.Pod(
            metadata=meta_v1.ObjectMeta(name=name, namespace="default", labels=labels),
            spec=core_v1.PodSpec(node_name="here", containers=[core_v1.Container(name="c", image="i")]),
        )
    )
    if ips:
        made.status = core_v1.PodStatus(phase="Running", pod_ip=ips[0], pod_ips=[core_v1.PodIP(ip=ip) for ip in ips])
        await admin.update_status(made)


async def put_node(admin: Client) -> None:
    await admin.create(
        core_v1.Node(
            metadata=meta_v1.ObjectMeta(name="here"),
            spec=core_v1.NodeSpec(pod_cidr="10.244.0.0/24", pod_cidrs=["10.244.0.0/24"]),
        )
    )


async def eventually(check: Any) -> None:
    async with asyncio.timeout(60):
        while True:
            if await asyncio.to_thread(check):
                return
            await asyncio.sleep(0.02)


def tables(machines: World) -> list[str]:
    return machines.nodes["here"].output("nft", "list", "tables").split("\n")


def arrives(machines: World, source: str, destination: str, port: int = 80) -> bool:
    return bool(machines.send([Probe(source, destination, "TCP", port)]))


async def test_a_policy_holds_while_it_is_there_and_leaves_nothing(
    server: ApiServer, admin: Client, machines: World
) -> None:
    before = tables(machines)
    await put_node(admin)
    await put_pod(admin, "a", ADDRESSES["a"], app="a")
    await put_pod(admin, "b", ADDRESSES["b"], app="b")
    async with running(agent(server, machines)) as one:
        await one.settled()
        assert tables(machines) == before, "nothing is in the kernel without a policy"
        made = await admin.create(policy("default/deny", {"podSelector": {"matchLabels": {"app": "a"}}}))
        await eventually(lambda: not arrives(machines, "b", A))
        assert arrives(machines, "a", B)
        assert arrives(machines, "here", A), "the node reaches its pods, as the kubelet's probes must"
        await admin.delete(networking_v1.NetworkPolicy, made.metadata.name, "default")
        await eventually(lambda: tables(machines) == before)
        assert arrives(machines, "b", A)


async def test_a_restart_finds_the_table_right_and_a_wrong_one_is_mended(
    server: ApiServer, admin: Client, machines: World
) -> None:
    await put_node(admin)
    await put_pod(admin, "a", ADDRESSES["a"], app="a")
    await put_pod(admin, "b", ADDRESSES["b"], app="b")
    await admin.create(policy("default/deny", {"podSelector": {"matchLabels": {"app": "a"}}}))
    node = machines.nodes["here"]
    async with running(agent(server, machines)):
        await eventually(lambda: not arrives(machines, "b", A))
    counted = machines.dropped()
    assert counted, "it still holds while nobody runs"
    async with running(agent(server, machines)) as one:
        await one.settled()
        assert machines.dropped() == counted, "the table was not made anew"
    node.output("nft", "flush", "chain", "inet", "orlop-policy", "ingress")
    assert arrives(machines, "b", A)
    async with running(agent(server, machines)) as one:
        await one.settled()
        assert not arrives(machines, "b", A)
    await one.cleanup()
    await one.cleanup()
    assert not any("orlop-policy" in line for line in tables(machines))


async def test_a_pod_is_held_before_its_status_has_an_address(
    server: ApiServer, admin: Client, machines: World
) -> None:
    await put_node(admin)
    await put_pod(admin, "b", ADDRESSES["b"], app="b")
    await admin.create(policy("default/some", {"podSelector": {"matchLabels": {"app": "b"}}}))
    async with running(agent(server, machines)) as one:
        await one.settled()
        assert not arrives(machines, "c", A), "nobody knows a yet: it is cut off"
        assert not arrives(machines, "a", ADDRESSES["d"][0])
        await put_pod(admin, "a", app="a")
        await one.admit("default/a", ADDRESSES["a"])
        assert arrives(machines, "a", ADDRESSES["d"][0]), "it may start: no policy selects it"
        out = {"podSelector": {"matchLabels": {"app": "a"}}, "egress": [{"to": [{"podSelector": {}}]}]}
        await admin.create(policy("default/out", out))
        await eventually(lambda: not arrives(machines, "a", ADDRESSES["d"][0]))
    await one.cleanup()


async def test_a_label_moves_elements_and_no_rule(server: ApiServer, admin: Client, machines: World) -> None:
    await put_node(admin)
    await put_pod(admin, "a", ADDRESSES["a"], app="a")
    await put_pod(admin, "b", ADDRESSES["b"], app="b")
    allowed = [{"podSelector": {"matchLabels": {"may": "yes"}}}]
    spec = {"podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"from": allowed}]}
    await admin.create(policy("default/some", spec))
    async with running(agent(server, machines)) as one:
        await eventually(lambda: not arrives(machines, "b", A))
        counted = machines.dropped()
        found = await admin.get(core_v1.Pod, "b", "default")
        found.metadata.labels["may"] = "yes"
        await admin.update(found)
        await eventually(lambda: arrives(machines, "b", A))
        assert machines.dropped() >= counted, "a chain that is written anew begins to count at 0"
    await one.cleanup()


async def test_why_names_the_policy_that_drops(server: ApiServer, admin: Client, machines: World) -> None:
    await put_node(admin)
    await put_pod(admin, "a", ADDRESSES["a"], app="a")
    await put_pod(admin, "b", ADDRESSES["b"], app="b")
    spec = {"podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"ports": [{"port": 80}]}]}
    prefix = machines.nodes["here"].prefix
    judge = Judge(admin, prefix).between
    assert "no NetworkPolicy" in (await judge(B, A, "TCP", 81)).text
    await admin.create(policy("default/web", spec))
    async with running(agent(server, machines)) as one:
        await eventually(lambda: not arrives(machines, "b", A, 81))
        assert (await judge(B, A, "TCP", 80)).fix == ""
        steps = await why(admin, "default/b", f"{A}:81", prefix=prefix, judge=judge)
        assert [step.name for step in steps] == ["from", "resolve", "netpolicy"]
        assert "default/web holds default/a" in steps[-1].text
        assert "ingress" in steps[-1].fix
    await one.cleanup()
    declared = f"{{ type ipv4_addr; elements = {{ {A} }}; }}"
    add = f"add table inet orlop-policy; add set inet orlop-policy known-4 {declared}"
    machines.nodes["here"].output("nft", add)
    assert "knows nothing of them" in (await judge(B, A, "TCP", 80)).text
    await one.cleanup()


async def test_where_it_cannot_be_no_pod_waits(server: ApiServer, machines: World, tmp_path: Path) -> None:
    nobody = tmp_path / "nft"
    nobody.write_text("#!/bin/sh\necho 'Operation not permitted' >&2; exit 1\n")
    nobody.chmod(0o755)
    one = NetworkPolicies(
        client(server, USER),
        SystemClock(),
        PolicyConfig(node_name="here"),
        prefix=("env", f"PATH={tmp_path}:{os.environ['PATH']}"),
        metrics=Metrics(CollectorRegistry()),
    )
    with pytest.raises(Unsupported, match="need root"):
        await one.run()
    await asyncio.wait_for(one.admit("default/a", ["10.244.0.2"]), 1)
