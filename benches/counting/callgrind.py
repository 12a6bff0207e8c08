"""Runs programs under callgrind, which counts instructions where the program's marks or we say so.

Counts of user code only: what the kernel does is in no figure. They differ little from run to run, and not with what
else the machine does, which is what a comparison with stored figures needs.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

SECONDS = 1800
"""A program may take this long: on a machine of its own it takes less than one."""

_PART = re.compile(r"^desc: Trigger: Client Request: (.*)$|^totals: (\d+)$", re.MULTILINE)
_UNITS = re.compile(r"^(.+)\t(\d+)$", re.MULTILINE)


class NoValgrind(Exception):
    """It is not here and cannot be installed; the text says what to do."""


class Count(NamedTuple):
    """What one benchmark came to."""

    instructions: int
    units: int

    @property
    def each(self) -> float:
        """Instructions a unit."""
        return self.instructions / self.units


def valgrind() -> str:
    """Where it is; installed where that may be done. Raises NoValgrind."""
    if shutil.which("valgrind") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "valgrind"], capture_output=True, timeout=180, check=False)
    if (found := shutil.which("valgrind")) is None:
        raise NoValgrind("figures are compared by instructions, which valgrind counts: apt-get install valgrind")
    return found


def command(out: Path, *program: str) -> list[str]:
    """The program under callgrind, which counts nothing before it is told to."""
    flags = ["--tool=callgrind", "--instr-atstart=no", "--quiet", f"--callgrind-out-file={out}"]
    return [valgrind(), *flags, *program]


def environment() -> dict[str, str]:
    """For programs whose counts shall be the same each time."""
    return {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def count(folder: Path, *program: str, cwd: Path | None = None, **variables: str) -> dict[str, Count]:
    """What the program's benchmarks cost, by name. It says on stdout `name TAB units` of each.

    `variables`: of its environment.
    """
    out = folder / "callgrind.out"
    for old in folder.glob("callgrind.out*"):
        old.unlink()
    words = command(out, *program)
    done = subprocess.run(
        [words[0], "--combine-dumps=yes", *words[1:]],
        env={**environment(), **variables},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(program)} failed under valgrind:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return read(out.read_text(errors="replace"), done.stdout)


def read(dumps: str, said: str) -> dict[str, Count]:
    """From callgrind's file and the program's output. Raises ValueError where one has not what the other has."""
    units = {name: int(number) for name, number in _UNITS.findall(said)}
    found: dict[str, int] = {}
    name = ""
    for trigger, total in _PART.findall(dumps):
        if trigger:
            name = trigger
        elif name:
            found[name] = int(total)
            name = ""
    if missing := found.keys() ^ units.keys():
        raise ValueError(f"counted and named are not the same benchmarks: {', '.join(sorted(missing))}")
    return {name: Count(total, units[name]) for name, total in found.items()}
