"""A store on disk made of another's changes."""

import os
from collections.abc import Iterable, Mapping

from orlop.store.base import Change
from orlop.store.lmdb_files import environment, whole
from orlop.store.lmdb_layout import Layout, Mark
from orlop.store.record import microseconds


def write_snapshot(path: str, uid: str, changes: Iterable[Change], compacted: Mapping[str, int]) -> None:
    """Makes a store in the new folder `path` of another's changes and of where its histories begin."""
    with whole(path) as half:
        env = environment(half)
        try:
            with env.begin(write=True) as txn:
                layout = Layout(env, txn, half, uid)
                for change in changes:
                    layout.put(txn, layout.prepare(txn, change, layout.locate(change.key)))
                    layout.finish(txn, change.revision, microseconds(change.time))
                for resource, revision in compacted.items():
                    layout.intern(txn, resource)
                    layout.set_mark(txn, resource, Mark(revision, revision))
        finally:
            env.close()
        os.remove(os.path.join(half, "lock.mdb"))
