"""exec by @kubernetes/client-node, unmodified, over its WebSockets."""

import pytest

from tests.clients.test_node import FOLDER
from tests.e2e.conftest import Box
from tests.support import node

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.timeout(node.INSTALL_SECONDS + node.TEST_SECONDS)]


@pytest.mark.parametrize("name", ["outputs and exit codes", "stdin"])
def test_exec(name: str, box: Box) -> None:
    try:
        place = node.installed(FOLDER)
    except node.NoNode as error:
        pytest.skip(str(error))
    env = {"KUBECONFIG": box.cluster.env["KUBECONFIG"], "NAMESPACE": box.namespace, "POD": "box"}
    node.run_test(place, "exec.test.js", name, **env)
