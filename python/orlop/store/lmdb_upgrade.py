"""From older formats of the store on disk to this one, a step at a time, in one transaction: all or nothing.

To change the layout: raise `FORMAT`, add the step that leads there, and let tests/store keep a writer of the old one.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orlop.store.base import StoreFormat
from orlop.store.keys import RESOURCE, REVISION

if TYPE_CHECKING:
    import lmdb

log = logging.getLogger(__name__)

FORMAT = 3
"""Of the store as a whole. A newer one is refused."""

Step = Callable[["lmdb.Environment", "lmdb.Transaction", Any], None]
"""Takes the environment, the write transaction and the database `meta`."""


def _one_log(env: "lmdb.Environment", txn: "lmdb.Transaction", meta: Any) -> None:
    """Format 1 had a log for each of three histories, with the revision as its key and two marks in `meta`. Since
    format 2 there is one log, in which each resource's records stand together and each resource has its own marks.
    """
    resources = env.open_db(b"resources", txn=txn)
    merged = env.open_db(b"log", txn=txn)
    marks = env.open_db(b"marks", txn=txn)
    apart = {b"coordination.k8s.io/leases": b"leases", b"events": b"events", b"events.k8s.io/events": b"events"}
    for name, number in list(txn.cursor(db=resources)):
        history = apart.get(bytes(name), b"main")
        found = [txn.get(what + history, db=meta) or bytes(REVISION) for what in (b"compacted.", b"swept.")]
        if any(map(int.from_bytes, found)):
            txn.put(number, b"".join(found), db=marks)
    for history in (b"main", b"leases", b"events"):
        old = env.open_db(b"log." + history, txn=txn)
        for revision, record in txn.cursor(db=old):
            txn.put(bytes(record[_RESOURCE_AT : _RESOURCE_AT + RESOURCE]) + bytes(revision), record, db=merged)
        txn.drop(old)
        for what in (b"compacted.", b"swept."):
            txn.delete(what + history, db=meta)


_RESOURCE_AT = 22
"""Where record format 1 has the resource's number."""


def _slashes(env: "lmdb.Environment", txn: "lmdb.Transaction", meta: Any) -> None:
    """Up to format 2 a NUL stood between namespace and name in the indexes, and all of namespace `a` came before `a-b`:
    the order of nobody else."""
    aside = env.open_db(b"aside", txn=txn)
    for name in (b"current", b"history"):
        index = env.open_db(name, txn=txn)
        for place, value in txn.cursor(db=index):
            number, rest = bytes(place[:RESOURCE]), bytes(place[RESOURCE:])
            txn.put(number + rest.replace(b"\0", b"/", 1), value, db=aside)
        txn.drop(index, delete=False)
        for place, value in txn.cursor(db=aside):
            txn.put(place, value, db=index, append=True)
        txn.drop(aside, delete=False)
    txn.drop(aside)


UPGRADES: dict[int, Step] = {1: _one_log, 2: _slashes}
"""By the format they start from; each leads to the next."""


def upgrade(env: "lmdb.Environment", txn: "lmdb.Transaction", meta: Any, found: int, where: str, *, may: bool) -> None:
    """Brings a store of format `found` up to date, where it `may`. Raises StoreFormat."""
    if found > FORMAT:
        raise StoreFormat(
            f"the store in {where} has format {found}, and this version of orlop knows formats up to {FORMAT}: use the "
            f"version of orlop that wrote it, or a newer one"
        )
    if found == FORMAT:
        return
    if not may:
        raise StoreFormat(
            f"the store in {where} has format {found}, and this version of orlop reads format {FORMAT}: start the API "
            f"server on it once, which upgrades it"
        )
    log.warning("upgrading the store in %s from format %d to %d", where, found, FORMAT)
    while found < FORMAT:
        step = UPGRADES.get(found)
        if step is None:
            raise StoreFormat(f"the store in {where} has format {found}, which this version of orlop cannot upgrade")
        step(env, txn, meta)
        found += 1
        txn.put(b"format", str(found).encode(), db=meta)
