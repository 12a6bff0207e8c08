"""How long the past is kept."""

import logging

import msgspec

from orlop.clock import Clock
from orlop.store.base import Store, StoreError
from orlop.store.histories import EVENTS, LEASES, MAIN

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between looks at how old the oldest is. A look at a store that has not changed compares two numbers."""


class Keep(msgspec.Struct, frozen=True):
    """What is kept of a history: whichever limit is reached first. What is there now is kept whatever its age."""

    seconds: float
    changes: int
    """Of this history."""
    resource: str
    """One that this history keeps."""


RETENTION = {
    MAIN: Keep(24 * 3600, 100_000, "pods"),
    LEASES: Keep(600, 10_000, "coordination.k8s.io/leases"),
    EVENTS: Keep(3600, 20_000, "events"),
}
"""A day to look back on and undo; Leases say nothing once renewed, and Events themselves last an hour."""


class Compactor:
    """Compacts a store by age and by count."""

    def __init__(self, store: Store, clock: Clock, retention: dict[str, Keep] = RETENTION) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention

    async def run(self) -> None:
        """Until it is cancelled. The store's writers never wait for it."""
        seen = -1
        settled = False
        while True:
            if not settled or self._store.revision != seen:
                seen = self._store.revision
                try:
                    settled = await self.compact()
                except StoreError as error:
                    log.warning("compaction of the store failed, and will be tried again: %s", error)
            await self._clock.sleep(INTERVAL)

    async def compact(self) -> bool:
        """One look at every history. True when there is nothing left that will grow old."""
        settled = True
        for keep in self._retention.values():
            newest = self._store.revision
            old = await self._store.revision_at(self._clock.now() - keep.seconds)
            target = max(old, await self._store.revision_back(keep.resource, keep.changes))
            if target > self._store.compacted_of(keep.resource):
                await self._store.compact(target, keep.resource)
            settled &= old >= newest
        return settled
