"""Under a tracer of system calls: what a tool says is done is on disk, and a new folder is in place only when it is
whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orlop.clock import FakeClock
from orlop.store.lmdb import LmdbStore
from tests.store.support import opened, pod, write
from tests.store.test_trace import strace

__all__ = ["strace"]  # the fixture

CALLS = "openat,write,pwrite64,pwritev,writev,sendfile,copy_file_range,fsync,fdatasync,rename,renameat,renameat2"
_CALL = re.compile(r"^\d+ +(\w+)\((.*)$")
_FILE = re.compile(r"^(\d+)<([^>]*)>")
_TEXT = re.compile(r'"([^"]*)"')


class Disk:
    """What a trace says is not on disk yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._dirty: set[str] = set()
        """Files with bytes that were not synced, folders with a name that was not."""
        self._synced: set[tuple[str, str]] = set()
        """Descriptors whose writes sync by themselves."""
        self.moved: list[str] = []
        self.early: list[str] = []
        """What was moved into its place, or said on stdout, before what it rests on was on disk."""

    def read(self, line: str) -> None:
        if not (call := _CALL.match(line)) or "= -1" in line:
            return
        name, rest = call.groups()
        if name == "openat":
            if "O_DSYNC" in rest and (file := _FILE.match(rest.rpartition(" = ")[2])):
                self._synced.add((file[1], file[2]))
        elif name.startswith("rename"):
            source, target = _TEXT.findall(rest)[:2]
            self.early += [f"{one} before {target}" for one in self._dirty if one.startswith(source)]
            self.moved.append(target)
            self._dirty.add(str(Path(target).parent))
        elif file := _FILE.match(rest):
            if name in ("fsync", "fdatasync"):
                self._dirty.discard(file[2])
            elif file[1] == "1":
                self.early += [f"{one} before the end was said" for one in self._dirty]
            elif self._counts(file[1], file[2]):
                self._dirty.add(file[2])

    def _counts(self, descriptor: str, path: str) -> bool:
        """A write to it must be synced. Locks hold nothing."""
        ours = path.startswith(self._folder) and not path.endswith((".lock", "lock.mdb"))
        return ours and (descriptor, path) not in self._synced


def trace(strace: str, folder: Path, *words: str) -> Disk:
    out = folder.parent / "trace"
    tracer = [strace, "-f", "-y", "-s", "8", "-e", f"trace={CALLS}", "-o", str(out)]
    command = [sys.executable, "-m", "orlop.cli.main", "store", *words]
    subprocess.run([*tracer, *command], check=True, timeout=110, stdout=subprocess.DEVNULL)
    disk = Disk(folder)
    for line in out.read_text(errors="replace").splitlines():
        disk.read(line)
    return disk


@pytest.mark.parametrize("tool", ["backup", "restore", "compact"])
async def test_what_is_said_is_on_disk(strace: str, tmp_path: Path, tool: str) -> None:
    folder = tmp_path / "here"
    cluster = folder / "cluster"
    async with opened(LmdbStore(str(cluster / "store"), FakeClock())) as store:
        for n in range(30):
            await store.commit(write(pod(str(n % 5)), "x" * 3000))
    (cluster / "pki").mkdir()
    (cluster / "pki" / "ca.key").write_text("key")
    new = folder / "new"
    where = ("--data-dir", str(new if tool == "restore" else cluster))
    more = {"backup": [str(new)], "restore": [str(cluster)], "compact": []}[tool]
    disk = trace(strace, folder, tool, *where, *more)
    assert (str(new) if tool != "compact" else str(cluster / "store" / "data.mdb")) in disk.moved
    assert disk.early == []


def test_the_trace_would_show_what_is_not() -> None:
    disk = Disk(Path("/b"))
    for line in (
        '1 write(3</b/half/data.mdb>, "x"..., 8) = 8',
        '1 rename("/b/half", "/b/new") = 0',
        "1 fsync(3</b/half/data.mdb>) = 0",
        '1 write(1<pipe:[7]>, "done\\n", 5) = 5',
    ):
        disk.read(line)
    assert disk.early == ["/b/half/data.mdb before /b/new", "/b before the end was said"]
