"""A disk that fails under a running API server: an error of its syncs, put in by a tracer of system calls."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.store.test_full_disk import Server, config_map
from tests.store.test_trace import strace
from tests.support.cluster import ORLOP, Failed, UpCluster, eventually, run

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


LATER = 400
"""The one sync that fails in each life of a cluster's API server."""


@pytest.mark.e2e
@pytest.mark.timeout(300)
def test_a_cluster_starts_its_api_server_again(strace: str, tmp_path: Path) -> None:
    """It ends itself, since only opening the store anew helps; nothing that was acknowledged is lost."""
    ranges = ("--pod-cidr=10.227.0.0/16", "--service-cidr=10.228.0.0/16")
    cluster = UpCluster(f"failing-{os.getpid()}", tmp_path, "--runtime=hollow", "--secure-port=0", *ranges)
    where = ("--name", cluster.name, "--data-dir", str(cluster.data))
    inject = f"inject=fdatasync:error=EIO:when={LATER}"
    tracer = [strace, "-D", "-f", "--seccomp-bpf", "-o", os.devnull, "-e", "trace=fdatasync", "-e", inject]
    try:
        run(*tracer, *ORLOP, "up", *cluster.flags, *where, env=cluster.env, timeout=120)

        def server() -> dict[str, Any]:
            one: dict[str, Any] = cluster.state()["children"]["apiserver"]
            return one

        first = server()["pid"]
        made: list[str] = []
        for n in range(2 * LATER):
            if n % 20 == 0 and server()["pid"] != first:
                break
            try:
                cluster.kubectl("create", "configmap", f"c{n}")
            except Failed:
                continue  # refused, or its server was gone
            made.append(f"configmap/c{n}")
        eventually("another API server works", lambda: server()["pid"] not in (0, first), timeout=60)
        assert server()["restarts"] >= 1
        assert "a commit failed" in (cluster.data / "logs" / "apiserver.log").read_text()

        def again() -> bool:
            try:
                cluster.kubectl("create", "configmap", "again")
            except Failed:
                return False
            return True

        eventually("it takes writes", again, timeout=60)
        there = cluster.kubectl("get", "configmaps", "-o", "name").split()
        assert set(made) <= set(there)
    finally:
        cluster.down()
