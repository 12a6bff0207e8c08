"""What users test with, as orlop's own tests do: the fake clock, the hollow runtime, whole clusters in a process."""

from orlop.clock import FakeClock
from orlop.cluster.inprocess import AsyncCluster
from orlop.cluster.sync import Cluster

__all__ = ["AsyncCluster", "Cluster", "FakeClock"]
