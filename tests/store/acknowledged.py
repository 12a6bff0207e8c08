"""What a process said it had been promised, held against the store it left behind."""

from orlop.store.base import Compacted, Key
from orlop.store.lmdb import LmdbStore
from tests.store import child

Told = dict[int, tuple[Key, bytes | None]]
"""By revision the key and the value, None for a deletion."""


def read_acknowledged(lines: list[str]) -> tuple[Told, int]:
    """What the lines of `child.killed` say was acknowledged, and how far it was compacted."""
    told: Told = {}
    compacted = 0
    for line in lines:
        if line.startswith("compacted"):
            compacted = max(compacted, int(line.split()[1]))
            continue
        revision, resource, name, *value = line.split()
        parts = child.parts(value[0], int(value[1])) if value else None
        told[int(revision)] = Key(resource, "default", name), parts.at(int(revision)) if parts else None
    return told, compacted


async def check_acknowledged(store: LmdbStore, told: Told) -> None:
    """Every acknowledged write is there: as the past where it is kept, and as what is there now unless overwritten."""
    newest: dict[Key, int] = {}
    for revision, (key, _) in sorted(told.items()):
        newest[key] = revision
    for revision, (key, value) in told.items():
        if revision >= store.compacted_of(key.resource):
            record = await store.get(key, revision=revision)
            assert (record.value if record else None) == value
        else:
            try:
                await store.get(key, revision=revision)
                raise AssertionError(f"revision {revision} is compacted")
            except Compacted:
                pass
    for key, revision in newest.items():
        record = await store.get(key)
        # A write that was stored but not told any more may have come after.
        if record is None or record.revision != revision:
            assert (record.revision if record else store.revision) > revision or told[revision][1] is None
        else:
            assert record.value == told[revision][1]
    since = max(store.compacted_of("pods"), store.compacted_of("coordination.k8s.io/leases"))
    seen = since
    changes = store.changes(since)
    while seen < store.revision:
        for change in (await anext(changes)).changes:
            assert change.revision == seen + 1, "a gap in the log"
            seen = change.revision
    await changes.aclose()  # type: ignore[attr-defined]
    records, _ = await store.range(None)
    counts = (await store.stats()).objects
    assert len(records) == sum(counts.values())
