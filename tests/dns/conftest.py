"""An API server in this process, with the namespaces of every cluster."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.dns.world import Upstream, World, upstream, world

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None)) as server:
        yield server


@pytest.fixture
async def node(api: ApiServer) -> AsyncIterator[World]:
    """A DNS server that asks nobody else."""
    async with world(api, cluster_cidrs=("10.244.0.0/16", "10.96.0.0/16")) as one:
        yield one


@pytest.fixture
async def outside() -> AsyncIterator[Upstream]:
    async with upstream() as one:
        yield one
