"""Several nodes on one machine: pods and Services across them, and nodes that fail and come back."""

from pathlib import Path

import pytest

from tests.e2e.web import Web
from tests.support.cluster import Failed, UpCluster, eventually
from tests.support.runtime_view import containers

pytestmark = [pytest.mark.e2e, pytest.mark.root]

NODES = {"real", "node2", "node3"}


@pytest.fixture
def whole(cluster: UpCluster) -> UpCluster:
    """The cluster with all nodes ready, before and after the test."""
    settle(cluster)
    return cluster


def settle(cluster: UpCluster) -> None:
    """Brings every node back."""
    for row in nodes(cluster):
        if row["state"] != "running":
            cluster.orlop("node", "start", str(row["name"]))
    for name in NODES:
        eventually(f"{name} is ready", lambda name=name: ready(cluster, name) == "True", 40)


def nodes(cluster: UpCluster) -> list[dict[str, object]]:
    import json

    listed: list[dict[str, object]] = json.loads(cluster.orlop("node", "list", "-o", "json"))
    return listed


def ready(cluster: UpCluster, name: str) -> str:
    conditions = cluster.get("node", name)["status"]["conditions"]
    return str(next(c["status"] for c in conditions if c["type"] == "Ready"))


def internal_ip(cluster: UpCluster, name: str) -> str:
    addresses = cluster.get("node", name)["status"]["addresses"]
    return str(next(a["address"] for a in addresses if a["type"] == "InternalIP"))


def test_pods_and_services_across_nodes(whole: UpCluster, namespace: str) -> None:
    web = Web(whole, namespace)
    web.start(6)
    pods = web.pods()
    assert {node for _, node in pods.values()} == NODES
    one_on = {node: name for name, (_, node) in pods.items()}
    every = [(address, 8080) for address, _ in pods.values()]
    cluster_ip, node_port = web.service()
    addresses = [internal_ip(whole, node) for node in sorted(NODES)]
    for client in one_on.values():
        # Each other under their own addresses: nobody in between changes them.
        assert web.ask(client, *every) == [(name, pods[client][0]) for name in pods]
        answers = {name for name, _ in web.ask(client, *[(cluster_ip, 80)] * 20)}
        assert len({pods[name][1] for name in answers}) == 3, "a Service leads to pods of all nodes, from every node"
        # Ten each: also those that lead back to the node they came from, or to the pod itself.
        for address in addresses:
            assert len(web.ask(client, *[(address, node_port)] * 10)) == 10
    for node in NODES:
        assert whole.kubectl("get", "--raw", f"/api/v1/nodes/{node}/proxy/healthz") == "ok"
        web.kubectl("logs", one_on[node])


def test_a_pod_with_the_nodes_network_has_its_nodes(whole: UpCluster, namespace: str) -> None:
    manifest = """
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "NODE"}, "spec": {
          "nodeName": "NODE", "hostNetwork": true, "terminationGracePeriodSeconds": 1,
          "containers": [{"name": "main", "image": "orlop-hello:1", "command": ["sleep", "600"]}]}}"""
    for node in NODES:
        whole.kubectl("-n", namespace, "apply", "-f", "-", input=manifest.replace("NODE", node))
    whole.kubectl("-n", namespace, "wait", "pods", "--all", "--for=condition=Ready", "--timeout=30s")
    for node in NODES:
        own = internal_ip(whole, node)
        pod = whole.get("-n", namespace, "pod", node)
        assert pod["status"]["podIP"] == own
        shown = whole.kubectl("-n", namespace, "exec", node, "--", "ip", "-o", "-4", "address")
        others = [internal_ip(whole, other) for other in NODES - {node}]
        assert f" {own}/" in shown
        assert not any(f" {other}/" in shown for other in others)


def test_a_stopped_node_keeps_its_containers(whole: UpCluster, namespace: str) -> None:
    web = Web(whole, namespace)
    web.start(3)
    before = containers(whole, "node3", namespace)
    assert before
    on = {node: (name, address) for name, (address, node) in web.pods().items()}
    whole.orlop("node", "stop", "node3")
    assert {str(row["name"]): row["state"] for row in nodes(whole)} == {
        "real": "running",
        "node2": "running",
        "node3": "stopped",
    }
    eventually("nobody vouches for it", lambda: ready(whole, "node3") == "Unknown", 30)
    assert containers(whole, "node3", namespace) == before
    assert web.ask(on["real"][0], (on["node3"][1], 8080)) == [(on["node3"][0], on["real"][1])], "its pods still answer"
    whole.orlop("node", "start", "node3")
    eventually("it is back", lambda: ready(whole, "node3") == "True", 30)


def test_a_killed_nodes_pods_move_and_the_old_ones_are_cleaned_up(whole: UpCluster, namespace: str) -> None:
    web = Web(whole, namespace)
    web.start(3)
    old = containers(whole, "node2", namespace)
    assert set(old.values()) == {"running"}
    others = {name for name, (_, node) in web.pods().items() if node != "node2"}
    whole.orlop("node", "kill", "node2")
    assert set(containers(whole, "node2", namespace).values()) == {"exited"}
    assert not Path(f"/run/netns/orlop-{whole.name}-node2").exists()

    def tainted() -> bool:
        taints = whole.get("node", "node2")["spec"].get("taints", [])
        return {"node.kubernetes.io/unreachable"} == {t["key"] for t in taints if t["effect"] == "NoExecute"}

    eventually("it is tainted", tainted, 30)
    assert "NotReady" in whole.kubectl("get", "node", "node2")

    def moved() -> bool:
        return len(web.pods()) == 3 and "node2" not in {node for _, node in web.pods().values()}

    eventually("its pods run elsewhere", moved, 40)
    assert others <= web.pods().keys(), "the pods of other nodes stay as they are"
    whole.orlop("node", "start", "node2")
    eventually("it is back", lambda: ready(whole, "node2") == "True", 30)
    eventually("what it ran is gone", lambda: not old.keys() & containers(whole, "node2", namespace).keys(), 30)
    phases = whole.kubectl("-n", namespace, "get", "pods", "--no-headers")
    eventually("so are the pods", lambda: "Terminating" not in whole.kubectl("-n", namespace, "get", "pods"), 30)
    assert others <= web.pods().keys(), phases
    # It takes new pods, and these reach everybody.
    web.kubectl("rollout", "restart", "deployment/web")
    web.rolled_out()
    eventually("it runs a new one", lambda: "node2" in {node for _, node in web.pods().values()}, 30)
    client = next(name for name, (_, node) in web.pods().items() if node == "node2")
    targets = [(address, 8080) for address, _ in web.pods().values()]
    assert {name for name, _ in web.ask(client, *targets)} == web.pods().keys()


@pytest.mark.parametrize("node", ["node2", "real"])
def test_a_node_that_was_dead_for_a_moment_brings_its_pods_back(whole: UpCluster, namespace: str, node: str) -> None:
    whole.apply(
        namespace,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "stays"},
            "spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{"operator": "Exists"}],
                "containers": [{"name": "main", "image": "orlop-hello:1", "command": ["sleep", "600"]}],
            },
        },
    )
    whole.kubectl("-n", namespace, "wait", "pod/stays", "--for=condition=Ready", "--timeout=30s")
    whole.orlop("node", "kill", node)
    assert set(containers(whole, node, namespace).values()) == {"exited"}
    whole.orlop("node", "start", node)

    def restarted() -> bool:
        status = whole.get("-n", namespace, "pod", "stays")["status"]["containerStatuses"][0]
        return bool(status["restartCount"] == 1 and status["ready"])

    eventually("its container was started again", restarted, 40)
    last = whole.get("-n", namespace, "pod", "stays")["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert last["exitCode"] == 137
    assert list(containers(whole, node, namespace).values()) == ["running"]
    assert whole.kubectl("-n", namespace, "exec", "stays", "--", "echo", "hi") == "hi\n"


def test_a_node_that_was_cut_off(whole: UpCluster, namespace: str) -> None:
    web = Web(whole, namespace)
    web.start(3)
    before = containers(whole, "node3", namespace)
    whole.orlop("node", "cut", "node3")
    eventually("nobody hears from it", lambda: ready(whole, "node3") == "Unknown", 30)
    assert containers(whole, "node3", namespace) == before

    def moved() -> bool:
        return len(web.pods()) == 3 and "node3" not in {node for _, node in web.pods().values()}

    eventually("its pods run elsewhere", moved, 40)
    whole.orlop("node", "heal", "node3")
    eventually("it is back", lambda: ready(whole, "node3") == "True", 30)
    eventually("its old pods are gone", lambda: not before.keys() & containers(whole, "node3", namespace).keys(), 60)


def test_more_and_fewer_nodes(whole: UpCluster, namespace: str) -> None:
    assert "has 4 real nodes" in whole.orlop("up", "--nodes=4")
    eventually("there is a fourth", lambda: ready(whole, "node4") == "True", 30)
    whole.kubectl("cordon", "node2", "node3", "real")
    web = Web(whole, namespace)
    web.start(2)
    assert {node for _, node in web.pods().values()} == {"node4"}
    whole.kubectl("uncordon", "node2", "node3", "real")
    assert "node node4 is drained and gone" in whole.orlop("up", "--nodes=3")
    assert set(whole.kubectl("get", "nodes", "-o", "name").split()) == {f"node/{name}" for name in NODES}
    web.rolled_out()
    assert "node4" not in {node for _, node in web.pods().values()}
    assert containers(whole, "node4", namespace) == {}
    assert not Path(f"/run/netns/orlop-{whole.name}-node4").exists()
    assert not (whole.data / "nodes" / "node4").exists()
    assert [*whole.data.glob("pki/*node4*"), *whole.data.glob("kubeconfig/*node4*")] == []


def test_what_cannot_be_done(whole: UpCluster) -> None:
    for words, why in (
        (("node", "cut", "real"), "real is this machine itself: it cannot be cut off"),
        (("node", "stop", "nobody"), "there is no node 'nobody' to act on; there are real, node2, node3"),
        (("up", "--nodes=0"), "--nodes must be 1 to 64"),
    ):
        with pytest.raises(Failed, match=why):
            whole.orlop(*words)
