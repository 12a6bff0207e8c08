"""What a Python plug-in of the scheduler sees: the pod, and the nodes as columns.

A plug-in is any class with some of the methods of `Plugin`; deriving from it is not needed. See
docs/scheduler-plugins.md.
"""

from collections.abc import Awaitable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import msgspec

from orlop.native import Column, Columns


class Refused(Exception):
    """Raised by `reserve`, `permit` or `pre_bind`: the pod is not to go to that node now; the message says why."""


class Pod:
    """The pod that is being scheduled."""

    def __init__(self, namespace: str, name: str, uid: str, value: bytes) -> None:
        self.namespace = namespace
        self.name = name
        self.uid = uid
        self.json = value
        """The pod as the API served it."""

    @cached_property
    def object(self) -> Mapping[str, Any]:
        """The pod as the API served it, as dicts and lists."""
        found: Mapping[str, Any] = msgspec.json.decode(self.json)
        return found

    @property
    def labels(self) -> Mapping[str, str]:
        return self.object.get("metadata", {}).get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        return self.object.get("metadata", {}).get("annotations") or {}


class Nodes:
    """All nodes: a slot each, in every column alike. Some slots may be empty, with "" for a name.

    Columns are read by the buffer protocol without a copy: `memoryview(nodes.requested("cpu"))`,
    `numpy.asarray(nodes.requested("cpu"))`. They stay as they are, whatever the scheduler does meanwhile.
    """

    def __init__(self, columns: Columns, labels: Mapping[str, Mapping[str, str]], feasible: bytes) -> None:
        self._columns = columns
        self._labels = labels
        self.feasible = feasible
        """A byte a slot: 1 where the scheduler's own filters and those before this one let the pod in."""

    def __len__(self) -> int:
        """The number of slots."""
        return len(self.feasible)

    @cached_property
    def names(self) -> Sequence[str]:
        """The nodes' names."""
        return self._columns.names

    @property
    def resources(self) -> Sequence[str]:
        """The resources that there are columns of."""
        return self._columns.resources

    def allocatable(self, resource: str) -> Column:
        """What each node has of a resource: CPU in thousandths, all else in whole units. Raises KeyError."""
        return self._column(self._columns.allocatable(resource), resource)

    def requested(self, resource: str) -> Column:
        """What the pods on each node request, those being bound included. Raises KeyError."""
        return self._column(self._columns.requested(resource), resource)

    @staticmethod
    def _column(column: Column | None, resource: str) -> Column:
        if column is None:
            raise KeyError(f"no node and no pod has the resource {resource!r}")
        return column

    def label(self, key: str) -> list[str | None]:
        """The value of a label on each node."""
        none: Mapping[str, str] = {}
        return [self._labels.get(name, none).get(key) for name in self.names]


@runtime_checkable
class Plugin(Protocol):
    """All that a plug-in may do; each method is optional. `reserve` to `post_bind` may be coroutines."""

    name: str
    """By which profiles and events name it; the class's name if absent."""
    normalize: bool
    """Whether the best score becomes 100 and the others in proportion; else scores are 0 to 100 as they are."""

    def filter(self, pod: Pod, nodes: Nodes) -> Any:
        """Which nodes are allowed: a value a slot, true or not 0 where one is (bytes, a buffer, a list, an array), or
        that and the reason for the others; None allows all."""

    def score(self, pod: Pod, nodes: Nodes) -> Any:
        """How good each feasible node is: a number a slot (a buffer, a list, an array); None says nothing."""

    def reserve(self, pod: Pod, node: str) -> Awaitable[None] | None:
        """The node is chosen."""

    def unreserve(self, pod: Pod, node: str) -> None:
        """After `reserve`, the pod did not get to the node."""

    def permit(self, pod: Pod, node: str) -> Awaitable[None] | None:
        """May the pod be bound? It is held as long as this waits."""

    def pre_bind(self, pod: Pod, node: str) -> Awaitable[None] | None:
        """Just before the binding."""

    def post_bind(self, pod: Pod, node: str) -> Awaitable[None] | None:
        """The pod is bound."""
