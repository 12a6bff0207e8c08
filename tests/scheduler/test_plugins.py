"""Python plug-ins: what they see, what comes of what they say, and what it costs when they are wrong."""

import asyncio
import importlib.util
import sys
from array import array
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pytest

from orlop.api.types import core_v1
from orlop.native import SchedulerCore
from orlop.scheduler import config
from orlop.scheduler.plugins import Loaded, Nodes, PluginNotFound, Pod, Refused, load, points
from tests.scheduler.conftest import World, eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "scheduler-plugins" / "rack.py"


def node(name: str, cpu: str) -> bytes:
    status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110", "example.com/gpu": "2"}}
    return msgspec.json.encode({"metadata": {"name": name}, "status": status})


def test_columns_are_read_without_a_copy_and_stay_as_they_are() -> None:
    core = SchedulerCore(1)
    core.upsert_node(node("a", "4"))
    core.upsert_node(node("b", "2"))
    columns = core.columns()
    assert (columns.names, columns.resources[:2]) == (["a", "b"], ["cpu", "memory"])
    assert "example.com/gpu" in columns.resources
    assert columns.allocatable("none") is None
    column = columns.allocatable("cpu")
    assert column is not None
    view = memoryview(column)
    assert (view.format, view.itemsize, view.readonly, view.shape, list(view)) == ("q", 8, True, (2,), [4000, 2000])
    assert view.contiguous
    numbers = numpy.asarray(column)
    assert numbers.dtype == numpy.int64
    assert numbers.tolist() == [4000, 2000]
    again = core.columns().allocatable("cpu")
    assert again is not None
    assert numpy.shares_memory(numbers, numpy.asarray(again)), "each reader has a copy"
    core.upsert_node(node("a", "8"))
    core.upsert_node(node("c", "1"))
    assert list(view) == [4000, 2000]
    after = core.columns().allocatable("cpu")
    assert after is not None
    assert list(memoryview(after)) == [8000, 2000, 1000]
    with pytest.raises(TypeError):
        view[0] = 1


class Only:
    """Lets pods onto one node, prefers by a column, and keeps account of all that is called."""

    def __init__(self, *allowed: str, kind: Any = list) -> None:
        self.allowed = allowed
        self.kind = kind
        self.called: list[tuple[str, str, str]] = []

    def filter(self, pod: Pod, nodes: Nodes) -> Any:
        return self.kind([name in self.allowed for name in nodes.names]), "node(s) were not mine"

    def reserve(self, pod: Pod, node: str) -> None:
        self.called.append(("reserve", pod.name, node))

    def unreserve(self, pod: Pod, node: str) -> None:
        self.called.append(("unreserve", pod.name, node))

    async def permit(self, pod: Pod, node: str) -> None:
        self.called.append(("permit", pod.name, node))

    def pre_bind(self, pod: Pod, node: str) -> None:
        self.called.append(("pre_bind", pod.name, node))

    async def post_bind(self, pod: Pod, node: str) -> None:
        self.called.append(("post_bind", pod.name, node))


def loaded(*plugins: Any) -> dict[str, Loaded]:
    return {one.name: one for one in map(Loaded, plugins)}


@pytest.mark.parametrize(
    "kind", [list, bytes, bytearray, numpy.array, lambda v: array("b", v), lambda v: memoryview(bytes(v))]
)
async def test_filters_and_is_told_of_every_step(world: World, kind: Any) -> None:
    for name in ("n1", "n2", "n3"):
        await world.node(name)
    plugin = Only("n2", kind=kind)
    async with world.scheduler(plugins=loaded(plugin)):
        await world.pod("p")
        assert await world.placed("p") == "n2"

        async def done() -> bool:
            return len(plugin.called) == 4

        await eventually(done)
        assert plugin.called == [(step, "p", "n2") for step in ("reserve", "permit", "pre_bind", "post_bind")]
        await world.pod("big", cpu="9")
        assert await world.condition("big", "Unschedulable") == (
            "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: "
            "3 Preemption is not helpful for scheduling."
        )
        plugin.allowed = ()
        await world.pod("q")
        message = await world.condition("q", "Unschedulable")
        assert message.startswith("0/3 nodes are available: 3 node(s) were not mine. preemption:")


class Most:
    """Scores by a column of numpy."""

    def __init__(self, resource: str, weight: int = 1) -> None:
        self.resource = resource
        self.normalize = True

    def score(self, pod: Pod, nodes: Nodes) -> Any:
        return numpy.asarray(nodes.allocatable(self.resource))


async def test_scores_by_its_weight(world: World) -> None:
    await world.node("small", cpu="2")
    await world.node("large", cpu="8")
    plugins = loaded(Most("cpu"))
    for weight, disabled, node in ((1, [{"name": "*"}], "large"), (100, [], "large")):
        score = {"enabled": [{"name": "Most", "weight": weight}], "disabled": disabled}
        given = {"kind": "KubeSchedulerConfiguration", "apiVersion": "kubescheduler.config.k8s.io/v1"}
        text = msgspec.json.encode({**given, "profiles": [{"plugins": {"score": score}}]})
        async with world.scheduler(settings=config.read(text, points(plugins)), plugins=plugins):
            await world.pod(f"p{weight}", cpu="1m")
            assert await world.placed(f"p{weight}") == node


class Faulty:
    """Raises where it is told to."""

    def __init__(self) -> None:
        self.at = ""
        self.error: Exception = ValueError("no idea")

    def _maybe(self, at: str, pod: Pod) -> None:
        if self.at == at and pod.name == "bad":
            raise self.error

    def filter(self, pod: Pod, nodes: Nodes) -> None:
        self._maybe("filter", pod)

    def score(self, pod: Pod, nodes: Nodes) -> Any:
        self._maybe("score", pod)
        return [101] * len(nodes) if self.at == "high" else [1] if self.at == "few" else None

    def reserve(self, pod: Pod, node: str) -> None:
        self._maybe("reserve", pod)

    async def permit(self, pod: Pod, node: str) -> None:
        await asyncio.sleep(0)
        self._maybe("permit", pod)

    def pre_bind(self, pod: Pod, node: str) -> None:
        self._maybe("pre_bind", pod)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("filter", 'running "Faulty" filter plugin: ValueError: no idea'),
        ("score", 'running Score plugins: plugin "Faulty" failed with: ValueError: no idea'),
        ("few", 'running Score plugins: plugin "Faulty" failed with: ValueError: 1 values for 2 slots'),
        (
            "high",
            'running Score plugins: plugin "Faulty" failed with: ValueError: plugin "Faulty" returns an invalid score '
            "101, it should in the range of [0, 100] after normalizing",
        ),
        ("reserve", 'running Reserve plugin "Faulty": ValueError: no idea'),
        ("permit", 'running Permit plugin "Faulty": ValueError: no idea'),
        ("pre_bind", 'running PreBind plugin "Faulty": ValueError: no idea'),
    ],
)
async def test_an_exception_costs_that_pods_cycle_alone(world: World, at: str, message: str) -> None:
    await world.node("n1")
    await world.node("n2")
    faulty, only = Faulty(), Only("n1", "n2")
    async with world.scheduler(plugins=loaded(only, faulty)):
        faulty.at = at
        await world.pod("bad")
        assert await world.condition("bad", "SchedulerError") == message
        assert (await world.event("bad", "FailedScheduling")).message == message
        if at in ("reserve", "permit", "pre_bind"):
            assert ("unreserve", "bad") in [call[:2] for call in only.called]
        if at not in ("few", "high"):  # those are wrong for every pod
            await world.pod("good")
            await world.placed("good")
        faulty.at = ""
        await world.clock.advance(2)
        await world.placed("bad")


async def test_a_refusal_after_the_choice(world: World) -> None:
    await world.node("n1")
    faulty = Faulty()
    faulty.at, faulty.error = "permit", Refused("not this week")
    async with world.scheduler(plugins=loaded(faulty)) as scheduler:
        await world.pod("bad", cpu="4")
        assert await world.condition("bad", "Unschedulable") == "0/1 nodes are available: not this week."
        assert scheduler.core.columns().requested("cpu") is not None
        await world.pod("good", cpu="4")
        assert await world.placed("good") == "n1"


async def test_a_pod_that_is_held_does_not_hold_others(world: World) -> None:
    await world.node("n1")
    gate = asyncio.Event()

    class Gate:
        async def permit(self, pod: Pod, node: str) -> None:
            if pod.name == "held":
                await gate.wait()

    async with world.scheduler(plugins=loaded(Gate())):
        await world.pod("held")
        await world.pod("free")
        await world.placed("free")
        assert (await world.get("held")).spec.node_name == ""
        gate.set()
        assert await world.placed("held") == "n1"


async def test_the_example(world: World) -> None:
    spec = importlib.util.spec_from_file_location("rack", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    racks = module.Racks()
    for name, rack in (("r1-a", "r1"), ("r1-b", "r1"), ("r2-a", "r2")):
        await world.node(name)
        await world.admin.patch(core_v1.Node, name, None, {"metadata": {"labels": {"example.com/rack": rack}}})
    racks.closed.add("r2")
    async with world.scheduler(plugins=loaded(racks)):
        await world.pod("p", nodeSelector={"example.com/rack": "r2"})
        message = await world.condition("p", "Unschedulable")
        assert "1 node(s) were in a rack under maintenance" in message
        racks.closed = {"r1"}
        await world.pod("q")
        assert await world.placed("q") == "r2-a"


def test_plugins_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "class Good:\n    def filter(self, pod, nodes): pass\n"
        "class Empty: pass\n"
        "class Broken:\n    def __init__(self): raise RuntimeError('no')\n    def filter(self, pod, nodes): pass\n"
    )
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[orlop.scheduler_plugins]\ngood = mine:Good\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    assert points(load()) == {"Good": ("filter",)}
    for path, words in (
        ("mine:Empty", "Empty: has none of filter, score, reserve, permit, pre_bind, post_bind"),
        ("mine:Broken", "mine:Broken: RuntimeError: no"),
        ("mine:None_", "mine:None_: module 'mine' has no attribute 'None_'"),
        ("nowhere:X", "nowhere:X: No module named 'nowhere'"),
        ("mine", "mine: must be MODULE:CLASS"),
        ("mine:Good", "mine:Good: there is a plug-in Good already"),
    ):
        with pytest.raises(PluginNotFound, match=words):
            load([path])
