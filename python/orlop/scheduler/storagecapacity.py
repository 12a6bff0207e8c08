"""Whether a driver has room for a volume that is yet to be made near a node (CSIStorageCapacity).

Upstream: pkg/scheduler/framework/plugins/volumebinding/binder.go, hasEnoughCapacity.
"""

from collections.abc import Iterable, Mapping

from orlop.api.quantity import parse
from orlop.api.selectors import from_struct
from orlop.api.types import storage_v1

NOT_ENOUGH = "node(s) did not have enough free storage"


def tracked(driver: storage_v1.CSIDriver | None) -> bool:
    """Whether a driver tells how much room it has."""
    return driver is not None and bool(driver.spec.storage_capacity)


def suffices(
    capacities: Iterable[storage_v1.CSIStorageCapacity], storage_class: str, size: str, labels: Mapping[str, str]
) -> bool:
    """Whether one of the capacities of the class is reachable from a node with these labels and holds `size`."""
    if not size:
        return True
    for capacity in capacities:
        most = capacity.maximum_volume_size or capacity.capacity
        if capacity.storage_class_name == storage_class and most is not None and parse(most) >= parse(size):
            topology = capacity.node_topology
            if topology is not None and from_struct(topology).matches(labels):
                return True
    return False
