"""What containers use, read from their control groups: the engine's own stats take a second a container."""

from pathlib import Path

from orlop.clock import Clock
from orlop.kubelet.runtime import cgroups, values as v
from orlop.kubelet.runtime.base import NotFound

_DEV_HEADER_LINES = 2


class Meter:
    """Remembers where each container's control groups are, so that reading again costs no call to the engine."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._groups: dict[str, cgroups.ControlGroups] = {}

    def knows(self, container_id: str) -> bool:
        return container_id in self._groups

    def learn(self, container_id: str, pid: int) -> None:
        """`pid` is the container's main process. Raises NotFound when it has ended."""
        try:
            self._groups[container_id] = cgroups.of_process(pid)
        except (FileNotFoundError, ProcessLookupError) as error:
            raise NotFound(f"container {container_id} is not running") from error

    def forget(self, container_id: str) -> None:
        self._groups.pop(container_id, None)

    def read(self, container_id: str, metadata: v.ContainerMetadata) -> v.ContainerStats:
        """Raises NotFound when it has ended."""
        try:
            usage = self._groups[container_id].usage()
        except (KeyError, FileNotFoundError, ProcessLookupError) as error:
            self.forget(container_id)
            raise NotFound(f"container {container_id} is not running") from error
        return v.ContainerStats(
            container_id=container_id,
            metadata=metadata,
            timestamp=int(self._clock.now() * 1e9),
            cpu_usage_core_nanoseconds=usage.cpu_nanoseconds,
            memory_usage_bytes=usage.memory,
            memory_working_set_bytes=usage.working_set,
            memory_rss_bytes=usage.rss,
            pids=usage.pids,
        )


def interfaces(pid: int) -> tuple[v.InterfaceStats, ...]:
    """Traffic in the network namespace of a process, loopback left out; empty when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[_DEV_HEADER_LINES:]
    except (FileNotFoundError, ProcessLookupError):
        return ()
    found = []
    for line in lines:
        name, _, numbers = line.partition(":")
        n = [int(number) for number in numbers.split()]
        if name.strip() != "lo":
            found.append(
                v.InterfaceStats(name=name.strip(), rx_bytes=n[0], rx_errors=n[2], tx_bytes=n[8], tx_errors=n[10])
            )
    return tuple(found)
