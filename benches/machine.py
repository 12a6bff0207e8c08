"""What a figure was measured on: printed above every result."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

SCALE = float(os.environ.get("ORLOP_BENCH_SCALE", "1"))
"""All sizes times this: a figure counts at 1; far below it, a run shows that the benchmark still works."""


def scaled(size: int, least: int = 1) -> int:
    """A size of this run."""
    return max(least, int(size * SCALE))


def line() -> str:
    """CPU, cores, memory, kernel and versions in one line."""
    model = next(
        (
            t.split(":", 1)[1].strip()
            for t in Path("/proc/cpuinfo").read_text().splitlines()
            if t.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, "
        f"orlop {metadata.version('orlop')} ({commit.stdout.strip() or 'no checkout'})"
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def proportional_mib(pid: int, without: str = "") -> float:
    """Proportional set size; mappings of files whose path holds `without` are left out."""
    total, counted = 0, True
    for text in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if text[:1] not in "0123456789abcdef" or "-" not in text.split(" ", 1)[0]:
            if counted and text.startswith("Pss:"):
                total += int(text.split()[1])
        else:
            counted = not without or without not in text
    return total / 1024


if __name__ == "__main__":
    print(line(), file=sys.stdout)
