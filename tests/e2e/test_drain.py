"""cordon, drain, taint: eviction that honours budgets, in kubectl's own words."""

import re
import subprocess

import pytest

from tests.e2e.conftest import IMAGE, Box
from tests.support.cluster import KUBECTL, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]

WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      nodeSelector: {{kubernetes.io/hostname: real}}
      containers: [{{name: web, image: "{IMAGE}", command: [httpd, -f, -p, "8080"]}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec: {{minAvailable: 2, selector: {{matchLabels: {{app: web}}}}}}
"""


def budget(box: Box) -> "dict[str, object]":
    found: dict[str, object] = box.cluster.get("-n", box.namespace, "pdb", "web")["status"]
    return found


def evict(box: Box, pod: str, *more: str) -> "subprocess.CompletedProcess[bytes]":
    body = f'{{"apiVersion":"policy/v1","kind":"Eviction","metadata":{{"name":"{pod}"}}}}'
    path = f"/api/v1/namespaces/{box.namespace}/pods/{pod}/eviction{'?dryRun=All' if more else ''}"
    return box.run("create", "--raw", path, "-f", "-", input=body.encode())


def test_cordon_and_taint(box: Box) -> None:
    assert "node/real cordoned" in box.kubectl("cordon", "real")
    assert "Ready,SchedulingDisabled" in box.kubectl("get", "nodes")
    assert "already cordoned" in box.kubectl("cordon", "real")
    assert "node/real uncordoned" in box.kubectl("uncordon", "real")
    assert "node/real tainted" in box.kubectl("taint", "node", "real", "tests/k=v:PreferNoSchedule")
    assert "node/real untainted" in box.kubectl("taint", "node", "real", "tests/k:PreferNoSchedule-")


def test_a_drain_waits_for_the_budget(box: Box) -> None:
    box.kubectl("apply", "-f", "-", input=WEB)
    box.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    eventually("one may go", lambda: budget(box).get("disruptionsAllowed") == 1)
    names = [p["metadata"]["name"] for p in box.cluster.get("-n", box.namespace, "pods", "-l", "app=web")["items"]]
    assert evict(box, names[0], "dry").returncode == 0
    assert budget(box)["disruptionsAllowed"] == 1, "a dry run spends nothing"
    box.kubectl("cordon", "real")
    try:
        # What takes the evicted one's place finds no node: the budget stays spent.
        selector = "--pod-selector=app=web"
        drain = [str(KUBECTL), "--context", box.cluster.name, "drain", "real", selector, "--timeout=7s"]
        done = subprocess.run(drain, env=box.cluster.env, capture_output=True, text=True, timeout=60, check=False)
        told = done.stdout + done.stderr
        assert done.returncode == 1
        assert len(re.findall(r"^pod/web-\S+ evicted", told, re.MULTILINE)) == 1, told
        assert "Cannot evict pod as it would violate the pod's disruption budget." in told
        assert "will retry after 5s" in told
        assert budget(box)["currentHealthy"] == 2
        refused = evict(box, next(n for n in names if f"pod/{n} evicted" not in told))
        assert b"TooManyRequests" in refused.stderr
    finally:
        box.kubectl("uncordon", "real")
    box.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    box.kubectl("delete", "deployment/web", "pdb/web")


def test_what_a_drain_asks_leave_for(box: Box) -> None:
    manifest = f"""
apiVersion: v1
kind: Pod
metadata: {{name: lone, labels: {{app: lone}}}}
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: {{kubernetes.io/hostname: real}}
  containers: [{{name: c, image: "{IMAGE}", command: [sleep, "1000"], volumeMounts: [{{name: d, mountPath: /d}}]}}]
  volumes: [{{name: d, emptyDir: {{}}}}]
"""
    box.kubectl("apply", "-f", "-", input=manifest)
    box.kubectl("wait", "--for=condition=Ready", "pod/lone", "--timeout=30s")
    words = ("drain", "real", "--pod-selector=app=lone", "--timeout=20s")
    told = box.cluster.kubectl_fails(*words)
    assert "cannot delete Pods with local storage (use --delete-emptydir-data to override)" in told
    told = box.cluster.kubectl_fails(*words, "--delete-emptydir-data")
    assert "use --force to override" in told
    dry = box.cluster.kubectl(*words, "--delete-emptydir-data", "--force", "--dry-run=server")
    assert "node/real drained (server dry run)" in dry
    assert box.kubectl("get", "pod", "lone", "-o", "name") == "pod/lone\n"
    watch = box.cluster.background("-n", box.namespace, "get", "pod", "lone", "-w", "-o", "json")
    try:
        assert watch.stdout is not None
        seen = watch.stdout.readline()  # it watches before the pod goes
        told = box.cluster.kubectl(*words, "--delete-emptydir-data", "--force")
        assert "pod/lone evicted" in told
        assert "node/real drained" in told
        while '"type": "DisruptionTarget"' not in seen:
            line = watch.stdout.readline()
            assert line, seen
            seen += line
        assert '"reason": "EvictionByEvictionAPI"' in seen
    finally:
        watch.terminate()
        watch.wait()
        box.kubectl("uncordon", "real")
