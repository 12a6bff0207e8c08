"""Objects out of a store on disk, as they are written: a running cluster's, a backup's, a damaged one's."""

from collections.abc import Callable, Collection, Iterator

from orlop.store.base import Compacted, FutureRevision, Record, StoreCorrupt, StoreError
from orlop.store.findings import PRESENT, Finding
from orlop.store.lmdb_look import look

PASSING = frozenset({"events", "coordination.k8s.io/leases"})
"""Resources that say something about a moment: left out unless they are asked for."""


def export(
    path: str,
    resources: Collection[str] | None,
    namespace: str | None,
    revision: int | None,
    tell: Callable[[Finding], None],
) -> Iterator[Record]:
    """The objects in the store in a folder, in the order of keys; of these resources, or of all but what passes.

    One state: of now, or as of `revision`. `tell` hears of objects that cannot be read. Raises StoreError.
    """
    with look(path) as (_, layout, txn):
        for resource in sorted(layout.resources if resources is None else resources):
            if resources is None and resource in PASSING:
                continue
            try:
                at = layout.snapshot(txn, resource, revision)
            except (Compacted, FutureRevision) as error:
                raise StoreError(f"{resource}: {error}") from error
            for place, where in layout.places(txn, resource, namespace, at):
                try:
                    yield layout.load(txn, place, int.from_bytes(where))
                except StoreCorrupt as error:
                    tell(Finding(layout.place(place), int.from_bytes(where), str(error), PRESENT))
