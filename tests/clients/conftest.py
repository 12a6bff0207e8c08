"""A server on a port, a cluster of hollow nodes, and the programs and libraries of others that talk to them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import bootstrap
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from tests.apiserver.test_kubectl import Kubectl
from tests.clients import hollow
from tests.support.cluster import UpCluster


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker runs all tests of the cluster, so that there is one."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("clients"))


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


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpCluster]:
    """A whole cluster with simulated containers, one for all tests of a worker."""
    with hollow.cluster(tmp_path_factory.mktemp("clients")) as one:
        yield one
