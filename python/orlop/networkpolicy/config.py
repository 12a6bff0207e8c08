"""What the enforcement of one node is told."""

from dataclasses import dataclass

DEFAULT_SCOPE = "orlop"
TABLE = "orlop-policy"
MIN_SYNC_PERIOD = 0.05
"""Seconds between two programmings; a lone change is programmed at once."""
SYNC_PERIOD = 3600.0
"""Seconds after which the whole table is compared and repaired."""
ADMIT_SECONDS = 2.0
"""How long a pod's start waits for its rules. What comes or goes before they are there is dropped in any case, so a pod
that is let through without them is not open, only cut off."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """How policies are enforced on a node."""

    node_name: str
    """Pods of this Node are held to their policies; those of others are only talked to."""
    scope: str = DEFAULT_SCOPE
    """Marks the table, so that no other cluster's on the same machine is touched."""
    min_sync_period: float = MIN_SYNC_PERIOD
    sync_period: float = SYNC_PERIOD

    @property
    def table(self) -> str:
        """As nft names it."""
        return f"inet {TABLE}" if self.scope == DEFAULT_SCOPE else f"inet {TABLE}-{self.scope}"
