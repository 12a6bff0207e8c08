"""`orlop why`, `why-here` and `plan` as a user runs them, against a cluster with a scheduler of its own at work."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import orlop
from orlop.api.types import core_v1
from tests.support.cluster import KUBECTL, ORLOP

PATIENCE = 15.0
Object = dict[str, Any]


class Cluster(orlop.Cluster):
    """With the commands of a user beside it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(nodes=4, port=0)
        self._file = folder / "kubeconfig"

    def ready(self) -> None:
        self._file.write_text(self.kubeconfig())
        self.env = {**os.environ, "KUBECONFIG": str(self._file)}

    def run(self, *command: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=self.env, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    def orlop(self, *words: str, fails: bool = False, stdin: str | None = None) -> str:
        done = self.run(*ORLOP, *words, stdin=stdin)
        assert done.returncode == int(fails), (done.returncode, done.stdout, done.stderr)
        return done.stdout or done.stderr

    def json(self, *words: str, **more: Any) -> Any:
        return json.loads(self.orlop(*words, "-o", "json", **more))

    def pod(self, name: str, cpu: str = "1", **spec: Any) -> None:
        self.apply([pod(name, cpu, **spec)])

    def refused(self, name: str) -> None:
        """Returns once the scheduler has said that the pod has no place."""

        def told() -> bool:
            items = self.client.list(core_v1.Event, "default").items
            return any(e.involved_object.name == name and e.reason == "FailedScheduling" for e in items)

        until(told)

    def bound(self, name: str) -> str:
        """The node that the pod has, once it has one."""
        until(lambda: bool(self.client.get(core_v1.Pod, name, "default").spec.node_name))
        return str(self.client.get(core_v1.Pod, name, "default").spec.node_name)


def until(look: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end
        time.sleep(0.02)


def pod(name: str, cpu: str = "1", **spec: Any) -> Object:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "namespace": "default", "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container], **spec}}


def workload(kind: str, name: str, replicas: int, cpu: str) -> Object:
    spec = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]}
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    whole = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    if kind == "DaemonSet":
        del whole["replicas"]
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": whole}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Four nodes of 32 CPU: the third is tainted, the fourth is cordoned and has a disk."""
    with Cluster(tmp_path) as cluster:
        cluster.ready()
        taint = {"key": "gpu", "value": "true", "effect": "NoSchedule"}
        cluster.apply(
            [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "hollow-2"}, "spec": {"taints": [taint]}}]
        )
        disk: Object = {"name": "hollow-3", "labels": {"disk": "hdd"}}
        cluster.apply([{"apiVersion": "v1", "kind": "Node", "metadata": disk, "spec": {"unschedulable": True}}])
        yield cluster


def test_the_smallest_change_is_told_and_works(cluster: Cluster) -> None:
    cluster.pod("big", "33")
    cluster.pod("picky", nodeSelector={"disk": "ssd"})
    cluster.refused("big")
    cluster.refused("picky")
    said = cluster.orlop("why", "big")
    assert "pod default/big: all 4 nodes refuse it, for 3 reasons" in said
    assert re.search(r"2 nodes +Insufficient cpu: 33 CPU requested, 32 free of 32", said)
    assert "untolerated taint(s): gpu=true:NoSchedule" in said
    assert "1. request 1 CPU less (32 instead of 33)" in said
    assert "as the scheduler saw it at its last decision" in said
    assert "\033" not in said

    found = cluster.json("why", "pod/picky", "-n", "default")
    assert found["state"] == "unschedulable"
    condition = cluster.client.get(core_v1.Pod, "picky", "default").status.conditions[0]
    assert found["message"] == condition.message
    assert found["moment"]["exact"]
    assert "note" not in found["moment"]
    first = found["changes"][0]
    assert first["text"] == f"label node {first['node']} disk=ssd"
    done = cluster.run(str(KUBECTL), *first["commands"][0].split()[1:])
    assert done.returncode == 0, done.stderr
    assert cluster.bound("picky") == first["node"]

    typed = cluster.why("big")
    assert [change.text for change in typed.changes][:1] == ["request 1 CPU less (32 instead of 33)"]
    smaller = pod("smaller", "32")
    cluster.apply([smaller])
    assert cluster.bound("smaller") in ("hollow-0", "hollow-1")


def test_one_node(cluster: Cluster) -> None:
    cluster.pod("picky", nodeSelector={"disk": "ssd"})
    cluster.refused("picky")
    said = cluster.orlop("why", "default/picky", "--node", "hollow-3")
    assert "hollow-3 refuses it" in said
    assert "node(s) were unschedulable (NodeUnschedulable)" in said
    assert "uncordon node hollow-3 and " in said
    found = cluster.json("why", "picky", "--node", "hollow-2")
    assert [r["plugin"] for r in found["report"]["refusals"]] == ["TaintToleration", "NodeAffinity"]
    said = cluster.orlop("why", "picky", "--node", "nope", fails=True)
    assert "there is no node 'nope'; there are 4: hollow-0, hollow-1" in said
    assert 'pods "nobody" not found' in cluster.orlop("why", "nobody", fails=True)


def test_why_a_placed_pod_is_where_it_is(cluster: Cluster) -> None:
    cluster.pod("first", "20")
    first = cluster.bound("first")
    cluster.pod("second", "8")
    second = cluster.bound("second")
    assert {first, second} == {"hollow-0", "hollow-1"}
    cluster.pod("third", "20")
    assert cluster.bound("third") == second
    found = cluster.json("why-here", "second")
    # As it was then: the third pod was not there yet.
    assert found["moment"]["exact"], found["moment"]
    assert (found["feasible"], found["best"]) == (2, [second])
    totals = {report["node"]: report.get("total", 0) for report in found["reports"]}
    assert totals[second] > totals[first] > 0
    said = cluster.orlop("why-here", "second")
    assert f"node {second} has the highest total of 2 feasible nodes" in said
    assert re.search(rf"^\* {second} +{totals[second]} ", said, re.MULTILINE)
    assert "NodeResourcesFit ×1" in said
    assert "it runs on node" in cluster.orlop("why", "second") or "it is on node" in cluster.orlop("why", "second")
    cluster.pod("waits", nodeSelector={"disk": "ssd"})
    said = cluster.orlop("why-here", "waits", fails=True)
    assert "pod default/waits has no node; `orlop why -n default waits` tells why" in said


def test_pods_that_are_not_the_schedulers(cluster: Cluster) -> None:
    cluster.pod("gated", schedulingGates=[{"name": "example.com/quota"}])
    cluster.pod("foreign", schedulerName="mine")
    cluster.pod("lost", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "nope"}}])
    cluster.refused("lost")
    gated = cluster.json("why", "gated")
    assert gated["state"] == "gated"
    assert [change["text"] for change in gated["changes"]] == ["remove the scheduling gate example.com/quota"]
    foreign = cluster.json("why", "foreign")
    assert (foreign["state"], foreign["changes"][0]["text"]) == ("foreign", "set schedulerName to default-scheduler")
    lost = cluster.orlop("why", "lost")
    assert 'all 4 nodes refuse it: persistentvolumeclaim "nope" not found' in lost
    assert "do without the volume of claim 'nope', or mend the claim" in lost


def test_a_plan_is_what_happens_and_writes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    high = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 10}
    cluster.pod("small", "24")
    where = cluster.bound("small")
    other = "hollow-1" if where == "hollow-0" else "hollow-0"
    urgent = pod("urgent", "30", priorityClassName="high")
    objects = [workload("Deployment", "web", 3, "10"), workload("DaemonSet", "agent", 0, "100m"), high, urgent]
    manifest = "\n---\n".join(json.dumps(obj) for obj in objects)
    (tmp_path / "all.yaml").write_text(manifest)
    said = cluster.orlop("plan", "-f", str(tmp_path / "all.yaml"), fails=True)
    found = cluster.json("plan", "-f", "-", stdin=manifest, fails=True)
    placed: dict[str, list[str]] = {}
    for placement in found["placements"]:
        placed.setdefault(placement.get("owner") or placement["pod"], []).append(placement.get("node", ""))
    assert placed["default/urgent"] == [other]
    assert sorted(placed["daemonset/agent"]) == ["hollow-0", "hollow-1", "hollow-3"]
    assert placed["deployment/web"] == ["", "", ""]
    assert "default/web-1, default/web-2, default/web-3 of deployment/web would stay Pending:" in said
    assert "tolerate gpu=true:NoSchedule" in said
    assert len(cluster.client.list(core_v1.Pod, "default").items) == 1

    more = json.dumps(high) + "\n---\n" + json.dumps({**urgent, "metadata": {"name": "urgent", "namespace": "default"}})
    assert f"1 of 1 pods would be placed, on 1 node\n\n  NODE      PODS\n  {other}" in cluster.orlop(
        "plan", "-f", "-", stdin=more
    )
    cluster.apply([high, pod("filler", "32")])
    assert cluster.bound("filler") == other
    found = cluster.json("plan", "-f", "-", stdin=more)
    assert len(found["placements"][0]["evicts"]) == 1
    typed = cluster.plan(urgent)
    assert typed.placements[0].evicts == found["placements"][0]["evicts"]
    cluster.apply(urgent)
    assert cluster.bound("urgent") == typed.placements[0].node

    assert "Object 'Kind' is missing" in cluster.orlop("plan", "-f", "-", stdin="a: 1", fails=True)
    broken = json.dumps(workload("Deployment", "web", 1, "1") | {"spec": {"replicas": 1}})
    assert "Required value" in cluster.orlop("plan", "-f", "-", stdin=broken, fails=True)
