"""kill -9 in the middle of writes: nothing acknowledged is lost, revisions go on."""

import asyncio
import random
import shutil
import sys
from pathlib import Path

from orlop.clock import SystemClock
from orlop.store.findings import Finding
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from tests.store import child
from tests.store.acknowledged import Told, check_acknowledged, read_acknowledged
from tests.store.support import opened, pod, until, write
from tests.support.campaign import campaign, times

KILLS = times(40, 250)
LONGEST = {"start": 0.06, "first": 0.15}
"""Seconds that a process lives at most, since it was forked or since it first acknowledged a write."""


@campaign(480)
async def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    """Creates, updates, deletions, compaction, backups and a growing file, cut off at any point."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    path, backups = tmp_path / "store", tmp_path / "backups"
    backups.mkdir()
    zygote = await asyncio.create_subprocess_exec(
        *(sys.executable, child.__file__, "kills", str(path), str(backups)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert zygote.stdin is not None
    assert zygote.stdout is not None
    told: Told = {}
    compacted = newest = total = whole = 0
    for kill in range(KILLS):
        out = tmp_path / f"out-{kill}"
        since = chance.choice(["start", "first", "first", "first"])
        zygote.stdin.write(f"{kill} {since} {chance.uniform(0, LONGEST[since])} {out}\n".encode())
        assert await asyncio.wait_for(zygote.stdout.readline(), 30) == b"dead\n"
        lines = out.read_text().split("\n")[:-1] if out.exists() else []
        out.unlink(missing_ok=True)
        fresh, target = read_acknowledged(lines)
        compacted = max(compacted, target)
        assert min(fresh, default=newest + 1) > newest, f"seed {seed}: a revision was given out twice"
        told |= fresh
        total += len(fresh)
        async with opened(LmdbStore(str(path), SystemClock())) as store:
            assert isinstance(store, LmdbStore)
            assert store.revision >= max(told, default=0), f"seed {seed}"
            assert store.compacted >= compacted, f"seed {seed}"
            await check_acknowledged(store, told)
            newest = store.revision
            told = still_told(told, store.compacted)
        assert not damage(path), f"seed {seed}"
        for backup in backups.iterdir():
            if ".incomplete-" not in backup.name:  # it is said to be whole
                assert not damage(backup), f"seed {seed}"
                whole += 1
            shutil.rmtree(backup)
    zygote.stdin.close()
    await zygote.wait()
    print(f"{KILLS} kills, {total} acknowledged writes, 0 lost; {whole} whole backups, all sound")
    assert total > KILLS
    assert whole


def damage(path: Path) -> list[Finding]:
    return [found for found in check(str(path)) if isinstance(found, Finding)]


def still_told(told: Told, compacted: int) -> Told:
    """What can still be asked: what has not been compacted, and the newest of each object."""
    newest = {key: revision for revision, (key, _) in sorted(told.items())}
    return {r: what for r, what in told.items() if r >= compacted or newest[what[0]] == r}


@campaign(60)
async def test_killed_while_it_is_made(tmp_path: Path) -> None:
    chance = random.Random()
    made = 0
    for kill in range(times(6, 10)):
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
