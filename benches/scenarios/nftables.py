"""The nftables backend beside nft fed by hand: a full sync, one changed endpoint, a restart that finds all as it was.

In network namespaces of its own. "By hand" is the same ruleset as one text for `nft -f`, and the same change as the
shortest text a person would write. Each pair is run in turns; the median of each is shown.
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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.native import ForwardTable
from orlop.proxy.backends.nftables import Nftables
from orlop.proxy.config import ProxyConfig

SERVICES = int(os.environ.get("ORLOP_BENCH_SERVICES", "1000"))
ENDPOINTS = 10
SYNCS = 3
CHANGES = 15
CONFIG = ProxyConfig(hostname_override="node", cluster_cidr="10.0.0.0/8")


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

    def nft(self, *arguments: str) -> str:
        return subprocess.run([*self.prefix, "nft", *arguments], check=True, capture_output=True, text=True).stdout


async def timed(work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Seconds that passed, and of CPU, those of the programs run included."""
    passed, cpu = time.perf_counter(), _cpu()
    await work()
    return time.perf_counter() - passed, _cpu() - cpu


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


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


async def by_hand(namespace: Namespace, text: str) -> None:
    process = await asyncio.create_subprocess_exec(*namespace.prefix, "nft", "-f", "-", stdin=asyncio.subprocess.PIPE)
    await process.communicate(text.encode())
    assert process.returncode == 0


def show(what: str, ours: list[tuple[float, float]], hand: list[tuple[float, float]] | None) -> None:
    def median(runs: list[tuple[float, float]]) -> str:
        wall, cpu = (statistics.median(column) * 1000 for column in zip(*runs, strict=True))
        return f"{wall:8.1f} ms ({cpu:8.1f} ms of CPU)"

    ratio = f"  ratio of CPU {sum(c for _, c in ours) / sum(c for _, c in hand):.2f}" if hand else ""
    print(f"{what}: {median(ours)}" + (f"; by hand {median(hand)}{ratio}" if hand else ""))


async def main() -> None:
    table = ForwardTable("node")
    for number in range(SERVICES):
        table.apply_service(service(number))
        table.apply_slice(endpoint_slice(number, ENDPOINTS))
    wanted = table.difference([]).set
    assert sum(len(port.cluster) for port in wanted) == SERVICES * ENDPOINTS

    full: list[tuple[float, float]] = []
    hand: list[tuple[float, float]] = []
    for turn in range(SYNCS):
        with Namespace(f"a{turn}") as ours, Namespace(f"b{turn}") as theirs:
            backend = Nftables(CONFIG, prefix=ours.prefix)
            full.append(await timed(lambda backend=backend: backend.sync(wanted)))  # type: ignore[misc]
            text = ours.nft("list", "ruleset")
            assert targets(text) == SERVICES * ENDPOINTS
            hand.append(await timed(lambda theirs=theirs, text=text: by_hand(theirs, text)))  # type: ignore[misc]
            assert targets(theirs.nft("list", "ruleset")) == SERVICES * ENDPOINTS
    show(f"full sync of {SERVICES} × {ENDPOINTS}", full, hand)

    with Namespace("c") as ours, Namespace("d") as theirs:
        backend = Nftables(CONFIG, prefix=ours.prefix)
        await backend.check()
        await backend.sync(wanted)
        await by_hand(theirs, ours.nft("list", "ruleset"))
        assert not await backend.sync(wanted)
        changed: list[tuple[float, float]] = []
        hand = []
        for turn in range(CHANGES):
            number = (turn * 37) % SERVICES
            table.apply_slice(endpoint_slice(number, 200 + turn))
            changed.append(await timed(lambda: backend.apply(table.drain_changes())))
            hand.append(await timed(lambda t=change(number, 200 + turn): by_hand(theirs, t)))  # type: ignore[misc]
        rules = ours.nft("list", "ruleset")
        assert all(f".{200 + turn} . 8080" in rules for turn in range(CHANGES))
        assert targets(rules) == SERVICES * ENDPOINTS
        show("one endpoint for another", changed, hand)
        again = Nftables(CONFIG, prefix=ours.prefix)
        wanted = table.difference([]).set

        async def restart() -> None:
            assert not await again.sync(wanted)

        show("a restart that finds all as it was", [await timed(restart) for _ in range(SYNCS)], None)


def change(number: int, last: int) -> str:
    """What a person would feed to nft: the service's new choice, and the new endpoint for the old as its own client."""
    base = f"default/service-{number}/tcp/"
    net = f"10.{number // 250 + 1}.{number % 250}"
    ip = f"10.96.{number // 250}.{number % 250 + 1}"
    choice = ", ".join(f"{i} : {net}.{host} . 8080" for i, host in enumerate([*range(1, ENDPOINTS), last]))
    table = "ip orlop-proxy"
    choice = f"numgen random mod {ENDPOINTS} map {{ {choice} }}"
    return (
        f"flush chain {table} service-{base}\n"
        f"add rule {table} service-{base} ip daddr {ip} tcp dport 80 ip saddr != 10.0.0.0/8 jump mark-for-masquerade\n"
        f"add rule {table} service-{base} meta l4proto tcp dnat ip to {choice}\n"
        f"delete element {table} hairpin {{ {net}.{ENDPOINTS} . {net}.{ENDPOINTS} }}\n"
        f"add element {table} hairpin {{ {net}.{last} . {net}.{last} }}\n"
    )


def targets(rules: str) -> int:
    """How many endpoints a ruleset translates to."""
    return rules.count(" . 8080")


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    print(machine.line("nft --version"))
    asyncio.run(main())
