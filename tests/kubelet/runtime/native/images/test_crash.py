"""Killed at any moment, by a full disk or by many at once: the store opens, and what it shows is whole."""

import asyncio
import io
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kubelet.runtime.native.images import making, overlays, trees

from orlop.clock import SystemClock
from orlop.kubelet.runtime.base import ImageFailure
from orlop.kubelet.runtime.native.images import ImageStore

LAYERS = [
    making.layer(making.member("etc", None), making.member("etc/a", b"a" * 3000), making.member("etc/b", b"b")),
    making.layer(making.member("etc/.wh.b"), making.member("etc/c", b"c")),
]
OLD = making.docker_archive({"app:1": LAYERS[:1]})
NEW = making.docker_archive({"app:1": LAYERS})

FOLDER = {"blobs", "holds", "index.json", "index.lock", "layers", "lock", "locks", "partial", "tmp", "version"}
STEPS = ("rename", "fsync", "mkdir", "unlink", "open", "rmdir")
"""Calls of `os` that change the store, or come before a change."""


def killed_at(root: Path, step: int) -> bool:
    """Loads NEW in a child that kills itself at its `step`th call; whether it came so far."""
    child = os.fork()
    if child == 0:
        count = 0

        def counted(call):  # type: ignore[no-untyped-def]
            def wrapper(*args, **kwargs):  # type: ignore[no-untyped-def]
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return wrapper

        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            asyncio.run(ImageStore(root, SystemClock()).load(io.BytesIO(NEW)))
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return os.WIFSIGNALED(status)


def whole(root: Path) -> set[str]:
    """The ids of the images that are there, after looking at every file of them."""

    async def look() -> set[str]:
        store = ImageStore(root, SystemClock())
        images = await store.list()
        for image in images:
            lowers = await store.lowerdirs(image)
            assert (lowers[-1] / "etc/a").read_bytes() == b"a" * 3000
            assert (lowers[-1] / "etc/b").read_bytes() == b"b"
            if len(lowers) > 1:
                assert (lowers[0] / "etc/c").read_bytes() == b"c"
                assert not (lowers[0] / "etc/b").is_file()
            await store.document(image.id)
        return {image.id for image in images}

    return asyncio.run(look())


def test_killed_at_any_step(tmp_path: Path) -> None:
    """Every step is tried; after each a restart shows the old or both, and a second load heals all."""
    old, new = making.digest(making.config(LAYERS[:1])), making.digest(making.config(LAYERS))
    step, seen = 0, set()
    died = True
    while died:
        step += 1
        root = tmp_path / str(step)
        asyncio.run(ImageStore(root, SystemClock()).load(io.BytesIO(OLD)))
        died = killed_at(root, step)
        ids = whole(root)
        assert ids in ({old}, {old, new})
        seen.add(frozenset(ids))
        asyncio.run(ImageStore(root, SystemClock()).load(io.BytesIO(NEW)))
        assert whole(root) == {old, new}
        assert list((root / "tmp").iterdir()) == []
        assert len(list((root / "blobs/sha256").iterdir())) == 4, "two configurations, two layers"
        assert {path.name for path in root.iterdir()} == FOLDER
        layers = {path.name for path in (root / "layers").iterdir()} - {"empty"}
        assert len(layers) == 4, "two layers and their records"
    assert step > 20
    assert seen == {frozenset({old}), frozenset({old, new})}


def test_many_processes_at_once(tmp_path: Path) -> None:
    """Loads, removals and collections of garbage by eight processes on one folder."""
    root = tmp_path / "store"
    children = []
    for number in range(8):
        child = os.fork()
        if child == 0:

            async def work(number: int = number) -> None:
                store = ImageStore(root, SystemClock())
                for turn in range(4):
                    [image] = await store.load(io.BytesIO(NEW if number % 2 else OLD))
                    await store.hold(image.id, f"container-{number}")
                    assert all(path.is_dir() for path in await store.lowerdirs(image))
                    await store.release(image.id, f"container-{number}")
                    if turn % 2:
                        try:
                            await store.remove(image.id)
                        except Exception as error:
                            assert "in use" in str(error)  # noqa: PT017

            try:
                asyncio.run(work())
            except BaseException as error:
                # An image that another has removed between two of our steps is no fault.
                os._exit(0 if "removed meanwhile" in str(error) or "load or pull" in str(error) else 1)
            os._exit(0)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 8
    whole(root)
    asyncio.run(ImageStore(root, SystemClock()).load(io.BytesIO(NEW)))
    assert making.digest(making.config(LAYERS)) in whole(root)
    assert list((root / "tmp").iterdir()) == []


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 4 MiB."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


@pytest.mark.root
@overlays.needs_root
async def test_a_full_disk(small_disk: Path) -> None:
    store = ImageStore(small_disk / "store", SystemClock())
    await store.load(io.BytesIO(NEW))
    before = trees.of_folder(small_disk)
    for size in (1_500_000, 3_000_000, 8_000_000):
        big = making.docker_archive({"big:1": [making.layer(making.member("big", os.urandom(size)))]})
        if size < 1_800_000:
            await store.load(io.BytesIO(big))
            await store.remove("big:1")
        else:
            with pytest.raises(ImageFailure, match="no space left on device: free some, or remove images"):
                await store.load(io.BytesIO(big))
        after = trees.of_folder(small_disk)
        assert set(after) - {n for n in after if "lock" in n} == set(before) - {n for n in before if "lock" in n}
    assert [image.names for image in await store.list()] == [("app:1",)]
    await store.load(io.BytesIO(OLD))
