"""The pytest plugin: fixtures that give a test a whole control plane of its own, or one for the session."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    # Imported by the fixtures themselves: a test run that uses none must not pay for it.
    from orlop.cluster.sync import Cluster


@pytest.fixture
def orlop_cluster() -> "Iterator[Cluster]":
    """A fresh cluster for this test: API server, all controllers, scheduler, one hollow node."""
    from orlop.cluster.sync import Cluster

    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def orlop_shared_cluster() -> "Iterator[Cluster]":
    """One cluster for the whole session: give each test a namespace of its own."""
    from orlop.cluster.sync import Cluster

    with Cluster() as cluster:
        yield cluster
