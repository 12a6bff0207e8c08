"""fabric8's kubernetes-client, unmodified: the tests in `java/`, each by its name."""

import re
from pathlib import Path

import pytest

from tests.support import java
from tests.support.cluster import UpCluster

FOLDER = Path(__file__).parent / "java"
NAMES = re.findall(r'^\s+case "(\w+)" ->', (FOLDER / "src/main/java/Clients.java").read_text(), re.M)
pytestmark = [pytest.mark.foreign, pytest.mark.timeout(java.BUILD_SECONDS + java.TEST_SECONDS)]


@pytest.fixture(scope="module")
def path() -> str:
    """The class path of the tests."""
    try:
        return java.classes(FOLDER)
    except java.NoJava as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_java(name: str, path: str, cluster: UpCluster) -> None:
    java.run(path, "Clients", name, KUBECONFIG=cluster.env["KUBECONFIG"])
