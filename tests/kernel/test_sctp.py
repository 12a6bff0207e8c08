"""SCTP through every mode, in both IP versions: the kernel of most test machines has none."""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest

from orlop.proxy.backends import MODES
from tests.proxy.conftest import machine as machine
from tests.proxy.objects import endpoint_slice, service
from tests.proxy.test_traffic import IP, IP6, Proxy, refused
from tests.proxy.world import NODE, NODE6, TIMEOUT, Namespace, World

pytestmark = [pytest.mark.kernel, pytest.mark.network, pytest.mark.root, pytest.mark.campaign, pytest.mark.timeout(900)]

SCTP = 132
PORT = 8080
LOOK = 0.2
"""Seconds between two looks whether a server is to end."""


class Server:
    """Answers each message with its own name and the client's address."""

    def __init__(self, namespace: Namespace, name: str) -> None:
        def listen() -> socket.socket:
            made = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, SCTP)
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            made.bind(("::", PORT))
            made.listen()
            made.settimeout(LOOK)
            return made

        self._listener = namespace.run(listen)
        self._name = name
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended.is_set():
            try:
                connection, peer = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(TIMEOUT)
            with connection, contextlib.suppress(OSError):
                while connection.recv(100_000):
                    connection.sendall(f"{self._name} {peer[0].removeprefix('::ffff:')}".encode())

    def close(self) -> None:
        self._ended.set()
        self._thread.join()  # a socket that somebody accepts on stays open
        self._listener.close()


@pytest.fixture(scope="module")
def servers(machine: World) -> Iterator[None]:
    subprocess.run(["modprobe", "sctp"], check=True)
    made = [Server(pod, f"pod{index}") for index, pod in enumerate(machine.pods[:2])]
    yield
    for server in made:
        server.close()


def ask(namespace: Namespace, address: str, port: int, source: str = "") -> str:
    """`source` is to be given where there are several: SCTP would tell of all, and those are not translated."""

    def work() -> str:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, SCTP) as client:
            client.settimeout(TIMEOUT)
            if source:
                client.bind((source, 0))
            client.connect((address, port))
            client.sendall(b"?" * 40_000)  # one message, which must arrive as one
            return client.recv(200).decode()

    return namespace.run(work)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", [4, 6])
async def test_sctp_is_served_and_refused(machine: World, servers: None, mode: str, family: int) -> None:
    before = machine.node.rules()
    proxy = Proxy(machine, mode)
    await proxy.start()
    ip, node = (IP, NODE) if family == 4 else (IP6, NODE6)
    pods = [pod.addresses[family == 6] for pod in machine.pods[:2]]
    try:
        await proxy.put(
            service("web", [ip], protocol="SCTP", node_port=30090), endpoint_slice("web", pods, "SCTP", port=PORT)
        )
        answers = {ask(machine.pods[2], ip, 80).split()[0] for _ in range(12)}
        assert answers == {"pod0", "pod1"}
        assert ask(machine.outside, node, 30090).startswith("pod")
        assert ask(machine.node, ip, 80, source=node).startswith("pod")
        await proxy.put(endpoint_slice("web", [], "SCTP") if family == 4 else _none(pods))
        with pytest.raises(OSError):
            ask(machine.pods[2], ip, 80)
        refused(machine.pods[2], ip, 81, "TCP")
    finally:
        await proxy.backend.cleanup()
    assert machine.node.rules() == before


def _none(pods: list[str]) -> bytes:
    """The slice of IPv6 with nobody ready in it: one without addresses would be taken for one of IPv4."""
    return endpoint_slice("web", pods, "SCTP", port=PORT, ready=False, serving=False)
