"""@kubernetes/client-node, unmodified: the tests in `node/`, each by its name."""

import re
from pathlib import Path

import pytest

from tests.support import node
from tests.support.cluster import UpCluster

FOLDER = Path(__file__).parent / "node"
NAMES = re.findall(r'^test\("(.+?)"', (FOLDER / "client.test.js").read_text(), re.M)
pytestmark = pytest.mark.timeout(node.INSTALL_SECONDS + node.TEST_SECONDS)


@pytest.fixture(scope="module")
def place() -> Path:
    """The folder with the tests and what they import."""
    try:
        return node.installed(FOLDER)
    except node.NoNode as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_node(name: str, place: Path, cluster: UpCluster) -> None:
    node.run_test(place, "client.test.js", name, KUBECONFIG=cluster.env["KUBECONFIG"])
