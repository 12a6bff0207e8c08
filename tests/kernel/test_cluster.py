"""A whole cluster on a kernel with control groups of version 2: `orlop up`, its own runtime, pods and a Service."""

import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from orlop.kubelet.runtime.native.images import default_root
from tests.support import images
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.kernel, pytest.mark.campaign, pytest.mark.timeout(1800)]

SLOW = 240
"""Seconds that something may take in an emulated machine."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[UpCluster]:
    one = UpCluster(
        "kernel",
        tmp_path,
        "--runtime=native",
        "--secure-port=0",
        "--node-name=real",
        f"--timeout={SLOW}",
        "--pod-cidr=10.234.0.0/16",
        "--service-cidr=10.235.0.0/16",
    )
    one.patience = 3 * SLOW
    shutil.copytree(images.native_store().layout.root, default_root(), symlinks=True, dirs_exist_ok=True)
    try:
        one.up()
        yield one
    finally:
        one.down()


POD = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {
        "containers": [
            {
                "name": "web",
                "image": images.BUSYBOX,
                "command": ["httpd", "-f", "-p", "8080", "-h", "/www"],
                "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
            }
        ]
    },
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": POD},
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def test_a_cluster_from_start_to_end(cluster: UpCluster) -> None:
    cluster.kubectl("wait", "--for=condition=Ready", "node/real", f"--timeout={SLOW}s", timeout=SLOW)
    cluster.apply("default", DEPLOYMENT, SERVICE)
    cluster.kubectl("rollout", "status", "deployment/web", f"--timeout={SLOW}s", timeout=SLOW)
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    assert eventually("the Service answers", lambda: ask(f"http://{address}/"), SLOW) == "hello\n"
    pod = cluster.get("pods")["items"][0]["metadata"]["name"]
    limits = "cat /sys/fs/cgroup/memory.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max"
    assert cluster.kubectl("exec", pod, "--", "sh", "-c", limits).split() == [str(64 << 20), "50000"]
    assert "hello" in cluster.kubectl("exec", pod, "--", "wget", "-qO-", f"http://{address}/")
    cluster.kubectl("delete", "deployment,service", "web", f"--timeout={SLOW}s", timeout=SLOW)
    groups = Path("/sys/fs/cgroup/orlop")
    eventually("no control group is left", lambda: not [p for p in groups.rglob("*") if len(p.name) == 64], SLOW)


def ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())
