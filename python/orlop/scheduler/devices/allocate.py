"""Finds devices on one node for the claims of a pod.

Upstream: k8s.io/dynamic-resource-allocation/structured. Every request is matched against every device that is left, in
the order of pools, slices and devices; the first solution is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from orlop.api.quantity import parse as _number
from orlop.api.taints import tolerates
from orlop.api.types import core_v1, resource_v1
from orlop.native import CelSelector
from orlop.scheduler.devices.capacity import Counters, share
from orlop.scheduler.devices.slices import DeviceID, Offer, Pool
from orlop.scheduler.devices.used import Consumed, Used, qualified

MAX_RESULTS = 32
"""Devices of one claim (resource.k8s.io: AllocationResultsMaxSize)."""
MAX_STEPS = 20_000
"""Devices that are tried on one node: some 0.1 s. A search is exponential where constraints contradict each other, and
upstream ends it after a time."""
MAX_ALTERNATIVES = 8
"""Of a request's firstAvailable (resource.k8s.io: FirstAvailableDeviceRequestMaxSize)."""

Claim = resource_v1.ResourceClaim
Attribute = tuple[str, object]


class AllocationFailed(Exception):
    """The claims or a class are at fault: no node would do. The message is upstream's."""


class Allocation(NamedTuple):
    """Devices for one claim."""

    result: resource_v1.AllocationResult
    score: int
    """How early the alternatives stand that were taken of firstAvailable, summed."""


@dataclass(eq=False, slots=True)
class Ask:
    """A request, or one of its alternatives."""

    name: str
    parent: str
    of: resource_v1.ExactDeviceRequest | resource_v1.DeviceSubRequest
    device_class: resource_v1.DeviceClass
    need: int = 0
    all: "list[tuple[Pool, Offer]] | None" = None
    """The devices that a request for all of them means."""

    @property
    def full(self) -> str:
        return f"{self.parent}/{self.name}" if self.parent else self.name

    @property
    def admin(self) -> bool:
        return isinstance(self.of, resource_v1.ExactDeviceRequest) and bool(self.of.admin_access)

    @property
    def requested(self) -> Mapping[str, str]:
        return self.of.capacity.requests if self.of.capacity is not None else {}


class Taken(NamedTuple):
    """A device that was chosen."""

    ask: Ask
    offer: Offer
    shared: bool
    consumed: dict[str, str]


@dataclass(eq=False, slots=True)
class Constraint:
    """matchAttribute or distinctAttribute of a claim, and the values that devices have had so far."""

    spec: resource_v1.DeviceConstraint
    values: list[Attribute] = field(default_factory=list)

    def concerns(self, ask: Ask) -> bool:
        names = self.spec.requests
        return not names or ask.full in names or (ask.parent or ask.name) in names

    def add(self, offer: Offer) -> bool:
        """Counts the device's value in; False, and nothing is counted, where it may not be."""
        value = _attribute(offer, self.spec.match_attribute or self.spec.distinct_attribute or "")
        if value is None:
            return False
        if self.spec.match_attribute is not None:
            if self.values and self.values[0] != value:
                return False
        elif value in self.values:
            return False
        self.values.append(value)
        return True


def _attribute(offer: Offer, name: str) -> Attribute | None:
    attributes = offer.device.attributes
    found = attributes.get(name)
    if found is None:
        domain, _, id = name.partition("/")
        found = attributes.get(id) if domain == offer.id.driver else None
    if found is None:
        return None
    for kind in ("string", "int_", "bool_", "version"):
        if (value := getattr(found, kind)) is not None:
            return kind, value
    return None


Classes = Callable[[str], resource_v1.DeviceClass | None]
Selectors = Callable[[str], CelSelector]


class Search:
    """One attempt on one node."""

    def __init__(self, used: Used, selectors: Selectors, classes: Classes, claims: Sequence[Claim]) -> None:
        self._used = used
        self._selectors = selectors
        self._classes = classes
        self._claims = claims

    def run(self, node: str, pools: Sequence[Pool]) -> list[Allocation] | None:
        """Devices for every claim; None where the node has not enough. Raises AllocationFailed."""
        self._pools = pools
        self._offers = [(pool, o) for pool in pools if pool.complete and not pool.invalid for o in pool.offers]
        self._asks = [[self._alternatives(claim, r) for r in claim.spec.devices.requests] for claim in self._claims]
        for claim, requests in zip(self._claims, self._asks, strict=True):
            least = sum(min(ask.need for ask in alternatives) for alternatives in requests)
            if least > MAX_RESULTS:
                many = f"number of requested devices {least} exceeds the claim limit of {MAX_RESULTS}"
                raise AllocationFailed(f"claim {_name(claim)}: {many}")
        self._constraints = [[Constraint(c) for c in claim.spec.devices.constraints] for claim in self._claims]
        self._taken: list[list[Taken]] = [[] for _ in self._claims]
        self._holders: dict[DeviceID, list[int]] = {}
        """Devices that are taken as a whole, by the claims that do."""
        self._shares: dict[DeviceID, list[Consumed]] = {}
        self._counters = Counters(self._used)
        self._chosen: dict[tuple[int, int], int] = {}
        self._steps = 0
        if not self._request(0, 0):
            return None
        return [self._result(index, node) for index in range(len(self._claims))]

    # --- what is asked for

    def _alternatives(self, claim: Claim, request: resource_v1.DeviceRequest) -> list[Ask]:
        if request.exactly is not None:
            return [self._ask(claim, request.name, "", request.exactly)]
        return [self._ask(claim, sub.name, request.name, sub) for sub in request.first_available]

    def _ask(
        self, claim: Claim, name: str, parent: str, of: resource_v1.ExactDeviceRequest | resource_v1.DeviceSubRequest
    ) -> Ask:
        where = f"claim {_name(claim)}, request {name}"
        device_class = self._classes(of.device_class_name)
        if device_class is None:
            raise AllocationFailed(f"{where}: could not retrieve device class {of.device_class_name}")
        ask = Ask(name, parent, of, device_class)
        if of.allocation_mode in ("", "ExactCount"):
            ask.need = of.count or 1
        elif of.allocation_mode == "All":
            ask.all = []
            for pool in self._pools:
                if not pool.complete or pool.invalid:
                    state = "invalid" if pool.complete else "being updated"
                    which = f"resource pool {'/'.join(pool.name)} is currently {state}"
                    raise AllocationFailed(f"{where}: asks for all devices, but {which}")
                wanted = (offer for offer in pool.offers if self._selects(claim, ask, offer))
                ask.all += [(pool, o) for o in wanted if share(o, ask.requested, self._taken_of(o)) is not None]
            ask.need = len(ask.all)
        else:
            raise AllocationFailed(f"{where}: unsupported count mode {of.allocation_mode}")
        return ask

    def _selects(self, claim: Claim, ask: Ask, offer: Offer) -> bool:
        """Whether class and request want such a device."""
        asked = (
            (f"class {ask.device_class.metadata.name}", ask.device_class.spec.selectors),
            (f"claim {_name(claim)}", ask.of.selectors),
        )
        for owner, selectors in asked:
            for index, selector in enumerate(selectors):
                text = selector.cel.expression if selector.cel is not None else ""
                known = offer.matches.get(text)
                if known is None:
                    try:
                        if isinstance(offer.seen, str):
                            raise ValueError(offer.seen)
                        known = offer.matches[text] = self._selectors(text).matches(offer.seen)
                    except ValueError as error:
                        compiles = str(error).startswith("CEL compile error")
                        on = "" if compiles else f" on device {offer.id}"
                        raise AllocationFailed(f"{owner}: selector #{index}{on}: {error}") from None
                if not known:
                    return False
        return True

    def _taken_of(self, offer: Offer) -> tuple[Consumed, ...]:
        """What shares that were given out before take of it."""
        return (self._used.consumed(offer.id),) if offer.device.allow_multiple_allocations else ()

    # --- the search

    def _request(self, claim: int, request: int) -> bool:
        if claim == len(self._claims):
            return True
        if request == len(self._asks[claim]):
            return self._request(claim + 1, 0)
        for index, ask in enumerate(self._asks[claim][request]):
            # All devices are none: that is no success.
            if ask.all is not None and not ask.all:
                continue
            if len(self._taken[claim]) + ask.need <= MAX_RESULTS and self._devices(claim, request, ask, 0, 0):
                self._chosen[claim, request] = index
                return True
        return False

    def _devices(self, claim: int, request: int, ask: Ask, count: int, start: int) -> bool:
        """Chooses the request's devices from the `count`-th on; of equal sets only the one in order is tried."""
        if count == ask.need:
            return self._request(claim, request + 1)
        if ask.all is not None:
            choice = [(start, ask.all[count])]
        else:
            choice = list(enumerate(self._offers[start:], start))
        for at, (pool, offer) in choice:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise AllocationFailed("timed out trying to allocate devices")
            undo = self._take(claim, ask, pool, offer)
            if undo is None:
                continue
            if self._devices(claim, request, ask, count + 1, at + 1):
                return True
            undo()
        return False

    def _take(self, claim: int, ask: Ask, pool: Pool, offer: Offer) -> Callable[[], None] | None:
        """Takes a device, and returns what gives it back; None where it cannot be taken."""
        shared = bool(offer.device.allow_multiple_allocations)
        holders = self._holders.setdefault(offer.id, [])
        if ask.admin:
            if claim in holders:
                return None
        elif self._used.whole(offer.id) or holders:
            return None
        if ask.all is None and not self._selects(self._claims[claim], ask, offer):
            return None
        if any(t.effect in ("NoSchedule", "NoExecute") and not _tolerated(t, ask) for t in offer.taints):
            return None
        shares = self._shares.setdefault(offer.id, [])
        try:
            consumed = share(offer, ask.requested, (*self._taken_of(offer), *shares))
        except ValueError as error:
            raise AllocationFailed(f"claim {_name(self._claims[claim])}, request {ask.name}: {error}") from None
        if consumed is None:
            return None
        # A device of which others have shares has had its counters taken for it.
        counts = bool(offer.device.consumes_counters) and not (shared and (shares or self._used.shared(offer.id)))
        if counts and not self._counters.take(pool, offer):
            return None
        added: list[Constraint] = []
        for constraint in self._constraints[claim]:
            if not constraint.concerns(ask):
                continue
            if not constraint.add(offer):
                self._undo(added)
                if counts:
                    self._counters.give_back(pool, offer)
                return None
            added.append(constraint)
        if shared:
            shares.append({qualified(name, offer.id.driver): _number(amount) for name, amount in consumed.items()})
        else:
            holders.append(claim)
        self._taken[claim].append(Taken(ask, offer, shared, consumed if shared else {}))

        def undo() -> None:
            self._undo(added)
            if counts:
                self._counters.give_back(pool, offer)
            (shares if shared else holders).pop()
            self._taken[claim].pop()

        return undo

    @staticmethod
    def _undo(added: Sequence[Constraint]) -> None:
        for constraint in added:
            constraint.values.pop()

    # --- what came of it

    def _result(self, index: int, node: str) -> Allocation:
        claim, taken = self._claims[index], self._taken[index]
        results = [
            resource_v1.DeviceRequestAllocationResult(
                request=one.ask.full,
                driver=one.offer.id.driver,
                pool=one.offer.id.pool,
                device=one.offer.id.device,
                admin_access=True if one.ask.admin else None,
                tolerations=list(one.ask.of.tolerations),
                binding_conditions=list(one.offer.device.binding_conditions),
                binding_failure_conditions=list(one.offer.device.binding_failure_conditions),
                share_id="" if one.shared else None,
                consumed_capacity=one.consumed,
            )
            for one in taken
        ]
        asks = [self._asks[index][r][self._chosen[index, r]] for r in range(len(self._asks[index]))]
        score = sum(
            MAX_ALTERNATIVES - self._chosen[index, r]
            for r, request in enumerate(claim.spec.devices.requests)
            if request.first_available
        )
        devices = resource_v1.DeviceAllocationResult(results=results, config=_config(claim, asks))
        selector = _node_selector([one.offer for one in taken], node)
        return Allocation(resource_v1.AllocationResult(devices=devices, node_selector=selector), score)


def _tolerated(taint: resource_v1.DeviceTaint, ask: Ask) -> bool:
    return any(tolerates(toleration, taint) for toleration in ask.of.tolerations)


def _config(claim: Claim, asks: Sequence[Ask]) -> list[resource_v1.DeviceAllocationConfiguration]:
    """The configuration of the classes, each once, and that of the claim, of what was chosen."""
    config: list[resource_v1.DeviceAllocationConfiguration] = []
    of_class: dict[str, list[resource_v1.DeviceAllocationConfiguration]] = {}
    for ask in asks:
        name = ask.device_class.metadata.name
        if name not in of_class:
            of_class[name] = [
                resource_v1.DeviceAllocationConfiguration(source="FromClass", opaque=one.opaque)
                for one in ask.device_class.spec.config
            ]
            config += of_class[name]
        for entry in of_class[name]:
            entry.requests.append(ask.full)
    chosen = {name for ask in asks for name in (ask.full, ask.parent or ask.name)}
    for one in claim.spec.devices.config:
        if not one.requests or chosen.intersection(one.requests):
            config.append(
                resource_v1.DeviceAllocationConfiguration(
                    source="FromClaim", requests=list(one.requests), opaque=one.opaque
                )
            )
    for entry in config:
        if len(entry.requests) == len(asks):
            entry.requests = []  # which means all
    return config


def _node_selector(offers: Sequence[Offer], node: str) -> core_v1.NodeSelector | None:
    """The nodes on which all these devices can be had; None: everywhere."""
    term = core_v1.NodeSelectorTerm()
    for offer in offers:
        if offer.node_name or offer.device.binds_to_node:
            name = core_v1.NodeSelectorRequirement(key="metadata.name", operator="In", values=[node])
            return core_v1.NodeSelector(node_selector_terms=[core_v1.NodeSelectorTerm(match_fields=[name])])
        selector = offer.node_selector
        for own in selector.node_selector_terms[:1] if selector is not None else ():
            term.match_fields += [r for r in own.match_fields if r not in term.match_fields]
            term.match_expressions += [r for r in own.match_expressions if r not in term.match_expressions]
    if term.match_fields or term.match_expressions:
        return core_v1.NodeSelector(node_selector_terms=[term])
    return None


def _name(claim: Claim) -> str:
    return f"{claim.metadata.namespace}/{claim.metadata.name}"
