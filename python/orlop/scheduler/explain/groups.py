"""A pod's gang: what of it is there, and whether enough of its members find a node together."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from orlop.api import errors
from orlop.client import Client
from orlop.client.decode import error_of
from orlop.scheduler.explain.world import Key, Object, World


class Group(NamedTuple):
    """A gang as it is in a world."""

    name: str
    least: int
    """How many are placed together at least; 0: the PodGroup itself is missing."""
    placed: list[Key]
    waiting: list[Key]
    """Members without a node, and without gates."""

    @property
    def held(self) -> str:
        """What its members wait for before any node is looked at; "" where for nothing."""
        if not self.least:
            return f'it waits for its pod group "{self.name}", which is not there'
        there = len(self.placed) + len(self.waiting)
        if there >= self.least:
            return ""
        verb = "is" if there == 1 else "are"
        return f'it waits for its pod group "{self.name}": {there} of the {self.least} pods that it needs {verb} there'


async def group_of(client: Client, world: World, pod: Object) -> Group | None:
    """The gang of a pod; None for a pod of none. Raises ApiError."""
    name, namespace = _name(pod), pod["metadata"]["namespace"]
    if not name:
        return None
    answer = await client.request("GET", f"/apis/scheduling.k8s.io/v1beta1/namespaces/{namespace}/podgroups/{name}")
    if answer.status not in (200, errors.NotFound.code):
        raise error_of(answer)
    found: Object = msgspec.json.decode(answer.body) if answer.status == 200 else {}
    gang = found.get("spec", {}).get("schedulingPolicy", {}).get("gang")
    if found and gang is None:
        return None
    placed: list[Key] = []
    waiting: list[Key] = []
    for key, value in world.pods.items():
        if key[0] == namespace and b'"schedulingGroup"' in value and _name(member := world.pod(key)) == name:
            if member["spec"].get("nodeName"):
                placed.append(key)
            elif not member["spec"].get("schedulingGates"):
                waiting.append(key)
    return Group(name, gang["minCount"] if found else 0, placed, waiting)


def _name(pod: Object) -> str:
    return str((pod["spec"].get("schedulingGroup") or {}).get("podGroupName", ""))


@contextmanager
def together(world: World, group: Group) -> Iterator[tuple[int, list[Key]]]:
    """The world with the waiting members of a gang on their nodes, for a while: how many have one, and who has not."""
    count, refused = len(group.placed), list[Key]()
    moved: list[bytes] = []
    try:
        for key in group.waiting:
            pod = world.pod(key)
            node = world.place(pod).node
            if node is None:
                refused.append(key)
                continue
            count += 1
            moved.append(world.pods[key])
            world.set_pod(msgspec.json.encode({**pod, "spec": {**pod["spec"], "nodeName": node}}))
        yield count, refused
    finally:
        for value in moved:
            world.set_pod(value)
