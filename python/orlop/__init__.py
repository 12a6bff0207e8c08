"""orlop: a Kubernetes-compatible container orchestrator that you install with pip.

import orlop

with orlop.Cluster() as c:
    c.apply("deployment.yaml")
    c.wait("deployment/web", "condition=Available", timeout=20)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orlop.cluster.inprocess import AsyncCluster as AsyncCluster
    from orlop.cluster.sync import Cluster as Cluster

_LAZY = {"Cluster": "orlop.cluster.sync", "AsyncCluster": "orlop.cluster.inprocess"}
"""Imported at first use: every component imports this package, few need these."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        import importlib

        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'orlop' has no attribute {name!r}")
