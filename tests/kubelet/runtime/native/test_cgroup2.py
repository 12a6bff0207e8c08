"""What only control groups of version 2 show: devices guarded by a program, v2's files, kills, nothing left."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from tests.support import runtimes
from tests.support.runtimes import NativeWorld, until

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.native import resources

pytestmark = pytest.mark.kernel

ROOT = Path("/sys/fs/cgroup")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[NativeWorld]:
    async with runtimes.opened("native", tmp_path / "state") as opened:
        assert isinstance(opened, NativeWorld)
        yield opened
    assert groups(opened) == []


def groups(world: NativeWorld) -> list[Path]:
    """The world's control groups, leaves first."""
    top = ROOT / "orlop" / world.scope
    return sorted((Path(folder) for folder, _, _ in os.walk(top)), reverse=True) if top.exists() else []


def group(world: NativeWorld, container_id: str) -> Path:
    [found] = [path for path in groups(world) if path.name == container_id]
    return found


def anonymous(where: Path) -> int:
    lines = (where / "memory.stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("anon "))


def sh(script: str) -> dict[str, Any]:
    return {"command": ("/bin/sh", "-c", script)}


async def output(world: NativeWorld, script: str, **fields: Any) -> list[str]:
    """What a container prints before it ends, by words."""
    container_id = await world.run(sh(script), name=f"pod-{len(groups(world))}", **fields)
    await world.ended(container_id)
    return (await world.log(container_id)).decode().split()


async def test_limits_and_weight_are_the_same_at_the_start_and_when_changed(world: NativeWorld) -> None:
    limits = v.Resources(
        cpu_shares=512, cpu_period=100_000, cpu_quota=50_000, memory_limit_in_bytes=64 << 20, pids_limit=77
    )
    container_id = await world.run(world.sleeps(), resources=limits)
    where = group(world, container_id)
    wanted = {
        "cpu.max": "50000 100000",
        "cpu.weight": str(resources.cpu_weight(512)),
        "memory.max": str(64 << 20),
        "memory.swap.max": "0",
        "pids.max": "77",
    }
    assert {name: (where / name).read_text().strip() for name in wanted} == wanted
    await world.runtime.update_container_resources(container_id, limits)
    assert {name: (where / name).read_text().strip() for name in wanted} == wanted


async def test_a_container_sees_its_own_group_as_the_root_and_cannot_change_it(world: NativeWorld) -> None:
    script = """cat /proc/self/cgroup; cat /sys/fs/cgroup/pids.max
        (echo max > /sys/fs/cgroup/pids.max) 2>/dev/null || echo refused"""
    assert await output(world, script, resources=v.Resources(pids_limit=77)) == ["0::/", "77", "refused"]


DEVICE = "/dev/cpu_dma_latency"
"""One that no container has and that needs no capability to be opened, so that only the program can refuse it."""


def makes_node() -> str:
    """A command that makes /tmp/node for DEVICE."""
    number = os.stat(DEVICE).st_rdev
    return f"mknod /tmp/node c {os.major(number)} {os.minor(number)}"


async def test_devices_that_are_not_given_are_refused(world: NativeWorld) -> None:
    script = f"""echo x > /dev/null && head -c1 /dev/zero | wc -c && head -c1 /dev/urandom | wc -c
        {makes_node()} && mknod /tmp/block b 7 0 && echo made
        (: < /tmp/node) 2>&1; (: > /tmp/node) 2>&1; (: < /tmp/block) 2>&1"""
    words = " ".join(await output(world, script))
    assert words.startswith("1 1 made "), "to make nodes is allowed, as in version 1"
    assert words.count("Operation not permitted") == 3, words


async def test_devices_that_are_given_work_as_they_are_given(world: NativeWorld) -> None:
    given = v.Device(host_path=DEVICE, container_path="/dev/given", permissions="r")
    words = " ".join(await output(world, "(: < /dev/given) && echo read; (: >> /dev/given) 2>&1", devices=(given,)))
    assert words.startswith("read "), words
    assert words.count("Operation not permitted") == 1, words


async def test_privileged_containers_use_any_device(world: NativeWorld) -> None:
    script = f"{makes_node()}; (: < /tmp/node) && echo read; (: > /tmp/node) && echo wrote"
    assert await output(world, script, security=v.SecurityContext(privileged=True)) == ["read", "wrote"]


async def test_commands_are_guarded_and_limited_too(world: NativeWorld) -> None:
    container_id = await world.run(world.sleeps(), resources=v.Resources(pids_limit=50))
    script = f"cat /proc/self/cgroup; {makes_node()}; (: < /tmp/node) 2>&1"
    said = (await world.runtime.exec_sync(container_id, ["sh", "-c", script])).stdout.decode()
    assert said.startswith("0::/\n")
    assert "Operation not permitted" in said


async def test_a_fork_bomb_stays_below_its_limit(world: NativeWorld) -> None:
    container_id = await world.run(
        sh("for n in $(seq 100); do sleep 1000 & done 2>&1; wait"), resources=v.Resources(pids_limit=20)
    )
    where = group(world, container_id)
    await until(lambda: "max 0" not in (where / "pids.events").read_text())
    assert int((where / "pids.current").read_text()) <= 20
    await world.runtime.stop_container(container_id, 0)
    assert (await world.runtime.container_status(container_id)).state == "exited"
    assert not where.exists()


async def test_out_of_memory_of_a_child_does_not_end_the_container(world: NativeWorld) -> None:
    script = "(x=a; while :; do x=$x$x; done); echo survived; sleep 1000"
    async with asyncio.timeout(60):
        container_id = await world.run(sh(script), resources=v.Resources(memory_limit_in_bytes=16 << 20))
        async with aclosing(world.runtime.logs(container_id, v.LogOptions(follow=True))) as chunks:
            async for chunk in chunks:
                if b"survived" in chunk:
                    break
    assert (await world.runtime.container_status(container_id)).state == "running"
    assert "oom_kill 1" in (group(world, container_id) / "memory.events").read_text()


async def test_use_is_read_from_the_groups_files(world: NativeWorld) -> None:
    container_id = await world.run(sh("x=$(head -c 8000000 /dev/zero | tr '\\0' x); echo ready; while :; do :; done"))
    where = group(world, container_id)
    await until(lambda: anonymous(where) > 8_000_000)
    first = await world.runtime.container_stats(container_id)
    await until(lambda: "usage_usec 0" not in (where / "cpu.stat").read_text())
    second = await world.runtime.container_stats(container_id)
    assert first.memory_usage_bytes > 8_000_000
    assert 8_000_000 < first.memory_rss_bytes <= first.memory_usage_bytes
    assert 0 < first.memory_working_set_bytes <= first.memory_usage_bytes
    assert first.pids >= 1
    assert second.cpu_usage_core_nanoseconds > first.cpu_usage_core_nanoseconds > 0


async def test_all_of_a_container_ends_when_its_shim_is_killed(world: NativeWorld) -> None:
    container_id = await world.run(sh("setsid sleep 4711 & setsid sleep 4711 & trap '' TERM; sleep 4711"))
    where = group(world, container_id)
    await until(lambda: len((where / "cgroup.procs").read_text().split()) >= 3)
    os.kill(shim_of(container_id), signal.SIGKILL)
    status = await world.ended(container_id)
    assert (status.exit_code, status.reason) == (137, "ContainerStatusUnknown")
    await until(lambda: not where.exists())


def shim_of(container_id: str) -> int:
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if command.startswith(b"orlop-shim\0run") and container_id.encode() in command:
                    return int(process.name)
    raise AssertionError("it has no shim")
