"""A pod is narrowed to some nodes by its affinity, whichever way is shorter, and keeps what it asks for itself."""

import json

import pytest

from orlop.native import SchedulerCore
from orlop.scheduler.podvolumes import HOSTNAME, Nodes, narrow


def core() -> SchedulerCore:
    made = SchedulerCore(1)
    for name, zone in (("n1", "a"), ("n2", "a"), ("n3", "b"), ("n4", "b")):
        meta = {"name": name, "labels": {HOSTNAME: name, "zone": zone}}
        status = {"allocatable": {"cpu": "8", "memory": "8Gi", "pods": "9"}}
        made.upsert_node(json.dumps({"metadata": meta, "status": status}).encode())
    return made


def pod(*zones: str) -> bytes:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [zone]}]} for zone in zones]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    affinity = {"affinity": {"nodeAffinity": required}} if zones else {}
    spec = {"schedulerName": "default-scheduler", "containers": [{"name": "c"}], **affinity}
    return json.dumps({"metadata": {"name": "p", "namespace": "default", "uid": "u"}, "spec": spec}).encode()


@pytest.mark.parametrize(
    ("zones", "allowed", "refused", "left"),
    [
        ((), ["n2"], None, {"n2"}),
        ((), ["n1", "n2", "n3"], ["n4"], {"n1", "n2", "n3"}),
        (("b",), ["n1", "n2", "n3"], ["n4"], {"n3"}),
        (("a", "b"), ["n2", "n3"], None, {"n2", "n3"}),
        (("a", "b"), ["n2", "n3"], ["n1", "n4"], {"n2", "n3"}),
        (("a",), ["n3"], None, set()),
    ],
)
def test_only_allowed_nodes_are_left(
    zones: tuple[str, ...], allowed: list[str], refused: list[str] | None, left: set[str]
) -> None:
    explained = core().explain(narrow(pod(*zones), allowed, refused))
    assert {name for name, filter_, *_ in explained if filter_ is None} == left


def test_nodes_by_host_name() -> None:
    nodes = Nodes()
    nodes.set("a", {HOSTNAME: "h1"})
    nodes.set("b", {HOSTNAME: "h2"})
    nodes.set("c", {})
    assert nodes.at(["h1", "nowhere"]) == ["a"]
    nodes.set("a", {HOSTNAME: "h2"})
    assert (nodes.at(["h1"]), sorted(nodes.at(["h2"])), len(nodes)) == ([], ["a", "b"], 3)
    nodes.set("b", None)
    assert (nodes.at(["h2"]), sorted(nodes.labels)) == (["a"], ["a", "c"])
