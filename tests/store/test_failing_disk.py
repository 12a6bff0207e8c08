"""A disk that fails under a running API server: an error of its syncs, put in by a tracer of system calls."""

import os
from pathlib import Path

import pytest

from tests.store.test_full_disk import Server, config_map
from tests.store.test_trace import strace

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
