"""How long after its commit an event is at its watchers' sockets, at 1,000 deliveries a second.

World: `orlop apiserver` with LMDB on disk and TLS, 10 watchers on connections of their own, 100 creates a second, one
after another; then the same beside ten watchers that take nothing. The server notes when LMDB's commit returned, before
anything else is done with it; the client notes when the event's bytes came out of its TLS. What lies between is the
server's way from the store to the socket, the kernel's loopback, and the client. The work is checked: every watcher
sees every event once.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.bench.http import Connection, Target
from orlop.bench.process import Processes
from orlop.bench.watches import FILL, FILL_PAD, OPENING, SETTLE, Maker, Watches
from orlop.bench.work import Load
from orlop.store.base import Change
from orlop.store.lmdb_writer import Writer

WATCHERS = 10
RATE = 100
EVENTS = machine.scaled(1000, 50)
BAR = 5.0
"""Milliseconds of the 99th percentile."""
START_SECONDS, LIMIT_SECONDS = 60.0, 240.0


def serve(folder: str) -> int:
    """The API server, which leaves `commits` behind: revision and nanoseconds of each commit."""
    from orlop.cli.main import main

    noted: list[tuple[int, int]] = []
    count = Writer._count

    def counted(self: Writer, changes: list[Change], outcomes: Sequence[list[int] | Exception], seconds: float) -> None:
        now = time.time_ns()
        noted.extend((change.revision, now) for change in changes)
        count(self, changes, outcomes, seconds)

    Writer._count = counted  # type: ignore[method-assign]
    try:
        return main(["apiserver", f"--data-dir={folder}", "--secure-port=0", f"--write-kubeconfig={folder}/admin"])
    finally:
        Path(folder, "commits").write_bytes(msgspec.json.encode(noted))


async def drive(load: Load, asleep: int) -> tuple[list[tuple[int, int]], dict[int, int]]:
    """When each delivery's event was asked for and when it came, and the revision of each event."""
    listed = msgspec.json.decode(await load.one.request("GET", f"{load.maps}?limit=1"))
    path = f"{load.maps}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
    dead = Watches(load.target, path)
    await dead.open_asleep(asleep)
    if asleep:
        await load.spread(FILL, OPENING, Maker(load, FILL_PAD).make)
        await asyncio.sleep(SETTLE)
        listed = msgspec.json.decode(await load.one.request("GET", f"{load.maps}?limit=1"))
        path = f"{load.maps}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
    watches, revisions = Watches(load.target, path), dict[int, int]()
    await watches.open(WATCHERS)
    connection, began = Connection(load.target), time.perf_counter()
    for i in range(EVENTS):
        await asyncio.sleep(max(0.0, began + i / RATE - time.perf_counter()))
        sent = time.time_ns()
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "w-"},
            "data": {"sent": str(sent)},
        }
        answer = msgspec.json.decode(await connection.request("POST", load.maps, msgspec.json.encode(body)))
        revisions[sent] = int(answer["metadata"]["resourceVersion"])
    await watches.seen(EVENTS)
    for one in (watches, dead, connection):
        one.close()
    return watches.taken, revisions


Seen = list[tuple[str, list[tuple[int, int]], dict[int, int]]]


def both(folder: Path) -> int:
    """The client, which leaves `seen` behind."""

    async def run() -> Seen:
        load = Load(Target.of(str(folder / "admin")), Processes([]))
        await load.prepare()
        found = [("no other watchers", *await drive(load, 0)), ("beside ten that take nothing", *await drive(load, 10))]
        load.one.close()
        return found

    (folder / "seen").write_bytes(msgspec.json.encode(asyncio.run(run())))
    return 0


def start(*words: str) -> "subprocess.Popen[bytes]":
    """This file as a process with a session of its own, as services have: the kernel's autogroups then give it its
    share of the processor whatever else runs. In a session with others' work an event waits for them."""
    return subprocess.Popen([sys.executable, __file__, *words], stderr=subprocess.DEVNULL, start_new_session=True)


def main() -> None:
    print(machine.line())
    folder = Path(tempfile.mkdtemp(prefix="orlop-bench-"))
    process = start("serve", str(folder))
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (folder / "admin").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the API server did not start")
            time.sleep(0.02)
        if start("watch", str(folder)).wait(LIMIT_SECONDS):
            sys.exit("the client failed")
        found = msgspec.json.decode((folder / "seen").read_bytes(), type=Seen)
        process.send_signal(signal.SIGTERM)
        process.wait(START_SECONDS)
        commits = dict(msgspec.json.decode((folder / "commits").read_bytes(), type=list[tuple[int, int]]))
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(folder)
    for name, taken, revisions in found:
        late = sorted((came - commits[revisions[sent]]) / 1e6 for sent, came in taken)
        assert len(late) == WATCHERS * EVENTS, f"{len(late)} deliveries"
        assert late[0] > 0, "an event came before its commit"
        p50, p99 = late[len(late) // 2], late[len(late) * 99 // 100]
        verdict = "reached" if p99 <= BAR else "MISSED"
        print(
            f"from commit to socket, {name:<29} p50 {p50:5.2f}, p99 {p99:5.2f} ms (bar {BAR:g}: {verdict}), "
            f"at most {late[-1]:6.2f}; {len(late):,} deliveries, {WATCHERS * RATE:,} a second"
        )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder]:
            sys.exit(serve(folder))
        case ["watch", folder]:
            sys.exit(both(Path(folder)))
        case _:
            main()
