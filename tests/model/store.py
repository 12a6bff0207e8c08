"""A store so plain that it is obviously right: the list of everything that ever happened."""

from typing import NamedTuple

from orlop.store.base import Key


class Happened(NamedTuple):
    revision: int
    key: Key
    deleted: bool
    value: bytes
    previous: int


class PlainStore:
    def __init__(self) -> None:
        self.all: list[Happened] = []
        self.compacted: dict[str, int] = {}

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
        for written in {one.key.resource for one in self.all}:
            if resource in (None, written):
                self.compacted[written] = max(self.compacted.get(written, 0), revision)

    def readable(self, resource: str | None, revision: int) -> bool:
        return all(revision >= oldest for one, oldest in self.compacted.items() if resource in (None, one))

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
        """How many of each resource must still be kept: what is after its compaction, and what is readable at it."""
        counts: dict[str, int] = {}
        for resource in {one.key.resource for one in self.all}:
            compacted = self.compacted.get(resource, 0)
            kept = {one.revision for one in self.state(compacted).values()}
            counts[resource] = sum(
                one.key.resource == resource and (one.revision > compacted or one.revision in kept) for one in self.all
            )
        return {resource: count for resource, count in counts.items() if count}
