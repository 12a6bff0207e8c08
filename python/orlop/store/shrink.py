"""Makes the file of a store that nobody has open as small as what is in it."""

import asyncio
import os
import shutil

from orlop.clock import Clock
from orlop.store.base import StoreError
from orlop.store.lmdb import LmdbStore
from orlop.store.lmdb_files import DATA, sync_folder


def shrink(path: str, revision: int | None, clock: Clock) -> tuple[int, int, int]:
    """Forgets the past before `revision` (None: all of it) and writes the rest into a new file, which takes the old
    one's place when it is on disk. The sizes before and after, and the revision. Raises StoreError, StoreLocked.
    """
    data = os.path.join(path, DATA)
    if not os.path.exists(data):
        raise StoreError(f"there is no store in {path}: it has no {DATA}")
    before = os.path.getsize(data)
    target = asyncio.run(_rewrite(path, revision, clock))
    return before, os.path.getsize(data), target


async def _rewrite(path: str, revision: int | None, clock: Clock) -> int:
    store = LmdbStore(path, clock)
    await store.open()
    try:
        target = store.revision if revision is None else revision
        await store.compact(target)
        small = path + ".small"
        shutil.rmtree(small, ignore_errors=True)  # of a run that was killed
        await store.snapshot(small)
        # The lock is still held: no server can have opened the old file meanwhile.
        os.replace(os.path.join(small, DATA), os.path.join(path, DATA))
        os.rmdir(small)
        sync_folder(path)
        return target
    finally:
        await store.close()
