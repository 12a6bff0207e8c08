"""The store in LMDB: writes joined in a commit, reads, compaction, the check. What the disk costs is not in a count."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orlop.clock import SystemClock
from orlop.store import lmdb_files
from orlop.store.base import Attribution, Key, Parts, Write
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check

OBJECT = Parts(b'{"kind":"Pod","metadata":{"resourceVersion":"', b'"},"spec":"' + b"x" * 2650 + b'"}')
BY = Attribution("system:node:n1", "kubelet", "0b7d1f4e-6f0c-4e0e-9d5a-3f1c2a9b8e77")
OBJECTS = 300
MAP = 1 << 30
"""Bytes: under valgrind there are not addresses for the usual map."""


class Stored:
    """A store and the loop that it runs on."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.folder = folder
        self.store = LmdbStore(str(folder), SystemClock(), map_size=MAP, sync=False)
        self.runner.run(self.store.open())

    def write(self, start: int = 0) -> None:
        """As many objects at once, which the writer joins as it gets them."""

        async def work() -> None:
            keys = (Key("pods", "default", f"p-{start + n}") for n in range(OBJECTS))
            await asyncio.gather(*(self.store.commit(Write(key, OBJECT, by=BY)) for key in keys))

        self.runner.run(work())

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stored]:
    monkeypatch.setattr(lmdb_files, "MAP_SIZE", MAP)
    one = Stored(tmp_path / "store")
    one.write()
    try:
        yield one
    finally:
        one.close()


def test_create(benchmark: Any, stored: Stored) -> None:
    """An object created in the store, 300 in flight."""
    benchmark.extra_info["units"] = OBJECTS
    starts = iter(range(OBJECTS, 1 << 30, OBJECTS))
    benchmark.pedantic(lambda start: stored.write(start), setup=lambda: ([next(starts)], {}), rounds=5)


def test_update(benchmark: Any, stored: Stored) -> None:
    """An object changed in the store, 300 in flight."""
    benchmark.extra_info["units"] = OBJECTS
    benchmark.pedantic(stored.write, rounds=5)


def test_get(benchmark: Any, stored: Stored) -> None:
    """An object read from the store."""

    async def work() -> None:
        for n in range(OBJECTS):
            found = await stored.store.get(Key("pods", "default", f"p-{n}"))
            assert found is not None

    benchmark.extra_info["units"] = OBJECTS
    benchmark.pedantic(lambda: stored.runner.run(work()), rounds=5)


def test_range(benchmark: Any, stored: Stored) -> None:
    """An object of a range read from the store."""

    async def work() -> int:
        return len((await stored.store.range("pods"))[0])

    benchmark.extra_info["units"] = OBJECTS
    assert benchmark.pedantic(lambda: stored.runner.run(work()), rounds=5) == OBJECTS


def test_compact(benchmark: Any, stored: Stored) -> None:
    """A change forgotten by compaction."""
    benchmark.extra_info["units"] = OBJECTS
    benchmark.pedantic(
        lambda: stored.runner.run(stored.store.compact(stored.store.revision)), setup=stored.write, rounds=5
    )
    assert (stored.runner.run(stored.store.stats())).records["pods"] == OBJECTS


def test_check(benchmark: Any, stored: Stored) -> None:
    """An object of a store checked as a whole."""
    stored.close()
    benchmark.extra_info["units"] = OBJECTS
    try:
        assert len(benchmark.pedantic(lambda: list(check(str(stored.folder))), rounds=3)) == 1
    finally:
        stored.__init__(stored.folder)  # type: ignore[misc]
