"""A cluster for a benchmark: each component a process with its own identity, so that each one's CPU is known.

The API server keeps LMDB with every write on disk and speaks TLS; controllers, scheduler and hollow kubelets are those
of `orlop up`.
"""

import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benches import machine
from orlop.api.types import core_v1, meta_v1
from orlop.bench.objects import running
from orlop.client import Client, kubeconfig
from orlop.client.tls import TLSTransport
from orlop.clock import SystemClock, rfc3339
from orlop.cluster import identities
from orlop.cluster.settings import Settings, free_port

RUNS = int(os.environ.get("ORLOP_BENCH_RUNS", "3"))
START_SECONDS = 120.0
LIMIT_SECONDS = 300.0
"""What a part may take to start, and a step of a scenario to be done: a load ends by itself."""
IN_FLIGHT = 128
"""Requests at a time of the benchmark's own client."""
PODS_PER_NODE = 110
HEADROOM = 10
"""Places for pods that a node of a benchmark keeps free, so that none waits for the last one."""
NEVER = 86400.0
"""Seconds of silence that the nodes of a world are given where nobody speaks for them."""
REST = 0.15
"""Share of a core that all parts together may use at rest."""


class World:
    """`with World(nodes=50) as world:`; the processes end with the block, and nothing of them is left."""

    def __init__(self, *, nodes: int = 0, **settings: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="orlop-world-"))
        self.settings = Settings(
            name=f"bench-{os.getpid()}",
            data_dir=self.folder,
            bind_address="127.0.0.1",
            secure_port=free_port("127.0.0.1"),
            runtime="hollow",
            hollow=nodes,
            **settings,
        )
        self.nodes = nodes
        self.parts: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTERM, _end)
        self.settings.save()
        identities.write_all(self.settings, [f"hollow-{i}" for i in range(self.nodes)], [])
        self.start("apiserver")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for name in reversed(list(self.parts)):
            self.stop(name, kill=kind is not None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, part: str, *words: object, name: str = "") -> float:
        """Starts a part and waits until it works; seconds that took."""
        name = name or part
        began = time.monotonic()
        log = self.folder / f"{name}.log"
        with log.open("a") as errors:
            command = [sys.executable, "-m", "benches.part", str(self.folder), part, *map(str, words)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment())
        self.parts[name] = process
        assert process.stdout is not None
        if not process.stdout.readline():
            sys.exit(f"{name} did not start:\n{log.read_text()[-3000:]}")
        return time.monotonic() - began

    def run(self, *, hollow: bool = True) -> None:
        """Everything that works on the API server."""
        self.start("controllers")
        self.start("scheduler")
        if hollow and self.nodes:
            self.start("hollow", 0, self.nodes)

    def stop(self, name: str, *, kill: bool = False) -> None:
        """Ends a part."""
        process = self.parts.pop(name)
        process.kill() if kill else process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by part."""
        return {name: machine.cpu_seconds(process.pid) for name, process in self.parts.items()}

    def complaints(self) -> str:
        """What the parts have logged: warnings and errors."""
        return "".join(
            f"--- {path.stem}\n{text[-2000:]}" for path in self.folder.glob("*.log") if (text := path.read_text())
        )

    @asynccontextmanager
    async def client(self, who: str = "admin") -> AsyncGenerator[Client]:
        """A client with one of the cluster's identities."""
        clock = SystemClock()
        transport = TLSTransport(kubeconfig.load(self.settings.kubeconfig(who)), clock)
        client = Client(transport, clock=clock, user_agent="orlop-bench")
        try:
            yield client
        finally:
            await client.close()


def _end(_number: int, _frame: object) -> None:
    """Ends as Ctrl-C does: with nothing left."""
    raise SystemExit("ended")


class Spent:
    """What the parts have cost since it was made."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cpu = world.cpu()
        self._began = time.monotonic()

    def stop(self) -> "Spent":
        self.seconds = time.monotonic() - self._began
        self.cpu = {name: used - self._cpu.get(name, 0.0) for name, used in self._world.cpu().items()}
        return self

    def __str__(self) -> str:
        return ", ".join(f"{name} {used:.2f}" for name, used in self.cpu.items())


def _environment() -> dict[str, str]:
    root = str(Path(__file__).parents[1])
    path = os.environ.get("PYTHONPATH", "")
    return {**os.environ, "PYTHONPATH": f"{root}:{path}" if path else root}


async def each(items: Iterable[Any], work: Callable[[Any], Awaitable[object]], at_once: int = IN_FLIGHT) -> None:
    """`work` for every item, so many at a time."""
    rest = iter(items)

    async def one() -> None:
        for item in rest:
            await work(item)

    async with asyncio.timeout(LIMIT_SECONDS), asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one())


async def until(holds: Callable[[], Awaitable[bool]], what: str, every: float = 0.05) -> None:
    """Returns when it holds; ends the benchmark if it takes too long."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not await holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not in {LIMIT_SECONDS:g} s: {what}")
        await asyncio.sleep(every)


async def nodes_ready(client: Client, count: int) -> None:
    """Returns when so many nodes are Ready."""

    async def ready() -> bool:
        nodes = (await client.list(core_v1.Node)).items
        fit = [
            n
            for n in nodes
            if not n.spec.taints and any(c.type == "Ready" and c.status == "True" for c in n.status.conditions)
        ]
        return len(fit) == count

    await until(ready, f"{count} nodes Ready", 0.25)


async def settled(world: World, quiet: float = 1.0) -> None:
    """Returns when the parts have used next to no CPU for so many seconds."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        before = sum(world.cpu().values())
        await asyncio.sleep(quiet)
        if sum(world.cpu().values()) - before < REST * quiet:
            return
    raise SystemExit("the cluster does not come to rest")


async def made_namespace(client: Client, name: str) -> None:
    """Makes a namespace and waits until pods can be made in it."""
    await client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))

    async def has_account() -> bool:
        return bool((await client.list(core_v1.ServiceAccount, name)).items)

    await until(has_account, f"the ServiceAccount of {name}")


async def made_account(client: Client, namespace: str) -> None:
    """Makes the account of a namespace where no controller does, so that pods can be made in it."""
    metadata = meta_v1.ObjectMeta(name="default", namespace=namespace)
    await client.create(core_v1.ServiceAccount(metadata=metadata))


def template(app: str) -> core_v1.PodTemplateSpec:
    """One container, as most have."""
    container = core_v1.Container(
        name="main",
        image="web:1",
        ports=[core_v1.ContainerPort(container_port=8080)],
        resources=core_v1.ResourceRequirements(requests={"cpu": "10m", "memory": "16Mi"}),
    )
    return core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(labels={"app": app}), spec=core_v1.PodSpec(containers=[container])
    )


def running_status(ip: str) -> dict[str, Any]:
    """What a kubelet tells of a pod of `template` that runs and is Ready."""
    return running(ip, rfc3339(time.time()), "main", "web:1")


def tell(what: str, values: Sequence[float], unit: str, limit: float | None = None) -> None:
    """One figure: median, spread, and what is to be reached."""
    spread = f"of {len(values)}: {min(values):.2f} … {max(values):.2f}" if len(values) > 1 else "once"
    bar = f"; limit {limit:g}" if limit is not None else ""
    print(f"{what:<72} {statistics.median(values):9.2f} {unit}  ({spread}{bar})", flush=True)


def nodes_for(pods: int) -> int:
    """How many hollow nodes hold so many pods."""
    return -(-pods // (PODS_PER_NODE - HEADROOM))


async def repeated(work: Callable[[int], Awaitable[Spent]]) -> list[Spent]:
    """What each of `RUNS` runs has cost; `work` is given its number, for names of its own."""
    return [await work(run) for run in range(RUNS)]


def tell_spent(what: str, runs: Sequence[Spent], limit: float | None = None) -> None:
    """Seconds and each part's CPU of runs of the same work."""
    tell(what, [spent.seconds for spent in runs], "s", limit)
    for part in runs[0].cpu:
        tell(f"  {what}, CPU of {part}", [spent.cpu[part] for spent in runs], "s")


def header() -> None:
    """Where and on what."""
    print(f"{machine.line()}, load {os.getloadavg()[0]:.1f}", flush=True)
