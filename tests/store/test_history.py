"""Many clients at once over the API, the server killed in between: everything they were told must fit together."""

import asyncio
import contextlib
import json
import random
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orlop.clock import SystemClock
from orlop.store.findings import Finding
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from tests.store import history_client
from tests.store.checked import Truth, check_linearizable, check_revisions, check_watch
from tests.store.support import opened
from tests.support.campaign import campaign, times

CLIENTS, WATCHERS, KEYS = 8, 3, 4
OPERATIONS, HISTORIES = 1000, times(1, 5)
"""Of a history with kills, and how many there are. A campaign has more of them instead of longer ones: every list is
held against every object there was, so what a history costs to check grows with the square of its length."""
START_SECONDS = 120.0
"""An API server is ready in one, on a machine with nothing else to do."""
LIFE, LIFE_SECONDS = (10, 300), 240.0
"""Operations after which the server is killed, and the time they may take: a second or two where nothing else runs."""
ROUND = 1.5
"""Seconds after which other objects are taken."""
TOKEN = "history-token"
ANSWERS = ("ok", "absent", "exists", "conflict")
"""To writes, beside none."""


class Server:
    """`orlop apiserver`, which can be killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        (folder / "tokens").write_text(f'{TOKEN},admin,1,"system:masters"\n')
        self.ca = folder / "data" / "pki" / "ca.crt"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "orlop.cli.main", "apiserver", f"--data-dir={self.folder / 'data'}"]
        command += [f"--secure-port={self.port}", f"--token-auth-file={self.folder / 'tokens'}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    async def ready(self) -> None:
        async with asyncio.timeout(START_SECONDS):
            while True:
                with contextlib.suppress(OSError):
                    context = ssl.create_default_context(cafile=str(self.ca))
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
                    writer.write(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
                    answer = await reader.read()
                    writer.close()
                    if b" 200 " in answer.split(b"\r\n")[0]:
                        return
                assert self.process is not None
                assert self.process.poll() is None, (self.folder / "log").read_text()
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    one = Server(tmp_path)
    one.start()
    try:
        await one.ready()
        yield one
    finally:
        one.kill()


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def record(server: Server, count: int, kills: bool, chance: random.Random) -> tuple[list[Any], list[Any], int]:
    """Lets clients do so many operations: what workers wrote down, what each watcher did, how often it was killed."""
    began = time.monotonic()
    clients = []
    for number in range(CLIENTS + WATCHERS):
        mode = "work" if number < CLIENTS else "watch"
        command = [sys.executable, history_client.__file__, mode, str(server.folder / f"client-{number}")]
        setting = history_client.Setting(
            server.port, str(server.ca), TOKEN, number, chance.randrange(1 << 30), KEYS, ROUND, began
        )
        process = _spawn(command)
        assert process.stdin is not None
        process.stdin.write(json.dumps(setting._asdict()).encode() + b"\n")
        process.stdin.flush()
        clients.append(process)
    killed = 0
    while not enough(server.folder, count) or (kills and killed < 2):
        # By what was done and not by the clock: where much else runs, each life of the server sees some of it.
        goal = done(server.folder) + chance.randint(*LIFE)
        async with asyncio.timeout(LIFE_SECONDS):
            while done(server.folder) < goal:  # noqa: ASYNC110 other processes
                await asyncio.sleep(chance.uniform(0.01, 0.05))
        if kills:
            server.kill()
            killed += 1
            server.start()
            await server.ready()
    for process in clients:
        assert process.stdin is not None
        process.stdin.close()
    for process in clients:
        assert await asyncio.to_thread(process.wait, 30) == 0
    worked = [line for n in range(CLIENTS) for line in lines(server.folder / f"client-{n}")]
    watched = [lines(server.folder / f"client-{n}") for n in range(CLIENTS, CLIENTS + WATCHERS)]
    return worked, watched, killed


def written(folder: Path) -> str:
    """What the workers have written down so far."""
    return "".join((folder / f"client-{n}").read_text() for n in range(CLIENTS) if (folder / f"client-{n}").exists())


def done(folder: Path) -> int:
    """How many operations they have done."""
    return written(folder).count("\n")


def enough(folder: Path, count: int) -> bool:
    """Whether they have done so many, and had every kind of answer."""
    text = written(folder)
    return text.count("\n") >= count and all(f'"answer": "{answer}"' in text for answer in ANSWERS)


def _spawn(command: list[str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdin=subprocess.PIPE)


async def truth_of(server: Server) -> list[Truth]:
    """The log of the store that the server left behind; and it is sound."""
    server.kill()
    path = str(server.folder / "data" / "store")
    found: list[Truth] = []
    async with opened(LmdbStore(path, SystemClock())) as store:
        changes = store.changes(0)
        reached = 0
        while reached < store.revision:
            batch = await anext(changes)
            reached = batch.revision
            for change in batch.changes:
                if change.key.resource == "configmaps" and b'"checked":"yes"' in change.value:
                    text = json.loads(change.value)["data"]["text"]
                    found.append(Truth(change.revision, change.key.name, change.type, text))
        await changes.aclose()  # type: ignore[attr-defined]
    assert not [finding for finding in check(path) if isinstance(finding, Finding)]
    return found


async def run(server: Server, least: int, kills: bool) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    worked, watched, killed = await record(server, least, kills, random.Random(seed))
    truth = await truth_of(server)
    answers = {line["answer"] for line in worked if line["kind"] not in ("get", "list")}
    assert answers <= {*ANSWERS, "unknown"}, answers
    began = time.monotonic()
    count = check_linearizable(worked)
    check_revisions(worked, truth)
    events = sum(check_watch(one, truth) for one in watched)
    assert events > len(truth) // 10, "most changes are watched by somebody, but for those that a kill hides"
    unknown = sum(line.get("answer") == "unknown" for line in worked)
    print(
        f"{len(worked)} operations of {CLIENTS} clients ({count} on single objects, {unknown} of unknown outcome), "
        f"{len(truth)} writes, {events} events to {WATCHERS} watchers, {killed} kills: linearizable "
        f"(checked in {time.monotonic() - began:.1f} s)"
    )


@campaign(600)
@pytest.mark.parametrize("part", range(HISTORIES))
async def test_a_history_with_kills_is_linearizable(server: Server, part: int) -> None:
    await run(server, OPERATIONS, kills=True)


@pytest.mark.timeout(240)
async def test_a_history_without_kills_is_linearizable(server: Server) -> None:
    await run(server, 500, kills=False)
