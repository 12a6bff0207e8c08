"""A forwarding backend beside its own tool fed by hand: a full sync, one changed endpoint, a restart that finds all as
it was.

In network namespaces of its own. "By hand" is the same ruleset as one text, and for one change the shortest text a
person would write. Each pair is run in turns; the median of each is shown.
"""

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from benches import machine
from orlop.native import ForwardTable
from orlop.proxy.config import ProxyConfig

ENDPOINTS = 10
CONFIG = ProxyConfig(hostname_override="node", cluster_cidr="10.0.0.0/8")

Runs = list[tuple[float, float]]
"""Seconds that passed, and of CPU."""


class Namespace:
    """A network namespace for one measurement."""

    def __init__(self, name: str) -> None:
        self.name = f"orlop-bench-{os.getpid()}-{name}"
        self.prefix = ("ip", "netns", "exec", self.name)

    def __enter__(self) -> "Namespace":
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        return self

    def __exit__(self, *_: object) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=True)

    def says(self, *command: str) -> str:
        """What a program prints that is run in it."""
        return subprocess.run([*self.prefix, *command], check=True, capture_output=True, text=True).stdout

    async def takes(self, command: tuple[str, ...], text: str) -> None:
        """Feeds a program in it."""
        process = await asyncio.create_subprocess_exec(*self.prefix, *command, stdin=asyncio.subprocess.PIPE)
        await process.communicate(text.encode())
        assert process.returncode == 0


class Tool(NamedTuple):
    """A backend, and how a person does what it does."""

    backend: Callable[..., Any]
    version: str
    save: tuple[str, ...]
    """Prints the rules there are."""
    load: tuple[str, ...]
    """Takes what `save` printed, and changes."""
    target: str
    """Stands once in the rules for each endpoint."""
    place: str
    """What follows an endpoint's address in the rules."""
    change: Callable[[int, int], str]
    """By a service's number and its new last endpoint."""
    syncs: int
    changes: int


def service(number: int) -> bytes:
    ip = f"10.96.{number // 250}.{number % 250 + 1}"
    spec = {"type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "ports": [{"port": 80}]}
    return json.dumps({"metadata": {"name": f"service-{number}", "namespace": "default"}, "spec": spec}).encode()


def endpoint_slice(number: int, last: int) -> bytes:
    """`last` is the last endpoint's last part: changing it changes one endpoint."""
    hosts = [*range(1, ENDPOINTS), last]
    endpoints = [{"addresses": [f"10.{number // 250 + 1}.{number % 250}.{host}"]} for host in hosts]
    labels = {"kubernetes.io/service-name": f"service-{number}"}
    meta = {"name": f"service-{number}-a", "namespace": "default", "labels": labels}
    ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return json.dumps({"metadata": meta, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}).encode()


def filled(services: int) -> ForwardTable:
    """A table of so many services."""
    table = ForwardTable("node")
    for number in range(services):
        table.apply_service(service(number))
        table.apply_slice(endpoint_slice(number, ENDPOINTS))
    return table


async def timed(work: Awaitable[object]) -> tuple[float, float]:
    """Seconds that passed, and of CPU, those of the programs run included."""
    passed, cpu = time.perf_counter(), _cpu()
    await work
    return time.perf_counter() - passed, _cpu() - cpu


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def show(what: str, ours: Runs, hand: Runs | None = None) -> None:
    def median(runs: Runs) -> str:
        wall, cpu = (statistics.median(column) * 1000 for column in zip(*runs, strict=True))
        return f"{wall:8.1f} ms ({cpu:8.1f} ms of CPU)"

    ratio = f"  ratio of CPU {sum(c for _, c in ours) / sum(c for _, c in hand):.2f}" if hand else ""
    print(f"{what}: {median(ours)}" + (f"; by hand {median(hand)}{ratio}" if hand else ""))


async def full_syncs(tool: Tool, table: ForwardTable, services: int) -> None:
    wanted = table.difference([]).set
    assert sum(len(port.cluster) for port in wanted) == services * ENDPOINTS
    full, hand = Runs(), Runs()
    for turn in range(tool.syncs):
        with Namespace(f"a{turn}") as ours, Namespace(f"b{turn}") as theirs:
            full.append(await timed(tool.backend(CONFIG, prefix=ours.prefix).sync(wanted)))
            text = ours.says(*tool.save)
            hand.append(await timed(theirs.takes(tool.load, text)))
            for rules in (text, theirs.says(*tool.save)):
                assert rules.count(tool.target) == services * ENDPOINTS
    show(f"full sync of {services} × {ENDPOINTS}", full, hand)


async def changes(tool: Tool, table: ForwardTable, services: int) -> None:
    """One endpoint for another; then a restart, which changes nothing."""
    wanted = table.difference([]).set
    with Namespace("c") as ours, Namespace("d") as theirs:
        backend = tool.backend(CONFIG, prefix=ours.prefix)
        await backend.check()
        await backend.sync(wanted)
        await theirs.takes(tool.load, ours.says(*tool.save))
        assert not await backend.sync(wanted)
        changed, hand = Runs(), Runs()
        for turn in range(tool.changes):
            number, new = (turn * 37) % services, 200 + turn
            table.apply_slice(endpoint_slice(number, new))
            changed.append(await timed(backend.apply(table.drain_changes())))
            hand.append(await timed(theirs.takes(tool.load, tool.change(number, new))))
        for namespace in (ours, theirs):
            rules = namespace.says(*tool.save)
            assert rules.count(tool.target) == services * ENDPOINTS
            assert all(f".{200 + turn}{tool.place}" in rules for turn in range(tool.changes))
        show("one endpoint for another", changed, hand)
        again = tool.backend(CONFIG, prefix=ours.prefix)
        wanted = table.difference([]).set

        async def restart() -> None:
            assert not await again.sync(wanted)

        show("a restart that finds all as it was", [await timed(restart()) for _ in range(tool.syncs)])


def run(tool: Tool) -> None:
    """Exits where it is not root."""
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    print(machine.line(tool.version))

    async def both() -> None:
        services = int(os.environ.get("ORLOP_BENCH_SERVICES", "1000"))
        table = filled(services)
        await full_syncs(tool, table, services)
        await changes(tool, table, services)

    asyncio.run(both())
