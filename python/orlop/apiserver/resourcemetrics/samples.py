"""What one reading of a kubelet's /metrics/resource says, and what two of them say together.

The series are those that metrics-server reads (pkg/scraper/client/resource): CPU as a counter of seconds, memory as the
working set in bytes, each with the time at which it was taken.
"""

import re
from typing import NamedTuple

_LINE = re.compile(
    r"^(node|container)_(cpu_usage_seconds_total|memory_working_set_bytes)(?:\{([^}]*)\})? ([0-9.eE+-]+)(?: ([0-9]+))?$"
)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
CPU = "cpu_usage_seconds_total"


class Point(NamedTuple):
    """One reading of one node or container."""

    at: float = 0.0
    """Seconds since 1970."""
    cpu: float = -1.0
    """Seconds of one core since it began; negative where it is not told."""
    memory: int = -1
    """Bytes; negative where it is not told."""

    @property
    def whole(self) -> bool:
        return self.at > 0 and self.cpu >= 0 and self.memory >= 0


class Sample(NamedTuple):
    """A node and its pods at one time: points by (namespace, pod) and container."""

    node: Point
    pods: dict[tuple[str, str], dict[str, Point]]


class Usage(NamedTuple):
    """Use over a while."""

    at: float
    window: float
    """Seconds between the two readings."""
    cpu: int
    """Billionths of a core."""
    memory: int
    """Bytes, as of the later reading."""


def parse(text: str, now: float) -> Sample:
    """A reading; `now` stands in where a series has no time of its own."""
    node = Point()
    pods: dict[tuple[str, str], dict[str, Point]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        what, series, labels, value, stamp = match.groups()
        at = int(stamp) / 1000 if stamp else now
        if what == "node":
            node = _with(node, series, float(value), at)
            continue
        names = dict(_LABEL.findall(labels or ""))
        containers = pods.setdefault((names.get("namespace", ""), names.get("pod", "")), {})
        container = names.get("container", "")
        containers[container] = _with(containers.get(container, Point()), series, float(value), at)
    return Sample(node, pods)


def _with(point: Point, series: str, value: float, at: float) -> Point:
    if series == CPU:
        return point._replace(at=at, cpu=value)
    return point._replace(at=point.at or at, memory=int(value))


def usage(before: Point | None, after: Point) -> Usage | None:
    """Use between two readings; None where there is none to tell: a counter that fell is another container's."""
    if before is None or not before.whole or not after.whole or after.at <= before.at or after.cpu < before.cpu:
        return None
    window = after.at - before.at
    return Usage(after.at, window, round((after.cpu - before.cpu) / window * 1e9), after.memory)
