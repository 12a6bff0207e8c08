"""The runtime contract (orlop.kubelet.runtime.base), over every runtime there is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import ImageFailure, NotFound, RuntimeFailure
from tests.support import runtimes
from tests.support.runtimes import World


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("native", marks=pytest.mark.root),
        pytest.param("native", marks=[pytest.mark.kernel, pytest.mark.campaign], id="native-cgroup2"),
        "hollow",
    ]
)
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with runtimes.opened(request.param, tmp_path) as opened:
        yield opened


async def test_it_names_itself_and_is_ready(world: World) -> None:
    version = await world.runtime.version()
    assert version.runtime_name == {"native": "orlop"}.get(world.name, world.name)
    assert version.runtime_version
    status = await world.runtime.status()
    assert status.runtime_ready
    assert status.network_ready


async def test_a_sandbox_from_start_to_end(world: World) -> None:
    pod = world.pod(labels={"app": "a"}, annotations={"note": "hello"})
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    status = await world.runtime.pod_sandbox_status(sandbox_id)
    assert status.state == "ready"
    assert status.metadata == pod.metadata
    assert status.labels == {"app": "a"}
    assert status.annotations == {"note": "hello"}
    assert len(status.ips) == 1
    assert [s.id for s in await world.runtime.list_pod_sandbox({"app": "a"})] == [sandbox_id]
    assert await world.runtime.list_pod_sandbox({"app": "b"}) == []
    for _ in range(2):
        await world.runtime.stop_pod_sandbox(sandbox_id)
        assert (await world.runtime.pod_sandbox_status(sandbox_id)).state == "notready"
    for _ in range(2):
        await world.runtime.remove_pod_sandbox(sandbox_id)
    with pytest.raises(NotFound):
        await world.runtime.pod_sandbox_status(sandbox_id)
    assert await world.runtime.list_pod_sandbox() == []


async def test_a_container_from_start_to_end(world: World) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    metadata = v.ContainerMetadata(name="web", attempt=3)
    container_id = await world.container(
        sandbox_id, pod, world.sleeps(), start=False, metadata=metadata, labels={"app": "a"}
    )
    created = await world.runtime.container_status(container_id)
    assert (created.state, created.started_at, created.finished_at) == ("created", 0, 0)
    await world.runtime.start_container(container_id)
    running = await world.runtime.container_status(container_id)
    assert running.state == "running"
    assert running.created_at <= running.started_at <= world.clock.now() * 1e9
    [row] = await world.runtime.list_containers(labels={"app": "a"})
    assert (row.id, row.pod_sandbox_id, row.metadata, row.pod) == (container_id, sandbox_id, metadata, pod.metadata)
    assert row.image == world.image
    assert await world.runtime.list_containers(sandbox_id="0" * 64) == []
    await world.ready(container_id)
    await world.runtime.stop_container(container_id, 60)
    stopped = await world.runtime.container_status(container_id)
    assert (stopped.state, stopped.exit_code, stopped.reason) == ("exited", 0, "Completed")
    assert stopped.finished_at > stopped.started_at
    await world.runtime.stop_container(container_id, 10)
    await world.runtime.remove_container(container_id)
    await world.runtime.remove_container(container_id)
    with pytest.raises(NotFound):
        await world.runtime.container_status(container_id)
    assert (await world.runtime.pod_sandbox_status(sandbox_id)).state == "ready"


@pytest.mark.parametrize(("code", "reason"), [(0, "Completed"), (3, "Error")])
async def test_exit_codes(world: World, code: int, reason: str) -> None:
    status = await world.ended(await world.run(world.exits(code)))
    assert (status.exit_code, status.reason) == (code, reason)


async def test_what_ignores_the_stop_signal_is_killed(world: World) -> None:
    container_id = await world.run(world.ignores_sigterm())
    before = world.clock.monotonic()
    await world.runtime.stop_container(container_id, 1)
    assert 0.9 < world.clock.monotonic() - before < 8
    status = await world.runtime.container_status(container_id)
    assert (status.state, status.exit_code, status.reason) == ("exited", 137, "Error")


async def test_a_second_stop_with_less_grace_wins(world: World) -> None:
    container_id = await world.run(world.ignores_sigterm())
    before = world.clock.monotonic()
    patient = asyncio.ensure_future(world.runtime.stop_container(container_id, 60))
    await asyncio.sleep(0.1)
    await world.runtime.stop_container(container_id, 0)
    await patient
    assert world.clock.monotonic() - before < 8


async def test_events_tell_the_whole_life(world: World) -> None:
    seen: list[v.ContainerEvent] = []
    async with aclosing(world.runtime.events()) as events:
        assert (await anext(events)).type == "relist"
        container_id = await world.run(world.exits(7, after=0.1))
        async with asyncio.timeout(runtimes.EVENT_SECONDS):
            while not seen or (seen[-1].type, seen[-1].container_id) != ("stopped", container_id):
                seen.append(await anext(events))
            await world.runtime.remove_pod_sandbox(seen[-1].pod_sandbox_id)
            while seen[-1].type != "deleted" or seen[-1].container_id != seen[-1].pod_sandbox_id:
                seen.append(await anext(events))
    mine = [event for event in seen if event.container_id == container_id]
    assert [event.type for event in mine] == ["created", "started", "stopped", "deleted"]
    assert {event.container_name for event in mine} == {"main"}
    assert mine[2].exit_code == 7
    assert {event.pod for event in seen} == {world.pod().metadata}
    sandbox = [event.type for event in seen if event.container_id == event.pod_sandbox_id]
    assert sandbox[-2:] == ["stopped", "deleted"]


async def test_what_an_event_tells_a_list_knows(world: World) -> None:
    async with aclosing(world.runtime.events()) as events:
        container_id = await world.run(world.exits(0, after=0.2))
        async with asyncio.timeout(runtimes.EVENT_SECONDS):
            async for event in events:
                if (event.type, event.container_id) == ("stopped", container_id):
                    break
        assert [row.state for row in await world.runtime.list_containers()] == ["exited"]


async def test_stopping_a_sandbox_stops_its_containers(world: World) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    first = await world.container(sandbox_id, pod, world.sleeps())
    second = await world.container(
        sandbox_id, pod, world.ignores_sigterm(), metadata=v.ContainerMetadata(name="second")
    )
    await world.runtime.stop_pod_sandbox(sandbox_id)
    for container_id in (first, second):
        assert (await world.runtime.container_status(container_id)).state == "exited"
    with pytest.raises(RuntimeFailure):
        await world.container(sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name="third"))
    await world.runtime.remove_pod_sandbox(sandbox_id)
    assert await world.runtime.list_containers() == []


async def test_a_running_container_is_removed_by_force(world: World) -> None:
    await world.runtime.remove_container(await world.run(world.sleeps()))
    assert await world.runtime.list_containers() == []


async def test_logs(world: World) -> None:
    container_id = await world.run(world.prints("one", "two", "three"))
    await world.ended(container_id)
    assert await world.log(container_id) == b"one\ntwo\nthree\n"
    assert await world.log(container_id, tail_lines=2) == b"two\nthree\n"
    assert await world.log(container_id, tail_lines=0) == b""
    assert await world.log(container_id, limit_bytes=5) == b"one\nt"
    assert await world.log(container_id, follow=True) == b"one\ntwo\nthree\n"
    later = int((world.clock.now() + 60) * 1e9)
    assert await world.log(container_id, since=later) == b""
    for line, text in zip(
        (await world.log(container_id, timestamps=True)).decode().splitlines(), ("one", "two", "three"), strict=True
    ):
        time, _, rest = line.partition(" ")
        assert rest == text
        assert time.endswith("Z")
        assert len(time) > len("2026-01-02T15:04:05Z")
    with pytest.raises(NotFound):
        await world.log("0" * 64)


async def test_following_ends_with_the_container(world: World) -> None:
    container_id = await world.run(world.prints("one", then=None))
    follow = asyncio.ensure_future(world.log(container_id, follow=True))
    await asyncio.sleep(0.3)
    assert not follow.done()
    await world.runtime.stop_container(container_id, 0)
    async with asyncio.timeout(10):
        assert await follow == b"one\n"


async def test_exec_needs_a_running_container(world: World) -> None:
    container_id = await world.run(world.sleeps())
    result = await world.runtime.exec_sync(container_id, ["true"])
    assert result.exit_code == 0
    await world.runtime.stop_container(container_id, 0)
    with pytest.raises(RuntimeFailure):
        await world.runtime.exec_sync(container_id, ["true"])


async def test_stats(world: World) -> None:
    container_id = await world.run(world.sleeps())
    stats = await world.runtime.container_stats(container_id)
    assert stats.memory_working_set_bytes > 0
    assert stats.cpu_usage_core_nanoseconds >= 0
    [pod] = await world.runtime.list_pod_sandbox_stats()
    assert [c.metadata.name for c in pod.containers] == ["main"]
    assert pod.metadata == world.pod().metadata
    await world.runtime.stop_container(container_id, 0)
    with pytest.raises(NotFound):
        await world.runtime.container_stats(container_id)


async def test_what_a_container_has_on_disk(world: World) -> None:
    stage = {"layerBytes": 300_000, "logBytes": 100, "logs": ["written"]}
    script = "head -c 300000 /dev/zero > /file; echo written; trap exit TERM; while :; do sleep 0.1; done"
    container_id = await world.run(world.does(script, stage))
    async with (
        asyncio.timeout(runtimes.EVENT_SECONDS),
        aclosing(world.runtime.logs(container_id, v.LogOptions(follow=True))) as lines,
    ):
        assert await anext(lines)
    found = await world.runtime.container_disk_stats(container_id)
    assert 300_000 <= found.layer_bytes < 3_000_000
    assert found.log_bytes > 0
    await world.runtime.stop_container(container_id, 0)
    assert (await world.runtime.container_disk_stats(container_id)).layer_bytes >= 300_000
    with pytest.raises(NotFound):
        await world.runtime.container_disk_stats("0" * 64)
    where = await world.runtime.filesystems()
    assert where.images.startswith("/")
    assert where.layers.startswith("/")


async def test_images(world: World) -> None:
    image = await world.runtime.image_status(world.image)
    assert image is not None
    assert world.image in image.repo_tags
    assert image.size > 0
    assert image.id in {found.id for found in await world.runtime.list_images()}
    assert await world.runtime.image_status(image.id) is not None
    assert await world.runtime.image_status("orlop-test/absent:1") is None
    with pytest.raises(ImageFailure, match="repository name must be lowercase") as caught:
        await world.runtime.image_status("Not/Lower")
    assert caught.value.reason == "InvalidImageName"
    await world.runtime.remove_image("orlop-test/absent:1")
    with pytest.raises(NotFound, match="orlop-test/absent:1"):
        await world.run(world.sleeps(), image="orlop-test/absent:1")
    assert (await world.runtime.image_fs_info()).used_bytes > 0


async def test_unknown_ids(world: World) -> None:
    unknown = "0" * 64
    await world.runtime.stop_container(unknown, 1)
    await world.runtime.remove_container(unknown)
    await world.runtime.stop_pod_sandbox(unknown)
    await world.runtime.remove_pod_sandbox(unknown)
    with pytest.raises(NotFound):
        await world.runtime.start_container(unknown)
    with pytest.raises(NotFound):
        await world.runtime.exec_sync(unknown, ["true"])
    with pytest.raises(NotFound):
        await world.runtime.container_stats(unknown)


async def test_a_new_runtime_finds_everything_again(world: World) -> None:
    pod = world.pod(labels={"app": "a"}, annotations={"x": "y"})
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    running = await world.container(sandbox_id, pod, world.prints("kept", then=None), labels={"c": "1"})
    ended = await world.container(
        sandbox_id, pod, world.exits(4), metadata=v.ContainerMetadata(name="ended", attempt=2)
    )
    await world.ended(ended)
    before = [await world.runtime.container_status(i) for i in (running, ended)]
    sandbox_before = await world.runtime.pod_sandbox_status(sandbox_id)
    await world.runtime.close()
    world.runtime = world.make()
    await world.runtime.open()
    assert [await world.runtime.container_status(i) for i in (running, ended)] == before
    assert await world.runtime.pod_sandbox_status(sandbox_id) == sandbox_before
    assert [c.id for c in await world.runtime.list_containers(labels={"c": "1"})] == [running]
    assert await world.log(running) == b"kept\n"
    await world.runtime.stop_container(running, 0)


async def test_cleanup_leaves_nothing(world: World) -> None:
    await world.run(world.sleeps(), "a")
    await world.run(world.exits(0), "b")
    await world.runtime.cleanup()
    assert await world.runtime.list_containers() == []
    assert await world.runtime.list_pod_sandbox() == []
