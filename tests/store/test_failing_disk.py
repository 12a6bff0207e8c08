"""A disk that fails under a running API server: an error of its syncs, put in by a tracer of system calls."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orlop.apiserver.server import StoreBroken
from orlop.cluster.failures import fatal
from orlop.cluster.settings import free_port
from tests.store.test_full_disk import Server, config_map
from tests.store.test_trace import strace
from tests.support.cluster import KUBECTL, eventually

__all__ = ["strace"]  # the fixture

FIRST = 60
"""The sync that fails, and all after it: the server is ready long before."""


@pytest.mark.timeout(180)
def test_a_failed_sync_is_told_and_reads_go_on(strace: str, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    server = Server(tmp_path / "disk")
    inject = f"inject=fdatasync:error=EIO:when={FIRST}+"
    server.start(strace, "-D", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "-e", inject)
    try:
        refused = None
        for n in range(FIRST):
            done = server.kubectl("create", "-f", "-", input=config_map(f"c{n}", 10))
            if done.returncode:
                refused = done.stderr
                break
        assert refused is not None
        assert "Error from server (InternalError)" in refused
        assert "takes no more writes until it is opened again: a commit failed" in refused
        assert "takes no more writes" in server.kubectl("delete", "configmap", "c0").stderr
        assert server.ok("get", "configmap", "c0", "-o", "name") == "configmap/c0\n"
        assert server.kubectl("get", "configmap", f"c{n}").returncode, "what was refused is not there"
        assert "[-]etcd failed" in server.kubectl("get", "--raw", "/livez").stderr, "whoever looks after it restarts it"
    finally:
        server.stop()
    server.start()
    try:
        assert server.ok("get", "--raw", "/livez") == "ok"
        server.ok("create", "-f", "-", input=config_map("again", 10))
        server.ok("delete", "configmap", "c0")
    finally:
        server.stop()


ALONE = """
import sys
from pathlib import Path
from orlop.cluster.child import run_component
from orlop.cluster.components import run_apiserver
from orlop.cluster.settings import Settings

settings = Settings(data_dir=Path(sys.argv[1]), bind_address="127.0.0.1", secure_port=int(sys.argv[2]))
sys.exit(run_component(run_apiserver(settings, print)))
"""
"""A cluster's API server as its supervisor runs it."""


@pytest.mark.timeout(180)
def test_a_cluster_s_api_server_ends_itself(strace: str, tmp_path: Path) -> None:
    """Only opening the store anew helps. The supervisor starts what ended otherwise than by a fatal error again."""
    inject = f"inject=fdatasync:error=EIO:when={FIRST}"
    tracer = [strace, "-D", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "-e", inject]
    port = free_port("127.0.0.1")
    config = tmp_path / "kubeconfig" / "admin.kubeconfig"
    command = [sys.executable, "-c", ALONE, str(tmp_path), str(port)]

    def kubectl(*words: str) -> "subprocess.CompletedProcess[str]":
        one = [str(KUBECTL), f"--kubeconfig={config}", *words]
        return subprocess.run(one, capture_output=True, text=True, timeout=60, check=False)

    def start(*under: str) -> "subprocess.Popen[bytes]":
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen([*under, *command], stdout=log, stderr=log)

        def ready() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            return config.exists() and kubectl("get", "--raw", "/readyz").stdout == "ok"

        try:
            eventually("the API server is ready", ready, timeout=60)
        except BaseException:
            process.kill()
            raise
        return process

    process = start(*tracer)
    try:
        made = []
        for n in range(FIRST):
            if kubectl("create", "configmap", f"c{n}").returncode:
                break
            made.append(f"configmap/c{n}")
        assert process.wait(60) == 1
        said = (tmp_path / "log").read_text()
        assert "StoreBroken" in said
        assert "takes no more writes until it is opened again: a commit failed" in said
    finally:
        process.kill()
    assert fatal(StoreBroken("")) is None
    process = start()
    try:
        there = kubectl("get", "configmaps", "-o", "name").stdout.split()
        assert set(made) <= set(there)
        assert kubectl("create", "configmap", "again").returncode == 0
    finally:
        process.terminate()
        process.wait(30)
