"""What an answer of the node's DNS costs, beside a bare UDP echo and, where `coredns` is on PATH, beside CoreDNS.

World: an API server with Services, headless ones among them; `orlop dns` and CoreDNS follow it, each a process of its
own. One client keeps a window of questions open at each server in turn. A figure is answers per CPU second of the
server's own process (user and system); every answer is checked for its ID, its code and its number of records.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Not this file's own folder: in it `dns` would be this file, not the library.
sys.path.remove(str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.cluster.inprocess import AsyncCluster
from orlop.cluster.settings import free_port
from orlop.dns import names

SERVICES = int(os.environ.get("ORLOP_BENCH_SERVICES", "1000"))
HEADLESS = SERVICES // 10
ENDPOINTS = 10
QUESTIONS = int(os.environ.get("ORLOP_BENCH_QUESTIONS", "100000"))
ROUNDS = int(os.environ.get("ORLOP_BENCH_RUNS", "3"))
WINDOW = 64
"""Questions under way at once: as of a node whose pods are busy."""
ALONE = "a Service's address, one question at a time"
FRESH = "names never asked before"
A, NXDOMAIN = 1, 3

ECHO = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    data, peer = sock.recvfrom(4096)
    sock.sendto(data, peer)
"""

COREFILE = """
cluster.local:{port} {{
    bind 127.0.0.1
    kubernetes cluster.local {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
    cache 30
}}
"""


def question(name: str, type_: int) -> bytes:
    return struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + names.wire(name) + struct.pack("!HH", type_, 1)


Asked = list[tuple[bytes, int, int]]
"""(question without its ID, code and number of answers expected)."""


def fresh(chance: random.Random) -> Asked:
    return [
        (question(f"{chance.randbytes(8).hex()}.default.svc.cluster.local", A), NXDOMAIN, 0)
        for _ in range(QUESTIONS // 4)
    ]


def worlds(chance: random.Random) -> dict[str, Asked]:
    """What is asked, by the name of the scenario."""

    def service() -> str:
        return f"s{chance.randrange(SERVICES)}.default.svc.cluster.local"

    def headless() -> str:
        return f"h{chance.randrange(HEADLESS)}.default.svc.cluster.local"

    known = [(question(service(), A), 0, 1) for _ in range(QUESTIONS)]
    searched = [
        (question(f"s{n}.other.svc.cluster.local" if step else f"s{n}.other.default.svc.cluster.local", A), NXDOMAIN, 0)
        for n in (chance.randrange(SERVICES) for _ in range(QUESTIONS // 2))
        for step in (0, 1)
    ]
    return {
        "a Service's address": known,
        f"{ENDPOINTS} addresses of a headless Service": [(question(headless(), A), 0, ENDPOINTS) for _ in known],
        "names that are not there (search paths)": searched,
        ALONE: known[: QUESTIONS // 4],
        FRESH: fresh(chance),
    }


def drive(port: int, asked: Asked, check: bool = True, window: int = WINDOW) -> float:
    """Asks everything; seconds it took. What was lost is asked again."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(2.0)
    began = time.monotonic()
    waiting: dict[int, int] = {}
    at = number = 0
    try:
        while at < len(asked) or waiting:
            while at < len(asked) and len(waiting) < window:
                number = (number + 1) & 0xFFFF
                waiting[number] = at
                sock.send(number.to_bytes(2, "big") + asked[at][0])
                at += 1
            try:
                data = sock.recv(4096)
            except TimeoutError:
                for lost, index in list(waiting.items()):
                    sock.send(lost.to_bytes(2, "big") + asked[index][0])
                continue
            index = waiting.pop(int.from_bytes(data[:2], "big"), -1)
            if check and index >= 0:
                _, code, count = asked[index]
                if data[3] & 15 != code or int.from_bytes(data[6:8], "big") != count:
                    sys.exit(f"a wrong answer: {data!r}")
        return time.monotonic() - began
    finally:
        sock.close()


@contextmanager
def process(*command: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def answers(port: int, name: str, type_: int = A) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(b"\0\1" + question(name, type_))
            return sock.recv(4096)[7] > 0
        except OSError:
            return False


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    last = f"h{HEADLESS - 1}.default.svc.cluster.local"
    while not (answers(port, last) and answers(port, f"s{SERVICES - 1}.default.svc.cluster.local")):
        if time.monotonic() > deadline:
            sys.exit(f"the server at port {port} is not ready")
        time.sleep(0.05)


async def fill(cluster: AsyncCluster) -> None:
    client = cluster.client
    for n in range(SERVICES):
        await client.create(_service(f"s{n}", ""))
    for n in range(HEADLESS):
        await client.create(_service(f"h{n}", "None"))
        endpoints = [
            discovery_v1.Endpoint(
                addresses=[f"10.244.{n % 250}.{e + 2}"], conditions=discovery_v1.EndpointConditions(ready=True)
            )
            for e in range(ENDPOINTS)
        ]
        labels = {"kubernetes.io/service-name": f"h{n}"}
        await client.create(
            discovery_v1.EndpointSlice(
                metadata=meta_v1.ObjectMeta(name=f"h{n}-1", namespace="default", labels=labels),
                address_type="IPv4",
                endpoints=endpoints,
                ports=[discovery_v1.EndpointPort(name="http", port=80, protocol="TCP")],
            )
        )


def _service(name: str, ip: str) -> core_v1.Service:
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=name, namespace="default"),
        spec=core_v1.ServiceSpec(cluster_ip=ip, ports=[core_v1.ServicePort(name="http", port=80, protocol="TCP")]),
    )


def measure(servers: dict[str, tuple[int, int]]) -> None:
    """`servers`: port and process id by name. The echo is the first."""
    chance = random.Random(7)
    for scenario, asked in worlds(chance).items():
        figures: dict[str, list[float]] = {name: [] for name in servers}
        for turn in range(ROUNDS):
            if scenario == FRESH and turn:
                asked = fresh(chance)
            for name, (port, pid) in servers.items():
                before = machine.cpu_seconds(pid)
                drive(port, asked, check=name != "echo", window=1 if scenario == ALONE else WINDOW)
                figures[name].append(len(asked) / max(0.01, machine.cpu_seconds(pid) - before))
        echo = sorted(figures["echo"])[ROUNDS // 2]
        for name, values in figures.items():
            value = sorted(values)[ROUNDS // 2]
            print(f"{scenario:<46} {name:<10} {value:10,.0f} answers per CPU s   {value / echo:6.2f} of the echo's")


async def main() -> None:
    print(machine.line())
    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    async with AsyncCluster(nodes=0, port=0) as cluster:
        await fill(cluster)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(await cluster.kubeconfig())
        echo, ours, theirs = (free_port("127.0.0.1") for _ in range(3))
        orlop = [sys.executable, "-m", "orlop.cli.main", "dns", "--address=127.0.0.1", f"--port={ours}"]
        orlop += [f"--kubeconfig={kubeconfig}", "--healthz-bind-address=", "--metrics-bind-address="]
        with process(sys.executable, "-c", ECHO, str(echo)) as a, process(*orlop) as b:
            assert a.stdout is not None
            await asyncio.to_thread(a.stdout.readline)
            await asyncio.to_thread(wait_for, ours)
            servers = {"echo": (echo, a.pid), "orlop dns": (ours, b.pid)}
            print(f"orlop dns with {SERVICES + HEADLESS} Services: {machine.proportional_mib(b.pid):.1f} MiB")
            coredns = shutil.which("coredns")
            if coredns is None:
                print("coredns is not on PATH: left out")
                await asyncio.to_thread(measure, servers)
            else:
                corefile = folder / "Corefile"
                corefile.write_text(COREFILE.format(port=theirs, kubeconfig=kubeconfig))
                with process(coredns, "-conf", str(corefile), env={**os.environ, "GOMAXPROCS": "1"}) as c:
                    await asyncio.to_thread(wait_for, theirs)
                    servers["coredns"] = (theirs, c.pid)
                    print(f"CoreDNS with the same: {machine.proportional_mib(c.pid):.1f} MiB")
                    await asyncio.to_thread(measure, servers)
    shutil.rmtree(folder)


if __name__ == "__main__":
    asyncio.run(main())
