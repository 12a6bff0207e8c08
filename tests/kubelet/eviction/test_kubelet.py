"""A whole kubelet on a real API server, its containers simulated: what a user sees of evictions."""

import asyncio
from pathlib import Path

from orlop.api.types import core_v1
from orlop.kubelet.eviction.config import EvictionConfig
from orlop.kubelet.runtime.hollow import HollowRuntime
from orlop.kubelet.runtime.hollow_stages import Match, Stage
from tests.kubelet.nodes import NODE, Node, hollow

GI, MI = 1 << 30, 1 << 20
FAST = 40
"""The kubelet looks every quarter of a second then."""


def condition(node: core_v1.Node, type_: str) -> core_v1.NodeCondition:
    return next(c for c in node.status.conditions if c.type == type_)


async def has_condition(node: Node, type_: str, status: str) -> core_v1.NodeCondition:
    async with asyncio.timeout(8):
        while True:
            found = condition(await node.admin.get(core_v1.Node, NODE), type_)
            if found.status == status:
                return found
            await asyncio.sleep(0.05)


async def test_a_pod_is_evicted_for_memory(tmp_path: Path) -> None:
    async with hollow(tmp_path, speed=FAST, start=False) as node:
        node.config.eviction = EvictionConfig(hard={"memory.available": "2Gi"}, pressure_transition_period=60.0)
        await node.start()
        registered = await node.admin.get(core_v1.Node, NODE)
        assert registered.status.capacity["memory"] == "16Gi"
        assert registered.status.allocatable["memory"] == "14Gi"
        assert registered.status.allocatable["cpu"] == "8"
        await node.pod("modest", stage={"memoryBytes": 2 * GI})
        await node.running("modest")
        await node.pod("hungry", stage={"memoryBytes": 13 * GI})
        pod = await node.until(lambda p: p.status.phase == "Failed", "hungry")
        message = (
            "The node was low on resource: memory. Threshold quantity: 2Gi, available: 1Gi. "
            "Container main was using 13Gi, request is 0, has larger consumption of memory. "
        )
        assert (pod.status.reason, pod.status.message) == ("Evicted", message)
        target = next(c for c in pod.status.conditions if c.type == "DisruptionTarget")
        assert (target.status, target.reason, target.message) == ("True", "TerminationByKubelet", message)
        assert pod.status.container_statuses[0].state.terminated
        (event,) = await node.said("Evicted", "hungry")
        assert (event.type, event.message) == ("Warning", message)
        assert event.metadata.annotations["offending_containers_usage"] == "13Gi"
        pressure = await has_condition(node, "MemoryPressure", "True")
        assert (pressure.reason, pressure.message) == (
            "KubeletHasInsufficientMemory",
            "kubelet has insufficient memory available",
        )
        assert [e.message for e in await node.said("EvictionThresholdMet", NODE)] == ["Attempting to reclaim memory"]
        await node.said("NodeHasInsufficientMemory", NODE)
        await node.pod("late")
        late = await node.until(lambda p: p.status.phase == "Failed", "late")
        assert (late.status.reason, late.status.message) == (
            "Evicted",
            "Pod was rejected: The node had condition: [MemoryPressure]. ",
        )
        assert late.status.container_statuses == []
        assert (await node.said("Evicted", "late"))[0].message == "The node had condition: [MemoryPressure]. "
        await has_condition(node, "MemoryPressure", "False")
        await node.said("NodeHasSufficientMemory", NODE)
        await node.pod("later")
        await node.running("later")
        phases = [p.get("reason") for p in node.line.patches("hungry") if "phase" in p]
        assert phases == [None, "Evicted"], "nothing is told of its end before it has ended"
        sandboxes = await node.kubelet._runtime.list_pod_sandbox()
        assert sorted(s.metadata.name for s in sandboxes) == ["later", "modest"], "nothing is left of it"
        await node.delete("hungry")
        await node.gone("hungry")


async def test_limits_of_local_storage_hold_on_a_node_without_thresholds(tmp_path: Path) -> None:
    async with hollow(tmp_path, speed=FAST) as node:
        await node.pod(
            "volume",
            stage={"volumeBytes": {"data": 11 * MI}},
            volumes=[{"name": "data", "emptyDir": {"sizeLimit": "10Mi"}}],
        )
        limited = {"name": "main", "resources": {"limits": {"ephemeral-storage": "10Mi"}}}
        await node.pod("layer", stage={"layerBytes": 11 * MI}, containers=[limited])
        await node.pod("modest", stage={"layerBytes": 9 * MI}, containers=[dict(limited)])
        volume = await node.until(lambda p: p.status.phase == "Failed", "volume")
        assert volume.status.reason == "Evicted"
        assert volume.status.message == 'Usage of EmptyDir volume "data" exceeds the limit "10Mi". '
        assert not any(c.type == "DisruptionTarget" for c in volume.status.conditions)
        layer = await node.until(lambda p: p.status.phase == "Failed", "layer")
        assert layer.status.message == "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "
        modest = await node.running("modest")
        await node.clock.sleep(30)
        assert (await node.get("modest")).metadata.resource_version == modest.metadata.resource_version


async def test_a_pod_that_still_pulls_is_evicted_at_once(tmp_path: Path) -> None:
    """Whatever its start waits for is given up."""
    async with hollow(tmp_path, speed=FAST, start=False) as node:
        node.config.eviction = EvictionConfig(hard={"memory.available": "2Gi"})
        slow = Stage(match=Match(image="slow:1"), pull_delay=1e6)
        node.make_runtime = lambda: HollowRuntime(node.clock, node.network, [slow])
        await node.start()
        second = {"name": "second", "image": "slow:1"}
        await node.pod("hungry", stage={"memoryBytes": 15 * GI}, containers=[{"name": "main"}, second])
        pod = await node.until(lambda p: p.status.phase == "Failed", "hungry")
        assert pod.status.reason == "Evicted"


async def test_an_idle_kubelet_asks_its_runtime_for_nothing_more(tmp_path: Path) -> None:
    """Monitoring without thresholds and limits is a look at the list of pods."""
    async with hollow(tmp_path, speed=FAST) as node:
        runtime = node.kubelet._runtime
        await node.pod("free", stage={"layerBytes": 5 * MI})
        await node.running("free")
        asked: list[str] = []
        for name in ("container_disk_stats", "list_pod_sandbox_stats", "simulated_use"):
            setattr(runtime, name, lambda *_, name=name: asked.append(name))
        writes = len(node.line.writes)
        await node.clock.sleep(45)
        assert asked == []
        leases = [w for w in node.line.writes[writes:] if "/leases/" not in w[1]]
        assert leases == []


async def test_a_restarted_kubelet_leaves_the_evicted_and_the_rejected_as_they_are(tmp_path: Path) -> None:
    async with hollow(tmp_path, speed=FAST) as node:
        await node.pod(
            "volume", stage={"volumeBytes": {"d": 2 * MI}}, volumes=[{"name": "d", "emptyDir": {"sizeLimit": "1Mi"}}]
        )
        await node.pod("huge", containers=[{"resources": {"requests": {"cpu": "100"}}}])
        evicted = await node.until(lambda p: p.status.phase == "Failed", "volume")
        rejected = await node.until(lambda p: p.status.phase == "Failed", "huge")
        await node.stop()
        await node.start()
        await node.clock.sleep(30)
        assert (await node.get("volume")).status == evicted.status
        assert (await node.get("huge")).status == rejected.status
