"""What the IPVS mode leaves to nftables, which any kernel has: it is taken, and read back as it was written."""

import subprocess
from collections.abc import Iterator

import pytest
from tests.proxy.world import Namespace

from orlop.native import ServicePort
from orlop.nftables import listing
from orlop.nftables.ruleset import Ruleset, commands
from orlop.proxy.backends.ipvs import rules
from orlop.proxy.config import ProxyConfig

pytestmark = [pytest.mark.network, pytest.mark.root]

CONFIG = ProxyConfig(hostname_override="here", proxy_mode="ipvs", cluster_cidr="10.244.0.0/16,fd00:10:244::/64")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace("rules")
    yield made
    made.delete()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("internal_local", [False, True])
def test_rules_are_read_back_as_written(namespace: Namespace, family: int, internal_local: bool) -> None:
    """The set that the cluster IP has not is on the external address' own server: one of two maps leads there."""
    balancer, ip, pod, node, sources = (
        ("203.0.113.20", "10.96.0.10", "10.244.0.2", "0.0.0.0", ["198.51.100.0/24", "198.51.100.0/25"])
        if family == 4
        else ("2001:db8:99::20", "fd00:96::10", "fd00:10:244::2", "::", ["2001:db8:51::/64"])
    )
    frontends = [("ClusterIP", ip, 80, internal_local), ("LoadBalancer", balancer, 80, True)]
    frontends.append(("NodePort", node, 30080, True))
    here = [(pod, 8080, 1)]
    port = ServicePort(("n", "s", "", "TCP", family), frontends, here, here, 0, True, [pod], None, sources)
    wanted = rules.frame(family, CONFIG)
    wanted.add(rules.service_port(port, ()))
    table = f"{'ip' if family == 4 else 'ip6'} orlop-ipvs"
    script = "\n".join(commands(table, Ruleset(), wanted)) + "\n"
    subprocess.run([*namespace.prefix, "nft", "-f", "-"], input=script, text=True, check=True, timeout=60)
    found = listing.parse(namespace.output("nft", "-s", "-p", "-y", "list", "table", *table.split()))
    assert commands(table, found, wanted) == commands(table, wanted, found) == []
    maps = {name for name, _ in found.elements if "NEAR" in name or "FAR" in name}
    kind = "FAR" if internal_local else "NEAR"
    assert maps == {f"KUBE-{kind}-IP", f"KUBE-{kind}-NODE-PORT"}
    allowed = {key.rpartition(" . ")[2] for name, key in found.elements if name == rules.SOURCES}
    assert allowed == {sources[0], balancer}
