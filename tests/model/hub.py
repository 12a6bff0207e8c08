"""A hub so plain that it is obviously right: a list of everything that happened, and filters over it."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

Object = dict[str, Any]
Place = tuple[str, str]
Selects = Callable[[Object], bool]


class Event(NamedTuple):
    revision: int
    before: Object | None
    after: Object | None
    last: Object
    """The object as it is shown when it is gone."""


class PlainHub:
    """One resource."""

    def __init__(self, ring: int) -> None:
        self.ring = ring
        self.objects: dict[Place, Object] = {}
        self.events: list[Event] = []
        self.started = 0
        self.revision = 0

    @property
    def oldest(self) -> int:
        """Events up to here are forgotten."""
        forgotten = self.events[: -self.ring]
        return forgotten[-1].revision if forgotten else self.started

    def apply(self, place: Place, revision: int, deleted: bool, object_: Object) -> None:
        before = self.objects.pop(place, None)
        if not deleted:
            self.objects[place] = object_
        self.events.append(Event(revision, before, None if deleted else object_, object_))
        self.revision = revision

    def list(self, selects: Selects) -> list[Object]:
        return [
            object_ for _, object_ in sorted(self.objects.items(), key=lambda one: "/".join(one[0])) if selects(object_)
        ]


class PlainWatcher:
    def __init__(self, hub: PlainHub, selects: Selects, since: int | None, initial: bool, bookmarks: bool) -> None:
        self.hub = hub
        self.selects = selects
        self.bookmarks = bookmarks
        self.since = hub.revision if since is None or initial else since
        self.expired = False
        self.over = False
        self.due: list[tuple[str, int, Object]] = []
        self.bookmark_due = False
        if initial:
            self.due = [("ADDED", int(o["metadata"]["resourceVersion"]), o) for o in hub.list(selects)]
            if bookmarks:
                self.due.append(("BOOKMARK", hub.revision, bookmark(hub.revision, True)))

    def seen(self, event: Event) -> tuple[str, int, Object] | None:
        before = event.before is not None and self.selects(event.before)
        after = event.after is not None and self.selects(event.after)
        if after:
            assert event.after is not None
            return "MODIFIED" if before else "ADDED", event.revision, event.after
        if not before:
            return None
        assert event.before is not None
        left = event.last if event.after is None else at_revision(event.before, event.revision)
        return "DELETED", event.revision, left

    def look(self) -> None:
        """Notices that an event it wanted has been forgotten. Called after each event of the hub."""
        wanted = [event for event in self.hub.events if event.revision > self.since and self.seen(event)]
        if wanted and wanted[0].revision <= self.hub.oldest:
            self.expired = True

    def take(self, count: int) -> list[tuple[str, int, Object]]:
        if self.over:
            return []
        if self.expired:
            self.over = True
            return [("ERROR", 0, {})]
        found = self.due[:count]
        del self.due[:count]
        for event in self.hub.events:
            if len(found) == count:
                return found
            if event.revision > self.since:
                self.since = event.revision
                if one := self.seen(event):
                    found.append(one)
        if len(found) < count:
            self.since = self.hub.revision
            if self.bookmark_due:
                self.bookmark_due = False
                found.append(("BOOKMARK", self.since, bookmark(self.since, False)))
        return found


def bookmark(revision: int, end: bool) -> Object:
    metadata: Object = {"resourceVersion": str(revision)}
    if end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}


def at_revision(object_: Object, revision: int) -> Object:
    copied: Object = json.loads(json.dumps(object_))
    copied["metadata"]["resourceVersion"] = str(revision)
    return copied
