"""kill -9 of anything at any moment, and the machine's reboot: nothing is lost, left behind or disturbed."""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.web import Web
from tests.support.cluster import UpCluster, eventually
from tests.support.runtime_view import kill_containers, pids_of, sandboxes

pytestmark = [pytest.mark.e2e, pytest.mark.root]

KILLS = 3
"""Of each component, at moments that the seed gives."""
SEED = 7
NODES = ("real", "node2", "node3")


def everything(cluster: UpCluster) -> list[int]:
    """The processes of the cluster."""
    state = cluster.state()
    return [state["pid"], *(c["pid"] for c in state["children"].values() if c["pid"])]


def kill(cluster: UpCluster, component: str) -> None:
    """kill -9, once the component is there."""
    pid = eventually(f"{component} runs", lambda: cluster.state()["children"][component]["pid"], 40)
    os.kill(pid, signal.SIGKILL)


def works(cluster: UpCluster) -> bool:
    """Whether every component says that it works."""
    return all(child["ready"] for child in cluster.state()["children"].values())


def taints(cluster: UpCluster) -> list[dict[str, Any]]:
    """Of all nodes."""
    return [taint for node in cluster.get("nodes")["items"] for taint in node["spec"].get("taints", ())]


def containers_of(cluster: UpCluster, namespace: str) -> dict[str, tuple[str, int]]:
    """Pod uid → (container id, restarts), of what is not about to end; ("", 0) before its first container."""
    found: dict[str, tuple[str, int]] = {}
    for pod in cluster.get("-n", namespace, "pods")["items"]:
        if "deletionTimestamp" not in pod["metadata"]:
            status = next(iter(pod["status"].get("containerStatuses", ())), {})
            found[pod["metadata"]["uid"]] = (status.get("containerID", ""), status.get("restartCount", 0))
    return found


def on_nodes(cluster: UpCluster, namespace: str) -> set[str]:
    """The uids of this namespace's pods of which something is on a node, in whatever state."""
    return set().union(*(sandboxes(cluster, node, namespace) for node in NODES))


def test_after_kill_9_of_every_process_the_cluster_is_the_same(cluster: UpCluster, namespace: str) -> None:
    cluster.kubectl(
        "-n", namespace, "create", "deployment", "stays", "--image=orlop-hello:1", "--replicas=2", "--", "sleep", "600"
    )
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/stays", "--timeout=30s")
    cluster.kubectl("-n", namespace, "create", "configmap", "kept", "--from-literal=a=1")
    kept = cluster.get("-n", namespace, "configmap", "kept")
    before = containers_of(cluster, namespace)
    assert len(before) == 2
    for pid in everything(cluster):
        os.kill(pid, signal.SIGKILL)
    eventually("it is down", lambda: cluster.down_now(), 20)
    cluster.up()
    assert cluster.get("-n", namespace, "configmap", "kept") == kept
    eventually("the node is ready", lambda: " Ready" in cluster.kubectl("get", "node", "real"), 30)
    assert containers_of(cluster, namespace) == before
    cluster.kubectl("-n", namespace, "scale", "deployment/stays", "--replicas=3")
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/stays", "--timeout=30s")
    assert before.items() <= containers_of(cluster, namespace).items()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("component", ["node2", "apiserver"])
def test_killed_at_any_moment_of_pods_lives(cluster: UpCluster, namespace: str, component: str) -> None:
    """`node2` is a kubelet and a proxy."""
    chance = random.Random(SEED)
    bystander = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "bystander"},
        "spec": {
            "nodeName": "real",
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],  # its node is silent while the API server is away
            "containers": [{"name": "main", "image": "orlop-hello:1", "command": ["sleep", "600"]}],
        },
    }
    cluster.apply(namespace, bystander)
    cluster.kubectl("-n", namespace, "wait", "pod/bystander", "--for=condition=Ready", "--timeout=30s")
    before = containers_of(cluster, namespace)
    web = Web(cluster, namespace)
    web.start(4)
    for _ in range(KILLS):
        replicas = chance.choice([1, 3, 6])
        insist(lambda replicas=replicas: web.kubectl("scale", "deployment/web", f"--replicas={replicas}"))
        time.sleep(chance.uniform(0, 1.5))  # where it is then, the kill meets it
        kill(cluster, component)
    insist(lambda: web.kubectl("scale", "deployment/web", "--replicas=4"))
    eventually("all work again", lambda: works(cluster), 60)
    eventually("no node seems lost, so that no pod is evicted any more", lambda: not taints(cluster), 60)
    web.rolled_out()
    eventually("four run and no other", lambda: len(web.pods()) == 4 == len(containers_of(cluster, namespace)) - 1, 60)
    after = containers_of(cluster, namespace)
    assert before.items() <= after.items(), "what had nothing to do with it goes on"
    eventually("nothing is left of what ended", lambda: on_nodes(cluster, namespace) == after.keys(), 60)
    pods = web.pods()
    assert len(pods) == 4 == len({address for address, _ in pods.values()}), pods
    client = next(iter(pods))
    assert [name for name, _ in web.ask(client, *((address, 8080) for address, _ in pods.values()))] == list(pods)
    cluster_ip, _ = web.service()

    def spread() -> bool:
        return {name for name, _ in web.ask(client, *[(cluster_ip, 80)] * 24)} == pods.keys()

    eventually("the Service spreads over the four", spread, 30)


def test_what_watches_a_container_is_killed_at_any_moment(
    cluster: UpCluster, namespace: str, runtime: list[str]
) -> None:
    """The container ends with it and is started again; the pod's other one goes on, and nothing is left."""
    if "--runtime=native" not in runtime:
        pytest.skip("only the embedded runtime has one for each container")
    chance = random.Random(SEED)
    talks = ["sh", "-c", "while :; do echo x; sleep 0.01; done"]
    containers = [
        {"name": name, "image": "orlop-hello:1", "command": command}
        for name, command in (("killed", talks), ("other", ["sleep", "600"]))
    ]
    spec = {"nodeName": "real", "terminationGracePeriodSeconds": 0, "containers": containers}
    cluster.apply(namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "two"}, "spec": spec})

    def now(name: str) -> tuple[str, int, dict[str, Any]]:
        """A container's id without its scheme, its restarts, what its last end was."""
        statuses = cluster.get("-n", namespace, "pod", "two")["status"]["containerStatuses"]
        status = {s["name"]: s for s in statuses if "running" in s["state"]}[name]
        return status["containerID"].rpartition("/")[2], status["restartCount"], status["lastState"]

    cluster.kubectl("-n", namespace, "wait", "pod/two", "--for=condition=Ready", "--timeout=30s")
    other = now("other")
    for _ in range(2):
        container_id, restarts, _ = now("killed")
        time.sleep(chance.uniform(0, 0.5))
        main, shim = pids_of(cluster, "real", container_id)
        os.kill(shim, signal.SIGKILL)
        eventually("it ends", lambda pid=main: not Path(f"/proc/{pid}").exists(), 20)
        again = eventually(
            "it is started again", lambda id_=container_id: now("killed")[0] != id_ and now("killed"), 60
        )
        assert again[1] == restarts + 1
        last = again[2]["terminated"]
        assert (last["exitCode"], last["reason"]) == (137, "ContainerStatusUnknown")
    assert now("other") == other
    cluster.kubectl("-n", namespace, "delete", "pod", "two", "--wait=true", "--timeout=30s")
    eventually("nothing is left", lambda: not sandboxes(cluster, "real", namespace), 30)


def insist(act: Callable[[], Any]) -> None:
    """Until it has worked: the API server may be gone for a moment."""

    def tried() -> bool:
        act()
        return True

    eventually("it is done", tried, 40)


@pytest.mark.timeout(240)
def test_the_machines_reboot(cluster: UpCluster, namespace: str) -> None:
    """Played: every process and container is killed, links, rules, namespaces and /run are gone."""
    web = Web(cluster, namespace)
    web.start(3)
    web.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    kept, pods = cluster.get("-n", namespace, "configmap", "kept"), set(web.pods())
    power_off(cluster)
    cluster.up()
    assert cluster.get("-n", namespace, "configmap", "kept") == kept
    for node in NODES:
        eventually(f"{node} is ready", lambda node=node: " Ready" in cluster.kubectl("get", "node", node), 40)

    def again() -> bool:
        status = [p["status"]["containerStatuses"][0] for p in cluster.get("-n", namespace, "pods")["items"]]
        return all(s["ready"] and s["restartCount"] == 1 for s in status)

    eventually("every container was started again", again, 60)
    assert set(web.pods()) == pods
    cluster_ip, _ = web.service()
    for client in pods:

        def answers(client: str = client) -> bool:
            return {name for name, _ in web.ask(client, *[(cluster_ip, 80)] * 20)} == pods

        eventually("the Service leads everywhere", answers, 30)


def power_off(cluster: UpCluster) -> None:
    """What a machine does not have any more when it starts again."""
    for pid in everything(cluster):
        os.kill(pid, signal.SIGKILL)
    eventually("it is down", lambda: cluster.down_now(), 20)
    for node in NODES:
        kill_containers(cluster, node)
    forget_memory(cluster)
    for space in ("node2", "node3"):
        subprocess.run(["ip", "netns", "del", f"orlop-{cluster.name}-{space}"], check=True)
    for link in links_of(cluster):
        subprocess.run(["ip", "link", "del", link], check=True)
    for family, table in tables_of(cluster):
        subprocess.run(["nft", "delete", "table", family, table], check=True)
    for path in (cluster.data / "run").iterdir():
        path.unlink()


def forget_memory(cluster: UpCluster) -> None:
    """/run and the control groups, of this cluster."""
    run = Path("/run/orlop") / cluster.name
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed([point for point in mounted if Path(point).is_relative_to(run)]):
        subprocess.run(["umount", "--lazy", point], check=True)
    shutil.rmtree(run, ignore_errors=True)
    for hierarchy in Path("/sys/fs/cgroup").glob(f"*/orlop/{cluster.name}"):
        subprocess.run(["find", str(hierarchy), "-depth", "-type", "d", "-exec", "rmdir", "{}", "+"], check=False)


def links_of(cluster: UpCluster) -> list[str]:
    shown = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout.split()
    return [word for word in shown if word.startswith(("br-", "up-")) and word[3:] == cluster.name]


def tables_of(cluster: UpCluster) -> list[tuple[str, str]]:
    shown = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    rows = [line.split()[1:3] for line in shown.splitlines()]
    return [(family, table) for family, table in rows if cluster.name in table]
