"""What a share of a device takes of its capacity (KEP-5075), and what devices take of shared counters (KEP-4815)."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal

from orlop.api import quantity
from orlop.api.types import resource_v1
from orlop.scheduler.devices.slices import Offer, Pool
from orlop.scheduler.devices.used import Consumed, Used, qualified

Capacities = Mapping[str, resource_v1.DeviceCapacity]


def share(offer: Offer, requested: Mapping[str, str], taken: Iterable[Consumed]) -> dict[str, str] | None:
    """What a request takes of each capacity of the device, by the names that the slice has for them, if there is so
    much left beside what is `taken`; None if not. Raises ValueError for a request that names one capacity twice."""
    capacities, driver = offer.device.capacity, offer.id.driver
    wanted: dict[str, str] = {}
    for name, amount in requested.items():
        full = qualified(name, driver)
        if full in wanted:
            raise ValueError(f'capacity "{full}" requested twice, with its domain and without')
        wanted[full] = amount
    # A name with its domain comes before the same without.
    published = {qualified(name, driver): name for name in sorted(capacities, key=lambda name: "/" in name)}
    if wanted.keys() - published.keys():
        return None
    consumed = {}
    for full, name in published.items():
        capacity = capacities[name]
        amount = _amount(wanted.get(full), capacity)
        if _violates(amount, capacity.request_policy):
            return None
        total = quantity.parse(amount) + sum((t.get(full, Decimal(0)) for t in taken), Decimal(0))
        if total > quantity.parse(capacity.value):
            return None
        consumed[name] = amount
    return consumed


def _amount(wanted: str | None, capacity: resource_v1.DeviceCapacity) -> str:
    """What is taken for a request, rounded up as the capacity's policy says."""
    policy = capacity.request_policy
    if wanted is None:
        return policy.default if policy is not None and policy.default is not None else capacity.value
    if policy is None:
        return wanted
    asked = quantity.parse(wanted)
    valid = policy.valid_range
    if valid is not None and valid.min is not None:
        least = quantity.parse(valid.min)
        if asked <= least:
            return valid.min
        if valid.step is None:
            return wanted
        step = quantity.parse(valid.step)
        steps = ((asked - least) / step).to_integral_value(ROUND_CEILING)
        return _written(least + steps * step, valid.step)
    return next((value for value in policy.valid_values if asked <= quantity.parse(value)), wanted)


def _violates(amount: str, policy: resource_v1.CapacityRequestPolicy | None) -> bool:
    if policy is None or (policy.default is not None and amount == policy.default):
        return False
    number = quantity.parse(amount)
    if (valid := policy.valid_range) is not None:
        if valid.max is not None and number > quantity.parse(valid.max):
            return True
        if valid.step is not None and valid.min is not None:
            return bool((number - quantity.parse(valid.min)) % quantity.parse(valid.step))
        return False
    return bool(policy.valid_values) and all(number != quantity.parse(value) for value in policy.valid_values)


def _written(number: Decimal, like: str) -> str:
    """A quantity in the form that another one has."""
    if number != number.to_integral_value():
        return quantity.format_milli(int((number * 1000).to_integral_value(ROUND_CEILING)))
    binary = any(like.endswith(suffix) for suffix in quantity.BINARY)
    return quantity.format_binary(int(number)) if binary else quantity.format_decimal(int(number))


class Counters:
    """What is left of the counters of the pools that a node reaches, while devices are chosen on it."""

    def __init__(self, used: Used) -> None:
        self._used = used
        self._left: dict[tuple[str, str], dict[tuple[str, str], Decimal]] = {}

    def take(self, pool: Pool, offer: Offer) -> bool:
        """Takes what the device consumes, if there is so much."""
        left = self._left.get(pool.name)
        if left is None:
            left = self._left[pool.name] = dict(pool.counters)
            for other in pool.every:
                if self._used.whole(other.id) or self._used.shared(other.id):
                    self._change(left, other, -1)
        self._change(left, offer, -1)
        # Others may have taken too much already: then nothing is left for anybody.
        if any(amount < 0 for amount in left.values()):
            self._change(left, offer, 1)
            return False
        return True

    def give_back(self, pool: Pool, offer: Offer) -> None:
        """Takes it back."""
        self._change(self._left[pool.name], offer, 1)

    @staticmethod
    def _change(left: dict[tuple[str, str], Decimal], offer: Offer, sign: int) -> None:
        for consumed in offer.device.consumes_counters:
            for name, counter in consumed.counters.items():
                key = (consumed.counter_set, name)
                if key in left:
                    left[key] += sign * quantity.parse(counter.value)
