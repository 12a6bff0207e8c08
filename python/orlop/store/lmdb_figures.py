"""How much is in the store's databases."""

from typing import TYPE_CHECKING

from orlop.store.keys import RESOURCE
from orlop.store.lmdb_layout import Layout

if TYPE_CHECKING:
    import lmdb


def objects(layout: Layout, txn: "lmdb.Transaction") -> dict[str, int]:
    """How many there are of each resource."""
    return _counted(layout, txn, layout.current)


def versions(layout: Layout, txn: "lmdb.Transaction") -> dict[str, int]:
    """How many records each resource has."""
    return _counted(layout, txn, layout.log)


def _counted(layout: Layout, txn: "lmdb.Transaction", database: object) -> dict[str, int]:
    """Keys by the resource whose number they begin with."""
    counts = dict.fromkeys(range(len(layout.resources)), 0)
    with txn.cursor(db=database) as cursor:  # type: ignore[arg-type]
        for key in cursor.iternext(keys=True, values=False):
            counts[int.from_bytes(key[:RESOURCE])] += 1
    return {layout.resources[number]: count for number, count in counts.items() if count}


def records(layout: Layout, txn: "lmdb.Transaction") -> int:
    """How many records there are."""
    return int(txn.stat(layout.log)["entries"])


def sizes(layout: Layout, env: "lmdb.Environment", txn: "lmdb.Transaction") -> tuple[int, int]:
    """Bytes of the file, and of those the bytes that new writes use before it grows."""
    size = (int(env.info()["last_pgno"]) + 1) * int(env.stat()["psize"])
    used = 0
    for stat in map(txn.stat, layout.databases):
        used += stat["psize"] * (stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"])
    return size, max(0, size - used)
