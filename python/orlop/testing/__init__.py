"""What users test with, as orlop's own tests do: the fake clock, the hollow runtime, whole clusters in a process."""

from typing import TYPE_CHECKING, Any

from orlop.clock import FakeClock

if TYPE_CHECKING:
    from orlop.cluster.inprocess import AsyncCluster as AsyncCluster
    from orlop.cluster.sync import Cluster as Cluster

__all__ = ["AsyncCluster", "Cluster", "FakeClock"]


def __getattr__(name: str) -> Any:
    import orlop

    return getattr(orlop, name)
