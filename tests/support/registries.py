"""Real image registries on loopback, from Debian's `docker-registry`, and what is needed to fill them."""

import base64
import hashlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import docker_engine

START_SECONDS = 30.0


class Pusher:
    """Puts blobs and manifests into a registry (distribution specification, "Push")."""

    def __init__(self, address: str, user: str = "", password: str = "", scheme: str = "http", token: str = "") -> None:
        self.address = address
        self._base = f"{scheme}://{address}"
        self._headers = {}
        if user:
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def _send(self, method: str, url: str, data: bytes | None = None, kind: str = "") -> str:
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request) as answer:
            return str(answer.headers.get("Location", ""))

    def blob(self, repository: str, data: bytes) -> str:
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        location = self._send("POST", f"{self._base}/v2/{repository}/blobs/uploads/", b"")
        if location.startswith("/"):
            location = self._base + location
        self._send(
            "PUT", f"{location}{'&' if '?' in location else '?'}digest={digest}", data, "application/octet-stream"
        )
        return digest

    def manifest(self, repository: str, reference: str, document: dict[str, object]) -> str:
        body = json.dumps(document).encode()
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        self._send(
            "PUT", f"{self._base}/v2/{repository}/manifests/{reference or digest}", body, str(document["mediaType"])
        )
        return digest


def install() -> None:
    """Raises docker_engine.NoEngine where it cannot be had."""
    with docker_engine.locked():
        if shutil.which("docker-registry") is None:
            docker_engine.apt_install("docker-registry")


def install_with_passwords() -> None:
    """The registry, and what writes its file of passwords. Raises docker_engine.NoEngine."""
    install()
    with docker_engine.locked():
        if shutil.which("htpasswd") is None:
            docker_engine.apt_install("apache2-utils")


def passwords(folder: Path, user: str, password: str) -> str:
    """The `auth` of a registry that knows one user."""
    subprocess.run(["htpasswd", "-Bbc", folder / "users", user, password], check=True, capture_output=True)
    return f"auth: {{htpasswd: {{realm: here, path: {folder}/users}}}}\n"


@contextmanager
def running(folder: Path, *, auth: str = "", tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    """A registry whose data is in `folder`; its address. `auth` is the YAML of its `auth:` section."""
    install()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    certificates = f"\n  tls: {{certificate: {tls[0]}, key: {tls[1]}}}" if tls else ""
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
        f"http:\n  addr: {address}{certificates}\n{auth}"
    )
    with open(folder / "registry.log", "ab") as log:
        process = subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(address):
            assert process.poll() is None, (folder / "registry.log").read_text()
            assert time.monotonic() < deadline, "the registry does not listen"
            time.sleep(0.02)
        yield address
    finally:
        process.terminate()
        process.wait()


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True
