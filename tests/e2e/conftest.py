"""One cluster for all end-to-end tests, with short timings; each test has a namespace of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import docker_engine, images
from tests.support.cluster import UpCluster

IMAGE = "orlop-hello:1"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker Engine with the image of the examples."""
    try:
        docker_engine.ensure()
    except docker_engine.NoEngine as error:
        pytest.skip(str(error))
    if os.geteuid() != 0:
        pytest.skip("pod networks need root")
    images.busybox(IMAGE)


@pytest.fixture(scope="session")
def cluster(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpCluster]:
    """A running cluster: this machine's node and two hollow ones, that hold back pods unless these tolerate it."""
    folder = tmp_path_factory.mktemp("e2e")
    one = UpCluster(
        f"e2e-{os.getpid()}",
        folder,
        "--secure-port=0",
        "--node-name=real",
        "--pod-cidr=10.231.0.0/16",
        "--service-cidr=10.232.0.0/16",
        "--node-monitor-grace-period=4",
        "--default-toleration-seconds=3",
        "--node-lease-duration-seconds=4",
    )
    try:
        one.up()
        yield one
    finally:
        one.down()


@pytest.fixture
def namespace(cluster: UpCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace that is gone after the test."""
    name = "t-" + request.node.name.replace("_", "-").replace("[", "-").replace("]", "").lower()[:50].rstrip("-")
    cluster.kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")
