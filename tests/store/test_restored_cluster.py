"""Whole clusters and their stores: lost and restored, moved by export and import."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from orlop.store.backup import BUMP
from tests.support.cluster import ORLOP, Failed, UpCluster, eventually, run

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FLAGS = (
    "--runtime=hollow",
    "--hollow=2",
    "--secure-port=0",
    "--pod-cidr=10.171.0.0/16",
    "--service-cidr=10.172.0.0/16",
)

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {version: "1"}
"""


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[list[UpCluster]]:
    """Those that a test puts here are ended."""
    started: list[UpCluster] = []
    yield started
    for cluster in started:
        cluster.down()


def start(clusters: list[UpCluster], name: str, folder: Path) -> UpCluster:
    cluster = UpCluster(f"{name}-{os.getpid()}", folder, *FLAGS)
    clusters.append(cluster)
    cluster.up()
    return cluster


def store(cluster: UpCluster, command: str, *more: str) -> str:
    """`orlop store COMMAND` for this cluster."""
    where = "--name", cluster.name, "--data-dir", str(cluster.data)
    return run(*ORLOP, "store", command, *where, *more, env=cluster.env)


def revision(cluster: UpCluster) -> int:
    """The newest, as a list of the API says."""
    answer = json.loads(cluster.kubectl("get", "--raw", "/api/v1/namespaces/default/configmaps"))
    return int(answer["metadata"]["resourceVersion"])


def running(cluster: UpCluster) -> int:
    pods = cluster.get("pods", "-l", "app=web")["items"]
    return sum(pod["status"].get("phase") == "Running" for pod in pods)


def test_a_lost_cluster_comes_back_and_its_controllers_go_on(tmp_path: Path, clusters: list[UpCluster]) -> None:
    old = start(clusters, "lost", tmp_path / "old")
    old.kubectl("apply", "-f", "-", input=DEPLOYMENT)
    eventually("three pods run", lambda: running(old) == 3)
    stopping = threading.Event()

    def write() -> None:
        count = 1
        while not stopping.is_set():
            count += 1
            patch = json.dumps({"data": {"count": str(count)}})
            old.kubectl("patch", "configmap", "settings", "--type=merge", "-p", patch)

    writing = threading.Thread(target=write)
    writing.start()
    eventually("writes are under way", lambda: "count" in old.get("configmap", "settings")["data"])
    said = store(old, "backup", str(tmp_path / "backup"))
    stopping.set()
    writing.join()
    # What comes after the backup is lost with the cluster, but clients have seen it.
    old.kubectl("delete", "service", "web")
    old.kubectl("scale", "deployment", "web", "--replicas=1")
    eventually("two pods are gone", lambda: len(old.get("pods", "-l", "app=web")["items"]) == 1)
    seen = revision(old)
    uid = old.get("deployment", "web")["metadata"]["uid"]
    old.orlop("down")
    about = json.loads((tmp_path / "backup" / "backup.json").read_text())
    assert f"as of revision {about['revision']} are in" in said
    assert seen > about["revision"]

    new = UpCluster(old.name, tmp_path / "new", *FLAGS)
    new.env["KUBECONFIG"] = str(tmp_path / "new-kubeconfig")
    assert "in this place already" in _refused(old, tmp_path / "backup")
    store(new, "restore", str(tmp_path / "backup"))
    clusters.append(new)
    new.up()
    assert new.get("deployment", "web")["metadata"]["uid"] == uid
    assert new.get("service", "web")["spec"]["ports"][0]["port"] == 80
    eventually("the pods of the backup are back", lambda: running(new) == 3, timeout=60)
    # A client with the lost cluster's revision is sent to list again, and never told that nothing has changed.
    path = f"/api/v1/namespaces/default/configmaps?watch=true&resourceVersion={seen}&timeoutSeconds=5"
    assert '"code":410' in new.kubectl("get", "--raw", path)
    assert revision(new) > about["revision"] + BUMP
    # Controllers, scheduler and kubelets go on.
    new.kubectl("scale", "deployment", "web", "--replicas=5")
    eventually("five pods run", lambda: running(new) == 5, timeout=60)
    new.kubectl("set", "image", "deployment/web", "main=web:2")
    new.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    new.kubectl("delete", "deployment", "web")
    eventually("the pods are collected", lambda: not new.get("pods", "-l", "app=web")["items"], timeout=60)
    assert "the store is sound" in store(new, "check")
    assert "RESOURCE" in store(new, "stats")


def _refused(cluster: UpCluster, backup: Path) -> str:
    with pytest.raises(Failed) as refused:
        store(cluster, "restore", str(backup))
    return str(refused.value)


def test_objects_move_from_one_cluster_to_another(tmp_path: Path, clusters: list[UpCluster]) -> None:
    old = start(clusters, "from", tmp_path / "old")
    old.kubectl("create", "namespace", "shop")
    old.kubectl("apply", "-n", "shop", "-f", "-", input=DEPLOYMENT)
    # Between a deployment and its pods stands a replica set: references to owners are two deep.
    eventually("pods", lambda: len(old.get("pods", "-n", "shop")["items"]) == 3)
    lines = store(old, "export", "-k", "ns,deploy,rs,svc,cm")
    yaml = store(old, "export", "-n", "shop", "-k", "deploy,rs,svc,cm", "-o", "yaml")
    old.orlop("down")
    new = start(clusters, "to", tmp_path / "new")
    for name, text in (("lines", lines), ("yaml", yaml)):
        (tmp_path / name).write_text(text)
    said = store(new, "import", str(tmp_path / "lines"))
    assert "created" in said
    assert "were there and are left alone" in said, "the cluster's own namespaces"
    owner = new.get("replicasets", "-n", "shop")["items"][0]["metadata"]["ownerReferences"][0]
    assert owner["uid"] == new.get("deployment", "web", "-n", "shop")["metadata"]["uid"]
    eventually("pods run in the new cluster", lambda: len(new.get("pods", "-n", "shop")["items"]) == 3)
    assert len(new.get("replicasets", "-n", "shop")["items"]) == 1, "the replica set was adopted, not made again"
    new.kubectl("patch", "configmap", "settings", "-n", "shop", "--type=merge", "-p", '{"data":{"version":"2"}}')
    assert "left alone" in store(new, "import", str(tmp_path / "yaml"))
    assert new.get("configmap", "settings", "-n", "shop")["data"] == {"version": "2"}
    assert "replaced" in store(new, "import", str(tmp_path / "yaml"), "--replace")
    assert new.get("configmap", "settings", "-n", "shop")["data"] == {"version": "1"}
