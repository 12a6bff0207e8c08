"""VolumeZone: a volume that carries zone or region labels is used only on nodes with the same.

Upstream: pkg/scheduler/framework/plugins/volumezone.
"""

from collections.abc import Iterable, Mapping

from orlop.api.types import core_v1

ZONE = "VolumeZone"
CONFLICT = "node(s) had no available volume zone"

_GA = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
_KEYS = (*_GA, *_GA.values())

Places = list[tuple[str, frozenset[str]]]
"""Label keys, and the values that are right for each."""


def places(volumes: Iterable[core_v1.PersistentVolume]) -> Places:
    """Where volumes are by their labels: one label may name several zones, joined by `__`."""
    found: Places = []
    for volume in volumes:
        for key in _KEYS:
            value = volume.metadata.labels.get(key)
            values = frozenset(value.split("__")) if value is not None else frozenset()
            if values and "" not in values:  # one that cannot be read is passed over
                found.append((key, values))
    return found


def conflicts(wanted: Places, labels: Mapping[str, str]) -> bool:
    """Whether a node with these labels is elsewhere. A node that says nothing of where it is, is nowhere else."""
    if not wanted or not any(key in labels for key in _KEYS):
        return False
    return any(labels.get(key, labels.get(_GA.get(key, key))) not in values for key, values in wanted)
