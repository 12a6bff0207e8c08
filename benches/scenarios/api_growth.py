"""What a create through the API costs as the objects become many.

World: `orlop apiserver` with LMDB on disk and TLS; pods created over HTTPS by 16 clients, up to 200,000 of them. Shown
are microseconds of the server's CPU for a create, over the last tenth of each size (at least a thousand), and what the
server holds in memory. The work is checked: each create is answered with success, and the pods are counted at the end.
"""

import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.bench import curve
from orlop.bench.http import Target
from orlop.bench.process import Processes
from orlop.bench.work import PODS, Load, create

OBJECTS = int(os.environ.get("ORLOP_BENCH_OBJECTS", "200000"))
CLIENTS = 16
STEPS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)
BAR = 1.3
"""A create at the end against those among the first thousands: flat but for noise and the depth of the trees."""
LEAST = 1000
"""Creates that a figure is of: the kernel counts a process's CPU in hundredths of a second."""
START_SECONDS = 60.0
RESULTS = Path(os.environ.get("ORLOP_BENCH_RESULTS", Path(__file__).parents[1] / "results"))


def start(folder: Path) -> "subprocess.Popen[bytes]":
    """An API server, ready."""
    command = [sys.executable, "-m", "orlop.cli.main", "apiserver", f"--data-dir={folder}", "--secure-port=0"]
    process = subprocess.Popen([*command, f"--write-kubeconfig={folder}/admin"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + START_SECONDS
    while not (folder / "admin").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            sys.exit("the API server did not start")
        time.sleep(0.02)
    return process


async def grow(folder: Path, pid: int) -> list[tuple[int, float, float]]:
    """For each step: objects, microseconds of CPU a create, MiB resident."""
    load = Load(Target.of(str(folder / "admin")), Processes([pid]))
    await load.prepare()
    found = []
    for step in (step for step in STEPS if step <= OBJECTS):
        for part in chunks(step - max(step // 10, LEAST) - load.made):
            await create(load, part, CLIENTS)
        result = await create(load, step - load.made, CLIENTS)
        found.append((step, result.cpu / result.count * 1e6, load.processes.resident()))
        print(f"{step:9,} objects {found[-1][1]:7.1f} µs of CPU a create, {found[-1][2]:7.0f} MiB", flush=True)
    load.one.close()  # it has been idle for longer than servers keep a connection
    answer = json.loads(await load.one.request("GET", f"{PODS}?limit=1"))
    assert answer["metadata"]["remainingItemCount"] == load.made - 1
    load.one.close()
    return found


def chunks(count: int) -> list[int]:
    """A work ends by itself after some minutes: large ones are done in parts."""
    return [min(20_000, count - start) for start in range(0, max(0, count), 20_000)]


def main() -> None:
    print(machine.line())
    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    process = start(folder)
    try:
        found = asyncio.run(grow(folder, process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        shutil.rmtree(folder)
    curves = {"the API server": [(objects, cpu) for objects, cpu, _ in found]}
    title = "A create through the API as objects become many"
    curve.write(RESULTS / "api-growth", title, "objects there are", "µs of CPU a create", curves, machine.line())
    few = statistics.median(cpu for objects, cpu, _ in found if objects <= 10_000)
    print(f"a create at {found[-1][0]:,} costs {found[-1][1] / few:.2f} times those up to 10,000 (bar {BAR:g})")


if __name__ == "__main__":
    main()
