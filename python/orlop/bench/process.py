"""What a server costs: CPU and memory of its processes, read from /proc."""

import os
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
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
        """User and system seconds so far."""
        return sum(int(f[11]) + int(f[12]) for f in map(_stat, self.all())) / TICK

    def resident(self) -> float:
        """MiB."""
        return sum(int(f[21]) for f in map(_stat, self.all())) * PAGE / 2**20

    @staticmethod
    def own() -> float:
        """MiB of this process alone."""
        return int(_stat(os.getpid())[21]) * PAGE / 2**20


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
