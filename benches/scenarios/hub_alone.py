"""What a delivery and a list cost in the hub alone: no HTTP, no TLS.

Worlds: W watchers of everything and E events of 2.7 KB, each applied alone or in batches; then 5,000 watchers of one
node each, as kubelets are; then a list of 10,000 such objects joined into one body, beside one copy of as many bytes.
The work is checked: every watcher got every byte.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.native import Hub, Watcher

FILLER = b"x" * 2560
RUNS = machine.scaled(5)
Row = tuple[str, str, str, int, int, bytes]


def pod(name: str, revision: int, node: str) -> Row:
    value = (
        b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"%b","labels":{"app":"web"},"resourceVersion":"%d"},'
        b'"spec":{"nodeName":"%b","x":"%b"}}' % (name.encode(), revision, node.encode(), FILLER)
    )
    return "pods", "default", name, revision, 1, value


def new_hub(ring: int) -> Hub:
    hub = Hub(ring)
    hub.declare("pods", [("spec.nodeName", "spec.nodeName")], True, "v1", "Pod")
    return hub


def spread(values: list[float], digits: int = 1) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def deliver(watchers: int, events: int, batch: int) -> float:
    """Deliveries per CPU second."""
    hub = new_hub(events + 1)
    everyone = [hub.watch("pods", None) for _ in range(watchers)]
    rows = [pod(f"p{n % 1000}", n + 1, "n1") for n in range(events)]
    size = 0
    cpu = time.process_time()
    by_id: dict[int, Watcher] = {watcher.id: watcher for watcher in everyone}
    for start in range(0, events, batch):
        hub.apply(rows[start : start + batch])
        for ready in hub.ready():
            size += len(by_id[ready].take(1 << 20))
    cpu = time.process_time() - cpu
    assert size > watchers * sum(len(row[5]) for row in rows)
    return watchers * events / cpu


def kubelets(nodes: int, events: int) -> float:
    """Microseconds for an event that concerns one watcher of so many."""
    hub = new_hub(events + 1)
    by_id = {w.id: w for w in (hub.watch("pods", None, "", f"spec.nodeName=n{n}") for n in range(nodes))}
    rows = [pod(f"p{n}", n + 1, f"n{n % nodes}") for n in range(events)]
    delivered = 0
    cpu = time.process_time()
    for row in rows:
        hub.apply([row])
        for ready in hub.ready():
            delivered += len(by_id[ready].events(10))
    cpu = time.process_time() - cpu
    assert delivered == events
    return cpu / events * 1e6


def lists(objects: int) -> None:
    hub = new_hub(10)
    rows = [pod(f"p{n:06}", n + 1, f"n{n % 100}") for n in range(objects)]
    hub.apply(rows)
    body = b"x" * sum(len(row[5]) for row in rows)

    def measure(work: Callable[[], int]) -> list[float]:
        found = []
        for _ in range(RUNS):
            cpu = time.process_time()
            assert work() >= len(body)
            found.append((time.process_time() - cpu) * 1e3)
        return found

    whole = measure(lambda: len(hub.list("pods", None).join(b'{"items":[', b"]}")))
    copy = measure(lambda: len(bytearray(body)))
    size = f"{len(body) / 2**20:.1f} MiB"
    print(f"list of {objects:,} objects, {size}: {spread(whole)} ms CPU; a bare copy {spread(copy)} ms")
    began = time.process_time()
    found = len(hub.list("pods", None, "", "spec.nodeName=n7"))
    assert found == objects // 100
    print(f"list of {found} of them by spec.nodeName: {(time.process_time() - began) * 1e6:,.0f} µs CPU")


def main() -> None:
    print("world: the hub alone, objects of 2.7 KB; every watcher's bytes counted, every list compared in size")
    print(machine.line())
    worlds = ((10, 10_000, 1), (500, 200, 1), (500, 200, 20), (10_000, 20, 1), (10_000, 20, 10))
    for watchers, events, batch in (
        (machine.scaled(w, least=10), machine.scaled(e, least=20), b) for w, e, b in worlds
    ):
        rates = [deliver(watchers, events, batch) for _ in range(RUNS)]
        what = f"{watchers:6,} watchers x {events:6,} events, {batch:2} at a time"
        print(f"{what}: {spread(rates, 0)} deliveries per CPU second")
    for nodes in (10, machine.scaled(1000, least=10), machine.scaled(5000, least=10)):
        costs = [kubelets(nodes, machine.scaled(5000, least=20)) for _ in range(RUNS)]
        print(f"an event for one of {nodes:,} watchers by node: {spread(costs)} µs CPU")
    lists(machine.scaled(10_000))


if __name__ == "__main__":
    main()
