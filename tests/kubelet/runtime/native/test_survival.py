"""What must not break the embedded runtime, and that nothing of it stays behind."""

import asyncio
import contextlib
import gzip
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support import runtimes
from tests.support.runtimes import NativeWorld, until

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native import groups
from orlop.kubelet.runtime.native.sandboxes import unmount
from orlop.kubelet.runtime.values import LogLimits

pytestmark = pytest.mark.root


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[NativeWorld]:
    async with runtimes.opened("native", tmp_path / "state") as opened:
        assert isinstance(opened, NativeWorld)
        yield opened
    assert left_behind(opened, tmp_path) == []


def left_behind(world: NativeWorld, folder: Path) -> list[str]:
    """Mounts, control groups, files below /run and processes of the world's scope."""
    found = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if world.scope in line]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f"{folder}/" in line]
    found += [str(path) for path in Path("/sys/fs/cgroup").glob(f"*/orlop/{world.scope}")]
    found += [str(path) for path in Path("/run/orlop").glob(world.scope)]
    return found + [command for command in processes("orlop-shim ") if str(folder) in command]


def processes(beginning: str) -> list[str]:
    """The command lines of this machine that begin so."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if command.startswith(beginning):
                    found.append(command)
    return found


def sh(script: str) -> dict[str, Any]:
    return {"command": ("/bin/sh", "-c", script)}


def shim_of(world: NativeWorld, container_id: str) -> int:
    text = (world.state_dir / "containers" / container_id / "pid.json").read_text()
    return int(re.search(r'"shim":(\d+)', text)[1])  # type: ignore[index]


def is_running(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def gone(pid: int) -> None:
    await until(lambda: not is_running(pid))


async def test_a_shim_that_is_killed_takes_its_container_along(world: NativeWorld) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    neighbour = await world.container(sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name="other"))
    chance = random.Random(1)
    for attempt in range(6):
        container_id = await world.container(
            sandbox_id, pod, sh("while :; do echo x; done"), metadata=v.ContainerMetadata(name="main", attempt=attempt)
        )
        main = (await world.runtime.container_status(container_id)).pid
        await asyncio.sleep(chance.random() * 0.05)
        os.kill(shim_of(world, container_id), signal.SIGKILL)
        status = await world.ended(container_id)
        assert (status.exit_code, status.reason) == (137, "ContainerStatusUnknown")
        await gone(main)
        await world.runtime.remove_container(container_id)
    assert (await world.runtime.exec_sync(neighbour, ["echo", "here"])).stdout == b"here\n"


async def test_a_shim_that_is_killed_during_the_start(world: NativeWorld) -> None:
    """Whatever it had made by then is gone, the container has ended, and the next attempt runs."""
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    chance = random.Random(3)
    for attempt in range(12):
        metadata = v.ContainerMetadata(name="main", attempt=attempt)
        container_id = await world.container(sandbox_id, pod, sh("exec sleep 98765"), metadata=metadata, start=False)
        folder = world.state_dir / "containers" / container_id
        start = asyncio.ensure_future(world.runtime.start_container(container_id))
        await until(lambda folder=folder: bool(shims(folder)))
        await asyncio.sleep(chance.random() * 0.03)
        await until(lambda folder=folder: kill_shims(folder))
        with contextlib.suppress(RuntimeFailure):
            await start
        status = await world.ended(container_id)
        assert status.exit_code in (128, 137)
        await until(lambda: not processes("sleep 98765 "))
        await world.runtime.remove_container(container_id)
        assert groups.folders(f"/orlop/{world.scope}/{sandbox_id}/{container_id}") == []
    last = await world.container(sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name="main", attempt=99))
    assert (await world.runtime.container_status(last)).state == "running"


def shims(folder: Path) -> list[int]:
    """The container's shim, without those it has made that are still on their way to another program."""
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"run\0{folder}".encode() in (entry / "cmdline").read_bytes():
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return [pid for pid, parent in found.items() if parent not in found]


def kill_shims(folder: Path) -> bool:
    """Whether one was met: between two looks the first may have made the second and be gone."""
    met = False
    for pid in shims(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            met = True
    return met


async def test_a_shim_that_was_killed_while_no_kubelet_was_there(world: NativeWorld) -> None:
    container_id = await world.run(world.ignores_sigterm())
    main = (await world.runtime.container_status(container_id)).pid
    shim = shim_of(world, container_id)
    await world.runtime.close()
    os.kill(shim, signal.SIGKILL)
    await gone(shim)
    world.runtime = world.make()
    await world.runtime.open()
    status = await world.runtime.container_status(container_id)
    assert (status.state, status.exit_code, status.reason) == ("exited", 137, "ContainerStatusUnknown")
    await gone(main)


async def test_a_container_that_ended_while_no_kubelet_was_there(world: NativeWorld) -> None:
    container_id = await world.run(sh("read line; echo got $line; exit 9"), stdin=True)
    shim = shim_of(world, container_id)
    async with await world.runtime.attach(container_id, stdin=True) as session:
        await world.runtime.close()
        await session.write(b"hello\n")
        await gone(shim)
    world.runtime = world.make()
    await world.runtime.open()
    status = await world.runtime.container_status(container_id)
    assert (status.state, status.exit_code, status.reason) == ("exited", 9, "Error")
    assert await world.log(container_id) == b"got hello\n"


async def test_a_kubelet_that_restarts_again_and_again(world: NativeWorld) -> None:
    """At any moment of the lives of containers: each is found in a state that it can be in, and none is lost."""
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    chance = random.Random(2)
    for attempt in range(8):
        metadata = v.ContainerMetadata(name="main", attempt=attempt)
        work = asyncio.ensure_future(world.container(sandbox_id, pod, sh("sleep 0.05; exit 5"), metadata=metadata))
        await asyncio.sleep(chance.random() * 0.08)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await world.runtime.close()
        world.runtime = world.make()
        await world.runtime.open()
        rows = await world.runtime.list_containers(sandbox_id=sandbox_id)
        for row in [r for r in rows if r.metadata.attempt == attempt]:
            status = await world.runtime.container_status(row.id)
            if status.state == "running":
                status = await world.ended(row.id)
            assert status.state == "created" or status.exit_code in (5, 137)
    assert (await world.runtime.pod_sandbox_status(sandbox_id)).state == "ready"


async def test_a_hold_on_an_image_that_a_killed_kubelet_left_is_let_go(world: NativeWorld) -> None:
    container_id = await world.run(world.sleeps())
    image_id = (await world.runtime.container_status(container_id)).image_ref
    mine, other = f"{world.scope}/gone", "orlop-test/other-node/c"
    for owner in (mine, other):
        await world.store.hold(image_id, owner)
    await world.runtime.close()
    world.runtime = world.make()
    await world.runtime.open()
    owners = (await world.store.holders())[image_id]
    assert mine not in owners
    assert {other, f"{world.scope}/{container_id}"} <= set(owners)
    await world.store.release(image_id, other)


async def test_a_fork_bomb_under_its_limit(world: NativeWorld) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    neighbour = await world.container(sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name="other"))
    bomb = await world.container(
        sandbox_id,
        pod,
        sh("bomb() { bomb | bomb & }; bomb & exec sleep 600"),
        resources=v.Resources(pids_limit=40),
    )
    groups_of_bomb = groups.of(f"/orlop/{world.scope}/{sandbox_id}/{bomb}")
    await until(lambda: groups_of_bomb.usage().pids >= 30)
    assert (await world.runtime.container_stats(bomb)).pids <= 40
    assert (await world.runtime.exec_sync(neighbour, ["echo", "here"])).stdout == b"here\n"
    await world.runtime.stop_container(bomb, 0)
    assert (await world.runtime.container_status(bomb)).exit_code == 137


async def test_a_flood_of_zombies_is_reaped_by_a_shared_init(world: NativeWorld) -> None:
    pod = world.pod(namespaces=v.Namespaces(pid="pod"))
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    script = "n=0; while [ $n -lt 500 ]; do (sleep 0.01 &); n=$((n+1)); done; echo made; sleep 600"
    container_id = await world.container(sandbox_id, pod, sh(script))
    log = Path((await world.runtime.container_status(container_id)).log_path)
    await until(lambda: " made" in log.read_text(), 60)
    reaped = "while ps -o stat | grep -q ^Z; do sleep 0.05; done"
    await world.runtime.exec_sync(container_id, ["sh", "-c", reaped], 30)
    await world.runtime.stop_container(container_id, 0)
    assert (await world.runtime.pod_sandbox_status(sandbox_id)).state == "ready"


async def test_children_that_outlive_the_main_process_end_with_it(world: NativeWorld) -> None:
    """Also where the process namespace is not the container's own."""
    pod = world.pod(namespaces=v.Namespaces(pid="node"))
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    container_id = await world.container(
        sandbox_id, pod, sh("(trap '' TERM HUP; exec sleep 654321) & sleep 0.2; exit 4")
    )
    assert (await world.ended(container_id)).exit_code == 4
    assert not processes("sleep 654321 ")


@pytest.fixture
def small_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NativeWorld, "log_limits", LogLimits(max_size=200_000, max_files=4))


@pytest.mark.usefixtures("small_logs")
async def test_logs_rotate_without_losing_a_line(world: NativeWorld) -> None:
    count = 40_000
    pause = "[ $((i % 2000)) = 0 ] && sleep 0.2"
    script = f"i=0; while [ $i -lt {count} ]; do echo line $i; i=$((i+1)); {pause}; done; echo end"
    container_id = await world.run(sh(script))
    follow = asyncio.ensure_future(world.log(container_id, follow=True))
    await world.ended(container_id, 100)
    seen = [int(n) for n in re.findall(rb"line (\d+)\n", await follow)]
    assert seen == sorted(seen)
    path = Path((await world.runtime.container_status(container_id)).log_path)
    await until(lambda: len(rotated(path)) == 3 and all(p.suffix == ".gz" for p in rotated(path)[:-1]))
    kept = [*rotated(path), path]
    numbers: list[int] = []
    for file in kept:
        data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        numbers += [int(n) for n in re.findall(rb" stdout F line (\d+)\n", data)]
    assert numbers == list(range(numbers[0], count))
    assert len(kept) == 4
    await world.runtime.remove_container(container_id)
    assert not list(path.parent.glob("log*"))


def rotated(path: Path) -> list[Path]:
    return sorted(p for p in path.parent.glob(path.name + ".*") if p.suffix != ".tmp")


def reboot(world: NativeWorld, sandbox_id: str) -> None:
    """What a reboot does to /run and to control groups, once all processes have ended."""
    run = Path("/run/orlop") / world.scope
    for name in ("net", "ipc", "uts", "shm"):
        unmount(run / "sandboxes" / sandbox_id / name)
    shutil.rmtree(run)
    groups.remove(f"/orlop/{world.scope}")


async def test_a_reboot(world: NativeWorld, tmp_path: Path) -> None:
    pod = world.pod()
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    running = await world.container(sandbox_id, pod, world.sleeps())
    ended = await world.container(sandbox_id, pod, world.exits(3), metadata=v.ContainerMetadata(name="ended"))
    created = await world.container(
        sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name="created"), start=False
    )
    await world.ended(ended)
    main, shim = (await world.runtime.container_status(running)).pid, shim_of(world, running)
    await world.runtime.close()
    for pid in (shim, main):
        os.kill(pid, signal.SIGKILL)
        await gone(pid)
    reboot(world, sandbox_id)
    world.runtime = world.make()
    await world.runtime.open()
    states = {row.id: row.state for row in await world.runtime.list_containers()}
    assert states == {running: "exited", ended: "exited", created: "created"}
    assert (await world.runtime.container_status(running)).exit_code == 137
    assert (await world.runtime.container_status(ended)).exit_code == 3
    assert (await world.runtime.pod_sandbox_status(sandbox_id)).state == "notready"
    with pytest.raises(RuntimeFailure):
        await world.runtime.start_container(created)
    await world.runtime.remove_pod_sandbox(sandbox_id)
    assert await world.runtime.list_containers() == []


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


async def many(world: NativeWorld, sandbox_id: str, pod: v.PodSandboxConfig) -> None:
    for n in range(100):
        await world.container(sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name=f"n{n}"), start=False)


async def test_a_full_disk_stops_no_container(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with small_disk(state, "4m"):
        async with runtimes.opened("native", state) as world:
            assert isinstance(world, NativeWorld)
            pod = world.pod()
            sandbox_id = await world.runtime.run_pod_sandbox(pod)
            script = "while read line; do echo $line; done; exit 6"
            container_id = await world.container(sandbox_id, pod, sh(script), stdin=True, stdin_once=True)
            async with await world.runtime.attach(container_id, stdin=True) as session:
                await session.write(b"before\n")
                assert await session.read() == ("stdout", b"before\n")
                filler = state / "filler"
                with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                    while file.write(b"x" * 4096):
                        pass
                for _ in range(200):
                    await session.write(b"during " + b"y" * 1000 + b"\n")
                    assert (await session.read()) is not None
                with pytest.raises(RuntimeFailure, match="No space left"):
                    await many(world, sandbox_id, pod)
                filler.unlink()
                await session.write(b"after\n")
                assert await asyncio.wait_for(session.read(), 10) is not None
                await session.close_stdin()
                assert await session.wait() == 6
            text = await world.log(container_id)
            assert text.startswith(b"before\n")
            assert text.endswith(b"after\n")
            assert b"bytes of this log could not be written" in text
    assert left_behind(world, tmp_path) == []
