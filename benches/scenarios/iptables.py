"""The iptables backend beside iptables-restore fed by hand: a full sync, one changed endpoint, a restart that finds all
as it was. As benches/scenarios/nftables.py, in network namespaces of its own, each pair in turns.

"By hand" is what `iptables-save` prints of the same rules, and for one change the shortest restore that makes it.
"""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.scenarios.nftables import CONFIG, ENDPOINTS, SERVICES, Namespace, endpoint_slice, service, show, timed
from orlop.native import ForwardTable
from orlop.proxy.backends.iptables import Iptables
from orlop.proxy.backends.iptables.layout import Layout

SYNCS = 2
CHANGES = int(os.environ.get("ORLOP_BENCH_CHANGES", "5"))
LAYOUT = Layout()


def save(namespace: Namespace) -> str:
    command = [*namespace.prefix, "iptables-save"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def by_hand(namespace: Namespace, text: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *namespace.prefix, "iptables-restore", "--noflush", stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(text.encode())
    assert process.returncode == 0


def targets(rules: str) -> int:
    """How many endpoints a ruleset translates to."""
    return rules.count("--to-destination")


def change(number: int, old: int, new: int) -> str:
    """What a person would feed to iptables-restore: a chain for the new endpoint, the choice, the old chain's end."""
    id = ("default", f"service-{number}", "", "TCP", 4)
    name, net = f"default/service-{number}", f"10.{number // 250 + 1}.{number % 250}"
    svc = LAYOUT.chain("SVC", id)

    def sep(host: int) -> str:
        return LAYOUT.chain("SEP", id, f"{net}.{host}:8080")

    ip = f"10.96.{number // 250}.{number % 250 + 1}"
    hosts = [*range(1, ENDPOINTS), new]
    choice = [
        f'-A {svc} -m comment --comment "{name} -> {net}.{host}:8080"'
        + (f" -m statistic --mode random --probability {1 / (ENDPOINTS - i):.11f}" if i < ENDPOINTS - 1 else "")
        + f" -j {sep(host)}"
        for i, host in enumerate(hosts)
    ]
    lines = [
        "*nat", f":{svc} - [0:0]", f":{sep(new)} - [0:0]", f":{sep(old)} - [0:0]",
        f'-A {svc} ! -s 10.0.0.0/8 -d {ip}/32 -p tcp -m comment --comment "{name} cluster IP" -m tcp --dport 80 '
        f"-j {LAYOUT.mark}",
        *choice,
        f'-A {sep(new)} -s {net}.{new}/32 -m comment --comment "{name}" -j {LAYOUT.mark}',
        f'-A {sep(new)} -p tcp -m comment --comment "{name}" -m tcp -j DNAT --to-destination {net}.{new}:8080',
        f"-X {sep(old)}", "COMMIT\n",
    ]  # fmt: skip
    return "\n".join(lines)


async def main() -> None:
    table = ForwardTable("node")
    for number in range(SERVICES):
        table.apply_service(service(number))
        table.apply_slice(endpoint_slice(number, ENDPOINTS))
    wanted = table.difference([]).set

    full: list[tuple[float, float]] = []
    hand: list[tuple[float, float]] = []
    for turn in range(SYNCS):
        with Namespace(f"a{turn}") as ours, Namespace(f"b{turn}") as theirs:
            backend = Iptables(CONFIG, prefix=ours.prefix)
            full.append(await timed(lambda backend=backend: backend.sync(wanted)))  # type: ignore[misc]
            text = save(ours)
            assert targets(text) == SERVICES * ENDPOINTS
            hand.append(await timed(lambda theirs=theirs, text=text: by_hand(theirs, text)))  # type: ignore[misc]
            assert targets(save(theirs)) == SERVICES * ENDPOINTS
    show(f"full sync of {SERVICES} × {ENDPOINTS}", full, hand)

    with Namespace("c") as ours, Namespace("d") as theirs:
        backend = Iptables(CONFIG, prefix=ours.prefix)
        await backend.sync(wanted)
        await by_hand(theirs, save(ours))
        changed: list[tuple[float, float]] = []
        hand = []
        for turn in range(CHANGES):
            number = (turn * 37) % SERVICES
            table.apply_slice(endpoint_slice(number, 200 + turn))
            changes = table.drain_changes()
            changed.append(await timed(lambda: backend.apply(changes)))  # noqa: B023
            text = change(number, ENDPOINTS, 200 + turn)
            hand.append(await timed(lambda text=text: by_hand(theirs, text)))  # type: ignore[misc]
        for namespace in (ours, theirs):
            rules = save(namespace)
            assert targets(rules) == SERVICES * ENDPOINTS
            assert all(f".{200 + turn}:8080" in rules for turn in range(CHANGES))
        show("one endpoint for another", changed, hand)
        again = Iptables(CONFIG, prefix=ours.prefix)
        wanted = table.difference([]).set

        async def restart() -> None:
            assert not await again.sync(wanted)

        show("a restart that finds all as it was", [await timed(restart) for _ in range(SYNCS)], None)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    print(machine.line("iptables --version"))
    asyncio.run(main())
