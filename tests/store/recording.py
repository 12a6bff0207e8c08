"""What a process does to the file of a store, recorded, and the files that power cuts would have left of it."""

import random
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.store import child

SECTOR = 512
"""Bytes a disk writes wholly or not at all."""

CALLS = "openat,rename,lseek,pwrite64,pwritev,writev,write,fdatasync,fsync"
_QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_CALL = re.compile(r"(\w+)\((\w*)")


class Written(NamedTuple):
    offset: int
    data: bytes
    synced: bool
    """By itself, when the call ends (O_DSYNC)."""


class Sync(NamedTuple):
    everything: bool
    """Or only what is synced by itself."""


class Placed(NamedTuple):
    """The file got its name, when all before was on disk."""


class Said(NamedTuple):
    text: str


Event = Written | Sync | Placed | Said


class Recorder:
    """Reads a trace: what happened to the file, in order; a write where it begins, a sync where it ends."""

    def __init__(self) -> None:
        self.events: list[Event] = []
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
        elif name == "rename" and result == "0" and _data(call).endswith(b"data.mdb"):
            self.events.append(Placed())
        elif name in ("fdatasync", "fsync") and file in self._files:
            self.events.append(Sync(everything=True))
        elif name.startswith("pwrite") and self._files.get(file):
            self.events.append(Sync(everything=False))


def _data(call: str) -> bytes:
    return b"".join(bytes.fromhex(text.replace("\\x", "")) for text in _QUOTED.findall(call))


def record(strace: str, folder: Path, *mode: str) -> list[Event]:
    """What a mode of `child` does to the store in the folder, and what it says."""
    out = folder / "trace"
    tracer = [strace, "-f", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-o", str(out)]
    traced = [sys.executable, child.__file__, mode[0], str(folder / "store"), *mode[1:]]
    subprocess.run([*tracer, *traced], check=True, stdout=subprocess.DEVNULL, timeout=120)
    recorder = Recorder()
    for line in out.read_text().splitlines():
        recorder.read(line)
    return recorder.events


def cut(events: list[Event], chance: random.Random, share: float, before: bytes = b"") -> tuple[bytes, list[str]]:
    """A file as a power cut after these events leaves it, and what had been said.

    `share`: of the sectors not synced, how many reached the disk nevertheless. `before`: the file at the beginning.
    """
    image = bytearray(before)
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
        elif isinstance(event, Said):
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
