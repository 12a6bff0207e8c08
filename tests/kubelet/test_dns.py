"""Which name servers a pod is given on a node that answers for itself, and when."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orlop.api.types import core_v1
from orlop.kubelet.dns import node_servers
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.hollow import HollowRuntime
from tests.kubelet.nodes import NODE, Node, hollow


class Noting(HollowRuntime):
    """Keeps what its sandboxes were to be."""

    configs: dict[str, v.PodSandboxConfig]

    async def run_pod_sandbox(self, config: v.PodSandboxConfig) -> str:
        self.configs[config.metadata.name] = config
        return await super().run_pod_sandbox(config)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node without a pod CIDR as yet, whose kubelet is not started."""
    async with hollow(tmp_path, start=False) as node:
        node.configs: dict[str, v.PodSandboxConfig] = {}  # type: ignore[misc]
        node.config.simulated = False
        node.config.pod_cidr = ""

        def make() -> Noting:
            runtime = Noting(node.clock, node.network, state_file=tmp_path / "runtime.jsonl")
            runtime.configs = node.configs  # type: ignore[attr-defined]
            return runtime

        node.make_runtime = make
        yield node


async def give_cidr(node: Node, cidr: str) -> None:
    await node.admin.patch(core_v1.Node, NODE, None, {"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}})


async def test_the_gateway_is_the_name_server_once_the_node_has_its_range(node: Node) -> None:
    node.config.node_dns = True
    await node.start()
    await node.pod("host", hostNetwork=True)
    await node.pod("both", hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet")
    await node.pod("inside")
    await node.running("host")
    await node.said("NetworkNotReady", "both")
    assert node.configs.keys() == {"host"}  # type: ignore[attr-defined]
    await give_cidr(node, "10.77.3.0/24")
    for name in ("both", "inside"):
        await node.running(name)
        dns = node.configs[name].dns  # type: ignore[attr-defined]
        assert dns.servers == ("10.77.3.1",)
        assert dns.searches[:3] == ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
        assert dns.options == ("ndots:5",)


async def test_servers_that_are_named_come_first(node: Node) -> None:
    node.config.node_dns = True
    node.config.cluster_dns = ["10.96.0.10"]
    await node.start()
    await give_cidr(node, "10.77.3.0/24")
    await node.pod("p")
    await node.running("p")
    assert node.configs["p"].dns.servers == ("10.96.0.10",)  # type: ignore[attr-defined]


async def test_without_name_servers_the_pod_is_told(node: Node) -> None:
    await node.start()
    await give_cidr(node, "10.77.3.0/24")
    await node.pod("p")
    await node.running("p")
    (event,) = await node.said("MissingClusterDNS", "p")
    assert event.message == (
        'kubelet does not have ClusterDNS IP configured and cannot create Pod using "ClusterFirst" policy. '
        'Falling back to "Default" policy.'
    )


def test_both_families() -> None:
    assert node_servers(["10.244.3.0/24", "fd00:3::/64"]) == ["10.244.3.1", "fd00:3::1"]
