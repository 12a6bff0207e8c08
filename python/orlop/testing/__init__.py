"""What users test with, as orlop's own tests do: the fake clock, whole clusters in a process, worlds by a seed."""

from typing import TYPE_CHECKING, Any

from orlop.clock import FakeClock

if TYPE_CHECKING:
    from orlop.cluster.inprocess import AsyncCluster as AsyncCluster
    from orlop.cluster.sync import Cluster as Cluster
    from orlop.testing.seas import CALM as CALM, Weather as Weather
    from orlop.testing.world import World as World, simulate as simulate

__all__ = ["CALM", "AsyncCluster", "Cluster", "FakeClock", "Weather", "World", "simulate"]


def __getattr__(name: str) -> Any:
    import orlop

    if name in ("CALM", "Weather"):
        from orlop.testing import seas

        return getattr(seas, name)
    if name in ("World", "simulate"):
        from orlop.testing import world

        return getattr(world, name)
    return getattr(orlop, name)
