"""The scheduler's metrics beside upstream's list, and what they count."""

import re

from orlop.metrics import render
from orlop.scheduler import config
from tests.scheduler.conftest import World, eventually
from tests.scheduler.test_plugins import Only, loaded

UPSTREAM = {
    # Stable and beta, pkg/scheduler/metrics/metrics.go
    "scheduler_goroutines": ("operation",),
    "scheduler_framework_extension_point_duration_seconds": ("extension_point", "status", "profile"),
    "scheduler_pending_pods": ("queue",),
    "scheduler_pod_scheduling_attempts": (),
    "scheduler_pod_scheduling_sli_duration_seconds": ("attempts",),
    "scheduler_preemption_attempts_total": (),
    "scheduler_preemption_victims": (),
    "scheduler_queue_incoming_pods_total": ("queue", "event"),
    "scheduler_schedule_attempts_total": ("result", "profile"),
    "scheduler_scheduling_attempt_duration_seconds": ("result", "profile"),
    # Alpha
    "scheduler_cache_size": ("type",),
    "scheduler_permit_wait_duration_seconds": ("result",),
    "scheduler_plugin_evaluation_total": ("plugin", "extension_point", "profile"),
    "scheduler_plugin_execution_duration_seconds": ("plugin", "extension_point", "status"),
    "scheduler_queueing_hint_execution_duration_seconds": ("plugin", "event", "hint"),
    "scheduler_scheduling_algorithm_duration_seconds": (),
    "scheduler_unschedulable_pods": ("plugin", "profile"),
}


def values() -> dict[str, float]:
    """Every sample by its name and labels."""
    lines = [line for line in render().decode().splitlines() if line.startswith("scheduler_")]
    return {sample: float(value) for sample, value in (line.rsplit(" ", 1) for line in lines)}


async def test_names_and_labels_are_upstreams(world: World) -> None:
    profile = "default-scheduler"
    await world.node("n1")
    await world.node("n2", cpu="1")
    before = values()
    plugin = Only("n1", "n2")
    plugin.score = lambda pod, nodes: [1] * len(nodes)  # type: ignore[attr-defined]
    async with world.scheduler(plugins=loaded(plugin)):
        await world.pod("p")
        await world.placed("p")
        await world.pod("q", cpu="9")
        await world.condition("q", "Unschedulable")
        await world.pod("gated", schedulingGates=[{"name": "g"}])

        async def gated() -> bool:
            return values().get('scheduler_pending_pods{queue="gated"}') == 1

        await eventually(gated)
        now = values()

        def grew(sample: str) -> float:
            return now.get(sample, 0) - before.get(sample, 0)

        assert grew(f'scheduler_schedule_attempts_total{{profile="{profile}",result="scheduled"}}') == 1
        assert grew(f'scheduler_schedule_attempts_total{{profile="{profile}",result="unschedulable"}}') == 1
        assert grew('scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"}') == 1
        assert grew("scheduler_pod_scheduling_attempts_count") == 1
        assert grew("scheduler_preemption_attempts_total") == 1
        assert grew('scheduler_queue_incoming_pods_total{event="PodAdd",queue="active"}') == 2
        assert grew('scheduler_queue_incoming_pods_total{event="ScheduleAttemptFailure",queue="unschedulable"}') == 1
        assert grew(f'scheduler_unschedulable_pods{{plugin="NodeResourcesFit",profile="{profile}"}}') == 1
        assert now['scheduler_pending_pods{queue="unschedulable"}'] == 1
        assert now['scheduler_cache_size{type="nodes"}'] == 2
        for point in ("Filter", "Score", "Reserve", "Permit", "PreBind"):
            ran = f'{{extension_point="{point}",plugin="Only",status="Success"}}'
            assert grew(f"scheduler_plugin_execution_duration_seconds_count{ran}") >= 1, point
        assert grew('scheduler_permit_wait_duration_seconds_count{result="allowed"}') == 1
        await world.admin.delete(type(await world.get("p")), "p", "default", grace=0)

        async def hinted() -> bool:
            return any(sample.startswith("scheduler_queueing_hint") for sample in values())

        await eventually(hinted)
    seen = {sample.partition("{")[0] for sample in values()}
    for name, labels in UPSTREAM.items():
        mine = [sample for sample in values() if re.match(rf"{name}(_count)?(\{{|$)", sample)]
        assert mine, (name, sorted(seen))
        assert set(re.findall(r'(\w+)="', mine[0])) == set(labels), mine[0]


async def test_weights_and_profiles_are_told_apart(world: World) -> None:
    await world.node("n1")
    settings = config.Settings((config.standard("one"), config.standard("two")))
    before = values()
    async with world.scheduler(settings=settings):
        for name in ("one", "two"):
            await world.pod(name, schedulerName=name)
            await world.placed(name)

        def count(name: str) -> float:
            sample = f'scheduler_schedule_attempts_total{{profile="{name}",result="scheduled"}}'
            return values().get(sample, 0) - before.get(sample, 0)

        async def counted() -> bool:
            return (count("one"), count("two")) == (1, 1)

        await eventually(counted)
