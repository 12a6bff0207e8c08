"""The userspace relay beside socat and HAProxy in TCP mode (Debian's packages haproxy and socat): bytes per second and
CPU seconds per GB through one connection and through several, and CPU per new connection.

Everything is on the loopback of one network namespace; the clients and the server behind are the same for all three and
not counted. Each is measured in turns.
"""

import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine

GB = 1 << 30
BULK = int(float(os.environ.get("ORLOP_BENCH_GB", "2")) * GB)
CONNECTIONS = int(os.environ.get("ORLOP_BENCH_CONNECTIONS", "2000"))
TURNS = 3
CHUNK = 1 << 20
TICK = os.sysconf("SC_CLK_TCK")
BACKEND = 4100

SERVER = """
import socket, sys, threading
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
def serve(connection):
    buffer = bytearray(1 << 20)
    with connection:
        while connection.recv_into(buffer): pass
        connection.sendall(b"!")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
CLIENT = """
import socket, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
chunk = memoryview(bytes(1 << 20))
with socket.create_connection(("127.0.0.1", port)) as connection:
    while count > 0:
        connection.sendall(chunk[: min(count, len(chunk))]); count -= len(chunk)
    connection.shutdown(socket.SHUT_WR)
    assert connection.recv(1) == b"!"
"""


def cpu(process: int) -> float:
    """CPU seconds of a process and its children, also of those that ended."""
    total = 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry.name) == process:
                total += sum(map(int, fields[11:15])) / TICK
            elif int(fields[1]) == process:
                total += sum(map(int, fields[11:13])) / TICK
    return total


@contextmanager
def running(*command: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=out, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until_open(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on {port}"
            time.sleep(0.02)


def bulk(port: int, streams: int) -> None:
    clients = [
        subprocess.Popen([sys.executable, "-c", CLIENT, str(port), str(BULK // streams)]) for _ in range(streams)
    ]
    assert [client.wait() for client in clients] == [0] * streams


def many(port: int, streams: int) -> None:
    for _ in range(CONNECTIONS):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"?")  # HAProxy gives up a client that ends before its server is reached
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b"!"


def measure(work: Callable[[int, int], None], port: int, streams: int, process: int) -> tuple[float, float]:
    before, started = cpu(process), time.perf_counter()
    work(port, streams)
    return time.perf_counter() - started, cpu(process) - before


def relay(folder: Path, process: subprocess.Popen[bytes]) -> int:
    """Tells a relay what to serve; its port."""
    path = folder / "relay.sock"
    deadline = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    with socket.socket(socket.AF_UNIX) as told:
        told.connect(str(path))
        wanted = {"id": "x", "protocol": "TCP", "family": 4, "scheduler": "rr", "affinity_seconds": 0}
        request = {"set": [{**wanted, "backends": [["127.0.0.1", BACKEND, 1]]}]}
        told.sendall(json.dumps(request).encode() + b"\n")
        port = json.loads(told.makefile().readline())["ports"]["ports"]["x"]
    assert isinstance(port, int)
    return port


HAPROXY = """
global
    maxconn 4096
defaults
    mode tcp
    option splice-auto
    timeout connect 5s
    timeout client 60s
    timeout server 60s
listen bench
    bind 127.0.0.1:4102
    server one 127.0.0.1:%d
"""


def inside() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="orlop-bench-relay-") as name:
        folder = Path(name)
        log = folder / "log"
        (folder / "haproxy.cfg").write_text(HAPROXY % BACKEND)
        program = "import sys; from orlop.native import relay_serve; relay_serve(sys.argv[1])"
        with (
            running(sys.executable, "-c", SERVER, str(BACKEND), log=log),
            running(sys.executable, "-c", program, str(folder / "relay.sock"), log=log) as ours,
            running("haproxy", "-db", "-f", str(folder / "haproxy.cfg"), log=log) as haproxy,
            running(
                "socat", "-t", "10", "-b", "65536",
                "TCP-LISTEN:4103,fork,reuseaddr,backlog=1024", f"TCP:127.0.0.1:{BACKEND}",
                log=log,
            ) as socat,
        ):  # fmt: skip
            peers = {"relay": (relay(folder, ours), ours.pid), "HAProxy": (4102, haproxy.pid)}
            peers["socat"] = (4103, socat.pid)
            for port, _ in peers.values():
                until_open(port)
            until_open(BACKEND)
            gb = BULK / GB
            for what, work, streams, unit in (
                ("one connection", bulk, 1, "GB"), ("four connections", bulk, 4, "GB"),
                (f"{CONNECTIONS} connections one after the other", many, 1, "connection"),
            ):  # fmt: skip
                found: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
                for _ in range(TURNS):
                    for peer, (port, process) in peers.items():
                        found[peer].append(measure(work, port, streams, process))
                print(what)
                for peer, runs in found.items():
                    wall, used = (statistics.median(column) for column in zip(*runs, strict=True))
                    if unit == "GB":
                        print(f"  {peer:8} {gb / wall:6.2f} GB/s, {used / gb:6.3f} CPU s per GB")
                    else:
                        each = used / CONNECTIONS * 1e6
                        print(f"  {peer:8} {CONNECTIONS / wall:8.0f} per second, {each:6.0f} µs of CPU each")


def main() -> int:
    missing = [program for program in ("haproxy", "socat") if shutil.which(program) is None]
    if missing:
        print(f"not installed: {' '.join(missing)} (apt-get install {' '.join(missing)})")
        return 1
    print(machine.line("haproxy -v"))
    return subprocess.run(["unshare", "--net", sys.executable, __file__, "inside"], check=False).returncode


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    if sys.argv[1:] == ["inside"]:
        inside()
    else:
        sys.exit(main())
