"""kubectl port-forward over WebSocket and over SPDY/3.1: what comes through, what ends, what is told."""

import concurrent.futures
import contextlib
import hashlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import EXAMPLES, IMAGE, Box
from tests.support.cluster import KUBECTL

pytestmark = [pytest.mark.e2e, pytest.mark.root]

Way = dict[str, str]
BIG = os.urandom(20 << 20)


class Forward:
    """A kubectl port-forward and where it listens."""

    def __init__(self, process: "subprocess.Popen[str]", ports: dict[int, int]) -> None:
        self.process = process
        self.ports = ports

    def talk(self, port: int, data: bytes) -> bytes:
        """Sends, says that this was all, and reads to the end."""
        where = ("127.0.0.1", self.ports[port])
        with socket.create_connection(where, 30) as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
            sent = pool.submit(_send, connection, data)
            parts = []
            while part := connection.recv(1 << 16):
                parts.append(part)
            sent.result()
        return b"".join(parts)


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


@contextmanager
def forward(box: Box, what: str, *ports: int, way: Way) -> Iterator[Forward]:
    """Ports of a pod (or what stands for one) on free ports here."""
    command = [str(KUBECTL), "--context", box.cluster.name, "-n", box.namespace, "port-forward", what]
    with subprocess.Popen(
        [*command, *(f":{port}" for port in ports)],
        env={**box.cluster.env, **way},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            found: dict[int, int] = {}
            while len(found) < len(ports):
                line = process.stdout.readline()
                assert line, "kubectl has ended"
                if match := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", line):
                    found[ports[len(found)]] = int(match.group(1))
            yield Forward(process, found)
        finally:
            process.kill()


@pytest.fixture
def servers(box: Box) -> str:
    """A pod with an echo, a counter that answers only at the end of what it is sent, and a big file: for all tests."""
    script = (
        "mkdir /tmp/www; head -c 20971520 /dev/urandom > /tmp/www/big; sha256sum < /tmp/www/big > /tmp/www/sum; "
        "httpd -p 8080 -h /tmp/www; nc -ll -p 9000 -e cat & nc -ll -p 9001 -e sha256sum & "
        "until nc 127.0.0.1 9000 < /dev/null && nc 127.0.0.1 9001 < /dev/null; do sleep 0.1; done; touch /tmp/ok; wait"
    )
    box.keep("servers", script)
    box.kubectl("exec", "servers", "--", "sh", "-c", "until test -f /tmp/ok; do sleep 0.1; done")
    return "pod/servers"


def test_much_both_ways_and_half_closed(box: Box, servers: str, way: Way) -> None:
    with forward(box, servers, 9000, 9001, way=way) as to:
        assert hashlib.sha256(to.talk(9000, BIG)).digest() == hashlib.sha256(BIG).digest()
        # The other side speaks only after this one has said that it is done.
        assert to.talk(9001, BIG).split()[0].decode() == hashlib.sha256(BIG).hexdigest()


def test_many_connections_at_once(box: Box, servers: str, way: Way) -> None:
    expected = box.kubectl("exec", "servers", "--", "cat", "/tmp/www/sum").split()[0]

    def fetch(_: int) -> str:
        answer = to.talk(8080, b"GET /big HTTP/1.0\r\n\r\n")
        return hashlib.sha256(answer.partition(b"\r\n\r\n")[2]).hexdigest()

    with forward(box, servers, 8080, way=way) as to, concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert set(pool.map(fetch, range(6))) == {expected}


def test_a_port_that_nobody_listens_on(box: Box, servers: str, way: Way) -> None:
    with forward(box, servers, 9, way=way) as to:
        with contextlib.suppress(OSError):
            assert to.talk(9, b"x") == b""
        told = to.process.communicate(timeout=20)[0]
    assert "failed to connect to localhost:9 inside the pod" in told
    assert "lost connection to pod" in told


def test_deployments_and_services(box: Box, way: Way) -> None:
    box.kubectl("apply", "-f", str(EXAMPLES / "hello"))
    box.kubectl("rollout", "status", "deployment/hello", "--timeout=60s")
    for what, port in (("deployment/hello", 8080), ("service/hello", 80)):
        with forward(box, what, port, way=way) as to:
            assert b"Hello from orlop" in to.talk(port, b"GET / HTTP/1.0\r\n\r\n")


def test_a_pod_that_ends(box: Box, way: Way) -> None:
    box.kubectl("run", "mortal", f"--image={IMAGE}", "--command", "--", "httpd", "-f", "-p", "8080")
    box.kubectl("wait", "--for=condition=Ready", "pod/mortal", "--timeout=30s")
    with forward(box, "pod/mortal", 8080, way=way) as to:
        box.kubectl("delete", "pod", "mortal", "--now")
        assert "lost connection to pod" in to.process.communicate(timeout=30)[0]
        assert to.process.returncode == 1
