"""What a change of the number of replicas means: plain, or spread over the sets of a rollout that is under way."""

from collections.abc import Sequence
from math import floor

from orlop.api.types import apps_v1
from orlop.controllers.deployment.revisions import (
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    noted,
    oldest_first,
    replicas_of,
    revision_of,
)
from orlop.controllers.deployment.rollout import active, asked, is_rolling, max_surge

Sets = Sequence[apps_v1.ReplicaSet]
Sizes = list[tuple[apps_v1.ReplicaSet, int]]


def is_scaling(d: apps_v1.Deployment, everything: Sets) -> bool:
    """Whether the number has changed since the sets last heard of it."""
    sizes = (noted(rs, DESIRED_REPLICAS) for rs in active(everything))
    return any(size is not None and size != replicas_of(d) for size in sizes)


def sizes(d: apps_v1.Deployment, new: apps_v1.ReplicaSet | None, old: Sets) -> Sizes:
    """The sets with the sizes they are to have; all that need their annotations brought up to date are among them."""
    everything = [*old, new] if new is not None else list(old)
    only = _active_or_latest(new, old)
    if only is not None:
        return [(only, replicas_of(d))]
    if new is not None and _is_saturated(d, new):
        return [(rs, 0) for rs in active(old)]
    if is_rolling(d):
        return _proportional(d, active(everything))
    # Recreate with several sets at work (its strategy was changed in between): they are about to go, so they only note
    # the number. Upstream leaves it at that and takes the deployment for one that is being scaled for ever.
    return [(rs, replicas_of(rs)) for rs in active(everything)]


def _active_or_latest(new: apps_v1.ReplicaSet | None, old: Sets) -> apps_v1.ReplicaSet | None:
    """The only set with pods, or the newest if none has any; None if there are several."""
    everything = active([*old, new] if new is not None else old)
    if len(everything) == 1:
        return everything[0]
    if everything:
        return None
    if new is not None:
        return new
    return oldest_first(old)[-1] if old else None


def _is_saturated(d: apps_v1.Deployment, rs: apps_v1.ReplicaSet) -> bool:
    """Whether the set is all that the deployment wants, and knew so."""
    wanted = replicas_of(d)
    return (
        replicas_of(rs) == wanted and noted(rs, DESIRED_REPLICAS) == wanted and rs.status.available_replicas == wanted
    )


def _proportional(d: apps_v1.Deployment, sets: Sets) -> Sizes:
    """Spreads the difference by the sets' shares of the whole; what rounding leaves goes to the largest."""
    allowed = replicas_of(d) + max_surge(d) if replicas_of(d) > 0 else 0
    to_add = allowed - asked(sets)
    order = sorted(sets, key=lambda rs: (rs.metadata.creation_timestamp, revision_of(rs)), reverse=to_add > 0)
    order.sort(key=replicas_of, reverse=True)
    result: Sizes = []
    added = 0
    for rs in order:
        share = _share(d, rs, to_add, added) if to_add else 0
        added += share
        result.append((rs, replicas_of(rs) + share))
    if result and to_add:
        largest, size = result[0]
        result[0] = (largest, max(0, size + to_add - added))
    return result


def _share(d: apps_v1.Deployment, rs: apps_v1.ReplicaSet, to_add: int, added: int) -> int:
    if replicas_of(rs) == 0 or to_add == added:
        return 0
    fraction, left = _fraction(d, rs), to_add - added
    return min(fraction, left) if to_add > 0 else max(fraction, left)


def _fraction(d: apps_v1.Deployment, rs: apps_v1.ReplicaSet) -> int:
    """What the set gains (or loses) if it grows (or shrinks) as the whole does."""
    if replicas_of(d) == 0:
        return -replicas_of(rs)
    before = noted(rs, MAX_REPLICAS) or d.status.replicas
    if before == 0:
        return 0
    grown = replicas_of(rs) * (replicas_of(d) + max_surge(d)) / before
    return floor(grown + 0.5) - replicas_of(rs)
