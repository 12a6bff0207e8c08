"""Pods that are placed together or not at all: members of a PodGroup with a gang policy (KEP-4671).

A member is held back, as by a gate, until its group is there and has `minCount` members. Then all that wait are decided
in one go; where too few of them find a node, none of them gets one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from orlop.api.kinds import OPTIONAL
from orlop.api.types import scheduling_v1beta1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer, Meta
from orlop.scheduler.cycle import Outcome
from orlop.scheduler.queue import Key

GANG = "GangScheduling"


class PodGroup(ApiStruct):
    """What the scheduler's cache holds of a group. The kind is served where a cluster was asked to."""

    __kind__ = next(kind for kind in OPTIONAL if kind.kind == "PodGroup")

    metadata: Meta = msgspec.field(default_factory=Meta)
    spec: scheduling_v1beta1.PodGroupSpec = msgspec.field(default_factory=scheduling_v1beta1.PodGroupSpec)


class Gang(NamedTuple):
    """A group as it is now."""

    name: str
    least: int
    """minCount: how many are placed together at least."""
    members: frozenset[Key]
    placed: int
    """Members that have a node."""


def settle(gang: Gang, outcomes: Sequence[Outcome | Exception], binding: int, nodes: int) -> list[Outcome | Exception]:
    """What becomes of a gang's members that were decided together, `binding` others being on their way to a node.

    Where too few have a node, those that got one lose it again: in their place stands a refusal."""
    placed = [o for o in outcomes if isinstance(o, Outcome) and o.node is not None]
    if not placed or len(placed) + gang.placed + binding >= gang.least:
        return list(outcomes)
    refusals = [o for o in outcomes if isinstance(o, Outcome) and o.waiting and o.node is None]
    plugins = sorted({GANG, *(plugin for refusal in refusals for plugin in refusal.plugins)})
    fit = f'{len(placed)} of the {gang.least} pods that the pod group "{gang.name}" needs'
    message = f"0/{nodes} nodes are available: only {fit} can be placed."
    settled: list[Outcome | Exception] = []
    for outcome in outcomes:
        if isinstance(outcome, Exception) or not outcome.waiting:
            settled.append(outcome)
        elif outcome.node is None:
            settled.append(outcome._replace(plugins=sorted({*outcome.plugins, GANG})))
        else:
            settled.append(Outcome(True, None, message, plugins))
    return settled


class _Group(ApiStruct):
    pod_group_name: str = ""


class _Spec(ApiStruct):
    scheduling_group: _Group | None = None


class _Pod(ApiStruct):
    spec: _Spec = msgspec.field(default_factory=_Spec)


_decode = msgspec.json.Decoder(_Pod).decode


class Gangs:
    """Groups from a watch, and their members among the pods."""

    def __init__(self, client: Client, changed: Callable[[Iterable[Key]], None]) -> None:
        """`changed` is told the members of a group that may be complete now, or that needs another number of them."""
        self._changed = changed
        self._groups: Informer[PodGroup] = Informer(client, PodGroup)
        self._groups.on_change(self._group_changed)
        self._members: dict[Key, set[Key]] = {}
        self._group_of: dict[Key, Key] = {}
        self._placed: set[Key] = set()
        self._gated: set[Key] = set()

    @property
    def optional_informers(self) -> list[Informer[Any]]:
        """What a server need not have."""
        return [self._groups]

    def pod(self, key: Key, value: bytes | None, *, node: str = "", gated: bool = False) -> None:
        """A pod as it is now; `value` None: it is gone or has ended. Raises ValueError where it cannot be read."""
        group = _group_in(key, value)
        before = self._group_of.pop(key, None)
        self._placed.discard(key)
        self._gated.discard(key)
        if before is not None and before != group:
            self._members[before].discard(key)
            if not self._members[before]:
                del self._members[before]
        if group is None:
            return
        self._group_of[key] = group
        members = self._members.setdefault(group, set())
        new = key not in members
        members.add(key)
        if node:
            self._placed.add(key)
        if gated:
            self._gated.add(key)
        if new:
            self._changed(members - {key})

    def holds(self, key: Key) -> bool:
        """Whether a pod waits for its group, or for others of it."""
        group = self._group_of.get(key)
        if group is None:
            return False
        found = self._groups.get(*group)
        if found is None:
            return True
        policy = found.spec.scheduling_policy.gang
        return policy is not None and len(self._members[group] - self._gated) < policy.min_count

    def gated(self, key: Key) -> bool:
        """Whether the pod's own gates hold it back."""
        return key in self._gated

    def gang(self, key: Key) -> Gang | None:
        """The gang that a pod is one of."""
        group = self._group_of.get(key)
        found = self._groups.get(*group) if group is not None else None
        policy = found.spec.scheduling_policy.gang if found is not None else None
        if group is None or policy is None:
            return None
        members = self._members[group]
        return Gang(group[1], policy.min_count, frozenset(members), len(members & self._placed))

    def _group_changed(self, old: PodGroup | None, new: PodGroup | None) -> None:
        group = new if new is not None else old
        assert group is not None
        self._changed(frozenset(self._members.get((group.metadata.namespace, group.metadata.name), ())))


def _group_in(key: Key, value: bytes | None) -> Key | None:
    if value is None or b'"schedulingGroup"' not in value:
        return None
    try:
        group = _decode(value).spec.scheduling_group
    except msgspec.MsgspecError as error:
        raise ValueError(f"schedulingGroup: {error}") from error
    return (key[0], group.pod_group_name) if group is not None and group.pod_group_name else None
