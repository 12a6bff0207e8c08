"""Who reads an LMDB environment: each open read transaction, of any process, holds a slot in its lock file."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import lmdb


class Reader(NamedTuple):
    """A read transaction under way. The pages it can see are not used again before it ends."""

    pid: int
    transaction: int
    """The newest when it began."""


def readers(env: "lmdb.Environment") -> list[Reader]:
    """The read transactions under way; slots that are kept for the next one are left out."""
    found = []
    for line in env.readers().splitlines():
        pid, _, transaction = [*line.split(), "", "", ""][:3]
        if pid.isdecimal() and transaction.isdecimal():
            found.append(Reader(int(pid), int(transaction)))
    return found


def lag(env: "lmdb.Environment", reading: list[Reader]) -> int:
    """How many transactions have been committed since the oldest of them began."""
    newest = int(env.info()["last_txnid"])
    return max((newest - reader.transaction for reader in reading), default=0)
