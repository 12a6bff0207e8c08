"""kube-rs, unmodified: the tests in `rust/`, each by its name."""

import re
from pathlib import Path

import pytest

from tests.support import rust
from tests.support.cluster import UpCluster

FOLDER = Path(__file__).parent / "rust"
NAMES = re.findall(r'^\s+"(\w+)" => ', (FOLDER / "src/main.rs").read_text(), re.M)
pytestmark = [pytest.mark.foreign, pytest.mark.timeout(rust.BUILD_SECONDS + rust.TEST_SECONDS)]


@pytest.fixture(scope="module")
def program() -> Path:
    """The tests as a program."""
    try:
        return rust.program(FOLDER, "kube-rs-tests")
    except rust.NoRust as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", NAMES)
def test_rust(name: str, program: Path, cluster: UpCluster) -> None:
    rust.run(program, name, KUBECONFIG=cluster.env["KUBECONFIG"])
