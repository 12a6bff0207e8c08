"""What users test with, as orlop's own tests do: the fake clock, whole clusters in a process, worlds by a seed."""

from typing import TYPE_CHECKING, Any

from orlop.clock import FakeClock

if TYPE_CHECKING:
    from orlop.cluster.inprocess import AsyncCluster as AsyncCluster
    from orlop.cluster.sync import Cluster as Cluster
    from orlop.testing.faults import NO_FAULTS as NO_FAULTS, Faults as Faults
    from orlop.testing.world import World as World, simulate as simulate

__all__ = ["NO_FAULTS", "AsyncCluster", "Cluster", "FakeClock", "Faults", "World", "simulate"]


def __getattr__(name: str) -> Any:
    import orlop

    if name in ("NO_FAULTS", "Faults"):
        from orlop.testing import faults

        return getattr(faults, name)
    if name in ("World", "simulate"):
        from orlop.testing import world

        return getattr(world, name)
    return getattr(orlop, name)
