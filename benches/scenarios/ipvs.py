"""The IPVS backend beside `ipvsadm -R`: the same virtual servers from empty, each in a fresh network namespace, and
one changed endpoint: messages and time. Runs on Debian's kernel in an emulated machine (tests/kernel): ratios
count, not times.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.forwarding import ENDPOINTS, Namespace, endpoint_slice, filled
from orlop.native import ForwardTable, Ipvs

ROOT = Path(__file__).parents[2]
SIZES = tuple(int(n) for n in os.environ.get("ORLOP_BENCH_SERVICES", "1000,5000").split(","))
BY_HAND_MAX = 10_000
"""Services up to which ipvsadm is run beside: it would take minutes for more."""
CHANGES = 200
INSIDE = "ORLOP_KERNEL_VM"
SECONDS = 580


def ours(namespace: Namespace, table: ForwardTable) -> tuple[Ipvs, float, float]:
    """Seconds for the virtual servers alone, and with the addresses on their device."""
    wanted = table.difference([]).set
    started = time.perf_counter()
    bare = Ipvs("orlop-ipvs0", "rr", f"/run/netns/{namespace.name}")
    # Addresses that the node has anyway are not put on the device, so that both do the same.
    bare.set_node_addresses([], [port.frontends[0][1] for port in wanted])
    bare.want(wanted, [])
    bare.adopt([])
    bare.program()
    alone = time.perf_counter() - started
    started = time.perf_counter()
    bare.set_node_addresses([], [])
    bare.program()
    return bare, alone, alone + time.perf_counter() - started


def by_hand(namespace: Namespace, text: str) -> float:
    started = time.perf_counter()
    subprocess.run([*namespace.prefix, "ipvsadm", "-R"], input=text, text=True, check=True)
    return time.perf_counter() - started


def change(kernel: Ipvs, table: ForwardTable, services: int) -> None:
    seconds = []
    before = kernel.sent()
    for turn in range(CHANGES):
        data = endpoint_slice((turn * 37) % services, 100 + turn % 100)
        started = time.perf_counter()
        table.apply_slice(data)
        changes = table.drain_changes()
        kernel.want(changes.set, changes.removed)
        kernel.program()
        seconds.append(time.perf_counter() - started)
    messages = (kernel.sent() - before) / CHANGES
    seconds.sort()
    p99 = seconds[int(len(seconds) * 0.99)]
    print(
        f"one endpoint for another at {services} × {ENDPOINTS}: {messages:.2f} messages, from slice to kernel "
        f"median {statistics.median(seconds) * 1000:.2f} ms, p99 {p99 * 1000:.2f} ms",
        flush=True,
    )


def inside() -> None:
    for services in SIZES:
        table = filled(services)
        with Namespace(f"a{services}") as mine, Namespace(f"b{services}") as theirs:
            kernel, alone, whole = ours(mine, table)
            if services <= BY_HAND_MAX:
                listed = [*mine.prefix, "ipvsadm", "-Sn"]
                text = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
                assert text.count(" -r ") == services * ENDPOINTS
                hand = by_hand(theirs, text)
                beside = f"; ipvsadm -R {hand:.2f} s: 1/{hand / alone:.1f}"
            else:
                assert sum(len(server.destinations) for server in kernel.dump()) == services * ENDPOINTS
                beside = ""
            print(
                f"{services} × {ENDPOINTS} from empty: {alone:.2f} s ({whole:.2f} s with {services} addresses on the "
                f"device){beside}",
                flush=True,
            )
            change(kernel, table, services)


def main() -> int:
    if INSIDE in os.environ:
        subprocess.run(["modprobe", "-a", "ip_vs", "ip_vs_rr", "dummy"], check=True)
        inside()
        return 0
    from tests.kernel.vm import Machine

    print(machine.line("ipvsadm --version"))
    print("in an emulated machine, 10 to 30 times slower than this one:", flush=True)
    with tempfile.TemporaryDirectory(prefix="orlop-vm-") as share:
        environment = {name: os.environ[name] for name in ("PYTHONPATH", "ORLOP_BENCH_SERVICES") if name in os.environ}
        command = [sys.executable, str(Path(__file__).resolve())]
        return Machine(command, share=Path(share), directory=ROOT, environment=environment).wait(SECONDS)


if __name__ == "__main__":
    # ORLOP_BENCH_SERVICES=50000 shows one changed endpoint where there are many.
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    sys.exit(main())
