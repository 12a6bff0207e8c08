"""Services of type LoadBalancer as users and their neighbours see them: an address of the pool, on one of the nodes."""

import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from orlop.cluster.nodenet import uplink_name
from orlop.cluster.settings import load
from tests.e2e.conftest import EXAMPLES
from tests.support.cluster import ORLOP, UpCluster, eventually, run

pytestmark = [pytest.mark.e2e, pytest.mark.root]

ANNOTATION = "orlop/load-balancer-node"
GREETING = "Hello from orlop"


class Neighbour:
    """A machine on the nodes' link that is no node: it knows that the pool is there, and asks by ARP for whom."""

    def __init__(self, cluster: UpCluster) -> None:
        settings = load(cluster.data)
        assert settings is not None
        self.netns = f"{cluster.name}-out"
        self.cable = f"{uplink_name(settings)[:12]}o"
        nodes, pool = settings.node_cidrs[0], settings.load_balancer_pools[0]
        run("ip", "netns", "add", self.netns)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.netns)
        run("ip", "link", "set", self.cable, "master", uplink_name(settings), "up")
        self.ip("address", "add", nodes.replace(".0/", ".200/"), "dev", "eth0")
        self.ip("link", "set", "eth0", "up")
        self.ip("route", "add", pool, "dev", "eth0")

    def ip(self, *words: str) -> str:
        return run("ip", "-n", self.netns, "-o", *words)

    def hears(self, url: str) -> bool:
        words = ["ip", "netns", "exec", self.netns, "curl", "-sS", "-m", "3", url]
        return GREETING in subprocess.run(words, capture_output=True, text=True, check=False).stdout

    def remove(self) -> None:
        run("ip", "netns", "del", self.netns)


@pytest.fixture
def neighbour(cluster: UpCluster) -> Iterator[Neighbour]:
    made = Neighbour(cluster)
    yield made
    made.remove()


def hears(url: str) -> bool:
    """What this machine gets, which is the first node too."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:
            return GREETING in answer.read().decode()
    except (urllib.error.URLError, TimeoutError):
        return False


def hardware(cluster: UpCluster, node: str) -> str:
    where = [] if node == "real" else ["-n", f"orlop-{cluster.name}-{node}"]
    settings = load(cluster.data)
    assert settings is not None
    link = uplink_name(settings) if node == "real" else "eth0"
    return run("ip", *where, "-o", "link", "show", link).partition("link/ether ")[2].split()[0]


def holders(cluster: UpCluster, address: str) -> list[str]:
    """The nodes to which the address is bound."""
    found = []
    for node in ("real", "node2", "node3"):
        where = [] if node == "real" else ["-n", f"orlop-{cluster.name}-{node}"]
        if f" {address}/32 " in run("ip", *where, "-o", "address"):
            found.append(node)
    return found


def test_an_address_that_is_reached_follows_its_node_and_leaves_nothing(
    cluster: UpCluster, namespace: str, neighbour: Neighbour
) -> None:
    def bearer() -> str:
        return str(cluster.get("-n", namespace, "service", "hello")["metadata"]["annotations"][ANNOTATION])

    def why() -> str:
        words = [*ORLOP, "net", "why", "node", f"{address}:80", *where]
        return subprocess.run(words, env=cluster.env, capture_output=True, text=True, timeout=90, check=False).stdout

    # On a busy machine a node may be taken for dead for a moment: who bears is asked anew each time.
    where = ["--name", cluster.name, "--data-dir", str(cluster.data)]
    cluster.kubectl("-n", namespace, "apply", "-f", str(EXAMPLES / "hello"))
    cluster.kubectl("-n", namespace, "patch", "service", "hello", "-p", '{"spec":{"type":"LoadBalancer"}}')
    cluster.kubectl("-n", namespace, "wait", "service/hello", "--for=condition=orlop/LoadBalancerReady")
    address = cluster.kubectl("-n", namespace, "get", "service", "hello", "--no-headers").split()[3]
    url = f"http://{address}/"
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/hello", "--timeout=60s")
    eventually("this machine reaches it", lambda: hears(url))
    eventually("the neighbour reaches it", lambda: neighbour.hears(url))
    eventually("it is bound to one node", lambda: holders(cluster, address) == [bearer()])
    shown = f"{address} is bound to node "
    eventually("the way is explained", lambda: shown + bearer() in why())
    assert f"{address}:80/TCP" in run(*ORLOP, "net", "table", *where, env=cluster.env)
    # The node is left out, so another one takes it over, and neighbours hear of that.
    label = "node.kubernetes.io/exclude-from-external-load-balancers"
    first = bearer()
    cluster.kubectl("label", "node", first, f"{label}=true")
    try:
        eventually("it moves", lambda: bearer() not in (first, ""))
        eventually("it is bound there alone", lambda: holders(cluster, address) == [bearer()])
        eventually("the neighbour knows", lambda: hardware(cluster, bearer()) in neighbour.ip("neigh", "show", address))
        eventually("the neighbour reaches it again", lambda: neighbour.hears(url))
    finally:
        cluster.kubectl("label", "node", first, f"{label}-")
    cluster.kubectl("-n", namespace, "delete", "service", "hello")
    eventually("nobody bears it", lambda: holders(cluster, address) == [])
    eventually("nobody answers there", lambda: not hears(url))
    wanted = {"EnsuringLoadBalancer", "EnsuredLoadBalancer", "UpdatedLoadBalancer", "DeletedLoadBalancer"}
    reasons = ("-n", namespace, "get", "events", "-o", "jsonpath={.items[*].reason}")
    eventually("all of it was told", lambda: wanted <= set(cluster.kubectl(*reasons).split()))
