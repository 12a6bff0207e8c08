"""Events last an hour after they were last written (--event-ttl); upstream leaves this to etcd's leases.

The store's index from time to revision tells which revisions are that old, so nothing but the order of the events'
writes is kept here, and a look costs nothing while none is due.
"""

from collections import deque

import msgspec

from orlop import logging
from orlop.apiserver.registry.objects import Writer, split_stored
from orlop.clock import Clock
from orlop.native import Hub, Watcher
from orlop.store.base import Attribution, Conflict, Key, Store, StoreFull, Write

RESOURCE = "events"
INTERVAL = 60.0
"""Seconds between looks."""
BATCH = 1000
"""Events taken from the hub at a time."""
BY = Attribution("system:apiserver", "kube-apiserver")

log = logging.get("apiserver")


class _Metadata(msgspec.Struct):
    name: str
    namespace: str


class _Named(msgspec.Struct):
    metadata: _Metadata


class EventExpiry:
    """Deletes old events."""

    def __init__(self, store: Store, writer: Writer, hub: Hub, clock: Clock, ttl: float) -> None:
        self._store = store
        self._writer = writer
        self._hub = hub
        self._clock = clock
        self._ttl = ttl
        self._written: deque[tuple[int, str, str]] = deque()
        """(revision, namespace, name) of every write, oldest first; an event that was written again is there twice."""
        self._watcher: Watcher | None = None

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.look()
            except StoreFull as error:
                log.warning("old events could not be deleted, and will be tried again: %s", error)
            await self._clock.sleep(INTERVAL)

    async def look(self) -> int:
        """Deletes what is due; returns how many."""
        self._follow()
        if not self._written:
            return 0
        due = await self._store.revision_at(self._clock.now() - self._ttl)
        deleted = 0
        while self._written and self._written[0][0] <= due:
            revision, namespace, name = self._written.popleft()
            found = self._hub.get(RESOURCE, namespace, name)
            if found is None or found[1] != revision:
                continue
            write = Write(Key(RESOURCE, namespace, name), split_stored(found[0]), revision, delete=True, by=BY)
            try:
                await self._writer.commit(write)
                deleted += 1
            except Conflict:
                continue
        return deleted

    def _follow(self) -> None:
        """Notes what was written since the last look."""
        if self._watcher is None or self._watcher.state != "live":
            # At the start, or after so many events that the hub has moved on: begin with those that are there.
            self._written.clear()
            self._watcher = self._hub.watch(RESOURCE, None, "", "", None, True, False, False)
            self._written.extend(sorted(self._take(self._watcher)))
        else:
            self._written.extend(self._take(self._watcher))

    def _take(self, watcher: Watcher) -> list[tuple[int, str, str]]:
        taken = []
        while batch := watcher.events(BATCH):
            for type_, revision, value in batch:
                if type_ in ("ADDED", "MODIFIED"):
                    metadata = msgspec.json.decode(value, type=_Named).metadata
                    taken.append((revision, metadata.namespace, metadata.name))
        return taken
