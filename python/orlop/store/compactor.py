"""Forgets the past as it grows old, too many or too big."""

import logging

from orlop.clock import Clock
from orlop.store.base import Store, StoreError
from orlop.store.retention import RETENTION, Retention

log = logging.getLogger(__name__)

INTERVAL = 60.0
"""Seconds between looks at how old the oldest is. A look at a store that has not changed compares two numbers."""


class Compactor:
    """Compacts each resource's history by age, count and size."""

    def __init__(self, store: Store, clock: Clock, retention: Retention = RETENTION) -> None:
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
        store = self._store
        newest = store.revision
        now = self._clock.now()
        by_age: dict[float, int] = {}
        targets: dict[str, int] = {}
        for resource in store.resources:
            keep = self._retention.of(resource)
            if keep.seconds not in by_age:
                by_age[keep.seconds] = await store.revision_at(now - keep.seconds)
            target = max(by_age[keep.seconds], await store.revision_back(resource, keep.changes, keep.size))
            if target > store.compacted_of(resource):
                targets[resource] = target
        if targets:
            await store.compact_each(targets)
        return all(old >= newest for old in by_age.values())
