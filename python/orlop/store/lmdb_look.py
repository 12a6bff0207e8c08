"""Looking into a store from outside of the process that writes it, or when none does: nothing is changed.

LMDB lets other processes read while one writes. Each look is one read transaction: one state, whatever goes on.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lmdb

from orlop.store.base import StoreCorrupt, StoreError, StoreFormat
from orlop.store.lmdb_files import DATA, LOCK, environment
from orlop.store.lmdb_layout import Layout


@contextmanager
def looking(path: str) -> Iterator["lmdb.Environment"]:
    """The environment in a folder, read-only. Raises StoreError with what to do."""
    if not os.path.exists(os.path.join(path, DATA)):
        raise StoreError(f"there is no store in {path}: it has no {DATA}")
    try:
        # A folder that no server has held is a copy: nobody writes there, and it may be on a medium that cannot be.
        env = environment(path, readonly=True, lock=os.path.exists(os.path.join(path, LOCK)))
    except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
        raise StoreFormat(f"{path}/{DATA} is not a store that can be read ({error}): restore a backup") from error
    except (lmdb.Error, OSError) as error:
        raise StoreError(f"cannot open the store in {path}: {error}") from error
    try:
        yield env
    finally:
        env.close()


@contextmanager
def look(path: str, *, buffers: bool = False) -> Iterator[tuple["lmdb.Environment", Layout, Any]]:
    """One state of the store in a folder: the environment, the layout and a read transaction. Raises StoreError."""
    with looking(path) as env:
        try:
            with env.begin(buffers=True) if buffers else env.begin() as txn:
                yield env, Layout(env, txn, path), txn
        except (lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
            raise StoreCorrupt(f"the store in {path} is damaged: {error}") from error
