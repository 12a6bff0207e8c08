"""The machine itself: that it has what tests are brought there for."""

import os
import platform
import socket
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel


def test_it_is_debians_kernel_with_control_groups_of_version_2_alone() -> None:
    assert "-amd64" in platform.release()
    assert os.geteuid() == 0
    controllers = set(Path("/sys/fs/cgroup/cgroup.subtree_control").read_text().split())
    assert controllers >= {"cpu", "cpuset", "memory", "pids", "io"}
    assert [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup " in line] == []


def test_it_has_sctp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as client:
            client.connect(listener.getsockname())
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"hello")
                assert client.recv(10) == b"hello"


@pytest.mark.parametrize("module", ["ip_vs", "ip_vs_rr", "ip_vs_sh", "dummy", "ip_set", "sch_netem"])
def test_modules_are_there_on_demand(module: str) -> None:
    subprocess.run(["modprobe", module], check=True, capture_output=True)
    assert Path("/sys/module", module).is_dir()
