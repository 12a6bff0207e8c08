"""A server on a port, and the programs and libraries of others that talk to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import bootstrap
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from tests.apiserver.test_kubectl import Kubectl


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ApiServer]:
    config = Config(data_dir=tmp_path, store="memory", secure_port=0, write_kubeconfig=tmp_path / "kubeconfig")
    async with ApiServer(config) as server:
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        await bootstrap.create(server.core, account)
        yield server


@pytest.fixture
def kubeconfig(served: ApiServer) -> str:
    return str(served.config.write_kubeconfig)


@pytest.fixture
def kubectl(kubeconfig: str) -> Kubectl:
    return Kubectl(Path(kubeconfig))
