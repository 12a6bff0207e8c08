"""What a figure was measured on: printed above every result, kept beside every stored one."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

SCALE = float(os.environ.get("ORLOP_BENCH_SCALE", "1"))
"""All sizes times this: a figure counts at 1; far below it, a run shows that the benchmark still works."""


def scaled(size: int, least: int = 1) -> int:
    """A size of this run."""
    return max(least, int(size * SCALE))


def processor() -> str:
    """The model's name."""
    texts = Path("/proc/cpuinfo").read_text().splitlines()
    return next((t.split(":", 1)[1].strip() for t in texts if t.startswith("model name")), platform.machine())


def commit() -> str:
    """Short hash of the checkout that the caller stands in, empty outside of one."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def line(*commands: str) -> str:
    """Processor, cores, memory, kernel, versions and load in one line; and the first line that each command prints."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release()}",
        f"Python {platform.python_version()}",
        f"orlop {metadata.version('orlop')} ({commit() or 'no checkout'})",
    ]
    for command in commands:
        done = subprocess.run(command.split(), capture_output=True, text=True, check=True)
        parts.append(done.stdout.splitlines()[0])
    return ", ".join([*parts, f"load {os.getloadavg()[0]:.1f}"])


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
