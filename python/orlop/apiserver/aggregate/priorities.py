"""Which group comes first in lists, and which version within it: pkg/controlplane/apiserver/aggregator.go."""

from typing import NamedTuple


class Priority(NamedTuple):
    """spec.groupPriorityMinimum and spec.versionPriority of an APIService."""

    group: int
    version: int


GROUPS = {
    "apiregistration.k8s.io": 20000,
    "": 18000,
    "apps": 17800,
    "events.k8s.io": 17750,
    "authentication.k8s.io": 17700,
    "authorization.k8s.io": 17600,
    "autoscaling": 17500,
    "batch": 17400,
    "certificates.k8s.io": 17300,
    "networking.k8s.io": 17200,
    "policy": 17100,
    "rbac.authorization.k8s.io": 17000,
    "storage.k8s.io": 16800,
    "admissionregistration.k8s.io": 16700,
    "apiextensions.k8s.io": 16700,
    "scheduling.k8s.io": 16600,
    "coordination.k8s.io": 16500,
    "node.k8s.io": 16300,
    "discovery.k8s.io": 16200,
    "resource.k8s.io": 16200,
    "flowcontrol.apiserver.k8s.io": 16100,
    "storagemigration.k8s.io": 15800,
    "metrics.k8s.io": 100,
    "bulk.orlop.dev": 90,
}
"""The first has no APIService of its own: it is what these are read from, and comes before all they name."""
VERSIONS = {
    ("autoscaling", "v2"): 30,
    ("flowcontrol.apiserver.k8s.io", "v1"): 21,
    ("resource.k8s.io", "v1"): 21,
    ("", "v1"): 1,
}
CUSTOM = Priority(1000, 100)
"""Custom resources come behind what is built in; their versions in the order of versions."""


def of(group: str, version: str) -> Priority:
    """The priority of what this server serves itself."""
    minimum = GROUPS.get(group)
    if minimum is None:
        return CUSTOM
    stage = 1 if "alpha" in version else 9 if "beta" in version else 15
    return Priority(minimum, VERSIONS.get((group, version), stage))
