"""What a create through the API costs as the objects become many.

World: `orlop apiserver` with LMDB on disk and TLS; pods created over HTTPS by 16 clients, up to 200,000 of them. Shown
are microseconds of the server's CPU for a create, over the last of each size, and what the server holds in memory. What
else runs on the machine makes the same work dearer from minute to minute, so a second server that has few pods gets
the same creates in turn, in the same seconds: what counts is the ratio of the two. The work is checked: each create is
answered with success, and the pods are counted at the end.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.bench import curve
from orlop.bench.http import Target
from orlop.bench.process import Processes
from orlop.bench.work import Load, create

OBJECTS = int(os.environ.get("ORLOP_BENCH_OBJECTS", "200000"))
CLIENTS = 16
STEPS = (2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000)
BAR = 1.3
"""A create at the end against one in a server with few pods: flat but for noise and the depth of the trees."""
TURNS, TURN = 8, 250
"""A figure is of so many turns of so many creates on each server: the kernel counts CPU in hundredths of a second."""
START_SECONDS = 180.0
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


class Step(NamedTuple):
    """Of one size. Microseconds of CPU a create, of the server that grows and of the one that does not."""

    objects: int
    many: float
    few: float
    resident: float


async def grow(folder: Path, pid: int, beside: Path, beside_pid: int) -> list[Step]:
    """For each step."""
    many = Load(Target.of(str(folder / "admin")), Processes([pid]))
    few = Load(Target.of(str(beside / "admin")), Processes([beside_pid]))
    for load in (many, few):
        await load.prepare()
    found = []
    least = TURNS * TURN
    for step in (max(step, least) for step in STEPS if step <= OBJECTS):
        for part in chunks(step - least - many.made):
            await create(many, part, CLIENTS)
        spent = {many: 0.0, few: 0.0}
        for _ in range(TURNS):
            for load in spent:
                spent[load] += (await create(load, TURN, CLIENTS)).cpu
        costs = [1e6 * cpu / least for cpu in spent.values()]
        found.append(Step(many.made, *costs, many.processes.resident()))
        one = found[-1]
        print(
            f"{one.objects:9,} objects {one.many:6.1f} µs of CPU a create, {one.few:6.1f} beside it where there are "
            f"{few.made:6,}: {one.many / one.few:4.2f} times; {one.resident:6.0f} MiB",
            flush=True,
        )
    many.one.close()  # it has been idle for longer than servers keep a connection
    answer = json.loads(await many.one.request("GET", f"{many.pods}?limit=1"))
    assert answer["metadata"]["remainingItemCount"] == many.made - 1
    many.one.close()
    few.one.close()
    return found


def chunks(count: int) -> list[int]:
    """A work ends by itself after some minutes: large ones are done in parts."""
    return [min(20_000, count - start) for start in range(0, max(0, count), 20_000)]


def main() -> None:
    print(machine.line())
    folders = [Path(tempfile.mkdtemp(prefix="orlop-bench-")) for _ in range(2)]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for folder in folders:
            processes.append(start(folder))
        found = asyncio.run(grow(folders[0], processes[0].pid, folders[1], processes[1].pid))
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.wait()
        for folder in folders:
            shutil.rmtree(folder)
    curves = {
        "as objects become many": [(one.objects, one.many) for one in found],
        "with few, in the same seconds": [(one.objects, one.few) for one in found],
    }
    title = "A create through the API as objects become many"
    curve.write(RESULTS / "api-growth", title, "objects there are", "µs of CPU a create", curves, machine.line())
    last = found[-1]
    print(
        f"a create at {last.objects:,} costs {last.many / last.few:.2f} times one where there are few (bar {BAR:g}); "
        f"{1024 * (last.resident - found[0].resident) / max(1, last.objects - found[0].objects):.1f} KiB a pod"
    )


if __name__ == "__main__":
    main()
