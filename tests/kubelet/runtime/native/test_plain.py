"""Without root: plain processes of the machine, and a status that says so."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support import images, runtimes

from orlop.clock import SystemClock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure, StartFailure
from orlop.kubelet.runtime.native.host_network import HostNetwork
from orlop.kubelet.runtime.native.runtime import NativeRuntime


class PlainWorld(runtimes.NativeWorld):
    image = "host"

    def __init__(self, state_dir: Path) -> None:
        self.store = images.native_store()
        self.state_dir = state_dir
        runtimes.World.__init__(self, HostNetwork("192.0.2.7"))

    def make(self) -> NativeRuntime:
        return NativeRuntime(
            SystemClock(), self.network, scope=self.scope, state_dir=self.state_dir, images=self.store, plain=True
        )


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[PlainWorld]:
    opened = PlainWorld(tmp_path / "state")
    await opened.runtime.open()
    yield opened
    await opened.runtime.cleanup()
    await opened.runtime.close()


def sh(script: str) -> dict[str, tuple[str, ...]]:
    return {"command": ("/bin/sh", "-c", script)}


async def test_it_says_what_is_missing(world: PlainWorld) -> None:
    status = await world.runtime.status()
    assert status.runtime_ready
    assert status.runtime_reason == "PlainProcesses"
    assert "without root" in status.runtime_message
    with pytest.raises(RuntimeFailure, match="without root"):
        await world.run(world.sleeps(), image=images.BUSYBOX)


async def test_a_life(world: PlainWorld) -> None:
    container_id = await world.run(
        sh("echo $A; pwd; echo oops >&2; read line; echo got $line; exit 5"),
        envs=(("A", "x y"),),
        working_dir="/usr",
        stdin=True,
    )
    [sandbox] = await world.runtime.list_pod_sandbox()
    assert (await world.runtime.pod_sandbox_status(sandbox.id)).ips == ("192.0.2.7",)
    result = await world.runtime.exec_sync(container_id, ["sh", "-c", "echo $A; pwd"])
    assert result == v.ExecResult(stdout=b"x y\n/usr\n", stderr=b"", exit_code=0)
    assert (await world.runtime.container_stats(container_id)).memory_rss_bytes > 0
    async with await world.runtime.attach(container_id, stdin=True) as session:
        await session.write(b"it\n")
        assert await session.read() == ("stdout", b"got it\n")
        assert await session.wait() == 5
    assert (await world.ended(container_id)).exit_code == 5
    assert await world.log(container_id) == b"x y\n/usr\noops\ngot it\n"


async def test_stopping_ends_all_of_it(world: PlainWorld, tmp_path: Path) -> None:
    script = f"(trap '' TERM; sleep 7654 & echo $! > {tmp_path}/pid; wait); trap '' TERM; sleep 7655"
    container_id = await world.run(sh(script))
    await runtimes.until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
    child = int((tmp_path / "pid").read_text())
    await world.runtime.stop_container(container_id, 0)
    assert (await world.runtime.container_status(container_id)).exit_code == 137
    await runtimes.until(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_a_terminal(world: PlainWorld) -> None:
    container_id = await world.run(world.sleeps())
    async with await world.runtime.exec(container_id, ["sh", "-c", "tty; exit 4"], tty=True) as session:
        seen = b""
        while (chunk := await session.read()) is not None:
            seen += chunk[1]
        assert await session.wait() == 4
    assert seen.startswith(b"/dev/pts/")


async def test_a_program_that_is_not_there(world: PlainWorld) -> None:
    with pytest.raises(StartFailure, match=r'exec: "nope": executable file not found in \$PATH'):
        await world.run({"command": ("nope",)})


async def test_a_new_runtime_finds_it_again(world: PlainWorld) -> None:
    container_id = await world.run(world.sleeps())
    await world.runtime.close()
    world.runtime = world.make()
    await world.runtime.open()
    assert (await world.runtime.container_status(container_id)).state == "running"
    assert os.getpid() != (await world.runtime.container_status(container_id)).pid
    await world.runtime.stop_container(container_id, 10)
    assert (await world.runtime.container_status(container_id)).exit_code == 0
