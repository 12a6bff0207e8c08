"""Power cuts: what was written to the file is recorded, then played back with what was not synced lost or torn."""

import random
import shutil
from pathlib import Path

from orlop.clock import FakeClock, SystemClock
from orlop.store.findings import Finding
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from tests.store.acknowledged import check_acknowledged, read_acknowledged
from tests.store.format1 import some_changes, write_format1
from tests.store.recording import Placed, Said, Sync, Written, cut, record
from tests.store.support import opened, pod, write
from tests.store.test_trace import strace
from tests.support.campaign import campaign, times

CUTS = times(60, 300)
SHARES = (0.0, 0.3, 0.7, 0.95, 1.0)
"""Of what was not synced: nothing reached the disk, some, nearly all, all."""

__all__ = ["strace"]  # the fixture


@campaign(480)
async def test_a_power_cut_loses_no_acknowledged_write(strace: str, tmp_path: Path) -> None:
    events = record(strace, tmp_path, "killed", "0", "20")
    first = next(n for n, event in enumerate(events) if isinstance(event, Said))
    assert sum(isinstance(event, Sync) for event in events) > 20
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    acknowledged = 0
    for number in range(CUTS):
        happened = events[: chance.randint(first + 1, len(events))]
        image, said = cut(happened, chance, chance.choice(SHARES))
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
    events = [event for event in record(strace, tmp_path, "killed", "0", "20") if not isinstance(event, Sync)]
    image, said = cut(events, random.Random(), 0)
    assert read_acknowledged(said)[0]
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "data.mdb").write_bytes(image)
    async with opened(LmdbStore(str(tmp_path / "cut"), SystemClock())) as store:
        assert store.revision < max(read_acknowledged(said)[0])


@campaign(120)
async def test_a_power_cut_while_it_is_made_leaves_a_store_or_none(strace: str, tmp_path: Path) -> None:
    """Before anything was acknowledged: the next start must not need help."""
    events = record(strace, tmp_path, "killed", "0", "1")
    first = next(n for n, event in enumerate(events) if isinstance(event, Said))
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    states = set()
    for number in range(times(40, 200)):
        happened = events[: chance.randint(1, first)]
        image, said = cut(happened, chance, chance.choice(SHARES))
        assert not said
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        if any(isinstance(event, Placed) for event in happened):  # before it there is no file of that name
            (folder / "data.mdb").write_bytes(image)
            states.add(image)
        async with opened(LmdbStore(str(folder), SystemClock())) as store:
            assert store.revision <= 16, f"seed {seed}, cut {number}"  # what was under way may be there
            assert await store.commit(write(pod("after"))) == store.revision
        assert not [found for found in check(str(folder)) if isinstance(found, Finding)], f"seed {seed}, cut {number}"
        shutil.rmtree(folder)
    assert states
    print(f"{times(40, 200)} power cuts while it was made, {len(states)} states of its file, all of them opened")


@campaign(240)
async def test_a_power_cut_during_an_upgrade_loses_nothing(strace: str, tmp_path: Path) -> None:
    """The store is of the old format or of the new one, and the same in both."""
    changes = some_changes(300)
    (tmp_path / "store").mkdir()
    write_format1(tmp_path / "store", "the-uid", changes, {b"main": 20, b"leases": 60})
    before = (tmp_path / "store" / "data.mdb").read_bytes()
    events = record(strace, tmp_path, "upgraded")
    assert any(isinstance(event, Sync) for event in events)
    assert (tmp_path / "store" / "data.mdb").read_bytes() != before
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    newest = {change.key: change for change in changes}
    there = sorted((c.key, c.revision, c.value) for c in newest.values() if c.type != "DELETED")
    written = [n for n, event in enumerate(events) if isinstance(event, Written)]
    for number in range(times(20, 100)):
        happened = events[: chance.randint(written[0] + 1, len(events))]
        image, _ = cut(happened, chance, chance.choice(SHARES), before)
        folder = tmp_path / f"cut-{number}"
        folder.mkdir()
        (folder / "data.mdb").write_bytes(image)
        async with opened(LmdbStore(str(folder), FakeClock())) as store:
            assert (store.uid, store.revision, store.compacted) == ("the-uid", 300, 60), f"seed {seed}, cut {number}"
            found = [(r.key, r.revision, r.value) for r in (await store.range(None))[0]]
            assert sorted(found) == there, f"seed {seed}, cut {number}"
            assert (await anext(store.changes(60))).changes == changes[60:]
        assert not [found for found in check(str(folder)) if isinstance(found, Finding)], f"seed {seed}, cut {number}"
        shutil.rmtree(folder)
    print(f"{times(20, 100)} power cuts during an upgrade, nothing lost")
