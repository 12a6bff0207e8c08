"""Which store: the one place that knows them all. Whoever asks is given a `Store` and never learns which."""

from pathlib import Path
from typing import Literal, get_args

from orlop.clock import Clock
from orlop.store.base import Store

Choice = Literal["lmdb", "memory"]
CHOICES: tuple[Choice, ...] = get_args(Choice)
DEFAULT: Choice = "lmdb"


def make_store(choice: Choice, folder: Path, clock: Clock) -> Store:
    """A store that is not open yet: `lmdb` keeps it in `folder`, `memory` nowhere."""
    if choice == "memory":
        from orlop.store.memory import MemoryStore

        return MemoryStore(clock)
    from orlop.store.lmdb import LmdbStore

    return LmdbStore(str(folder), clock)
