"""The admin's connection to a cluster of hollow nodes, and a namespace for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.protocol.api import Api, Namespace
from tests.support.cluster import UpCluster, eventually


@pytest.fixture(scope="session")
def api(cluster: UpCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    api = Api(Path(cluster.env["KUBECONFIG"]), tmp_path_factory.mktemp("api"))
    with api.http:
        yield api


@pytest.fixture
def ns(api: Api) -> Iterator[Namespace]:
    """A namespace that goes after the test, with its default ServiceAccount."""
    name = api.post("/api/v1/namespaces", {"metadata": {"generateName": "t-"}})["metadata"]["name"]
    one = Namespace(api, name)
    eventually("its ServiceAccount", lambda: api("GET", f"{one.accounts}/default").status_code == 200, every=0.02)
    yield one
    api("DELETE", f"/api/v1/namespaces/{name}")
