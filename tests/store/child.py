"""Programs that tests run as processes of their own: `python child.py MODE PATH [ARGUMENT]`."""

import asyncio
import os
import resource
import signal
import socket
import sys
import time
import zlib

from orlop.clock import SystemClock
from orlop.store.base import Key, Parts, StoreError, StoreFull, Write
from orlop.store.lmdb import LmdbStore

WRITERS = 16
SIZES = [10, 700, 700, 3000, 3000, 3000, 40_000]
"""Bytes: records that share a page, that have one of their own, and ten of them."""


def parts(text: str, size: int) -> Parts:
    """Around the revision: the text, and bytes that only this text has."""
    filler = (zlib.crc32(text.encode()).to_bytes(4) * (size // 4 + 1))[:size].hex()
    return Parts(b'{"resourceVersion":"', f'","text":"{text}","filler":"{filler}"}}'.encode())


async def killed(path: str, run: str, writes: str = "0", backups: str = "") -> None:
    """Writes as fast as it can until it is killed, and says on stdout what has been acknowledged.

    `writes`: each writer ends after so many. `backups`: a folder in which to make snapshots meanwhile.

    A line is `revision resource name text size`, or `revision resource name` of a deletion. It is written at once (one
    unbuffered write), so that a kill loses no line of what was acknowledged before.
    """
    store = LmdbStore(path, SystemClock())
    await store.open()
    random = SystemClock().random

    async def write(writer: int) -> None:
        count = 0
        while not int(writes) or count < int(writes):
            count += 1
            name, text, size = f"w{writer}-{random.randrange(20)}", f"{run}-{writer}-{count}", random.choice(SIZES)
            key = Key(random.choice(["pods", "coordination.k8s.io/leases"]), "default", name)
            there = await store.get(key)
            if there and random.random() < 0.2:
                revision = await store.commit(Write(key, parts(text, 10), there.revision, delete=True))
                line = f"{revision} {key.resource} {name}\n"
            else:
                revision = await store.commit(Write(key, parts(text, size), there.revision if there else 0))
                line = f"{revision} {key.resource} {name} {text} {size}\n"
            os.write(1, line.encode())

    async def compact() -> None:
        while True:
            await asyncio.sleep(0.01)
            await store.compact(max(0, store.revision - 200))
            os.write(1, f"compacted {store.compacted}\n".encode())

    async def backup() -> None:
        count = 0
        while True:
            count += 1
            await store.snapshot(os.path.join(backups, f"{run}-{count}"))

    beside = [asyncio.ensure_future(compact())]
    if backups:
        beside.append(asyncio.ensure_future(backup()))
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    for task in beside:
        task.cancel()


def kills(path: str, backups: str) -> None:
    """Takes orders on stdin, `RUN SINCE SECONDS FILE`: forks (so that nothing has to be imported again) a child that
    works as `killed` with its stdout in the file, kills it so long after its `start` or its `first` acknowledgement,
    and says that it is dead."""
    for line in sys.stdin:
        run, since, seconds, file = line.split()
        child = os.fork()
        if not child:
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), 1)
            asyncio.run(killed(path, run, "0", backups))
            os._exit(0)
        while since == "first" and not (os.path.exists(file) and os.path.getsize(file)):
            time.sleep(0.001)
        time.sleep(float(seconds))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print("dead", flush=True)


async def upgraded(path: str) -> None:
    """Opens a store of an older format, and closes it."""
    store = LmdbStore(path, SystemClock())
    await store.open()
    await store.close()


async def traced(path: str, sync: str) -> None:
    """Answers requests on a socket: N writes at the same time, answered when all are acknowledged."""
    store = LmdbStore(path, SystemClock(), sync=sync == "sync")
    await store.open()
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    theirs.setblocking(False)
    loop = asyncio.get_running_loop()
    for request in (1, 1, 1, 7, 32, 1, 5):
        await loop.sock_sendall(theirs, b"request %d\n" % request)
        count = int((await reader.readline()).split()[1])
        await asyncio.gather(*(store.commit(Write(Key("pods", "d", f"p{n}"), parts("x", 2000))) for n in range(count)))
        writer.write(b"answer %d\n" % count)
        await loop.sock_recv(theirs, 100)
    await store.close()


async def full(path: str, limit: str) -> None:
    """Writes until its disk is full; opens it again as it is, reads, gets room and writes again. Says what happened.

    `limit`: bytes that a file may have (RLIMIT_FSIZE), or 0: the disk is small, and room is made by removing a file.
    """
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    store = LmdbStore(path, SystemClock())
    await store.open()
    written: dict[str, int] = {}
    try:
        for n in range(100_000):
            written[f"p{n}"] = await store.commit(Write(Key("pods", "d", f"p{n}"), parts(str(n), 1500), 0))
    except StoreFull as error:
        print("full:", error)
    refused = 0
    for n in range(5):
        try:
            await store.commit(Write(Key("pods", "d", f"more{n}"), parts("x", 100_000), 0))
        except StoreFull:
            refused += 1
    print("refused:", refused)
    await store.close()
    store = LmdbStore(path, SystemClock())
    await store.open()
    records, _ = await store.range("pods")
    print("read:", len(records) == len(written) and all(written[r.key.name] == r.revision for r in records))
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        os.remove(os.path.join(os.path.dirname(path), "ballast"))
    revision = await store.commit(Write(Key("pods", "d", "healed"), parts("x", 100_000), 0))
    print("healed:", revision == max(written.values()) + 1)
    await store.close()


async def failing(path: str) -> None:
    """Writes one after the other until one fails, then once more; reads; opens it again and writes."""
    store = LmdbStore(path, SystemClock())
    await store.open()
    acknowledged, errors = 0, []
    for n in range(40):
        try:
            acknowledged = await store.commit(Write(Key("pods", "d", f"p{n}"), parts(str(n), 1500), 0))
        except StoreError as error:
            errors.append(str(error))
            if len(errors) == 2:
                break
    try:
        records, _ = await store.range("pods")
        print("read:", len(records) == acknowledged > 0)
    except StoreError as refused:
        print("read:", refused)
    for error in errors:
        print("error:", error)
    await store.close()
    await store.open()
    print("reopened:", await store.commit(Write(Key("pods", "d", "again"), parts("x", 10), 0)) == acknowledged + 1)
    await store.close()


if __name__ == "__main__":
    if sys.argv[1] == "kills":
        kills(*sys.argv[2:])
        sys.exit()
    modes = {"killed": killed, "upgraded": upgraded, "traced": traced, "full": full, "failing": failing}
    asyncio.run(modes[sys.argv[1]](*sys.argv[2:]))
