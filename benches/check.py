"""`make bench-check`: whether a hot path has become more expensive since its figure was stored.

Counts the instructions of benches/rust, benches/micro and of an API server under the scenarios' works, and fails where
one is beyond the stored figure by more than noise. `--update` stores what is counted now.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benches.counting import callgrind, server, stored
from benches.counting.marks import target
from orlop.bench import machine

ROOT = Path(__file__).parents[1]
RUST = ("hub", "wire", "sched", "forward")


def tools() -> dict[str, str]:
    """Whose code is in the figures too."""
    said = {
        name: subprocess.run([name, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
        for name in ("rustc",)
    }
    version = subprocess.run([callgrind.valgrind(), "--version"], capture_output=True, text=True, check=True)
    return {"python": platform.python_version(), **said, "valgrind": version.stdout.strip(), "arch": platform.machine()}


def rust(folder: Path) -> dict[str, callgrind.Count]:
    """benches/rust, as cargo has built it."""
    found: dict[str, callgrind.Count] = {}
    for name in RUST:
        programs = [one for one in (target() / "deps").glob(f"{name}-*") if not one.suffix]
        newest = max(programs, key=lambda one: one.stat().st_mtime)
        found |= callgrind.count(folder, str(newest))
    return found


def python(folder: Path) -> dict[str, callgrind.Count]:
    """benches/micro."""
    # No plug-ins: they take longer to be loaded under valgrind than the benchmarks do.
    flags = ("-q", "-s", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", os.devnull, f"--rootdir={ROOT}")
    program = (sys.executable, "-m", "pytest", *flags, str(ROOT / "benches" / "micro"))
    return callgrind.count(folder, *program, cwd=ROOT, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")


PARTS: dict[str, Callable[[Path], dict[str, callgrind.Count]]] = {
    "rust": rust,
    "python": python,
    "server": lambda folder: asyncio.run(server.count()),
}


def counted(parts: Sequence[str]) -> dict[str, callgrind.Count]:
    """Each part once; at the same time, which changes no count."""

    def part(what: str) -> dict[str, callgrind.Count]:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="orlop-bench-") as name:
            found = PARTS[what](Path(name))
        print(f"== {what}: counted in {time.monotonic() - began:.0f} s", flush=True)
        return found

    with ThreadPoolExecutor(len(parts)) as threads:
        return {name: count for found in threads.map(part, parts) for name, count in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="store the figures of now")
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="to store the mean of")
    parser.add_argument("--only", choices=PARTS, action="append", help="benches/rust, benches/micro or the API server")
    arguments = parser.parse_args()
    parts = arguments.only or list(PARTS)
    try:
        known, used = stored.load(), tools()
    except callgrind.NoValgrind as error:
        print(f"bench-check: {error}", file=sys.stderr)
        return 2
    print(machine.line())
    if arguments.update:
        runs = [counted(parts) for _ in range(arguments.runs)]
        known = stored.load()  # another part may have been stored meanwhile
        stored.save(stored.updated(known, runs, used, machine.line(), machine.commit()))
        print(f"stored in {stored.FILE}")
        return 0
    now = counted(parts)
    if known is not None and known.tools != used:
        print(f"the figures were stored with other tools, {known.tools}: {100 * stored.STRANGE:.0f} % more is let pass")
    rows = stored.compare(known, now, used, whole=not arguments.only)
    for row in rows:
        print(f"{row.name:<62} {row.now or 0:14,.0f}  {row.verdict}")
    bad = [row for row in rows if row.bad]
    print(f"{len(rows)} figures, {len(bad)} of them worse or missing" if bad else f"{len(rows)} figures, none is worse")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
