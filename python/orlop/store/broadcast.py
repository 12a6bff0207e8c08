"""From one writer to the followers of `changes()`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from orlop.store.base import Batch

BACKLOG = 256
"""Batches held for a follower that lags; beyond, they are dropped and it reads the log instead."""

Read = Callable[[int], Awaitable[Batch | None]]
"""Reads some changes after a revision from the log; None when there are none."""


class _Follower:
    def __init__(self, behind: bool) -> None:
        self.batches: deque[Batch] = deque()
        self.behind = behind
        self.wake: asyncio.Future[None] | None = None

    def hand(self, batch: Batch) -> None:
        if self.behind:
            pass  # it will come by this batch in the log
        elif len(self.batches) >= BACKLOG:
            self.batches.clear()
            self.behind = True
        else:
            self.batches.append(batch)
        self.rouse()

    def rouse(self) -> None:
        if self.wake is not None and not self.wake.done():
            self.wake.set_result(None)


class Broadcast:
    """Belongs to one event loop."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._followers: set[_Follower] = set()
        self._error: Exception | None = None

    def __len__(self) -> int:
        return len(self._followers)

    def publish(self, batch: Batch) -> None:
        """Hands on a committed batch. A follower that waits runs before any future that is resolved after this
        call: asyncio runs what became ready in the order it became ready."""
        for follower in self._followers:
            follower.hand(batch)

    def end(self, error: Exception) -> None:
        """Raises `error` in every follower once it has what was published."""
        self._error = error
        for follower in self._followers:
            follower.rouse()

    async def follow(self, since: int) -> AsyncIterator[Batch]:
        """Batches after `since`, first from the log, then as they are published."""
        follower = _Follower(behind=True)
        self._followers.add(follower)
        try:
            while True:
                if follower.behind:
                    # Cleared before reading: what is published while the log is read is either in both, and
                    # skipped below, or only in the backlog.
                    follower.behind = False
                    while (batch := await self._read(since)) is not None:
                        since = batch.revision
                        yield batch
                elif follower.batches:
                    batch = follower.batches.popleft()
                    if batch.revision > since:
                        if batch.changes and batch.changes[0].revision <= since:
                            batch = Batch(batch.revision, [c for c in batch.changes if c.revision > since])
                        since = batch.revision
                        yield batch
                elif self._error is not None:
                    raise self._error
                else:
                    follower.wake = asyncio.get_running_loop().create_future()
                    await follower.wake
        finally:
            self._followers.discard(follower)
