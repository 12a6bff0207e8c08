"""client-go and controller-runtime, unmodified: the tests in `go/`, each by its name."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import cluster as support, go
from tests.support.cluster import UpCluster

NAMES = sorted(
    name for file in go.CLIENTS.glob("*_test.go") for name in re.findall(r"^func (Test\w+)\(", file.read_text(), re.M)
)
SECONDS = 90
"""What one of them may take; each waits no longer than 30 s for anything."""
pytestmark = [pytest.mark.go, pytest.mark.timeout(go.BUILD_SECONDS + SECONDS)]


@pytest.fixture(scope="module")
def tests() -> Path:
    """The compiled tests."""
    try:
        return go.test_binary(go.CLIENTS)
    except go.NoGo as error:
        pytest.skip(str(error))


def run(tests: Path, name: str, **env: str) -> str:
    done = subprocess.run(
        [str(tests), "-test.v", "-test.run", f"^{name}$"],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"--- PASS: {name}" in done.stdout
    return done.stdout


@pytest.mark.parametrize("name", [name for name in NAMES if name != "TestEnvtest"])
def test_go(name: str, tests: Path, cluster: UpCluster) -> None:
    run(tests, name, KUBECONFIG=cluster.env["KUBECONFIG"])


def test_envtest(tests: Path, tmp_path: Path) -> None:
    """controller-runtime's envtest, unmodified, with nothing set but the folder that `orlop envtest` wrote."""
    said = support.run(*support.ORLOP, "envtest", str(tmp_path / "bin"))
    assert said == f"export KUBEBUILDER_ASSETS={tmp_path / 'bin'}\n"
    print(run(tests, "TestEnvtest", KUBEBUILDER_ASSETS=str(tmp_path / "bin")))
