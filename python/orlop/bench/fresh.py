"""The works of a server of our own that has just been started: how soon it is ready, and what it holds."""

import asyncio
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from orlop.bench.http import Connection, Target
from orlop.bench.process import Processes
from orlop.bench.work import LIMIT, Load, Result, create

CLIENTS = 32
LOOK = 0.002
"""Seconds between two questions whether it is ready."""

EVERY_POD = "/api/v1/pods"
LISTS = ("", "", "Accept-Encoding: gzip\r\n", "Accept-Encoding: gzip\r\n")


class Server:
    """`orlop apiserver` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> float:
        """Seconds from its start to the first `ok` of /readyz. Raises TimeoutError, RuntimeError."""
        admin = self._folder / "admin"
        admin.unlink(missing_ok=True)
        command = [sys.executable, "-m", "orlop.cli.main", "apiserver", f"--data-dir={self._folder}/data"]
        began = time.perf_counter()
        self._process = await asyncio.to_thread(
            subprocess.Popen,
            [*command, "--secure-port=0", f"--write-kubeconfig={admin}"],
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        async with asyncio.timeout(LIMIT):
            # The port is known from the kubeconfig alone, which is written when the server is ready.
            while not admin.exists():
                if self._process.poll() is not None:
                    raise RuntimeError("the API server did not start")
                await asyncio.sleep(LOOK)
            connection = Connection(Target.of(str(admin)))
            while await connection.request("GET", "/readyz") != b"ok":  # noqa: ASYNC110 another process
                await asyncio.sleep(LOOK)
        took = time.perf_counter() - began
        connection.close()
        return took

    def load(self) -> Load:
        """It under load."""
        assert self._process is not None
        return Load(Target.of(str(self._folder / "admin")), Processes([self._process.pid]))

    async def stop(self) -> None:
        """Returns when it has ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._process.wait)
            self._process = None


async def start(objects: int = 0) -> Result:
    """Starts in an empty folder, or with so many pods in the store, which are then listed."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="orlop-bench-"))
    server = Server(folder)
    try:
        took = await server.start()
        load = server.load()
        more: dict[str, float] = {}
        if objects:
            await load.prepare()
            await create(load, objects, CLIENTS)
            more["resident MiB"] = load.processes.resident()
            await server.stop()
            took = await server.start()
            load = server.load()
        cpu = load.processes.cpu()
        found = msgspec.json.decode(await load.one.request("GET", EVERY_POD, more="Accept-Encoding: identity\r\n"))
        if len(found["items"]) != objects:
            raise RuntimeError(f"{len(found['items'])} pods were found, not {objects}")
        if objects:
            more["resident MiB after a start"] = load.processes.resident()
            for fields in LISTS:
                await load.one.request("GET", EVERY_POD, more=fields)
            more["resident MiB after lists"] = load.processes.resident()
        return Result(1, took, cpu, more=more)
    finally:
        await server.stop()
        await asyncio.to_thread(shutil.rmtree, folder, True)


async def hub(watchers: int) -> Result:
    """What a watcher that waits holds in the hub alone, in this process."""
    from orlop.native import Hub

    def fill() -> float:
        one = Hub(1000)
        one.declare("pods", [("spec.nodeName", "")], True, "v1", "Pod")
        one.start(1)
        names = [f"namespace-{i % 100}" for i in range(watchers)]
        kept: list[object] = [None] * watchers
        before = Processes.own()
        for i, name in enumerate(names):
            kept[i] = one.watch("pods", name, f"app=web-{i % 10}", "", None, False, True, False)
        held = Processes.own() - before
        if sum(count for _, _, count in one.stats()) != watchers:
            raise RuntimeError("a watcher is missing")
        return held

    began, cpu = time.perf_counter(), time.process_time()
    held = await asyncio.to_thread(fill)
    more = {"KiB a watcher": 1024 * held / watchers}
    return Result(watchers, time.perf_counter() - began, time.process_time() - cpu, more=more)


WORKS: dict[str, Callable[..., Awaitable[Result]]] = {"start": start, "hub": hub}
"""By the name in scenarios.yaml; they bring their own server, and have no peer."""
