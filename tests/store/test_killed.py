"""kill -9 in the middle of writes: nothing acknowledged is lost, revisions go on."""

import asyncio
import os
import random
import sys
from pathlib import Path

from orlop.clock import SystemClock
from orlop.store.base import Compacted, Key
from orlop.store.histories import history_of
from orlop.store.lmdb import LmdbStore
from tests.store import child
from tests.store.support import opened, pod, until, write

KILLS = int(os.environ.get("ORLOP_TEST_KILLS", "15"))

Told = dict[int, tuple[Key, bytes | None]]
"""What was acknowledged: by revision the key and the value, None for a deletion."""


async def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    told: Told = {}
    compacted = newest = 0
    for kill in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            sys.executable, child.__file__, "killed", str(tmp_path), str(kill), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        first = await asyncio.wait_for(process.stdout.readline(), 30)
        ended = asyncio.ensure_future(process.stdout.read())
        await asyncio.sleep(chance.uniform(0, 0.25))
        process.kill()
        lines = (first + await ended).decode().split("\n")[:-1]
        await process.wait()
        compacted = max([compacted, *(int(line.split()[1]) for line in lines if line.startswith("compacted"))])
        fresh = _told([line for line in lines if not line.startswith("compacted")])
        assert min(fresh) > newest, f"seed {seed}: a revision was given out twice"
        told |= fresh
        async with opened(LmdbStore(str(tmp_path), SystemClock())) as store:
            assert isinstance(store, LmdbStore)
            assert store.revision >= max(told), f"seed {seed}"
            assert store.compacted >= compacted, f"seed {seed}"
            await _check(store, told)
            newest = store.revision
    print(f"{KILLS} kills, {len(told)} acknowledged writes, none lost")
    assert len(told) > KILLS


async def test_killed_while_it_is_made(tmp_path: Path) -> None:
    chance = random.Random()
    made = 0
    for kill in range(max(4, KILLS // 3)):
        path = tmp_path / str(kill)
        process = await asyncio.create_subprocess_exec(
            sys.executable, child.__file__, "killed", str(path), "0", stdout=asyncio.subprocess.DEVNULL
        )
        await until((path / "orlop.lock").exists)
        await asyncio.sleep(chance.uniform(0, 0.004))
        process.kill()
        await process.wait()
        made += (path / "data.mdb").exists()
        async with opened(LmdbStore(str(path), SystemClock())) as store:
            assert store.uid
            assert await store.commit(write(pod("a"))) == store.revision
    print(f"{made} of them had begun their file")


def _told(lines: list[str]) -> Told:
    told: Told = {}
    for line in lines:
        revision, resource, name, *value = line.split()
        parts = child.parts(value[0], int(value[1])) if value else None
        told[int(revision)] = Key(resource, "default", name), parts.at(int(revision)) if parts else None
    return told


async def _check(store: LmdbStore, told: Told) -> None:
    """Every acknowledged write is there: as the past where it is kept, and as what is there now unless overwritten."""
    newest: dict[Key, int] = {}
    for revision, (key, _) in sorted(told.items()):
        newest[key] = revision
    for revision, (key, value) in told.items():
        if revision >= store.compacted_of(key.resource):
            record = await store.get(key, revision=revision)
            assert (record.value if record else None) == value
        else:
            try:
                await store.get(key, revision=revision)
                raise AssertionError(f"revision {revision} is compacted")
            except Compacted:
                pass
    for key, revision in newest.items():
        record = await store.get(key)
        # A write that was stored but not told any more may have come after.
        if record is None or record.revision != revision:
            assert (record.revision if record else store.revision) > revision or told[revision][1] is None
        else:
            assert record.value == told[revision][1]
    since = max(store.compacted_of("pods"), store.compacted_of("coordination.k8s.io/leases"))
    seen = since
    changes = store.changes(since)
    while seen < store.revision:
        for change in await anext(changes):
            assert change.revision == seen + 1, "a gap in the log"
            seen = change.revision
    await changes.aclose()  # type: ignore[attr-defined]
    records, _ = await store.range(None)
    counts = (await store.stats()).objects
    assert len(records) == sum(counts.values())
    assert {history_of(resource) for resource in counts} <= {"main", "leases"}
