"""What a delete makes of an object: upstream's pkg/registry/rest/delete.go and what its generic registry adds."""

from typing import Any

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver.registry import meta
from orlop.apiserver.registry.strategy import Strategy
from orlop.clock import parse_time, rfc3339


def mark(strategy: Strategy, obj: Any, options: meta_v1.DeleteOptions, now: float) -> bool | None:
    """Changes `obj` to what a delete makes of it: True if it goes now, False if it stays marked, None if the
    delete changes nothing."""
    metadata: meta_v1.ObjectMeta = obj.metadata
    deleting = metadata.deletion_timestamp is not None
    grace = 0
    if strategy.graceful:
        if deleting:
            left = metadata.deletion_grace_period_seconds
            if left is None or options.grace_period_seconds is None:
                return None
            grace = strategy.grace(obj, options.grace_period_seconds)
            if grace >= left and not (grace == 0 and not metadata.finalizers):
                return None
            metadata.deletion_timestamp = rfc3339(parse_time(metadata.deletion_timestamp or "") - left + grace)
        else:
            grace = strategy.grace(obj, options.grace_period_seconds)
            metadata.deletion_timestamp = rfc3339(now + grace)
            if metadata.generation > 0:
                metadata.generation += 1
        metadata.deletion_grace_period_seconds = grace
    finalizers = finalizers_of(strategy, metadata, options)
    metadata.finalizers = finalizers
    held = bool(finalizers) or strategy.holds(obj)
    if held and not strategy.graceful and not deleting:
        metadata.deletion_timestamp = rfc3339(now)
        metadata.deletion_grace_period_seconds = strategy.deletion_grace
        if metadata.generation > 0:
            metadata.generation += 1
        strategy.mark_deleting(obj)
    return not held and grace == 0


def finalizers_of(strategy: Strategy, metadata: meta_v1.ObjectMeta, options: meta_v1.DeleteOptions) -> list[str]:
    """The finalizers with `orphan` and `foregroundDeletion` as the delete asks."""
    policy = options.propagation_policy
    if policy is None and options.orphan_dependents is not None:
        policy = "Orphan" if options.orphan_dependents else "Background"
    if policy is None:
        if meta.ORPHAN in metadata.finalizers:
            policy = "Orphan"
        elif meta.FOREGROUND in metadata.finalizers:
            policy = "Foreground"
        elif strategy.garbage_collected == "orphan":
            policy = "Orphan"
    wanted = {"Orphan": meta.ORPHAN, "Foreground": meta.FOREGROUND}.get(policy or "")
    finalizers = [f for f in metadata.finalizers if f not in (meta.ORPHAN, meta.FOREGROUND) or f == wanted]
    if wanted and wanted not in finalizers:
        finalizers.append(wanted)
    return finalizers


def check_preconditions(kind: Kind, metadata: meta_v1.ObjectMeta, wanted: meta_v1.Preconditions | None) -> None:
    """Raises Conflict where the object is not the one that is meant."""
    if wanted is None:
        return
    if kind.resource == "namespaces":
        # Upstream's namespaces are looked at by their storage, which has words of its own.
        check_stored(kind.plural, kind.group, metadata, wanted.uid, wanted.resource_version)
    if wanted.uid is not None and wanted.uid != metadata.uid:
        why = (
            f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({metadata.uid}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(kind.kind, kind.group, metadata.name, why)
    if wanted.resource_version is not None and wanted.resource_version != metadata.resource_version:
        why = (
            f"the ResourceVersion in the precondition ({wanted.resource_version}) does not match the ResourceVersion "
            f"in record ({metadata.resource_version}). The object might have been modified"
        )
        raise errors.conflict(kind.kind, kind.group, metadata.name, why)


def check_stored(
    resource: str, group: str, metadata: meta_v1.ObjectMeta, uid: str | None, revision: str | None
) -> None:
    """Raises Conflict, in the words of upstream's storage, where an object has not this uid or this revision."""
    if uid is not None and uid != metadata.uid:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata.uid}"
        raise errors.conflict(resource, group, metadata.name, why)
    if revision is not None and revision != metadata.resource_version:
        why = (
            f"Precondition failed: ResourceVersion in precondition: {revision}, ResourceVersion in object meta: "
            f"{metadata.resource_version}"
        )
        raise errors.conflict(resource, group, metadata.name, why)


def ends(strategy: Strategy, new: Any, old: Any) -> bool:
    """Whether an update takes the last thing away that kept a deleted object."""
    return (
        old.metadata.deletion_timestamp is not None
        and (bool(old.metadata.finalizers) or strategy.holds(old))
        and not new.metadata.finalizers
        and not strategy.holds(new)
        and (new.metadata.deletion_grace_period_seconds or 0) == 0
    )
