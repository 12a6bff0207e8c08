"""What an administrator says of eviction and reservations: the kubelet's flags of the same names."""

import msgspec

from orlop.kubelet.eviction import thresholds
from orlop.kubelet.eviction.allocatable import check_reserved
from orlop.kubelet.eviction.thresholds import Threshold

Texts = dict[str, str]


class EvictionConfig(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The flags as they were given; `thresholds` makes sense of them."""

    hard: Texts | None = None
    """By signal. None: the defaults of the kind of node."""
    soft: Texts = msgspec.field(default_factory=dict)
    soft_grace_period: Texts = msgspec.field(default_factory=dict)
    minimum_reclaim: Texts = msgspec.field(default_factory=dict)
    pressure_transition_period: float = 300.0
    """Seconds that a node condition stays true after its signal was last below a threshold."""
    max_pod_grace_period: int = 0
    """Most seconds that a pod has to end when a soft threshold is met; 0: the pod's own."""
    kube_reserved: Texts = msgspec.field(default_factory=dict)
    system_reserved: Texts = msgspec.field(default_factory=dict)
    """Of the node's capacity, what pods do not get."""

    @property
    def reserved(self) -> tuple[Texts, Texts]:
        """All reservations."""
        return self.kube_reserved, self.system_reserved

    def thresholds(self, default_hard: Texts) -> list[Threshold]:
        """All thresholds. Raises ValueError naming the flag that is wrong."""
        hard = default_hard if self.hard is None else self.hard
        return thresholds.parse(hard, self.soft, self.soft_grace_period, self.minimum_reclaim)

    def check(self) -> None:
        """Raises ValueError naming what is wrong."""
        self.thresholds({})
        for flag, texts in (("--kube-reserved", self.kube_reserved), ("--system-reserved", self.system_reserved)):
            check_reserved(flag, texts)
        if self.pressure_transition_period < 0:
            raise ValueError("--eviction-pressure-transition-period must not be negative")
        if self.max_pod_grace_period < 0:
            raise ValueError(f"--eviction-max-pod-grace-period {self.max_pod_grace_period} must not be negative")


SHARED_HARD: Texts = {
    "memory.available": "100Mi",
    "nodefs.available": "1Gi",
    "nodefs.inodesFree": "1%",
    "imagefs.available": "1Gi",
    "imagefs.inodesFree": "1%",
}
"""--eviction-hard of a node that shares its machine with a person. A tenth of a large disk, as by default, is more than
many have free: the cluster would take no pods at all, though it needs but a few hundred megabytes."""


def on_shared_machine(config: EvictionConfig) -> EvictionConfig:
    """With the defaults of such a node where nothing else is said."""
    return config if config.hard is not None else msgspec.structs.replace(config, hard=SHARED_HARD)


def pairs(text: str, separator: str) -> Texts:
    """`signal<value,…` taken apart, as upstream's flags. Raises ValueError."""
    found = {}
    for part in text.split(","):
        if not part.strip():
            continue
        name, found_one, value = part.partition(separator)
        if not found_one:
            raise ValueError(f"malformed pair, expect string{separator}string")
        found[name.strip()] = value.strip()
    return found
