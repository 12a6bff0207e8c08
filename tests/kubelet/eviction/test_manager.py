"""The eviction manager over simulated containers, on a clock that only the test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1
from orlop.clock import FakeClock
from orlop.kubelet import containers
from orlop.kubelet.ended import Ended
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.manager import MONITORING_INTERVAL, EvictionManager, Settings
from orlop.kubelet.eviction.meter import Meter
from orlop.kubelet.eviction.reclaim import Reclaimer
from orlop.kubelet.eviction.signals import Layout
from orlop.kubelet.eviction.simulated import SimulatedSignals
from orlop.kubelet.eviction.thresholds import parse
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.hollow import HollowRuntime
from orlop.kubelet.runtime.hollow_stages import STAGE_ANNOTATION, Stage
from tests.kubelet.eviction.pods import pod

CAPACITY = {"memory": "1Gi", "ephemeral-storage": "1Gi"}
MI = 1 << 20


class Machine:
    """A node's runtime, what was told, and who had to go."""

    def __init__(self, runtime: HollowRuntime, clock: FakeClock, **settings: Any) -> None:
        self.runtime, self.clock = runtime, clock
        self.pods: dict[str, core_v1.Pod] = {}
        self.gone: dict[str, Ended] = {}
        self.events: list[tuple[str, str, str]] = []
        self.annotations: dict[str, str] = {}
        self.changes: list[tuple[str, bool]] = []
        self.reclaimer = Reclaimer(clock, runtime, lambda: set(self.pods))
        self.manager = EvictionManager(
            clock,
            Settings(**settings),
            SimulatedSignals(runtime, CAPACITY),
            Meter(clock, runtime, Path("/nonexistent")),
            self.reclaimer,
            pods=lambda: list(self.pods.values()),
            evict=self._evict,
            events=self,
            node=core_v1.ObjectReference(kind="Node", name="n1", uid="n1"),
            changed=self._changed,
        )

    async def _evict(self, one: core_v1.Pod, how: Ended) -> None:
        self.gone[one.metadata.name] = how
        del self.pods[one.metadata.uid]
        for sandbox in await self.runtime.list_pod_sandbox(containers.labels(one)):
            await self.runtime.remove_pod_sandbox(sandbox.id)

    def _changed(self, condition: str, present: bool) -> None:
        self.changes.append((condition, present))

    def event(
        self, obj: Any, type: str, reason: str, message: str, *, annotations: dict[str, str] | None = None
    ) -> None:
        self.events.append((type, reason, message))
        self.annotations |= annotations or {}

    async def start(self, one: core_v1.Pod, **stage: Any) -> None:
        """The pod's containers run, as `stage` says."""
        one.metadata.annotations[STAGE_ANNOTATION] = msgspec.json.encode(stage).decode()
        sandbox = containers.sandbox_config(one, 0, v.DNSConfig(), Path("/logs"))
        sandbox_id = await self.runtime.run_pod_sandbox(sandbox)
        await self.runtime.pull_image(one.spec.containers[0].image)
        for container in one.spec.containers:
            config = containers.container_config(
                one, container, attempt=0, environment={}, mounts=[], node_memory=1 << 30
            )
            container_id = await self.runtime.create_container(sandbox_id, config, sandbox)
            await self.runtime.start_container(container_id)
        self.pods[one.metadata.uid] = one

    async def names(self) -> list[str]:
        """Who went in one look."""
        return [one.metadata.name for one in await self.manager.synchronize()]


@asynccontextmanager
async def machine(*, stages: list[Stage] | None = None, **settings: Any) -> AsyncIterator[Machine]:
    clock = FakeClock()
    network = HollowNetwork()
    await network.configure(["10.222.0.0/24"])
    runtime = HollowRuntime(clock, network, stages or [])
    await runtime.open()
    try:
        yield Machine(runtime, clock, **settings)
    finally:
        await runtime.close()


async def test_one_pod_goes_for_memory_with_a_second_to_end() -> None:
    async with machine(thresholds=parse({"memory.available": "200Mi"})) as node:
        await node.start(pod("small"), memoryBytes=300 * MI)
        assert await node.names() == []
        assert node.manager.conditions == ()
        await node.start(pod("large"), memoryBytes=600 * MI)
        assert await node.names() == ["large"]
        assert node.manager.conditions == ("MemoryPressure",)
        assert node.changes == [("MemoryPressure", True)]
        how = node.gone["large"]
        assert (how.reason, how.grace, how.disruption) == ("Evicted", 1.0, True)
        assert how.message == (
            "The node was low on resource: memory. Threshold quantity: 200Mi, available: 124Mi. "
            "Container main was using 600Mi, request is 0, has larger consumption of memory. "
        )
        assert node.events == [
            ("Warning", "EvictionThresholdMet", "Attempting to reclaim memory"),
            ("Warning", "Evicted", how.message),
        ]
        assert node.annotations["starved_resource"] == "memory"
        assert await node.names() == [], "enough is free now"
        assert node.manager.conditions == ("MemoryPressure",)
        await node.clock.advance(300)
        assert await node.names() == []
        assert node.manager.conditions == ()
        assert node.changes == [("MemoryPressure", True), ("MemoryPressure", False)]


async def test_a_soft_threshold_gives_time() -> None:
    thresholds = parse({}, {"memory.available": "200Mi"}, {"memory.available": "30s"})
    async with machine(thresholds=thresholds, max_pod_grace_period=7) as node:
        await node.start(pod("large"), memoryBytes=900 * MI)
        assert await node.names() == []
        await node.clock.advance(30)
        assert await node.names() == ["large"]
        assert node.gone["large"].grace == 7.0


async def test_a_critical_pod_stays_and_the_next_one_goes() -> None:
    async with machine(thresholds=parse({"memory.available": "200Mi"})) as node:
        await node.start(pod("critical", priority=2_000_001_000, namespace="kube-system"), memoryBytes=800 * MI)
        static = pod("static")
        static.metadata.annotations["kubernetes.io/config.mirror"] = "hash"
        await node.start(static, memoryBytes=50 * MI)
        assert await node.names() == []
        await node.start(pod("small"), memoryBytes=40 * MI)
        assert await node.names() == ["small"]


async def test_images_and_dead_containers_go_before_pods() -> None:
    stages = [Stage(match=msgspec.convert({"image": "big:1"}, type(Stage().match)), image_bytes=700 * MI)]
    async with machine(stages=stages, thresholds=parse({"nodefs.available": "400Mi"}), transition_period=0.0) as node:
        node.reclaimer.seen([])
        await node.start(pod("worker"), layerBytes=10 * MI)
        await node.runtime.pull_image("big:1")
        node.reclaimer.seen(await node.runtime.list_images())
        await node.start(pod("done"), logBytes=100 * MI)
        (sandbox,) = await node.runtime.list_pod_sandbox(containers.labels(node.pods.pop("done")))
        await node.runtime.stop_pod_sandbox(sandbox.id)
        await node.clock.advance(121)
        assert await node.names() == []
        assert node.events == [("Warning", "EvictionThresholdMet", "Attempting to reclaim ephemeral-storage")]
        assert [i.repo_tags for i in await node.runtime.list_images()] == [("app:1",)]
        assert [c.pod.name for c in await node.runtime.list_containers()] == ["worker"]
        assert len(await node.runtime.list_pod_sandbox()) == 1
        await node.clock.advance(MONITORING_INTERVAL)
        assert await node.names() == []
        assert node.manager.conditions == ()


async def test_an_image_that_has_just_come_stays() -> None:
    stages = [Stage(match=msgspec.convert({"image": "big:1"}, type(Stage().match)), image_bytes=900 * MI)]
    async with machine(stages=stages, thresholds=parse({"imagefs.available": "400Mi"})) as node:
        node.reclaimer.seen([])
        await node.start(pod("worker"), layerBytes=10 * MI)
        await node.runtime.pull_image("big:1")
        assert await node.names() == ["worker"]
        assert "big:1" in [tag for image in await node.runtime.list_images() for tag in image.repo_tags]


async def test_the_one_that_fills_the_disk_goes() -> None:
    async with machine(thresholds=parse({"nodefs.available": "400Mi"})) as node:
        await node.start(pod("modest"), layerBytes=100 * MI)
        await node.start(pod("full", volumes=[{"name": "data", "emptyDir": {}}]), volumeBytes={"data": 600 * MI})
        assert await node.names() == ["full"]
        assert node.manager.conditions == ("DiskPressure",)


async def test_processes() -> None:
    async with machine(thresholds=parse({"pid.available": "1000"})) as node:
        await node.start(pod("bomb"), pids=32000)
        await node.start(pod("one"))
        assert await node.names() == ["bomb"]
        assert node.manager.conditions == ("PIDPressure",)
        assert node.gone["bomb"].message.startswith("The node was low on resource: pids. Threshold quantity: 1k")


async def test_what_is_reserved_is_not_the_pods() -> None:
    async with machine(thresholds=parse({"memory.available": "100Mi"}), pods_memory=500 * MI) as node:
        await node.start(pod("large"), memoryBytes=450 * MI)
        assert await node.names() == ["large"]
        assert node.manager.conditions == ("MemoryPressure",)


async def test_every_pod_above_its_limit_goes_and_makes_no_pressure() -> None:
    async with machine() as node:
        limited = {"volumes": [{"name": "data", "emptyDir": {"sizeLimit": "10Mi"}}]}
        await node.start(pod("one", **limited), volumeBytes={"data": 11 * MI})
        await node.start(pod("two", limits={"ephemeral-storage": "1Mi"}), logBytes=2 * MI)
        await node.start(pod("free"), layerBytes=500 * MI)
        assert await node.names() == ["one", "two"]
        assert node.manager.conditions == ()
        assert [how.disruption for how in node.gone.values()] == [False, False]
        assert [how.grace for how in node.gone.values()] == [1.0, 1.0]
        assert await node.names() == []


async def test_a_node_with_nothing_to_watch_measures_nothing() -> None:
    class Untouched:
        """Fails whoever asks it."""

        async def observe(self) -> signals.Observations:
            raise AssertionError("measured without need")

        async def layout(self) -> Layout:
            raise AssertionError("measured without need")

    async with machine() as node:
        await node.start(pod("free"), layerBytes=500 * MI)
        node.manager._source = Untouched()
        assert await node.names() == []


async def test_it_looks_every_ten_seconds() -> None:
    async with machine(thresholds=parse({"memory.available": "200Mi"})) as node:
        looking = asyncio.ensure_future(node.manager.run())
        await node.clock.advance(1)
        await node.start(pod("large"), memoryBytes=900 * MI)
        await node.clock.advance(MONITORING_INTERVAL - 2)
        assert not node.gone
        await node.clock.advance(2)
        assert "large" in node.gone
        looking.cancel()


@pytest.mark.parametrize(
    ("given", "one", "refused"),
    [
        ("memory.available", pod("best-effort"), True),
        ("memory.available", pod("burstable", requests={"memory": "1Mi"}), False),
        (
            "memory.available",
            pod("tolerant", tolerations=[{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]),
            False,
        ),
        ("nodefs.available", pod("burstable", requests={"memory": "1Mi"}), True),
        (
            "nodefs.available",
            pod("tolerant", tolerations=[{"key": "node.kubernetes.io/disk-pressure", "operator": "Exists"}]),
            True,
        ),
        ("nodefs.available", pod("critical", priority=2_000_000_000), False),
        ("pid.available", pod("burstable", requests={"memory": "1Mi"}), True),
    ],
)
async def test_whom_a_node_under_pressure_takes(given: str, one: core_v1.Pod, refused: bool) -> None:
    async with machine(thresholds=parse({given: "99%"})) as node:
        await node.start(pod("critical", priority=2_000_000_000), memoryBytes=100 * MI, layerBytes=100 * MI, pids=1000)
        await node.names()
        (condition,) = node.manager.conditions
        assert node.manager.refusal(one) == (f"The node had condition: [{condition}]. " if refused else "")
