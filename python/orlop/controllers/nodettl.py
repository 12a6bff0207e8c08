"""Tells each node how long it may keep Secrets and ConfigMaps: longer where there are many nodes to ask for them.

Upstream: pkg/controller/ttl. The sizes overlap, so that a cluster at an edge does not change its mind with every node.
"""

from contextlib import suppress
from typing import NamedTuple

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result

ANNOTATION = "node.alpha.kubernetes.io/ttl"


class Step(NamedTuple):
    """A size of cluster, and the seconds that go with it."""

    smallest: int
    largest: float
    seconds: int


STEPS = (
    Step(0, 100, 0),
    Step(90, 500, 15),
    Step(450, 1000, 30),
    Step(900, 2000, 60),
    Step(1800, float("inf"), 300),
)


class NodeTTLController(Controller):
    """One node a key."""

    name = "ttl-controller"

    def __init__(self) -> None:
        self.step = 0

    def setup(self, builder: Builder) -> None:
        self.nodes = builder.for_(core_v1.Node, changed=lambda old, new: _ttl(old) != _ttl(new))
        self.nodes.on_change(self._count)

    def _count(self, old: core_v1.Node | None, new: core_v1.Node | None) -> None:
        if old is None or new is None:
            step = step_for(len(self.nodes), self.step)
            if step != self.step:
                self.step = step
                for node in self.nodes.items():
                    self.context.enqueue(Key("", node.metadata.name), 0)

    async def reconcile(self, key: Key) -> Result | None:
        node = self.nodes.get("", key.name)
        wanted = str(STEPS[self.step].seconds)
        if node is None or _ttl(node) == wanted:
            return None
        patch = {"metadata": {"uid": node.metadata.uid, "annotations": {ANNOTATION: wanted}}}
        with suppress(errors.NotFound, errors.Conflict):  # gone, or made anew: there will be an event
            await self.context.client.patch(core_v1.Node, key.name, None, patch, type="merge")
        return None


def step_for(nodes: int, step: int) -> int:
    """The step for so many nodes, of a cluster that was at `step`."""
    while nodes > STEPS[step].largest:
        step += 1
    while nodes < STEPS[step].smallest:
        step -= 1
    return step


def _ttl(node: core_v1.Node) -> str | None:
    return node.metadata.annotations.get(ANNOTATION)
