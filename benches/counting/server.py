"""An API server under callgrind, driven by the scenarios of `orlop bench`: instructions a request, the front, TLS,
handlers, hub and store together."""

import asyncio
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benches.counting import callgrind
from orlop.bench.http import Target
from orlop.bench.process import Processes
from orlop.bench.watches import WORKS as WATCHES
from orlop.bench.work import WORKS as REQUESTS, Load

WORKS = REQUESTS | WATCHES

LISTS = 40
"""So many that the handshake of the one connection is little beside them."""

SCENARIOS: dict[str, tuple[str, dict[str, Any]]] = {
    "server: a pod created": ("create", {"objects": 400, "clients": 4}),
    "server: a pod created that differs in its values": ("create", {"objects": 400, "clients": 4, "different": True}),
    "server: a pod's status told": ("status", {"objects": 400, "clients": 4}),
    "server: a pod bound": ("bind", {"objects": 400, "clients": 4}),
    "server: an event recorded": ("event", {"objects": 400, "clients": 4}),
    "server: a pod read": ("get", {"objects": 400, "clients": 4}),
    "server: a list of 400 pods": ("list", {"objects": 400, "times": LISTS}),
    "server: a list of 400 pods, gzip": ("list", {"objects": 400, "times": LISTS, "gzip": True}),
    "server: a lease renewed": ("lease", {"objects": 400, "leases": 20, "clients": 4}),
    "server: a lease renewed by PUT": ("lease-put", {"objects": 400, "leases": 20, "clients": 4}),
    "server: a delivery to one of 50 watchers": ("watch", {"watchers": 50, "events": 50, "clients": 2}),
}
"""By the name of the figure: the work and its sizes. What the works check is in orlop/bench/work.py and watches.py."""

START_SECONDS = 600.0

# LMDB reserves more addresses than valgrind has to give. What the server does once a minute (3.8 million instructions,
# as much as three compressed lists) belongs to no request; the slower the machine, the more of it would be in a figure.
_SERVER = """
import sys
from orlop.apiserver import expiry
from orlop.store import compactor, lmdb_files
lmdb_files.MAP_SIZE = 1 << 32
compactor.INTERVAL = expiry.INTERVAL = 86400.0
from orlop.cli.main import main
sys.exit(main())
"""


class Counted(Processes):
    """A process whose instructions stand for its CPU seconds."""

    def __init__(self, pid: int, out: Path) -> None:
        super().__init__([pid])
        self._pid = pid
        self._out = out
        self._sum = 0

    def cpu(self) -> float:
        """Instructions so far."""
        _control("--dump=so-far", self._pid)
        for part in sorted(self._out.parent.glob(self._out.name + "*")):
            self._sum += sum(map(int, re.findall(r"^totals: (\d+)$", part.read_text(errors="replace"), re.MULTILINE)))
            part.unlink()
        return float(self._sum)


def _control(order: str, pid: int) -> None:
    done = subprocess.run(
        ["callgrind_control", order, str(pid)], capture_output=True, text=True, timeout=300, check=False
    )
    if "OK." not in done.stdout:
        raise RuntimeError(f"callgrind_control {order}: {done.stdout}{done.stderr}")


async def count(scenarios: dict[str, tuple[str, dict[str, Any]]] = SCENARIOS) -> dict[str, callgrind.Count]:
    """What each costs."""
    with tempfile.TemporaryDirectory(prefix="orlop-bench-") as name:
        folder = Path(name)
        out = folder / "callgrind.out"
        flags = [f"--data-dir={folder}", "--secure-port=0", f"--write-kubeconfig={folder}/admin"]
        command = callgrind.command(out, sys.executable, "-c", _SERVER, "apiserver", *flags)
        process = await asyncio.to_thread(_start, command, folder / "log")
        try:
            async with asyncio.timeout(START_SECONDS):
                while not (folder / "admin").exists():
                    if process.poll() is not None:
                        raise RuntimeError(f"the API server did not start: {(folder / 'log').read_text()}")
                    await asyncio.sleep(0.1)
            load = Load(Target.of(str(folder / "admin")), Counted(process.pid, out))
            await load.prepare()
            await _warm(load, scenarios)
            await asyncio.to_thread(_control, "--instr=on", process.pid)
            found = {}
            for figure, (work, sizes) in scenarios.items():
                load.one.close()  # the server may have ended it while others worked, which takes long here
                result = await WORKS[work](load, **sizes)
                found[figure] = callgrind.Count(round(result.cpu), result.count)
            return found
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 300)


def _start(command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as said:
        return subprocess.Popen(command, stdout=said, stderr=said, env=callgrind.environment())


async def _warm(load: Load, scenarios: dict[str, tuple[str, dict[str, Any]]]) -> None:
    """What is loaded and made at the first use of each kind does not count."""
    processes, load.processes = load.processes, Processes([])
    for work, sizes in scenarios.values():
        small = {size: min(value, 20) if not isinstance(value, bool) else value for size, value in sizes.items()}
        load.one.close()
        await WORKS[work](load, **small)
    load.processes = processes


if __name__ == "__main__":
    for figure, counted in asyncio.run(count()).items():
        print(f"{figure:<60} {counted.each:14,.0f}")
