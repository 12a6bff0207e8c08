"""`why` and `plan` where others than the core have a say: they tell what the scheduler told, and what would help."""

from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, storage_v1
from orlop.scheduler import config
from orlop.scheduler.explain import plan, why, why_here, why_node
from orlop.scheduler.explain.terms import Terms
from orlop.scheduler.plugins import Loaded, Nodes, Pod, points
from tests.scheduler.conftest import World
from tests.scheduler.test_devices import DRIVER, Devices, exactly
from tests.scheduler.test_volumefilters import DRIVER as CSI
from tests.scheduler.test_volumes import Storage


@pytest.fixture
async def devices(world: World) -> Devices:
    return Devices(world)


async def refusal(world: World, name: str) -> str:
    """What the scheduler says of a pod, without what preemption adds."""
    said = await world.condition(name, "Unschedulable")
    return str(said).partition(" preemption:")[0]


async def test_devices_that_another_has(devices: Devices) -> None:
    world = devices.world
    for node in ("n1", "n2"):
        await world.node(node)
    await devices.device_class()
    await devices.slice("n1", "g0")
    for name in ("a", "b"):
        await devices.claim(name, exactly())
    async with world.scheduler():
        await devices.pod("pa", "a")
        assert await world.placed("pa") == "n1"
        await devices.pod("pb", "b")
        said = await refusal(world, "pb")
    found = await why(world.admin, "default", "pb")
    assert found.message == said == "0/2 nodes are available: 2 cannot allocate all claims."
    (reason,) = found.reasons
    assert (reason.plugin, reason.detail) == ("DynamicResources", "1 of class gpu")
    assert [change.text for change in found.changes] == [
        "do without the devices of claim 'b', or mend the claim",
        "delete default/pa from node n1",
    ]
    assert [change.node for change in found.changes][1] == "n1"
    there = await why_node(world.admin, "default", "pb", "n2")
    assert there.summary == "n2 refuses it: cannot allocate all claims"


async def test_a_class_that_is_missing(devices: Devices) -> None:
    world = devices.world
    await world.node("n1")
    await devices.claim("c", exactly(device_class="none"))
    await devices.pod("p", "c")
    async with world.scheduler():
        said = await refusal(world, "p")
    found = await why(world.admin, "default", "p")
    assert found.message == said
    assert "device class none does not exist" in found.summary


async def test_better_devices_count(devices: Devices) -> None:
    world = devices.world
    for node in ("n1", "n2"):
        await world.node(node)
    await devices.device_class("gpu")
    await devices.device_class("best", f"device.attributes['{DRIVER}'].?model.orValue('') == 'best'")
    await devices.slice("n1", "g0")
    await devices.slice("n2", {"name": "g1", "attributes": {"model": {"string": "best"}}})
    alternatives = [{"name": n, "deviceClassName": c} for n, c in (("first", "best"), ("second", "gpu"))]
    await devices.claim("c", {"name": "r", "firstAvailable": alternatives})
    await devices.pod("p", "c")
    there = await why_node(world.admin, "default", "p", "n1")
    assert there.rank == 2
    assert there.best is not None
    assert there.best.node == "n2"
    assert [(s.plugin, s.score) for s in there.best.scores if s.plugin == "DynamicResources"] == [
        ("DynamicResources", 100)
    ]
    async with world.scheduler():
        assert await world.placed("p") == "n2"


async def test_a_node_that_takes_no_more_volumes(world: World) -> None:
    storage = Storage(world)
    await world.node("n1")
    await world.node("n2", cpu="0")
    node = {
        "metadata": {"name": "n1"},
        "spec": {"drivers": [{"name": CSI, "nodeID": "n1", "allocatable": {"count": 1}}]},
    }
    await world.admin.create(msgspec.convert(node, storage_v1.CSINode))
    for name in ("one", "two"):
        spec = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "csi": {"driver": CSI, "volumeHandle": name},
        }
        await world.admin.create(msgspec.convert({"metadata": {"name": name}, "spec": spec}, core_v1.PersistentVolume))
        await storage.claim(name, "")
        await storage.bind(name, name)
    async with world.scheduler():
        await storage.pod("first", "one")
        assert await world.placed("first") == "n1"
        await storage.pod("second", "two")
        said = await refusal(world, "second")
    found = await why(world.admin, "default", "second")
    assert found.message == said
    assert "node(s) exceed max volume count" in said
    assert "delete default/first from node n1" in [change.text for change in found.changes]


async def test_a_plan_gives_each_pod_its_own_devices_and_volumes(devices: Devices) -> None:
    world = devices.world
    await world.node("n1")
    await devices.slice("n1", "g0", "g1")
    gpu = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": "gpu"}, "spec": {}}
    template = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": "gpu"},
        "spec": {"spec": {"devices": {"requests": [exactly()]}}},
    }
    documents = [gpu, template, *(planned(name) for name in ("a", "b", "c"))]
    found = await plan(world.admin, documents)
    assert [(p.pod, p.node) for p in found.placements] == [("default/a", "n1"), ("default/b", "n1"), ("default/c", "")]
    last = found.placements[-1]
    assert last.message == "0/1 nodes are available: 1 cannot allocate all claims."
    assert not (await world.admin.list(core_v1.Pod, "default")).items


def planned(name: str) -> dict[str, Any]:
    spec = {
        "containers": [{"name": "c", "image": "i", "resources": {"claims": [{"name": "gpu"}]}}],
        "resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "gpu"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


class Even:
    """A plug-in that wants nodes with an even number, and prefers higher ones."""

    def filter(self, pod: Pod, nodes: Nodes) -> tuple[bytes, str]:
        return bytes(name[-1:] in "02468" for name in nodes.names), "node(s) were odd"

    def score(self, pod: Pod, nodes: Nodes) -> list[int]:
        return [int(name[-1:] or 0) for name in nodes.names]


async def test_profiles_and_plugins_have_their_say(world: World) -> None:
    for node in ("n1", "n2", "n4"):
        await world.node(node)
    plugins = {"Even": Loaded(Even())}
    own = {"enabled": [{"name": "Even"}]}
    one = {"schedulerName": "even", "plugins": {"filter": own, "score": {"disabled": [{"name": "*"}], **own}}}
    given = {"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration", "profiles": [one]}
    settings = config.read(msgspec.json.encode(given), points(plugins))
    terms = Terms(settings, plugins)
    await world.pod("p", schedulerName="even")
    odd = await why_node(world.admin, "default", "p", "n1", terms=terms)
    assert odd.summary == "n1 refuses it: node(s) were odd"
    there = await why_node(world.admin, "default", "p", "n4", terms=terms)
    assert [(score.plugin, score.score) for score in there.report.scores] == [("Even", 4)]
    assert (await why(world.admin, "default", "p", terms=terms)).node == "n4"
    assert (await why(world.admin, "default", "p")).state == "foreign"
    async with world.scheduler(settings=settings, plugins=plugins):
        assert await world.placed("p") == "n4"
    assert (await why_here(world.admin, "default", "p", terms=terms)).best == ["n4"]
    planned = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}, "spec": {"schedulerName": "even"}}
    planned["spec"] |= {"containers": [{"name": "c", "image": "i"}]}  # type: ignore[operator]
    assert [p.node for p in (await plan(world.admin, [planned], terms=terms)).placements] == ["n4"]
