"""What claims hold of devices: whole ones, and shares of those that may be allocated more than once."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from orlop.api import quantity
from orlop.api.types import resource_v1
from orlop.scheduler.devices.slices import DeviceID

Consumed = dict[str, Decimal]
"""Amounts by the full name of the capacity."""


class Used:
    """Devices in use. What an administrator looks at with adminAccess is not."""

    def __init__(self) -> None:
        self._whole: Counter[DeviceID] = Counter()
        self._shares: Counter[DeviceID] = Counter()
        self._consumed: dict[DeviceID, Consumed] = {}

    def take(self, results: Iterable[resource_v1.DeviceRequestAllocationResult]) -> set[DeviceID]:
        """Counts an allocation; the devices whose use that changes."""
        return self._count(results, 1)

    def give_back(self, results: Iterable[resource_v1.DeviceRequestAllocationResult]) -> set[DeviceID]:
        """Counts it no more."""
        return self._count(results, -1)

    def whole(self, id: DeviceID) -> bool:
        """Whether a claim has the device for itself."""
        return self._whole[id] > 0

    def shared(self, id: DeviceID) -> bool:
        """Whether claims have shares of it."""
        return self._shares[id] > 0

    def consumed(self, id: DeviceID) -> Consumed:
        """What its shares take of its capacity."""
        return self._consumed.get(id, {})

    def _count(self, results: Iterable[resource_v1.DeviceRequestAllocationResult], sign: int) -> set[DeviceID]:
        changed = set()
        for result in results:
            if result.admin_access:
                continue
            id = DeviceID(result.driver, result.pool, result.device)
            changed.add(id)
            counter = self._whole if result.share_id is None else self._shares
            counter[id] += sign
            if not counter[id]:
                del counter[id]
            amounts = self._consumed.setdefault(id, {})
            for name, amount in result.consumed_capacity.items():
                full = qualified(name, id.driver)
                amounts[full] = amounts.get(full, Decimal(0)) + sign * quantity.parse(amount)
            if not self._shares[id]:
                self._consumed.pop(id, None)
        return changed


def qualified(name: str, driver: str) -> str:
    """A name of an attribute or a capacity with its domain: the driver's where it has none."""
    return name if "/" in name else f"{driver}/{name}"
