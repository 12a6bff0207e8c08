"""What a server costs: CPU and memory of its processes, as the kernel tells them."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


class Processes:
    """A server's processes and what descends from them."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids

    def all(self) -> list[int]:
        """Those that run."""
        found = [pid for pid in self._pids if Path(f"/proc/{pid}").exists()]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(word) for word in children.read_text().split()]
        return found

    def cpu(self) -> float:
        """User and system seconds so far, in nanoseconds' steps: /proc/PID/stat has hundredths of a second."""
        return sum(time.clock_gettime(_clock(pid)) for pid in self.all())

    def resident(self) -> float:
        """MiB."""
        return sum(int(f[21]) for f in map(_stat, self.all())) * PAGE / 2**20

    @staticmethod
    def own() -> float:
        """MiB of this process alone."""
        return int(_stat(os.getpid())[21]) * PAGE / 2**20


def _clock(pid: int) -> int:
    """The clock of a process's CPU, as clock_getcpuclockid(3) makes its number (CPUCLOCK_SCHED in the kernel's
    include/linux/posix-timers.h): threads that have ended are in it."""
    return ~pid << 3 | 2


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
