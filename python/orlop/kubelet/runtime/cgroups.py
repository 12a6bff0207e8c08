"""Reads what control groups know about a container: version 1 (one tree per controller) and version 2 (one tree)."""

from pathlib import Path

import msgspec

ROOT = Path("/sys/fs/cgroup")

_V1_CONTROLLERS = ("cpuacct", "memory", "pids")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """CPU in nanoseconds since the start, memory in bytes."""

    cpu_nanoseconds: int = 0
    memory: int = 0
    working_set: int = 0
    rss: int = 0
    pids: int = 0


class ControlGroups(msgspec.Struct, frozen=True):
    """Where one container's control groups are: by controller in version 1, under "" in version 2."""

    paths: dict[str, Path]

    def usage(self) -> Usage:
        """Use by now. Raises FileNotFoundError when the group is gone."""
        return self._usage_v2(self.paths[""]) if "" in self.paths else self._usage_v1()

    def _usage_v2(self, path: Path) -> Usage:
        cpu, memory = _table(path / "cpu.stat"), _table(path / "memory.stat")
        used = _number(path / "memory.current")
        return Usage(
            cpu_nanoseconds=cpu.get("usage_usec", 0) * 1000,
            memory=used,
            working_set=max(0, used - memory.get("inactive_file", 0)),
            rss=memory.get("anon", 0),
            pids=_number(path / "pids.current"),
        )

    def _usage_v1(self) -> Usage:
        memory = _table(self.paths["memory"] / "memory.stat")
        used = _number(self.paths["memory"] / "memory.usage_in_bytes")
        return Usage(
            cpu_nanoseconds=_number(self.paths["cpuacct"] / "cpuacct.usage"),
            memory=used,
            working_set=max(0, used - memory.get("total_inactive_file", 0)),
            rss=memory.get("total_rss", 0),
            pids=_number(self.paths["pids"] / "pids.current"),
        )


def of_process(pid: int, root: Path = ROOT, proc: Path = Path("/proc")) -> ControlGroups:
    """The groups a process is in. Raises FileNotFoundError when it has ended."""
    by_controller: dict[str, str] = {}
    for line in (proc / str(pid) / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            by_controller[controller] = path.lstrip("/")
    if "memory" in by_controller:
        return ControlGroups(
            {name: root / name / by_controller[name] for name in _V1_CONTROLLERS if name in by_controller}
        )
    return ControlGroups({"": root / by_controller.get("", "")})


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (ValueError, FileNotFoundError):
        if not path.parent.is_dir():
            raise FileNotFoundError(path) from None
        return 0  # a controller that is not enabled


def _table(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return {}
    return {name: int(value) for name, _, value in (line.partition(" ") for line in lines) if value.isdigit()}
