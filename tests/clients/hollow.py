"""A cluster as `orlop up` starts it, of hollow nodes: API server, controllers, scheduler and kubelets in processes of
their own, containers simulated."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.support.cluster import UpCluster


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[UpCluster]:
    """Two nodes, running within the block."""
    one = UpCluster(
        f"clients-{os.getpid()}",
        folder,
        "--runtime=hollow",
        "--hollow=2",
        "--secure-port=0",
        "--pod-cidr=10.211.0.0/16",
        "--service-cidr=10.212.0.0/16",
    )
    try:
        one.up()
        yield one
    finally:
        one.down()
