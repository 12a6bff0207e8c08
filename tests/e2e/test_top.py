"""kubectl top: what nodes and pods use, from the kubelets through the metrics API."""

import re

import pytest

from tests.e2e.conftest import IMAGE, Box
from tests.support.cluster import Failed, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]


def test_top(box: Box) -> None:
    pod = f"""
apiVersion: v1
kind: Pod
metadata: {{name: busy, labels: {{app: busy}}}}
spec:
  containers:
  - name: spins
    image: {IMAGE}
    command: [sh, -c, "while :; do :; done"]
    resources: {{limits: {{cpu: 200m}}}}
  - name: keeps
    image: {IMAGE}
    command: [sh, -c, "head -c 50000000 /dev/zero > /dev/shm/kept; exec sleep 1000"]
"""
    box.kubectl("apply", "-f", "-", input=pod)
    box.kubectl("wait", "--for=condition=Ready", "pod/busy", "--timeout=30s")

    def shown() -> "re.Match[str] | None":
        return re.search(r"busy +spins +(\d+)m +(\d+)Mi", box.kubectl("top", "pod", "busy", "--containers"))

    cpu = int(eventually("there are figures", shown, 45, every=1).group(1))
    assert 100 <= cpu <= 260, "a fifth of a core is what it may use"
    by_label = box.kubectl("top", "pod", "-l", "app=busy", "--sum")
    assert re.search(r"busy +\d+m +(\d+)Mi", by_label)
    assert "other" not in by_label
    nodes = eventually("the node has figures", lambda: _nodes(box), 45, every=1)
    match = re.search(r"real +(\d+)m +\d+% +(\d+)Mi +\d+%", nodes)
    assert match is not None, nodes
    assert int(match.group(1)) >= 100
    metrics = box.cluster.get("-n", box.namespace, "pods.metrics.k8s.io", "busy")
    assert (metrics["apiVersion"], metrics["kind"]) == ("metrics.k8s.io/v1beta1", "PodMetrics")
    assert {c["name"] for c in metrics["containers"]} == {"spins", "keeps"}
    assert re.fullmatch(r"[\d.]+s", metrics["window"])
    box.kubectl("delete", "pod", "busy", "--now", "--wait=false")


def _nodes(box: Box) -> str:
    try:
        return box.kubectl("top", "node")
    except Failed:
        return ""


def test_who_may_see_it(box: Box) -> None:
    nobody = box.cluster.kubectl_fails("top", "node", "--as=nobody")
    assert 'nodes.metrics.k8s.io is forbidden: User "nobody" cannot list resource "nodes"' in nobody
    missing = box.cluster.kubectl_fails("-n", box.namespace, "top", "pod", "nobody")
    assert "NotFound" in missing
    assert "metrics.k8s.io/v1beta1" in box.kubectl("api-versions")
