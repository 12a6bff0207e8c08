"""What only the userspace mode does: second tries, every rule of balancing, and a relay that outlives its proxier."""

import asyncio
import hashlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest
from tests.proxy.objects import endpoint_slice, service
from tests.proxy.test_traffic import IP, IP6, Proxy, pod_ips, refused, who
from tests.proxy.world import NODE, Namespace, World

from orlop.clock import SystemClock
from orlop.proxy.backends.userspace import Userspace, relay
from orlop.proxy.backends.userspace.relay import Shown
from orlop.tasks import first

pytestmark = [pytest.mark.network, pytest.mark.root]

NOBODY, NOBODY6 = "10.244.0.99", "fd00:10:244::99"
"""Addresses of the pods' network that no pod has: who connects to them hears nothing."""
DEADLINE = 30.0


@pytest.fixture
async def proxy(machine: World) -> AsyncIterator[Proxy]:
    before = machine.node.rules()
    made = Proxy(machine, "userspace")
    await made.start()
    yield made
    await made.backend.cleanup()
    assert machine.node.rules() == before
    node = os.stat(f"/run/netns/{machine.node.name}").st_ino
    assert not list(relay.FOLDER.glob(f"*-{node}.*")), "socket or log"
    machine.node.output("conntrack", "-F")


def backend_of(proxy: Proxy) -> Userspace:
    assert isinstance(proxy.backend, Userspace)
    return proxy.backend


async def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def on_another_port(name: str, dead: list[str], living: list[str], protocol: str = "TCP") -> list[bytes]:
    """Slices with endpoints at which nobody listens, and with others."""
    return [
        endpoint_slice(name, dead, protocol, port=9999, suffix="dead"),
        endpoint_slice(name, living, protocol, suffix="living"),
    ]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("family", [4, 6])
async def test_an_endpoint_that_refuses_is_passed_over_before_the_client_notices(
    proxy: Proxy, machine: World, protocol: str, family: int
) -> None:
    ip = IP if family == 4 else IP6
    pods = pod_ips(machine, family)
    await proxy.put(service("web", [ip], protocol=protocol), *on_another_port("web", pods[:2], pods[2:], protocol))
    assert who(lambda: machine.pods[0].ask(ip, 80, protocol), 20) == {"pod2": 20}
    shown = await backend_of(proxy).show()
    assert sum(b.failed for listener in shown.listeners for b in listener.backends) >= 1


async def test_an_endpoint_that_does_not_answer_is_passed_over(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", [NOBODY, pod_ips(machine)[1]]))
    assert who(lambda: machine.pods[0].ask(IP, 80), 20) == {"pod1": 20}


async def test_where_all_refuse_the_client_is_refused(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine), port=9999))
    with pytest.raises(ConnectionError):
        machine.pods[0].ask(IP, 80)


async def test_affinity_moves_from_an_endpoint_that_refuses_and_stays_then(proxy: Proxy, machine: World) -> None:
    pods = pod_ips(machine)
    slices = on_another_port("web", pods[:1], pods[1:])
    await proxy.put(service("web", [IP], sessionAffinity="ClientIP"), *slices)
    assert len(who(lambda: machine.outside.ask(IP, 80), 12)) == 1


@pytest.mark.parametrize(
    ("scheduler", "different"),
    [("rr", 3), ("sh", 1), ("mh,mh-port", 3), ("dh", 1), ("fo", 1), ("lc", 3), ("sed", 3), ("nq", 1), ("wrr", 3)],
)
async def test_a_service_chooses_its_rule(proxy: Proxy, machine: World, scheduler: str, different: int) -> None:
    chosen = json.loads(service("web", [IP]))
    chosen["metadata"]["annotations"] = {"orlop/ipvs-scheduler": scheduler}
    await proxy.put(json.dumps(chosen).encode(), endpoint_slice("web", pod_ips(machine)))
    found = set()
    for _ in range(60):
        found.add(machine.pods[0].ask(IP, 80).split()[0])
        # A connection counts until the relay has seen both ends close.
        await idle(proxy)
        if len(found) == 3:
            break
    assert len(found) == different


async def idle(proxy: Proxy, connections: int = 0) -> Shown:
    """The relay's state once it has no more connections than these."""
    deadline = time.monotonic() + DEADLINE
    while True:
        shown = await backend_of(proxy).show()
        if shown.connections <= connections:
            return shown
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_few_connections_attract_new_ones(proxy: Proxy, machine: World) -> None:
    chosen = json.loads(service("web", [IP]))
    chosen["metadata"]["annotations"] = {"orlop/ipvs-scheduler": "lc"}
    await proxy.put(json.dumps(chosen).encode(), endpoint_slice("web", pod_ips(machine)[:2]))
    held = [machine.pods[2].connect(IP, 80) for _ in range(6)]
    names = [talk.ask().split()[0] for talk in held]
    assert sorted(names) == ["pod0"] * 3 + ["pod1"] * 3
    for talk, name in zip(held, names, strict=True):
        if name == "pod0":
            talk.close()
    await idle(proxy, 3)
    held += [machine.pods[2].connect(IP, 80) for _ in range(3)]
    assert {talk.ask().split()[0] for talk in held[-3:]} == {"pod0"}
    for talk in held:
        talk.close()


class Digester:
    """A server that reads until the client has no more, then answers with what it got, and its digest."""

    def __init__(self, namespace: Namespace, port: int) -> None:
        def listen() -> socket.socket:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)

        self._listener = namespace.run(listen)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                got = bytearray()
                while chunk := connection.recv(1 << 16):
                    got += chunk
                connection.sendall(hashlib.sha256(got).digest() + got)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize("ip", [IP, IP6])
async def test_much_passes_unchanged_both_ways_and_an_end_is_passed_on(proxy: Proxy, machine: World, ip: str) -> None:
    """More than is copied: the pipe's part too. The client has ended its side before the answer comes."""
    server = Digester(machine.pods[0], 9000)
    await proxy.put(service("web", [ip]), endpoint_slice("web", pod_ips(machine, 6 if ":" in ip else 4)[:1], port=9000))
    sent = os.urandom(1 << 16) * 128

    def transfer() -> bytes:
        with socket.create_connection((ip, 80), DEADLINE) as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            got = bytearray()
            while chunk := client.recv(1 << 16):
                got += chunk
            return bytes(got)

    got = await asyncio.to_thread(machine.pods[1].run, transfer)
    assert got[:32] == hashlib.sha256(sent).digest()
    assert got[32:] == sent
    [backend] = [b for listener in (await idle(proxy)).listeners for b in listener.backends]
    assert (backend.sent, backend.received) == (len(sent), len(got))
    server.close()


async def test_a_long_datagram_and_its_answer_pass(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("dns", [IP], 53, "UDP"), endpoint_slice("dns", pod_ips(machine)[:1], "UDP"))

    def ask() -> bytes:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.connect((IP, 53))
            client.sendall(b"x" * 9000)
            return client.recv(65535)

    assert machine.pods[1].run(ask).startswith(b"pod0")


async def test_the_relays_own_ports_are_closed(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP], node_port=30080), endpoint_slice("web", pod_ips(machine)))
    [listener] = (await backend_of(proxy).show()).listeners
    for source, address in ((machine.outside, NODE), (machine.pods[0], "10.244.0.1"), (machine.node, "127.0.0.1")):
        refused(source, address, listener.port, "TCP")
    assert machine.outside.ask(NODE, 30080).startswith("pod")


async def test_a_listener_that_is_not_wanted_closes_and_its_connections_go_on(proxy: Proxy, machine: World) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)))
    talk = machine.pods[0].connect(IP, 80)
    name = talk.ask()
    proxy.table.delete_service("default", "web")
    await proxy.put()
    assert (await backend_of(proxy).show()).listeners == []
    assert talk.ask() == name
    talk.close()


async def test_a_relay_that_ended_is_started_again(proxy: Proxy, machine: World) -> None:
    await proxy.put(
        service("web", [IP]), endpoint_slice("web", pod_ips(machine)),
        service("dns", ["10.96.0.11"], 53, "UDP"), endpoint_slice("dns", pod_ips(machine), "UDP"),
    )  # fmt: skip
    assert machine.pods[0].ask("10.96.0.11", 53, "UDP", 5009).startswith("pod")

    def answers() -> bool:
        try:
            # The second in a flow of before, which led to a port that is gone.
            return machine.pods[0].ask(IP, 80) != "" and machine.pods[0].ask("10.96.0.11", 53, "UDP", 5009) != ""
        except OSError:
            return False

    async def fail() -> None:
        shown = await backend_of(proxy).show()
        os.kill(shown.process, signal.SIGKILL)
        await until(lambda: not os.path.exists(f"/proc/{shown.process}/fd"))
        deadline = time.monotonic() + DEADLINE
        while not await asyncio.to_thread(answers):
            assert time.monotonic() < deadline

    await first(backend_of(proxy).tend(SystemClock()), fail())


async def test_a_relay_of_another_version_retires(
    proxy: Proxy, machine: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await proxy.put(service("web", [IP]), endpoint_slice("web", pod_ips(machine)))
    talk = machine.pods[0].connect(IP, 80)
    name = talk.ask()
    old = (await backend_of(proxy).show()).process
    original = Userspace.show

    with monkeypatch.context() as patched:
        # The next proxier wants the version after this one's, once: then it is the new relay's that it meets.
        show = relay.Relay.show

        async def older(self: relay.Relay) -> Shown:
            patched.undo()
            shown = await show(self)
            shown.version -= 1
            return shown

        patched.setattr(relay.Relay, "show", older)
        again = await proxy.restarted()
    new = (await original(backend_of(again))).process
    assert new != old
    assert talk.ask() == name, "what it had goes on"
    assert machine.pods[1].ask(IP, 80).startswith("pod")
    talk.close()
    await until(lambda: not os.path.exists(f"/proc/{old}/fd") or is_zombie(old))
    assert machine.pods[1].ask(IP, 80).startswith("pod")
    await again.backend.cleanup()


def is_zombie(process: int) -> bool:
    with open(f"/proc/{process}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"
