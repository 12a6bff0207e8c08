"""A store so plain that it is obviously right: the list of everything that ever happened."""

from typing import NamedTuple

from orlop.store.base import Key
from orlop.store.histories import histories_of, history_of


class Happened(NamedTuple):
    revision: int
    key: Key
    deleted: bool
    value: bytes
    previous: int


class PlainStore:
    def __init__(self) -> None:
        self.all: list[Happened] = []
        self.compacted = {"main": 0, "leases": 0, "events": 0}

    @property
    def revision(self) -> int:
        return len(self.all)

    def state(self, revision: int) -> dict[Key, Happened]:
        found: dict[Key, Happened] = {}
        for one in self.all[:revision]:
            found.pop(one.key, None)
            if not one.deleted:
                found[one.key] = one
        return found

    def commit(self, writes: list[tuple[Key, bytes, bytes, int | None, bool]]) -> list[int] | tuple[Key, int]:
        """The revisions, or the key in conflict and where it is."""
        now = self.state(self.revision)
        for key, _, _, expected, deleted in writes:
            actual = now[key].revision if key in now else 0
            if expected not in (None, actual) or (deleted and not actual):
                return key, actual
        revisions = []
        for key, head, tail, _, deleted in writes:
            revision = self.revision + 1
            previous = now[key].revision if key in now else 0
            self.all.append(Happened(revision, key, deleted, head + str(revision).encode() + tail, previous))
            revisions.append(revision)
        return revisions

    def compact(self, revision: int, resource: str | None) -> None:
        for history in histories_of(resource):
            self.compacted[history] = max(self.compacted[history], revision)

    def readable(self, resource: str | None, revision: int) -> bool:
        return all(revision >= self.compacted[history] for history in histories_of(resource))

    def range(
        self, resource: str | None, namespace: str | None, after: Key | None, revision: int
    ) -> list[tuple[int, Key, bytes]]:
        found = sorted(self.state(revision).values(), key=lambda one: one.key)
        return [
            (one.revision, one.key, one.value)
            for one in found
            if resource in (None, one.key.resource)
            and namespace in (None, one.key.namespace)
            and (after is None or one.key > after)
        ]

    def records(self) -> dict[str, int]:
        """How many each history must still keep: what is after its compaction, and what is readable at it."""
        counts = dict.fromkeys(self.compacted, 0)
        for history, compacted in self.compacted.items():
            kept = {one.revision for one in self.state(compacted).values()}
            counts[history] = sum(
                history_of(one.key.resource) == history and (one.revision > compacted or one.revision in kept)
                for one in self.all
            )
        return counts
