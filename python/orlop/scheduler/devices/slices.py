"""Which devices a node can reach: pools of devices out of ResourceSlices."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

import msgspec

from orlop.api import quantity
from orlop.api.nodeselectors import selects
from orlop.api.types import core_v1, resource_v1
from orlop.native import CelDevice

Slice = resource_v1.ResourceSlice
PoolName = tuple[str, str]
"""Driver and pool."""


class DeviceID(NamedTuple):
    """A device's full name."""

    driver: str
    pool: str
    device: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(eq=False, slots=True)
class Offer:
    """A device, and the slice that tells of it."""

    id: DeviceID
    device: resource_v1.Device
    spec: resource_v1.ResourceSliceSpec
    taints: list[resource_v1.DeviceTaint]
    seen: "CelDevice | str"
    """As expressions see it; why they cannot where it is unreadable."""
    matches: dict[str, bool] = field(default_factory=dict)
    """What expressions said of it before."""

    @property
    def node_name(self) -> str:
        return (self.device.node_name if self.spec.per_device_node_selection else self.spec.node_name) or ""

    @property
    def node_selector(self) -> core_v1.NodeSelector | None:
        return self.device.node_selector if self.spec.per_device_node_selection else self.spec.node_selector

    def reaches(self, node: str, labels: Mapping[str, str]) -> bool:
        """Whether the device can be had on the node."""
        of = self.device if self.spec.per_device_node_selection else self.spec
        return _reaches(of, node, labels)


class Pool(NamedTuple):
    """The newest generation of a pool, as one node sees it."""

    name: PoolName
    offers: list[Offer]
    """Those that the node can reach."""
    complete: bool
    """All its slices are there."""
    invalid: bool
    """Two of its devices have the same name."""
    every: "list[Offer]"
    """All devices, those out of reach included: counters are shared with them."""
    counters: dict[tuple[str, str], Decimal]
    """What there is of each counter of each set."""


@dataclass(slots=True)
class _Pool:
    slices: dict[str, Slice] = field(default_factory=dict)
    offers: dict[str, list[Offer]] = field(default_factory=dict)
    """By slice."""
    nodes: frozenset[str] = frozenset()
    """The nodes that it is local to; with `shared`, others may reach it too."""
    shared: bool = False


class Slices:
    """All ResourceSlices, by what nodes can reach."""

    def __init__(self) -> None:
        self._pools: dict[PoolName, _Pool] = {}
        self._local: dict[str, set[PoolName]] = {}
        self._shared: set[PoolName] = set()
        self._rules: dict[str, resource_v1.DeviceTaintRule] = {}
        self._age = 0
        self._ages: dict[str, int] = {}

    def age(self, node: str) -> tuple[int, int]:
        """Changes whenever something that the node can reach does."""
        return self._age, self._ages.get(node, 0)

    def replace(self, old: Slice | None, new: Slice | None) -> None:
        """A slice came, changed or went."""
        if old is not None:
            name = _pool_of(old)
            if (pool := self._pools.get(name)) is not None:
                self.touch(name)
                pool.slices.pop(old.metadata.name, None)
                pool.offers.pop(old.metadata.name, None)
                self._index(name, pool)
        if new is not None:
            name = _pool_of(new)
            pool = self._pools.setdefault(name, _Pool())
            pool.slices[new.metadata.name] = new
            pool.offers[new.metadata.name] = [self._offer(new, device) for device in new.spec.devices]
            self._index(name, pool)
            self.touch(name)

    def rule(self, old: resource_v1.DeviceTaintRule | None, new: resource_v1.DeviceTaintRule | None) -> None:
        """A rule that taints devices came, changed or went."""
        if old is not None:
            self._rules.pop(old.metadata.name, None)
        if new is not None:
            self._rules[new.metadata.name] = new
        for pool in self._pools.values():
            for offer in (o for offers in pool.offers.values() for o in offers):
                offer.taints = self._taints(offer.id, offer.device)
        self._age += 1

    def touch(self, name: PoolName) -> None:
        """What is used of a pool has changed."""
        pool = self._pools.get(name)
        if pool is None:
            return
        if pool.shared:
            self._age += 1
        for node in pool.nodes:
            self._ages[node] = self._ages.get(node, 0) + 1

    def offer(self, id: DeviceID) -> Offer | None:
        """The device of this name, if there still is one."""
        pool = self._pools.get((id.driver, id.pool))
        found = (o for offers in pool.offers.values() for o in offers if o.id == id) if pool is not None else iter(())
        return next(found, None)

    def pools(self, node: str, labels: Mapping[str, str]) -> list[Pool]:
        """The pools with a slice that the node can reach, in the order of their names."""
        names = sorted(self._local.get(node, set()) | self._shared)
        return [pool for name in names if (pool := self._seen(name, node, labels)) is not None]

    def _seen(self, name: PoolName, node: str, labels: Mapping[str, str]) -> Pool | None:
        pool = self._pools[name]
        newest = max(s.spec.pool.generation for s in pool.slices.values())
        slices = [s for _, s in sorted(pool.slices.items()) if s.spec.pool.generation == newest]
        every = [offer for s in slices for offer in pool.offers[s.metadata.name]]
        offers = [offer for offer in every if offer.reaches(node, labels)]
        if not offers and not any(_reaches(s.spec, node, labels) for s in slices):
            return None
        counters = {
            (shared.name, counter): quantity.parse(amount.value)
            for s in slices
            for shared in s.spec.shared_counters
            for counter, amount in shared.counters.items()
        }
        complete = len(slices) == slices[0].spec.pool.resource_slice_count
        invalid = len({offer.id for offer in every}) < len(every)
        return Pool(name, offers, complete, invalid, every, counters)

    def _index(self, name: PoolName, pool: _Pool) -> None:
        before = pool.nodes
        named = frozenset(filter(None, (s.spec.node_name for s in pool.slices.values())))
        pool.nodes, pool.shared = named, any(not s.spec.node_name for s in pool.slices.values())
        for node in before - named:
            self._local[node].discard(name)
            self._ages[node] = self._ages.get(node, 0) + 1
        for node in named - before:
            self._local.setdefault(node, set()).add(name)
        (self._shared.add if pool.shared else self._shared.discard)(name)
        if not pool.slices:
            del self._pools[name]

    def _offer(self, slice: Slice, device: resource_v1.Device) -> Offer:
        spec = slice.spec
        id = DeviceID(spec.driver, spec.pool.name, device.name)
        seen: CelDevice | str
        try:
            seen = CelDevice(spec.driver, msgspec.json.encode(device))
        except ValueError as error:
            seen = f"CEL runtime error: {error}"
        return Offer(id, device, spec, self._taints(id, device), seen)

    def _taints(self, id: DeviceID, device: resource_v1.Device) -> list[resource_v1.DeviceTaint]:
        return [*device.taints, *_ruled(self._rules.values(), id)]


def _pool_of(slice: Slice) -> PoolName:
    return slice.spec.driver, slice.spec.pool.name


def _ruled(rules: Iterable[resource_v1.DeviceTaintRule], id: DeviceID) -> Iterator[resource_v1.DeviceTaint]:
    for rule in rules:
        selector = rule.spec.device_selector
        if selector is None:
            continue
        wanted = (selector.driver, selector.pool, selector.device)
        if all(want is None or want == have for want, have in zip(wanted, id, strict=True)):
            yield rule.spec.taint


def _reaches(of: resource_v1.ResourceSliceSpec | resource_v1.Device, node: str, labels: Mapping[str, str]) -> bool:
    if of.node_name:
        return of.node_name == node
    if of.all_nodes:
        return True
    return of.node_selector is not None and selects(of.node_selector, labels, node)
