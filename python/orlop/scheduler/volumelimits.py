"""NodeVolumeLimits: a node takes no more volumes of a CSI driver than the driver says there (CSINode).

Upstream: pkg/scheduler/framework/plugins/nodevolumelimits.
"""

from collections import Counter
from collections.abc import Iterable

from orlop.api.types import storage_v1

LIMITS = "NodeVolumeLimits"
EXCEEDED = "node(s) exceed max volume count"

Attachment = tuple[str, str]
"""A driver and its name for a volume, or, of one that is not made yet, the claim's."""


def limits(node: storage_v1.CSINode | None) -> dict[str, int]:
    """How many volumes of each driver a node takes, where its driver says so."""
    drivers = node.spec.drivers if node is not None else ()
    return {
        d.name: d.allocatable.count for d in drivers if d.allocatable is not None and d.allocatable.count is not None
    }


def exceeds(most: dict[str, int], there: Iterable[Attachment], wanted: Iterable[Attachment]) -> bool:
    """Whether volumes of some driver would be too many beside those that are there; one that is there counts once."""
    attached = set(there)
    new = Counter(driver for driver, _ in set(wanted) - attached if driver in most)
    used = Counter(driver for driver, _ in attached)
    return any(used[driver] + count > most[driver] for driver, count in new.items())
