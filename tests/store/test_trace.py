"""Under a tracer of system calls: no answer leaves before its commit is on disk, and what a failing disk does."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.store import child

CALLS = "openat,pwrite64,pwritev,writev,write,sendto,fdatasync,fsync,msync"
WRITES = ("pwrite64", "pwritev", "writev", "write")
SYNCS = ("fdatasync", "fsync", "msync")


@pytest.fixture(scope="module")
def strace() -> str:
    if shutil.which("strace") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-q", "strace"], capture_output=True, timeout=90, check=False)
    if (found := shutil.which("strace")) is None:
        pytest.skip("strace is not here and cannot be installed")
    tried = subprocess.run([found, "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr}")
    return found


def trace(strace: str, folder: Path, sync: str) -> list[str]:
    out = folder / "trace"
    tracer = [strace, "-f", "-y", "-s", "64", "-e", f"trace={CALLS}", "-o", str(out)]
    traced = [sys.executable, child.__file__, "traced", str(folder / "store"), sync]
    subprocess.run([*tracer, *traced], check=True, timeout=60)
    return out.read_text(errors="replace").splitlines()


class Disk:
    """What a trace says is on disk."""

    def __init__(self) -> None:
        self.answers = 0
        self.early: list[str] = []
        self._dirty = False
        """Something has been written and not synced."""
        self._syncs = 0
        """Since the last request: syncs that had something to sync, or writes that sync by themselves."""
        self._synced_files: set[str] = set()
        self._begun: dict[str, str] = {}

    def read(self, line: str) -> None:
        process, _, call = line.partition(" ")
        call = call.strip()
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
            self._ended(self._begun.pop(process, "") + resumed[1])
        elif call.endswith("<unfinished ...>"):
            self._begun[process] = call.removesuffix("<unfinished ...>")
            self._starts(call)
        else:
            self._starts(call)
            self._ended(call)

    def _starts(self, call: str) -> None:
        name = call.partition("(")[0]
        if "answer " in call:
            self.answers += 1
            if self._dirty or not self._syncs:
                self.early.append(call)
        elif "request " in call:
            self._syncs = 0
        elif name in WRITES and "data.mdb>" in call and self._file(call) not in self._synced_files:
            self._dirty = True

    def _ended(self, call: str) -> None:
        name = call.partition("(")[0]
        if name == "openat" and "O_DSYNC" in call and (opened := re.search(r"= (\d+)<.*data\.mdb>", call)):
            self._synced_files.add(opened[1])
        elif "data.mdb>" not in call or "= -1" in call:
            return
        elif name in SYNCS and self._dirty:
            self._dirty = False
            self._syncs += 1
        elif name in WRITES and self._file(call) in self._synced_files and not self._dirty:
            self._syncs += 1

    @staticmethod
    def _file(call: str) -> str:
        found = re.search(r"\((\d+)<", call)
        return found[1] if found else ""


def read(lines: list[str]) -> Disk:
    disk = Disk()
    for line in lines:
        disk.read(line)
    return disk


def test_no_answer_leaves_before_its_commit_is_on_disk(strace: str, tmp_path: Path) -> None:
    disk = read(trace(strace, tmp_path, "sync"))
    assert disk.answers == 7
    assert disk.early == []


def test_the_trace_would_show_a_store_that_does_not_sync(strace: str, tmp_path: Path) -> None:
    disk = read(trace(strace, tmp_path, "nosync"))
    assert disk.answers == 7
    assert len(disk.early) == 7


def test_the_trace_would_show_an_answer_in_between(strace: str, tmp_path: Path) -> None:
    lines = trace(strace, tmp_path, "sync")
    sync = next(n for n, line in enumerate(lines) if "fdatasync" in line and any("request" in x for x in lines[:n]))
    answer = next(n for n, line in enumerate(lines) if "answer " in line)
    lines.insert(sync, lines.pop(answer))
    assert read(lines).early


@pytest.mark.parametrize(
    "fault", ["fdatasync:error=EIO:when=5", "pwrite64:error=EIO:when=9", "writev:error=EIO:when=3"]
)
def test_after_a_commit_that_failed_nothing_is_promised(strace: str, tmp_path: Path, fault: str) -> None:
    """An error of the disk, put in by the tracer: the kernel may have dropped what it could not write."""
    tracer = [strace, "-f", "-o", os.devnull, "-e", f"inject={fault}"]
    traced = [sys.executable, child.__file__, "failing", str(tmp_path / "store")]
    done = subprocess.run([*tracer, *traced], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    read, *errors, reopened = done.stdout.splitlines()
    # LMDB itself gives up, readers included, where it was the meta page.
    assert read == "read: True" or "cannot be read until it is opened again" in read
    assert reopened == "reopened: True", done.stdout
    assert len(errors) == 2, "both the write that failed and the one after"
    assert all("takes no more writes until it is opened again" in error for error in errors)
