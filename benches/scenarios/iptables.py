"""The iptables backend beside iptables-restore fed by hand with what `iptables-save` prints of the same rules:
benches/forwarding.py says what is done, and how it is checked."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches.forwarding import ENDPOINTS, Tool, run
from orlop.proxy.backends.iptables import Iptables
from orlop.proxy.backends.iptables.layout import Layout

LAYOUT = Layout()


def change(number: int, new: int) -> str:
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
        "*nat", f":{svc} - [0:0]", f":{sep(new)} - [0:0]", f":{sep(ENDPOINTS)} - [0:0]",
        f'-A {svc} ! -s 10.0.0.0/8 -d {ip}/32 -p tcp -m comment --comment "{name} cluster IP" -m tcp --dport 80 '
        f"-j {LAYOUT.mark}",
        *choice,
        f'-A {sep(new)} -s {net}.{new}/32 -m comment --comment "{name}" -j {LAYOUT.mark}',
        f'-A {sep(new)} -p tcp -m comment --comment "{name}" -m tcp -j DNAT --to-destination {net}.{new}:8080',
        f"-X {sep(ENDPOINTS)}", "COMMIT\n",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    run(
        Tool(
            backend=Iptables,
            version="iptables --version",
            save=("iptables-save",),
            load=("iptables-restore", "--noflush"),
            target="--to-destination",
            place=":8080",
            change=change,
            syncs=2,
            changes=int(os.environ.get("ORLOP_BENCH_CHANGES", "5")),
        )
    )
