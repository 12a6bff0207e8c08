"""How soon an API server is ready, empty and with 10,000 pods in its store, and what it holds in memory.

World: `orlop apiserver` in a fresh folder; pods of one container created over HTTPS by 8 clients. Figures: from exec to
/readyz, median of several starts; resident memory after the creates, and after a start with the pods there. The work is
checked: the pods are listed and counted after each start.
"""

import http.client
import json
import os
import shutil
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.cluster.settings import free_port

RUNS = int(os.environ.get("ORLOP_BENCH_RUNS", "5"))
PODS = int(os.environ.get("ORLOP_BENCH_PODS", "10000"))
CLIENTS = 8
EMPTY_BAR, FULL_BAR, MEMORY_BAR = 0.7, 1.0, 200


class Server:
    """`orlop apiserver` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cpu: list[float] = []
        """Seconds that each start took of a core: what is left of the figure on a machine that others use too."""
        (folder / "tokens").write_text('bench-token,admin,1,"system:masters"\n')

    def start(self) -> float:
        """Seconds until it is ready."""
        self.port = free_port("127.0.0.1")
        flags = [f"--data-dir={self.folder / 'data'}", f"--secure-port={self.port}"]
        flags += [f"--token-auth-file={self.folder / 'tokens'}"]
        began = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "orlop.cli.main", "apiserver", *flags]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        while True:
            try:
                if self.ask("/readyz") == b"ok":
                    self.cpu.append(machine.cpu_seconds(self.process.pid))
                    return time.monotonic() - began
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.002)

    def connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=context)

    def ask(self, path: str) -> bytes:
        connection = self.connect()
        connection.request("GET", path, headers={"authorization": "Bearer bench-token"})
        body = connection.getresponse().read()
        connection.close()
        return body

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def resident(self) -> tuple[float, float]:
        """MiB in all, and of them pages of the store's file."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        total = int(status.split("VmRSS:")[1].split()[0]) / 1024
        mapped, counted = 0, False
        for line in Path(f"/proc/{self.process.pid}/smaps").read_text().splitlines():
            if "-" in line.split(" ", 1)[0]:
                counted = "data.mdb" in line
            elif counted and line.startswith("Rss:"):
                mapped += int(line.split()[1])
        return total, mapped / 1024


def pod(number: int) -> bytes:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"pod-{number:05}", "labels": {"app": "web", "number": str(number)}},
            "spec": {"containers": [{"name": "main", "image": "web:1", "resources": {"requests": {"cpu": "100m"}}}]},
        }
    ).encode()


def create(server: Server, numbers: range) -> None:
    connection = server.connect()
    headers = {"authorization": "Bearer bench-token", "content-type": "application/json"}
    for number in numbers:
        connection.request("POST", "/api/v1/namespaces/default/pods", pod(number), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 201, body
    connection.close()


def account(server: Server) -> None:
    """Pods need their namespace's service account, which a controller makes elsewhere."""
    body = json.dumps({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}).encode()
    headers = {"authorization": "Bearer bench-token", "content-type": "application/json"}
    connection = server.connect()
    connection.request("POST", "/api/v1/namespaces/default/serviceaccounts", body, headers)
    assert connection.getresponse().status in (201, 409)


def count(server: Server) -> int:
    return len(json.loads(server.ask("/api/v1/pods"))["items"])


def median(name: str, values: list[float], bar: float, cpu: list[float]) -> None:
    spread = f"of {len(values)}: {min(values):.3f} … {max(values):.3f}; {statistics.median(cpu):.2f} s of a core"
    print(f"{name:<52} {statistics.median(values):8.3f} s  ({spread}; bar {bar:g})")


def main() -> None:
    print(machine.line())
    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    try:
        server = Server(folder)
        times = []
        for _ in range(RUNS):
            shutil.rmtree(folder / "data", ignore_errors=True)
            times.append(server.start())
            server.stop()
        median("an empty folder: exec to /readyz ok", times, EMPTY_BAR, server.cpu)
        server.start()
        account(server)
        step = PODS // CLIENTS
        shares = [range(n * step, (n + 1) * step) for n in range(CLIENTS)]
        threads = [threading.Thread(target=create, args=(server, share)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        memory = [("after they were created", *server.resident())]
        assert count(server) == step * CLIENTS
        server.stop()
        times = []
        server.cpu.clear()
        for _ in range(RUNS):
            times.append(server.start())
            memory = [*memory[:1], ("after a start", *server.resident())]
            assert count(server) == step * CLIENTS
            server.stop()
        median(f"{step * CLIENTS:,} pods in the store: exec to /readyz ok", times, FULL_BAR, server.cpu)
        for when, total, mapped in memory:
            what = f"resident with these pods, {when}"
            print(f"{what:<52} {total:6.0f} MiB, {mapped:.0f} of them the file (bar {MEMORY_BAR})")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
