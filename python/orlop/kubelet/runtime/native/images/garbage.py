"""Takes away blobs, layers and temporary folders that no image needs."""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from orlop.kubelet.runtime.native.images.blobs import Blobs
from orlop.kubelet.runtime.native.images.index import Index
from orlop.kubelet.runtime.native.images.layers import remove_tree
from orlop.kubelet.runtime.native.images.layout import LAYER_NAME_LENGTH, Layout
from orlop.kubelet.runtime.native.images.locks import try_lock
from orlop.kubelet.runtime.native.images.model import hex_of

PARTIAL_KEPT = 24 * 3600.0
"""Seconds for which an interrupted download can go on where it stopped."""


def collect(layout: Layout, index: Index, blobs: Blobs, now: float) -> bool:
    """Blocks. False, and nothing done, while an image is being brought in: what comes in looks like garbage."""
    working = try_lock(layout.work_lock)
    if working is None:
        return False
    try:
        with _held(layout):
            _set_aside(layout, index, blobs)
            # Looked at while nobody writes the index, whose new form lies here for a moment.
            garbage = list(layout.tmp.iterdir())
        for entry in list(layout.partial.iterdir()):
            if now - entry.stat().st_mtime > PARTIAL_KEPT:
                entry.unlink()
        for lock in list(layout.locks.iterdir()):
            lock.unlink()
        for folder in garbage:
            if folder.is_dir() and not folder.is_symlink():
                remove_tree(folder)
            else:
                folder.unlink(missing_ok=True)
    finally:
        os.close(working)
    return True


@contextlib.contextmanager
def _held(layout: Layout) -> Iterator[None]:
    fd = os.open(layout.index_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _set_aside(layout: Layout, index: Index, blobs: Blobs) -> None:
    records = index.records().values()
    needed_layers = {hex_of(layer.chain_id)[:LAYER_NAME_LENGTH] for record in records for layer in record.layers}
    needed_blobs = {record.id for record in records}
    for record in records:
        needed_blobs.update(record.manifests, (layer.blob for layer in record.layers))
    for entry in list(layout.layers.iterdir()):
        if entry.name.removesuffix(".json") in needed_layers or entry == layout.empty:
            continue
        if entry.is_dir():
            # The record first: a layer without one is garbage to everybody.
            entry.with_name(entry.name + ".json").unlink(missing_ok=True)
            os.rename(entry, layout.temporary() / "fs")
        else:
            entry.unlink(missing_ok=True)
    for digest in blobs.names():
        if digest not in needed_blobs:
            blobs.path(digest).unlink(missing_ok=True)
