"""Backups while writes go on, and what is restored of them."""

import asyncio
import contextlib
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orlop.clock import FakeClock, SystemClock
from orlop.store.backup import BUMP, restore
from orlop.store.base import Compacted, Key, StoreError
from orlop.store.describe import describe
from orlop.store.findings import Counted, Finding
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_check import check
from orlop.store.shrink import shrink
from tests.store.support import delete, opened, pod, write
from tests.support.campaign import campaign, times

ORLOP = [sys.executable, "-m", "orlop.cli.main", "store"]


def right(writer: int) -> Key:
    return Key("configmaps", "default", f"right-{writer}")


def no_damage(finding: Finding) -> None:
    raise AssertionError(finding)


def sound(path: str) -> Counted:
    (found,) = check(path)
    assert isinstance(found, Counted)
    return found


async def orlop(*words: object, code: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *ORLOP, *map(str, words), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == code, err.decode()
    assert b"Traceback" not in err
    return (out or err).decode()


async def test_a_backup_is_of_one_moment_while_writes_go_on(tmp_path: Path) -> None:
    """Two objects are always written together, with the same text: no backup may have them differ."""
    store = LmdbStore(str(tmp_path / "cluster" / "store"), SystemClock())
    (tmp_path / "cluster" / "pki").mkdir(parents=True)
    (tmp_path / "cluster" / "pki" / "ca.crt").write_text("certificate")
    (tmp_path / "cluster" / "cluster.json").write_text("{}")
    async with opened(store):
        stopping = False
        written = 0

        async def load(writer: int) -> None:
            nonlocal written
            while not stopping:
                text = f"{written}" + "x" * 4000
                await store.commit_all([write(pod(f"left-{writer}"), text), write(right(writer), text)])
                written += 1

        async def compact() -> None:
            while not stopping:
                await store.compact(store.revision)
                await asyncio.sleep(0.005)

        load_tasks = [asyncio.ensure_future(load(n)) for n in range(8)]
        compacting = asyncio.ensure_future(compact())
        seen = []
        for n in range(3):
            before = store.revision
            said = await orlop("backup", "--data-dir", tmp_path / "cluster", tmp_path / f"b{n}")
            about = json.loads((tmp_path / f"b{n}" / "backup.json").read_text())
            assert before <= about["revision"] <= store.revision
            assert f"as of revision {about['revision']} are in" in said
            seen.append((about["revision"], written))
        stopping = True
        await asyncio.gather(*load_tasks, compacting)
    assert seen[0] < seen[1] < seen[2], "writes went on"
    for n in range(3):
        copy = tmp_path / f"b{n}"
        assert sorted(entry.name for entry in copy.iterdir()) == ["backup.json", "cluster.json", "pki", "store"]
        assert sound(str(copy / "store")).objects == 16
        async with opened(LmdbStore(str(copy / "store"), SystemClock())) as backup:
            assert backup.uid == store_uid(copy)
            assert backup.revision == seen[n][0]
            for writer in range(8):
                left, other = await backup.get(pod(f"left-{writer}")), await backup.get(right(writer))
                assert left is not None
                assert other is not None
                assert json.loads(left.value)["text"] == json.loads(other.value)["text"]
    assert "in this place already" in await orlop("backup", "--data-dir", tmp_path / "cluster", tmp_path / "b0", code=1)


def store_uid(folder: Path) -> str:
    uid: str = json.loads((folder / "backup.json").read_text())["uid"]
    return uid


async def some_cluster(folder: Path) -> None:
    async with opened(LmdbStore(str(folder / "store"), FakeClock())) as store:
        for n in range(20):
            await store.commit(write(pod(str(n % 7)), str(n)))
        await store.commit(delete(pod("0")))
        await store.commit(write(Key("events", "default", "e"), "event"))
        await store.commit(write(Key("coordination.k8s.io/leases", "default", "l"), "lease"))
    (folder / "pki").mkdir()
    (folder / "pki" / "ca.key").write_text("key")
    (folder / "pki" / "ca.key").chmod(0o600)


async def test_what_is_restored_goes_on_with_revisions_never_seen(tmp_path: Path) -> None:
    cluster, backup = tmp_path / "cluster", tmp_path / "backup"
    await some_cluster(cluster)
    await orlop("backup", "--data-dir", cluster, backup)
    async with opened(LmdbStore(str(cluster / "store"), FakeClock())) as store:
        before, _ = await store.range(None)
        lost = [await store.commit(write(pod("lost"), str(n))) for n in range(5)]  # what clients have seen since
    said = await orlop("restore", backup, "--data-dir", tmp_path / "new")
    assert f"it goes on after {23 + BUMP}" in said
    assert (tmp_path / "new" / "pki" / "ca.key").stat().st_mode & 0o777 == 0o600
    assert sound(str(tmp_path / "new" / "store")) == Counted(revision=23 + BUMP, objects=8, versions=8, times=1)
    async with opened(LmdbStore(str(tmp_path / "new" / "store"), FakeClock())) as store:
        assert (store.revision, store.compacted) == (23 + BUMP, 23 + BUMP)
        assert (await store.range(None))[0] == before, "objects stand at the revisions they had"
        for seen in (3, 23, *lost):
            with pytest.raises(Compacted):
                await anext(store.changes(seen))
            with pytest.raises(Compacted):
                await store.range("pods", revision=seen)
        assert await store.commit(write(pod("1"), expected=before[2].revision)) == 24 + BUMP
    assert "in this place already" in await orlop("restore", backup, "--data-dir", tmp_path / "new", code=1)
    with pytest.raises(StoreError, match="there is no store"):
        restore(str(tmp_path / "nowhere"), str(tmp_path / "other"), FakeClock(), no_damage)
    (tmp_path / "empty").mkdir()
    _, revision = restore(str(backup), str(tmp_path / "empty"), FakeClock(), no_damage, bump=7)
    assert revision == 30


async def test_stats(tmp_path: Path) -> None:
    await some_cluster(tmp_path)
    found = describe(str(tmp_path / "store"))
    assert (found.revision, found.oldest_revision, found.readers) == (23, 0, [])
    assert {h.resource: (h.objects, h.versions) for h in found.histories} == {
        "pods": (6, 21),
        "events": (1, 1),
        "coordination.k8s.io/leases": (1, 1),
    }
    assert 0 < found.free < found.size
    assert found.biggest[0].bytes >= found.biggest[-1].bytes > 0
    text = await orlop("stats", "--data-dir", tmp_path)
    assert re.search(r"^pods +6 +21 ", text, re.MULTILINE)
    assert "BIGGEST OBJECTS" in text
    assert json.loads(await orlop("stats", "--data-dir", tmp_path, "-o", "json"))["revision"] == 23
    store = LmdbStore(str(tmp_path / "store"), FakeClock())
    async with opened(store):  # while a server has it open
        await store.compact(20)
        assert json.loads(await orlop("stats", "--data-dir", tmp_path, "-o", "json"))["oldest_revision"] == 20
        assert store.gauges().readers == 0
        assert "in use by process" in await orlop("compact", "--data-dir", tmp_path, code=1)


async def test_compact_makes_the_file_small(tmp_path: Path) -> None:
    async with opened(LmdbStore(str(tmp_path / "store"), FakeClock())) as store:
        for n in range(300):
            await store.commit(write(pod(str(n % 3)), "x" * 5000))
        before, _ = await store.range(None)
    text = await orlop("compact", "--data-dir", tmp_path)
    assert "the past before revision 300 is forgotten" in text
    assert (tmp_path / "store" / "data.mdb").stat().st_size < 200_000
    assert os.listdir(tmp_path) == ["store"]
    assert sound(str(tmp_path / "store")) == Counted(revision=300, objects=3, versions=3, times=1)
    (tmp_path / "store.small").mkdir()  # of a run that was killed
    assert (await asyncio.to_thread(shrink, str(tmp_path / "store"), 10, FakeClock()))[2] == 10
    async with opened(LmdbStore(str(tmp_path / "store"), FakeClock())) as store:
        assert (await store.range(None))[0] == before
        assert await store.commit(write(pod("a"))) == 301


async def test_exit_codes_of_check(tmp_path: Path) -> None:
    await some_cluster(tmp_path)
    assert "the store is sound: 8 objects, 23 versions" in await orlop("check", "--data-dir", tmp_path)
    assert "there is no store" in await orlop("check", "--data-dir", tmp_path / "pki", code=1)
    data = tmp_path / "store" / "data.mdb"
    image = data.read_bytes()
    data.write_bytes(image.replace(b'"text":"event"', b'"text":"evils"'))
    text = await orlop("check", "--data-dir", tmp_path, code=3)
    assert "events default/e (revision 22): the record of revision 22 is damaged" in text
    assert "write it again" in text
    assert (
        json.loads(await orlop("check", "--data-dir", tmp_path, "-o", "json", code=3))["findings"][0]["revision"] == 22
    )
    text = await orlop("export", "--data-dir", tmp_path, "-k", "po,ev", code=3)
    assert len(text.splitlines()) == 6
    assert "events default/e" in await orlop("backup", "--data-dir", tmp_path, tmp_path / "copy", code=3)


async def test_export(tmp_path: Path) -> None:
    await some_cluster(tmp_path)
    lines = (await orlop("export", "--data-dir", tmp_path)).splitlines()
    assert len(lines) == 6, "no events and leases unless asked for"
    assert json.loads(lines[0])["resourceVersion"]
    assert len((await orlop("export", "--data-dir", tmp_path, "-k", "pods", "--revision", "3")).splitlines()) == 3
    assert await orlop("export", "--data-dir", tmp_path, "-k", "leases", "-n", "other") == ""
    assert "text: event" in await orlop("export", "--data-dir", tmp_path, "-k", "events", "-o", "yaml")
    assert "in the future" in await orlop("export", "--data-dir", tmp_path, "--revision", "99", code=1)
    assert "no resource that is served" in await orlop("export", "--data-dir", tmp_path, "-k", "bogus", code=1)


@campaign(60)
async def test_tools_that_are_killed_leave_all_or_nothing(tmp_path: Path) -> None:
    await some_cluster(tmp_path / "cluster")
    store = tmp_path / "cluster" / "store"
    chance = random.Random()
    made = 0
    for n in range(times(5, 40)):
        new = tmp_path / f"new-{n}"
        for words in (
            ("compact", "--data-dir", tmp_path / "cluster"),
            ("restore", tmp_path / "cluster", "--data-dir", new),
        ):
            process = await asyncio.create_subprocess_exec(
                *ORLOP, *map(str, words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), chance.uniform(0.1, 1.2))
            if process.returncode is None:
                process.kill()
            await process.wait()
        assert sound(str(store)).objects == 8
        if new.exists():
            made += 1
            assert sound(str(new / "store")).objects == 8
    print(f"{made} restores came to their end")
