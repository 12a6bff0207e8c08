"""What stage data does; the contract itself is tested by tests/conformance/test_runtime.py."""

import asyncio
from pathlib import Path

import pytest

from orlop.clock import FakeClock, settle
from orlop.kubelet.network.base import NetworkError
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure, StartFailure
from orlop.kubelet.runtime.hollow import HollowRuntime
from orlop.kubelet.runtime.hollow_stages import STAGE_ANNOTATION, Answer, BadStage, Match, Stage, load


class World:
    def __init__(self, *stages: Stage) -> None:
        self.clock = FakeClock()
        self.network = HollowNetwork()
        self.runtime = HollowRuntime(self.clock, self.network, stages)

    async def __aenter__(self) -> "World":
        await self.network.configure(["10.9.0.0/24"])
        await self.runtime.open()
        await self.runtime.pull_image("img:1")
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.runtime.close()

    async def create(self, name: str = "p", annotations: dict[str, str] | None = None) -> str:
        metadata = v.PodSandboxMetadata(name=name, uid=name, namespace="default")
        config = v.PodSandboxConfig(metadata=metadata, annotations=annotations or {})
        sandbox = await self.runtime.run_pod_sandbox(config)
        container = v.ContainerConfig(metadata=v.ContainerMetadata(name="c"), image="img:1")
        return await self.runtime.create_container(sandbox, container, config)


async def test_runs_and_ends_on_the_clock() -> None:
    async with World(Stage(start_delay=2, run=5, exit_code=3)) as world:
        container = await world.create()
        start = asyncio.ensure_future(world.runtime.start_container(container))
        await world.clock.advance(1.9)
        assert not start.done()
        await world.clock.advance(0.2)
        await start
        await world.clock.advance(4.8)
        assert (await world.runtime.container_status(container)).state == "running"
        await world.clock.advance(0.2)
        status = await world.runtime.container_status(container)
        assert (status.state, status.exit_code, status.reason) == ("exited", 3, "Error")
        assert status.finished_at - status.started_at == pytest.approx(5e9, abs=1e6)


async def test_annotation_goes_before_stages() -> None:
    async with World(Stage(run=1)) as world:
        container = await world.create(annotations={STAGE_ANNOTATION: "{run: 2, oom: true}"})
        await world.runtime.start_container(container)
        await world.clock.advance(1.5)
        assert (await world.runtime.container_status(container)).state == "running"
        await world.clock.advance(1)
        status = await world.runtime.container_status(container)
        assert (status.exit_code, status.reason) == (137, "OOMKilled")
        with pytest.raises(RuntimeFailure, match=r"\$\.run"):
            await world.create("q", annotations={STAGE_ANNOTATION: "{run: soon}"})


async def test_probes_follow_the_stage() -> None:
    async with World(Stage(ready_after=2, ready_for=3, live_for=9)) as world:
        container = await world.create()
        await world.runtime.start_container(container)
        seen = []
        for _ in range(10):
            probes = [await world.runtime.probe(container, kind) for kind in ("startup", "readiness", "liveness")]
            seen.append("".join("+-"[not ok] for ok in probes))
            await world.clock.advance(1)
        assert seen == ["--+"] * 2 + ["+++"] * 3 + ["+-+"] * 4 + ["+--"]


async def test_start_error() -> None:
    async with World(Stage(start_error='exec: "nope": executable file not found in $PATH')) as world:
        container = await world.create()
        with pytest.raises(StartFailure, match="nope"):
            await world.runtime.start_container(container)
        status = await world.runtime.container_status(container)
        assert (status.state, status.exit_code, status.reason) == ("exited", 128, "StartError")


async def test_stop_within_and_beyond_the_grace_period() -> None:
    async with World(Stage(stop_delay=5)) as world:
        for timeout_seconds, code in ((10.0, 0), (2.0, 137)):
            container = await world.create(f"p{code}")
            await world.runtime.start_container(container)
            stop = asyncio.ensure_future(world.runtime.stop_container(container, timeout_seconds))
            await world.clock.advance(6)
            await stop
            assert (await world.runtime.container_status(container)).exit_code == code


async def test_commands_answer_as_told() -> None:
    async with World(Stage(exec=(Answer(command="cat *", stdout="hello", exit_code=4),))) as world:
        container = await world.create()
        await world.runtime.start_container(container)
        result = await world.runtime.exec_sync(container, ["cat", "/x"])
        assert (result.stdout, result.exit_code) == (b"hello", 4)
        async with await world.runtime.exec(container, ["cat", "/x"]) as session:
            assert await session.read() == ("stdout", b"hello")
            assert await session.read() is None
            assert await session.wait() == 4


async def test_a_thousand_pods_need_one_task() -> None:
    async with World(Stage(match=Match(pod="p*"), run=60, jitter=0.5)) as world:
        await world.network.configure(["10.9.0.0/16"])
        before = len(asyncio.all_tasks())
        for number in range(1000):
            await world.runtime.start_container(await world.create(f"p{number}"))
        assert len(asyncio.all_tasks()) == before
        await world.clock.advance(91)
        await settle()
        assert {c.state for c in await world.runtime.list_containers()} == {"exited"}


async def test_addresses_run_out_and_come_back() -> None:
    async with World() as world:
        await world.network.configure(["10.9.0.0/29"])
        for number in range(5):
            await world.create(f"p{number}")
        with pytest.raises(NetworkError, match=r"no free address left in the pod CIDR 10\.9\.0\.0/29"):
            await world.create("one-too-many")
        sandbox = (await world.runtime.list_pod_sandbox())[0]
        address = (await world.runtime.pod_sandbox_status(sandbox.id)).ips
        await world.runtime.remove_pod_sandbox(sandbox.id)
        await world.create("next")
        newest = (await world.runtime.list_pod_sandbox())[0]
        assert (await world.runtime.pod_sandbox_status(newest.id)).ips == address


async def test_it_outlives_its_process(tmp_path: Path) -> None:
    file = tmp_path / "hollow.jsonl"
    clock = FakeClock()

    async def restarted() -> tuple[HollowRuntime, HollowNetwork]:
        network = HollowNetwork()
        runtime = HollowRuntime(clock, network, state_file=file)
        await runtime.open()
        await network.configure(["10.9.0.0/24"])
        return runtime, network

    runtime, _ = await restarted()
    await runtime.pull_image("img:1")
    ids = {}
    for name, stage in {"ends": "{run: 30, exitCode: 3}", "stays": "{}", "goes": "{}"}.items():
        metadata = v.PodSandboxMetadata(name=name, uid=name, namespace="default")
        config = v.PodSandboxConfig(metadata=metadata, annotations={STAGE_ANNOTATION: stage})
        sandbox = await runtime.run_pod_sandbox(config)
        container = v.ContainerConfig(metadata=v.ContainerMetadata(name="c"), image="img:1")
        ids[name] = sandbox, await runtime.create_container(sandbox, container, config)
        await runtime.start_container(ids[name][1])
    await runtime.remove_pod_sandbox(ids["goes"][0])
    before = await runtime.pod_sandbox_status(ids["stays"][0])
    await runtime.close()
    with file.open("ab") as cut_off:
        cut_off.write(b'{"type":"cont')
    await clock.advance(60)
    runtime, network = await restarted()
    await clock.advance(0)
    assert await runtime.pod_sandbox_status(ids["stays"][0]) == before
    assert (await runtime.container_status(ids["stays"][1])).state == "running"
    assert (await runtime.container_status(ids["ends"][1])).exit_code == 3
    assert len(await runtime.list_pod_sandbox()) == 2
    assert await runtime.image_status("img:1") is not None
    fresh = await network.attach("fresh", "", pod="default/fresh")
    assert fresh.ips not in {before.ips}
    await runtime.close()


def test_stage_file(tmp_path: Path) -> None:
    path = tmp_path / "stages.yaml"
    path.write_text("- match: {image: 'x*'}\n  startDelay: 1.5\n  exec: [{stdout: hi}]\n- run: 3\n")
    stages = load(path)
    assert stages[0].start_delay == 1.5
    assert stages[1].run == 3
    path.write_text("- startDelai: 1\n")
    with pytest.raises(BadStage, match="startDelai"):
        load(path)
