"""A Docker Engine for the tests: used where one runs, started where one is installed, installed on Debian as root."""

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import docker.errors

SOCKET = "unix:///var/run/docker.sock"
START_SECONDS = 60.0
INSTALL_SECONDS = 600.0
LOG = Path(tempfile.gettempdir()) / "orlop-test-dockerd.log"
LOCK = Path(tempfile.gettempdir()) / "orlop-test-docker.lock"


class NoEngine(Exception):
    """There is no Docker Engine and none can be had; the text says why."""


def ensure() -> None:
    """Returns with a Docker Engine answering on its usual socket. Raises NoEngine."""
    with locked():
        if answers():
            return
        if os.geteuid() != 0:
            raise NoEngine("no Docker Engine answers and only root can start one")
        if shutil.which("dockerd") is None:
            apt_install("docker.io", "iptables")
        start()


@contextmanager
def locked() -> Iterator[None]:
    """One test process at a time."""
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def answers() -> bool:
    """Whether an engine answers now."""
    if os.environ.get("DOCKER_HOST", SOCKET) != SOCKET:
        raise NoEngine("DOCKER_HOST is set: the tests want an engine on this machine, at its usual socket")
    try:
        client = docker.APIClient(base_url=SOCKET, timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (docker.errors.DockerException, OSError):
        return False


def apt_install(*packages: str) -> None:
    """Installs Debian packages. Raises NoEngine with apt's words."""
    if shutil.which("apt-get") is None:
        raise NoEngine(f"please install {' '.join(packages)}: this is not a Debian machine")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(
            ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *command],
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise NoEngine(f"apt-get install {' '.join(packages)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def apt_install_missing(program: str, package: str) -> None:
    """Installs a Debian package where its program is missing. Raises NoEngine."""
    if shutil.which(program) is None:
        apt_install(package)


def start() -> None:
    """Starts dockerd in the background, where it stays, as a system's own would. Raises NoEngine."""
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if answers():
            return
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise NoEngine(f"dockerd did not come up; the end of {LOG}:\n{LOG.read_text(errors='replace')[-2000:]}")
