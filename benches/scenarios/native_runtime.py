"""What orlop's own runtime costs, beside docker and runc in the same run. Needs root.

World: pods of one container of a busybox image that is present, on a bridge of their own; a container that writes lines
as fast as it can; twenty idle containers. Figures: from nothing to a running pod (sandbox, network, container, start);
one container from call to exit of `true`, by the shim and by `runc run`, both with the same config.json; a command's
round trip, by the runtime and by `runc exec`; memory of a shim; bytes of log per CPU second of the shim. The work is
checked: exit codes, and that no line of the log is lost.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support import runtimes
from tests.support.runtimes import NativeWorld, World

from benches import machine
from orlop.kubelet.network.bridge import BridgeNetwork
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.native import groups

RUNC_CGROUP = "/orlop-bench-runc"
RUNS = int(os.environ.get("ORLOP_BENCH_RUNS", "20"))
SHIMS = 20
LOG_MIB = 300
LINE = "the quick brown fox jumps over the lazy dog, and over the next one too, again and again"


def show(name: str, values: list[float], bar: str, unit: str = "ms") -> float:
    median = statistics.median(values)
    print(f"{name:<58} {median:8.2f} {unit}  (of {len(values)}: {min(values):.2f} … {max(values):.2f}; bar {bar})")
    return median


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await work()
    return 1000 * (time.monotonic() - began)


async def pods(world: World) -> list[float]:
    found = []
    for number in range(RUNS):
        pod = world.pod(f"pod-{number}")

        async def one(pod: v.PodSandboxConfig = pod) -> None:
            sandbox_id = await world.runtime.run_pod_sandbox(pod)
            container_id = await world.container(sandbox_id, pod, world.sleeps())
            assert (await world.runtime.container_status(container_id)).state == "running"

        found.append(await timed(one))
        [sandbox] = await world.runtime.list_pod_sandbox()
        await world.runtime.remove_pod_sandbox(sandbox.id)
    return found


async def runs_of_true(world: NativeWorld, scratch: Path) -> tuple[list[float], list[float], list[float]]:
    """By the whole runtime (create, start, exit seen), by the shim alone, by runc: the last two on one config.json."""
    sandbox_id = await world.runtime.run_pod_sandbox(pod := world.pod("true"))
    whole, shim, runc = [], [], []
    for number in range(RUNS):
        metadata = v.ContainerMetadata(name="true", attempt=number)

        async def by_runtime(metadata: v.ContainerMetadata = metadata) -> None:
            container_id = await world.container(sandbox_id, pod, {"command": ("true",)}, metadata=metadata)
            assert (await world.ended(container_id)).exit_code == 0

        whole.append(await timed(by_runtime))
        metadata = v.ContainerMetadata(name="made", attempt=number)
        container_id = await world.container(sandbox_id, pod, {"command": ("true",)}, metadata=metadata, start=False)

        async def by_shim(container_id: str = container_id) -> None:
            await world.runtime.start_container(container_id)
            assert (await world.ended(container_id)).exit_code == 0

        bundle = made_for_runc(world.state_dir / "containers" / container_id, scratch / str(number))

        async def by_runc(bundle: Path = bundle) -> None:
            name = f"orlop-bench-{bundle.name}"
            command = ["runc", "--root", str(scratch / "runc"), "run", "-b", str(bundle), name]
            done = await asyncio.to_thread(subprocess.run, command, stdin=subprocess.DEVNULL, capture_output=True)
            assert done.returncode == 0, done.stderr

        # One after the other, taking turns, so that what else the machine does falls on both.
        runc.append(await timed(by_runc))
        shim.append(await timed(by_shim))
        unmount(bundle)
    await world.runtime.remove_pod_sandbox(sandbox_id)
    return whole, shim, runc


def made_for_runc(folder: Path, bundle: Path) -> Path:
    for name in ("rootfs", "upper", "work"):
        (bundle / name).mkdir(parents=True)
    layers = ":".join(os.readlink(link) for link in sorted((folder / "l").iterdir()))
    options = f"lowerdir={layers},upperdir={bundle}/upper,workdir={bundle}/work"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", str(bundle / "rootfs")], check=True)
    config = json.loads((folder / "config.json").read_text())
    config["linux"]["cgroupsPath"] = f"{RUNC_CGROUP}/{bundle.name}"
    (bundle / "config.json").write_text(json.dumps(config))
    return bundle


async def execs(world: NativeWorld, scratch: Path) -> tuple[list[float], list[float]]:
    container_id = await world.run(world.sleeps(), "execs")
    bundle = made_for_runc(world.state_dir / "containers" / container_id, scratch / "execs")
    root = ["runc", "--root", str(scratch / "runc")]
    call(*root, "run", "-d", "-b", str(bundle), "orlop-bench-execs")
    ours, theirs = [], []
    for _ in range(RUNS):
        ours.append(await timed(lambda: world.runtime.exec_sync(container_id, ["true"])))
        theirs.append(await timed(lambda: asyncio.to_thread(call, *root, "exec", "orlop-bench-execs", "true")))
    call(*root, "delete", "--force", "orlop-bench-execs")
    unmount(bundle)
    await world.runtime.cleanup()
    return ours, theirs


def call(*command: str) -> None:
    null = subprocess.DEVNULL
    subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null)


def unmount(bundle: Path) -> None:
    call("umount", str(bundle / "rootfs"))
    groups.prune(RUNC_CGROUP)  # runc removes a container's group, not what it stands in


async def memory(world: NativeWorld) -> tuple[list[float], list[float]]:
    pod = world.pod("memory")
    sandbox_id = await world.runtime.run_pod_sandbox(pod)
    ids = [
        await world.container(sandbox_id, pod, world.sleeps(), metadata=v.ContainerMetadata(name=f"c{n}"))
        for n in range(SHIMS)
    ]
    tables = [memory_of(shim_of(world, container_id)) for container_id in ids]
    await world.runtime.remove_pod_sandbox(sandbox_id)
    return [t[0] for t in tables], [t[1] for t in tables]


def shim_of(world: NativeWorld, container_id: str) -> int:
    return int(json.loads((world.state_dir / "containers" / container_id / "pid.json").read_text())["shim"])


def memory_of(pid: int) -> tuple[float, float]:
    table = dict(line.split()[:2] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return int(table["Rss:"]) / 1024, int(table["Pss:"]) / 1024


async def logs(world: NativeWorld) -> float:
    """MB of the container's output per CPU second of its shim."""
    size = (LOG_MIB << 20) // (len(LINE) + 1) * (len(LINE) + 1)
    script = f"yes '{LINE}' | head -c {size}; read line"
    container_id = await world.run({"command": ("/bin/sh", "-c", script)}, "logs", stdin=True, stdin_once=True)
    shim = shim_of(world, container_id)
    log = world.state_dir / "containers" / container_id / "log"
    await runtimes.until(lambda: text_size(log) >= size, 300)
    cpu = machine.cpu_seconds(shim)
    entries = size // (len(LINE) + 1)
    assert lines_of(log) == entries, (lines_of(log), entries)
    await world.runtime.cleanup()
    return size / 1e6 / cpu


def lines_of(log: Path) -> int:
    with log.open("rb") as file:
        return sum(1 for _ in file)


def text_size(log: Path) -> int:
    """Bytes of the container's own in a log whose entries are all of one length."""
    with log.open("rb") as file:
        first = file.readline()
    return log.stat().st_size // len(first) * (len(LINE) + 1) if first else 0


async def main() -> None:
    print(machine.line())
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as folder:
        scratch = Path(folder)
        for name, bar in (("native", "150"), ("docker", "-")):
            if name == "docker" and (reason := machine.without_engine()):
                print(f"docker: left out, {reason}")
                continue
            network = BridgeNetwork(f"br-bench-{name[:3]}", scratch / f"net-{name}")
            async with runtimes.opened(name, scratch / name, network, "10.199.0.0/24") as world:
                show(f"{name}: from nothing to a running pod", await pods(world), bar)
        NativeWorld.log_limits = v.LogLimits(max_size=1 << 40)
        async with runtimes.opened("native", scratch / "more") as world:
            assert isinstance(world, NativeWorld)
            whole, shim, runc = await runs_of_true(world, scratch)
            theirs = show("`true` by runc run: call to exit", runc, "-")
            ours = show("`true` by the runtime, made before: start to exit seen", shim, f"{theirs / 2:.1f}")
            print(f"{'  of runc':<58} {100 * ours / theirs:8.1f} %  (bar 50)")
            show("`true` by the runtime: create, start, exit seen", whole, "-")
            ours_exec, theirs_exec = await execs(world, scratch)
            theirs = show("a command by runc exec", theirs_exec, "-")
            show("a command by the runtime", ours_exec, f"{theirs + 30:.1f}")
            rss, pss = await memory(world)
            show("a shim's memory, resident", rss, "3", "MiB")
            show("a shim's memory, proportional", pss, "3", "MiB")
            print(f"{'log lines of 88 bytes, no line lost':<58} {await logs(world):8.1f} MB per CPU second (bar 100)")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("real containers need root")
    asyncio.run(main())
