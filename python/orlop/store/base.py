"""What every store promises. Nothing above this room may know which store it is.

A store keeps every version of every object under one growing 64-bit revision, which is the API's
`resourceVersion`. A write is acknowledged only when it is durable; a read at a revision that has not been
compacted gives exactly what was there.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class Key(NamedTuple):
    """An object's place.

    Keys order as lists do and as upstream's keys in etcd: by resource, then by `namespace/name` as one text, so that
    all of `a-b` comes before `a`.
    """

    resource: str
    """The scheme's "group/plural" ("apps/deployments"; the core group's have no slash: "pods")."""
    namespace: str
    """Empty for cluster-scoped objects."""
    name: str

    def __lt__(self, other: tuple[str, ...]) -> bool:
        return _order(self) < _order(other)

    def __le__(self, other: tuple[str, ...]) -> bool:
        return _order(self) <= _order(other)

    def __gt__(self, other: tuple[str, ...]) -> bool:
        return _order(self) > _order(other)

    def __ge__(self, other: tuple[str, ...]) -> bool:
        return _order(self) >= _order(other)


def _order(key: tuple[str, ...]) -> tuple[str, str]:
    resource, namespace, name = key
    return resource, f"{namespace}/{name}"


class Attribution(msgspec.Struct, frozen=True, gc=False):
    """Who wrote, kept with each record for tracing, undo and reading the past, by stores that have a place for it."""

    user: str = ""
    manager: str = ""
    """The field manager."""
    request_id: str = ""
    """The request's audit ID."""
    trace: str = ""
    """A W3C `traceparent`."""


NOBODY = Attribution()


class Parts(NamedTuple):
    """An object's JSON around the place of its revision: what is stored is head + str(revision) + tail."""

    head: bytes
    tail: bytes

    def at(self, revision: int) -> bytes:
        """The object's bytes at this revision."""
        return self.head + str(revision).encode() + self.tail  # half of what formatting takes


class Write(msgspec.Struct, frozen=True, gc=False):
    """One create, update or delete."""

    key: Key
    parts: Parts
    """The new state; of a delete the last state, which watchers get with the deletion's revision."""
    expected: int | None = None
    """Compare-and-set: the revision the object must be at (0: it must not exist). None: whatever is there."""
    delete: bool = False
    """Deleting what does not exist is a `Conflict`."""
    by: Attribution = NOBODY


class Record(msgspec.Struct, frozen=True, gc=False):
    """An object as it was stored."""

    revision: int
    key: Key
    value: bytes
    """`Parts.at(revision)`: put together at commit, or on the way out by a store that keeps values without it."""
    time: float
    """Of the commit, seconds since 1970; never goes back from one revision to the next."""
    by: Attribution


class Change(msgspec.Struct, frozen=True, gc=False):
    """A committed write."""

    revision: int
    key: Key
    type: ChangeType
    value: bytes
    """Of a DELETED the last state, with the deletion's revision in it."""
    previous_revision: int
    """Of the same object; 0 for ADDED."""
    time: float
    by: Attribution


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What a follower is handed: all changes since its last batch up to `revision`."""

    revision: int
    changes: list[Change]
    """In the order of revisions; those of one revision are never divided. Empty: word of progress, nothing happened."""


class Stats(msgspec.Struct, frozen=True):
    """A store in figures, some of which are counted for this. By resource: `objects`, and versions in `records`."""

    revision: int
    compacted: int
    objects: dict[str, int]
    records: dict[str, int]
    size: int
    """Bytes held by the store: of LMDB the file."""
    free: int
    """Of `size`, what new writes will use again before anything grows."""


class Gauges(msgspec.Struct, frozen=True):
    """What a store knows of itself at once. Sizes are bytes; what a store does not have is 0."""

    revision: int
    compacted: int
    records: int
    """Versions kept of all objects."""
    size: int
    free: int
    room: int
    """What its disk can still take."""
    readers: int
    """Read transactions under way, of other processes too."""
    lag: int
    """Transactions since the oldest of them began: what they freed is not used again before it ends."""
    counts: "Counts"


class Counts(msgspec.Struct):
    """What a store has done since it was opened."""

    writes: int = 0
    """Committed."""
    conflicts: int = 0
    full: int = 0
    """Requests refused for want of room."""
    failed: int = 0
    """Requests refused for any other fault."""
    transactions: int = 0
    """Commits to disk: many requests share one."""
    seconds: float = 0.0
    """Spent in them."""
    compacted: int = 0
    """Records that compaction has looked at."""
    stale_readers: int = 0
    """Slots of processes that ended in the middle of a read, given free again."""


class StoreError(Exception):
    """Anything a store raises."""


class Conflict(StoreError):
    """The object is not at the expected revision. Nothing of the transaction was written."""

    def __init__(self, key: Key, actual: int) -> None:
        super().__init__(f"{'/'.join(key)} is at revision {actual}" if actual else f"{'/'.join(key)} does not exist")
        self.key = key
        self.actual = actual
        """The revision it is at; 0 when it does not exist."""


class Compacted(StoreError):
    """The revision asked for is older than what is kept."""

    def __init__(self, revision: int, compacted: int) -> None:
        super().__init__(f"revision {revision} has been compacted: the oldest kept is {compacted}")
        self.revision = revision
        self.compacted = compacted


class FutureRevision(StoreError):
    """The revision asked for has not been reached."""

    def __init__(self, revision: int, current: int) -> None:
        super().__init__(f"revision {revision} is in the future: the newest is {current}")
        self.revision = revision
        self.current = current


class StoreFull(StoreError):
    """There is no room for the write. Reads go on, and so do writes once there is room again."""


class StoreClosed(StoreError):
    """The store is not open."""


class StoreLocked(StoreError):
    """Another process (or this one) has the store open."""


class StoreFormat(StoreError):
    """The store was written by a newer version, or is no store of ours."""


class StoreCorrupt(StoreError):
    """What was read is not what was written; the message names the record."""


class Store(Protocol):
    """A store. All methods belong to the event loop it was opened on."""

    async def open(self) -> None:
        """Raises StoreLocked, StoreFormat or StoreError with what to do about it."""
        ...

    async def close(self) -> None:
        """Finishes the writes it has accepted, then lets go of everything. Closing twice is fine."""
        ...

    @property
    def uid(self) -> str:
        """The store's identity (a UUID), made with the store and kept for ever: the cluster's."""
        ...

    @property
    def revision(self) -> int:
        """Of the newest commit this store knows of, its own included; 0 when there was none."""
        ...

    @property
    def compacted(self) -> int:
        """The oldest revision at which everything can be read: the newest of `compacted_of`."""
        ...

    @property
    def failure(self) -> str:
        """Why the store takes no more writes until it is opened again; empty while it does."""
        ...

    @property
    def resources(self) -> list[str]:
        """Every resource that was ever written, in no order."""
        ...

    async def commit(self, write: Write) -> int:
        """The write's revision, once it is durable. Followers of `changes` may be handed it later: `Feed.commit` waits.

        Raises Conflict, StoreFull, StoreClosed. A caller that is cancelled does not know whether it was written.
        """
        ...

    async def commit_all(self, writes: Sequence[Write]) -> list[int]:
        """All writes or none, in one transaction, at most one per resource (ValueError); as `commit` otherwise.

        The revisions do not fall from one write to the next; a store may give all of a transaction the same, which is
        why a resource may be in it once only: its watches resume after a revision.
        """
        ...

    async def get(self, key: Key, revision: int | None = None) -> Record | None:
        """The object now or as of `revision`. Raises Compacted, FutureRevision, StoreCorrupt."""
        ...

    async def range(
        self,
        resource: str | None,
        namespace: str | None = None,
        *,
        after: Key | None = None,
        limit: int | None = None,
        revision: int | None = None,
    ) -> tuple[list[Record], bool]:
        """Up to `limit` objects that follow `after`, in the order of keys, and whether there are more.

        One consistent snapshot per call; pass the same `revision` to read pages of one state. Raises as `get`.
        """
        ...

    def changes(self, since: int) -> AsyncIterator[Batch]:
        """Every change after `since`, for ever: committed batches in the order of revisions.

        A follower that lags costs no memory: it reads the log until it has caught up. Raises Compacted when
        changes after `since` are no longer all kept, StoreClosed when the store closes.
        """
        ...

    async def compact(self, revision: int, resource: str | None = None) -> None:
        """`compact_each` of one resource, or of all there are, to one revision."""
        ...

    async def compact_each(self, targets: Mapping[str, int]) -> None:
        """Forgets, of each resource, what only reads before its target would see.

        Works in slices between writes and returns when the space is free to be used again. A store with one history
        for all may keep more than it is asked to forget. Raises FutureRevision.
        """
        ...

    def compacted_of(self, resource: str) -> int:
        """The oldest revision at which this resource can be read."""
        ...

    async def revision_at(self, time: float) -> int:
        """The newest revision committed at or before `time` (seconds since 1970); 0 when none is known."""
        ...

    async def revision_back(self, resource: str, changes: int, size: int | None = None) -> int:
        """The newest revision after which this resource's history has no more than so many changes, and bytes.

        0 where that is true of all that can be read.
        """
        ...

    async def snapshot(self, path: str) -> None:
        """Writes a consistent copy while writes go on: an LMDB store in the new folder `path`."""
        ...

    async def stats(self) -> Stats:
        """Figures for people; counting them takes a while in a large store."""
        ...

    def gauges(self) -> Gauges:
        """Figures for metrics, at the cost of a read."""
        ...
