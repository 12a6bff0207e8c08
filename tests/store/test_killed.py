"""kill -9 in the middle of writes: nothing acknowledged is lost, revisions go on."""

import asyncio
import os
import random
import sys
from pathlib import Path

import pytest

from orlop.clock import SystemClock
from orlop.store.lmdb import LmdbStore
from tests.store import child
from tests.store.acknowledged import Told, check_acknowledged, read_acknowledged
from tests.store.support import opened, pod, until, write

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))
KILLS = 15 * CAMPAIGN


@pytest.mark.campaign
@pytest.mark.timeout(120 * CAMPAIGN)
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
        fresh, target = read_acknowledged(lines)
        compacted = max(compacted, target)
        assert min(fresh) > newest, f"seed {seed}: a revision was given out twice"
        told |= fresh
        async with opened(LmdbStore(str(tmp_path), SystemClock())) as store:
            assert isinstance(store, LmdbStore)
            assert store.revision >= max(told), f"seed {seed}"
            assert store.compacted >= compacted, f"seed {seed}"
            await check_acknowledged(store, told)
            newest = store.revision
    print(f"{KILLS} kills, {len(told)} acknowledged writes, none lost")
    assert len(told) > KILLS


@pytest.mark.campaign
@pytest.mark.timeout(120 * CAMPAIGN)
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
