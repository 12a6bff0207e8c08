"""Queueing hints: for each filter an event of the right kind that does not help the pod, and one that does."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from orlop.clock import FakeClock
from orlop.native import SchedulerCore
from orlop.scheduler import events
from orlop.scheduler.events import ClusterEvent
from orlop.scheduler.hints import LOCAL, SOCIAL, Hints
from orlop.scheduler.queue import Item, Place, SchedulingQueue

Object = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"


def node(
    name: str, *, cpu: str = "4", labels: Object | None = None, features: tuple[str, ...] = (), **spec: Any
) -> Object:
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, ZONE: "a", **(labels or {})}}
    status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}, "declaredFeatures": features}
    return {"metadata": metadata, "spec": spec, "status": status}


def pod(name: str, *, cpu: str = "1", app: str = "x", ports: tuple[int, ...] = (), **spec: Any) -> Object:
    metadata = {"namespace": "default", "name": name, "uid": name, "labels": {"app": app}}
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}}, "ports": [{"hostPort": port} for port in ports]}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}}


class World:
    """A core, a queue and what tells them both of changes, as the scheduler's feed does."""

    def __init__(self, *nodes: Object) -> None:
        self.core = SchedulerCore(1)
        clock = FakeClock()
        self.queue = SchedulingQueue(clock, hint=Hints(self.core, clock))
        for one in nodes:
            self.node(one)

    def node(self, value: Object) -> None:
        changed = self.core.upsert_node(json.dumps(value).encode())
        self.queue.happened(events.of_node(changed), node=value["metadata"]["name"])

    def pod(self, value: Object) -> None:
        facts = self.core.upsert_pod(json.dumps(value).encode())
        self.queue.happened(events.of_pod(facts.changed), node=facts.freed or facts.node)

    def gone(self, name: str) -> None:
        if freed := self.core.delete_pod("default", name):
            self.queue.happened(ClusterEvent.ASSIGNED_POD_FREED, node=freed)

    async def refused(self, value: Object) -> Item:
        """The pod, waiting after a refusal."""
        self.pod(value)
        name, spec = value["metadata"]["name"], value["spec"]
        item = Item("default", name, name, "", spec.get("priority", 0), False, None, 0, 0.0)
        self.queue.add(item)
        assert await self.queue.pop(10) == [item]
        decision = self.core.schedule([item.key])[0]
        assert decision.node is None
        self.queue.refuse(item, decision.plugins)
        assert item.place is Place.UNSCHEDULABLE
        return item


Step = Callable[[World], None]
TAINT = {"key": "gpu", "effect": "NoSchedule"}
CLOSED = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
NEAR = {"topologyKey": ZONE, "labelSelector": {"matchLabels": {"app": "db"}}}


def social(kind: str) -> Object:
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]}}}


SPREAD = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
SPREAD["labelSelector"] = {"matchLabels": {"app": "x"}}

CASES: dict[str, tuple[list[Object], list[Object], Object, Step, Step]] = {
    # filter: nodes, pods on them, the refused pod, what does not help, what does
    "NodeUnschedulable": (
        [node("a", unschedulable=True)],
        [],
        pod("p"),
        lambda w: w.node(node("b", unschedulable=True)),
        lambda w: w.node(node("a")),
    ),
    "TaintToleration": (
        [node("a", taints=[TAINT])],
        [],
        pod("p"),
        lambda w: w.node(node("a", taints=[CLOSED])),
        lambda w: w.node(node("a")),
    ),
    "NodeAffinity": (
        [node("a")],
        [],
        pod("p", nodeSelector={"disk": "ssd"}),
        lambda w: w.node(node("a", labels={"disk": "hdd"})),
        lambda w: w.node(node("a", labels={"disk": "ssd"})),
    ),
    "NodePorts": (
        [node("a")],
        [pod("x", nodeName="a", ports=(80,)), pod("y", nodeName="a")],
        pod("p", ports=(80,)),
        lambda w: w.gone("y"),
        lambda w: w.gone("x"),
    ),
    "NodeResourcesFit": (
        [node("a", cpu="4"), node("b", cpu="1")],
        [pod("x", nodeName="a", cpu="3"), pod("y", nodeName="a", cpu="500m")],
        pod("p", cpu="2"),
        lambda w: w.gone("y"),
        lambda w: w.gone("x"),
    ),
    "NodeDeclaredFeatures": (
        [node("a")],
        [],
        pod("p", hostNetwork=True, hostUsers=False),
        lambda w: w.node(node("a", features=("RestartAllContainersOnContainerExits",))),
        lambda w: w.node(node("a", features=("UserNamespacesHostNetworkSupport",))),
    ),
    "InterPodAffinity": (
        [node("a")],
        [pod("x", nodeName="a", app="db"), pod("y", nodeName="a", app="web")],
        pod("p", **social("podAntiAffinity")),
        lambda w: w.gone("y"),
        lambda w: w.gone("x"),
    ),
    "PodTopologySpread": (
        [node("a"), node("b", unschedulable=True)],
        [pod("x", nodeName="a"), pod("y", nodeName="a", app="web")],
        pod("p", topologySpreadConstraints=[SPREAD]),
        lambda w: w.gone("y"),
        lambda w: w.gone("x"),
    ),
}


def test_every_filter_of_the_core_has_a_case() -> None:
    filters, _ = SchedulerCore.default_plugins()
    # A pod that names a node has one already; volumes' filters are asked for in another place.
    assert set(CASES) == set(filters) - {"NodeName", "VolumeRestrictions"} == (LOCAL | SOCIAL) - {"NodeName"}


@pytest.mark.parametrize("name", sorted(CASES))
async def test_an_event_wakes_only_whom_it_may_help(name: str) -> None:
    nodes, pods, refused, in_vain, helpful = CASES[name]
    world = World(*nodes)
    for one in pods:
        world.pod(one)
    item = await world.refused(refused)
    assert name in item.plugins
    in_vain(world)
    assert item.place is Place.UNSCHEDULABLE
    helpful(world)
    assert item.place is not Place.UNSCHEDULABLE


async def test_what_keeps_a_new_node_closed_is_waited_for() -> None:
    """A full cluster gets a node that is not ready yet: it helps once its taint goes, and not before."""
    world = World(node("a", cpu="1"))
    item = await world.refused(pod("p", cpu="2"))
    assert item.plugins == ["NodeResourcesFit"]
    world.node(node("b", taints=[CLOSED]))
    world.node(node("b", taints=[CLOSED], labels={"x": "y"}))
    assert item.place is Place.UNSCHEDULABLE
    world.node(node("b"))
    assert item.place is not Place.UNSCHEDULABLE


async def test_room_that_evictions_can_make_counts() -> None:
    world = World(node("a", cpu="2"), node("b", cpu="2", taints=[TAINT]))
    world.pod(pod("low", cpu="2", nodeName="b", priority=-1))
    world.pod(pod("same", cpu="2", nodeName="a"))
    item = await world.refused(pod("p", cpu="2"))
    world.node(node("b", cpu="2", taints=[CLOSED]))
    assert item.place is Place.UNSCHEDULABLE
    world.node(node("b", cpu="2"))
    assert item.place is not Place.UNSCHEDULABLE


async def test_a_friend_that_comes_wakes_a_pod() -> None:
    world = World(node("a"), node("b"))
    item = await world.refused(pod("p", **social("podAffinity")))
    world.pod(pod("y", nodeName="b", app="web"))
    assert item.place is Place.UNSCHEDULABLE
    world.pod(pod("x", nodeName="b", app="db"))
    assert item.place is not Place.UNSCHEDULABLE
