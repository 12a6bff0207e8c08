"""A full disk under a running API server, as kubectl's user sees it."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orlop.cluster.settings import free_port
from tests.support.cluster import KUBECTL, eventually

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

SIZE = 40 << 20
"""Of the disk; a fresh API server's store takes some four MiB."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "orlop-test", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


class Server:
    """`orlop apiserver` with its data on the small disk and its kubeconfig and log elsewhere."""

    def __init__(self, disk: Path) -> None:
        self.disk = disk
        self.beside = disk.parent
        self.port = free_port("127.0.0.1")
        self.process: subprocess.Popen[bytes] | None = None
        self.log = self.beside / "log"

    def start(self, *under: str) -> None:
        """`under`: a command that runs it."""
        config = self.beside / "kubeconfig"
        config.unlink(missing_ok=True)
        command = [*under, sys.executable, "-m", "orlop.cli.main", "apiserver", f"--data-dir={self.disk / 'data'}"]
        command += [f"--secure-port={self.port}", f"--write-kubeconfig={config}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually("the API server is ready", lambda: self.alive() and config.exists(), every=0.05)

    def alive(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return True

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(30)

    def kubectl(self, *words: str, input: str | None = None) -> "subprocess.CompletedProcess[str]":
        self.alive()
        return subprocess.run(
            [str(KUBECTL), f"--kubeconfig={self.beside / 'kubeconfig'}", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            input=input,
        )

    def ok(self, *words: str, input: str | None = None) -> str:
        done = self.kubectl(*words, input=input)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def server(disk: Path) -> Iterator[Server]:
    one = Server(disk)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def fill(disk: Path) -> None:
    """Takes all the room there is but some pages, which the store itself is then given to fill."""
    room = os.statvfs(disk)
    with (disk / "ballast").open("wb") as file, contextlib.suppress(OSError):
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - (256 << 10))))


def config_map(name: str, size: int = 100_000) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: {'x' * size}}}\n"


def full(server: Server) -> str:
    """Creates objects until one is refused; what kubectl says then."""
    for _ in range(100):
        done = server.kubectl("create", "-f", "-", input=config_map(f"fill-{time.monotonic_ns()}"))
        if done.returncode:
            return done.stderr
    raise AssertionError("the disk never was full")


def test_writes_are_refused_and_reads_go_on_until_there_is_room(server: Server) -> None:
    assert server.process is not None
    pid = server.process.pid
    server.ok("create", "-f", "-", input=config_map("before"))
    watching = subprocess.Popen(
        [str(KUBECTL), f"--kubeconfig={server.beside / 'kubeconfig'}", "get", "configmaps", "-w", "-o", "name"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        for _ in range(2):
            fill(server.disk)
            for said in (full(server), server.kubectl("delete", "configmap", "before").stderr):
                assert "Error from server (InsufficientStorage)" in said
                assert "the store has no room: free space on its disk" in said
            assert server.ok("get", "configmap", "before", "-o", "name") == "configmap/before\n"
            assert "fill-" in server.ok("get", "configmaps", "-o", "name")
            assert server.ok("get", "--raw", "/readyz") == "ok"
            metrics = server.ok("get", "--raw", "/metrics")
            assert float(metrics.split("\norlop_store_full_total ")[1].split()[0]) >= 2
            assert float(metrics.split("\norlop_store_disk_available_bytes ")[1].split()[0]) < 1 << 20
            (server.disk / "ballast").unlink()
            server.ok("create", "-f", "-", input=config_map("after"))
            seen = ""
            while "configmap/after" not in seen:
                seen = watching.stdout.readline()
                assert seen, "the watch ended"
            server.ok("delete", "configmap", "after")
            assert server.process.pid == pid
    finally:
        watching.kill()
        watching.wait()


def test_it_starts_on_a_full_disk_and_can_be_read(server: Server) -> None:
    server.ok("create", "-f", "-", input=config_map("before"))
    fill(server.disk)
    full(server)
    server.stop()
    server.start()
    assert server.ok("get", "configmap", "before", "-o", "name") == "configmap/before\n"
    assert "InsufficientStorage" in server.kubectl("create", "-f", "-", input=config_map("refused", 1_000_000)).stderr
    (server.disk / "ballast").unlink()
    eventually("writes again", lambda: server.kubectl("create", "-f", "-", input=config_map("healed")).returncode == 0)
