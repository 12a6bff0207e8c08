"""Power cuts: what was written to the file is recorded, then played back with what was not synced lost or torn."""

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from orlop.clock import SystemClock
from orlop.store.findings import Finding
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from tests.store import child
from tests.store.acknowledged import check_acknowledged, read_acknowledged
from tests.store.support import opened, pod, write
from tests.store.test_trace import strace
from tests.support.campaign import campaign, times

CUTS = times(60, 300)
SECTOR = 512
"""Bytes a disk writes wholly or not at all."""

__all__ = ["strace"]  # the fixture

CALLS = "openat,lseek,pwrite64,pwritev,writev,write,fdatasync,fsync"
_QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_CALL = re.compile(r"(\w+)\((\w+)")


class Written(NamedTuple):
    offset: int
    data: bytes
    synced: bool
    """By itself, when the call ends (O_DSYNC)."""


class Sync(NamedTuple):
    everything: bool
    """Or only what is synced by itself."""


class Said(NamedTuple):
    text: str


class Recorder:
    """Reads a trace: what happened to the file, in order; a write where it begins, a sync where it ends."""

    def __init__(self) -> None:
        self.events: list[Written | Sync | Said] = []
        self._files: dict[str, bool] = {}
        """Descriptors of the data file: whether their writes are synced by themselves."""
        self._at: dict[str, int] = {}
        self._begun: dict[str, str] = {}

    def read(self, line: str) -> None:
        process, _, call = line.partition(" ")
        call = call.strip()
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call, re.DOTALL):
            self._ends(self._begun.pop(process, "") + resumed[1])
        elif call.endswith("<unfinished ...>"):
            self._begun[process] = call.removesuffix("<unfinished ...>")
            self._begins(call)
        else:
            self._begins(call)
            self._ends(call)

    def _begins(self, call: str) -> None:
        if not (found := _CALL.match(call)):
            return
        name, file = found.groups()
        if name == "write" and file == "1":
            self.events.append(Said(_data(call).decode()))
        elif name in ("pwrite64", "pwritev", "writev", "write") and file in self._files:
            numbers = re.findall(r", (\d+)", call.rpartition('"')[2])
            offset = int(numbers[-1]) if name.startswith("pwrite") else self._at[file]
            self.events.append(Written(offset, _data(call), self._files[file]))

    def _ends(self, call: str) -> None:
        if not (found := _CALL.match(call)):
            return
        name, file = found.groups()
        result = call.rpartition(" = ")[2]
        if name == "openat" and b"data.mdb" in _data(call) and result.isdecimal():
            self._files[result] = "O_DSYNC" in call
        elif name == "lseek" and file in self._files:
            self._at[file] = int(result)
        elif name in ("fdatasync", "fsync") and file in self._files:
            self.events.append(Sync(everything=True))
        elif name.startswith("pwrite") and self._files.get(file):
            self.events.append(Sync(everything=False))


def _data(call: str) -> bytes:
    return b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _QUOTED.findall(call))


def record(strace: str, folder: Path) -> list[Written | Sync | Said]:
    out = folder / "trace"
    tracer = [strace, "-f", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(out)]
    traced = [sys.executable, child.__file__, "killed", str(folder / "store"), "0", "20"]
    subprocess.run([*tracer, *traced], check=True, stdout=subprocess.DEVNULL, timeout=60)
    recorder = Recorder()
    for line in out.read_text().splitlines():
        recorder.read(line)
    return recorder.events


def cut(events: list[Written | Sync | Said], chance: random.Random, share: float) -> tuple[bytes, list[str]]:
    """A file as a power cut after these events leaves it, and what had been said.

    `share`: of the sectors not synced, how many reached the disk nevertheless.
    """
    image = bytearray()
    waiting: list[Written] = []
    said = []
    for event in events:
        if isinstance(event, Written):
            waiting.append(event)
        elif isinstance(event, Sync):
            for one in waiting:
                if event.everything or one.synced:
                    _write(image, one.offset, one.data)
            waiting = [one for one in waiting if not (event.everything or one.synced)]
        else:
            said += event.text.splitlines()
    # The rest may have reached the disk in any order, wholly, in part by sectors, or not at all.
    sectors = [
        (one.offset + start, one.data[start : start + SECTOR])
        for one in waiting
        for start in range(0, len(one.data), SECTOR)
    ]
    chance.shuffle(sectors)
    for offset, data in sectors[: round(len(sectors) * share)]:
        _write(image, offset, data)
    return bytes(image), said


def _write(image: bytearray, offset: int, data: bytes) -> None:
    if len(image) < offset + len(data):
        image.extend(bytes(offset + len(data) - len(image)))
    image[offset : offset + len(data)] = data


@campaign(480)
async def test_a_power_cut_loses_no_acknowledged_write(strace: str, tmp_path: Path) -> None:
    events = record(strace, tmp_path)
    first = next(n for n, event in enumerate(events) if isinstance(event, Said))
    assert sum(isinstance(event, Sync) for event in events) > 20
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    acknowledged = 0
    for number in range(CUTS):
        happened = events[: chance.randint(first + 1, len(events))]
        image, said = cut(happened, chance, chance.choice([0, 0.3, 0.7, 1]))
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        (folder / "data.mdb").write_bytes(image)
        told, compacted = read_acknowledged(said)
        acknowledged += len(told)
        damage = [found for found in check(str(folder)) if isinstance(found, Finding)]
        assert not damage, f"seed {seed}, cut {number}"
        async with opened(LmdbStore(str(folder), SystemClock())) as store:
            assert isinstance(store, LmdbStore)
            assert store.revision >= max(told, default=0), f"seed {seed}, cut {number}"
            assert store.compacted >= compacted, f"seed {seed}, cut {number}"
            await check_acknowledged(store, told)
            assert await store.commit(write(pod("after"))) > max(told, default=0)
        shutil.rmtree(folder)
    print(f"{CUTS} power cuts, {acknowledged} acknowledged writes, 0 lost")


async def test_a_store_that_does_not_sync_would_lose_some(strace: str, tmp_path: Path) -> None:
    """The same recording with the syncs taken out: what was acknowledged is gone, so the test above can fail."""
    events = [event for event in record(strace, tmp_path) if not isinstance(event, Sync)]
    image, said = cut(events, random.Random(), 0)
    assert read_acknowledged(said)[0]
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "data.mdb").write_bytes(image)
    async with opened(LmdbStore(str(tmp_path / "cut"), SystemClock())) as store:
        assert store.revision < max(read_acknowledged(said)[0])
