"""How many pods one step of a rollout may add and take. Plain arithmetic over the sets; nothing is written here."""

from collections.abc import Callable, Iterable, Sequence
from math import ceil, floor

from orlop.api.types import apps_v1
from orlop.controllers.deployment.revisions import oldest_first, replicas_of

Sets = Sequence[apps_v1.ReplicaSet]


def is_rolling(d: apps_v1.Deployment) -> bool:
    return d.spec.strategy.type == "RollingUpdate"


def _scaled(value: int | str | None, total: int, *, up: bool) -> int:
    """A number, or a percentage of `total` rounded up or down; unset is 0."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    share = int(value.removesuffix("%")) * total / 100
    return ceil(share) if up else floor(share)


def fence_posts(d: apps_v1.Deployment) -> tuple[int, int]:
    """maxSurge (percentages rounded up) and maxUnavailable (down); not both 0, or nothing could ever move."""
    rolling = d.spec.strategy.rolling_update
    if rolling is None:
        return 0, 1
    surge = _scaled(rolling.max_surge, replicas_of(d), up=True)
    unavailable = _scaled(rolling.max_unavailable, replicas_of(d), up=False)
    return (surge, 1) if surge == 0 and unavailable == 0 else (surge, unavailable)


def max_surge(d: apps_v1.Deployment) -> int:
    """Pods above the wanted number during a rolling update."""
    return fence_posts(d)[0] if is_rolling(d) else 0


def max_unavailable(d: apps_v1.Deployment) -> int:
    """Pods below the wanted number during a rolling update."""
    if not is_rolling(d) or replicas_of(d) == 0:
        return 0
    return min(fence_posts(d)[1], replicas_of(d))


def asked(sets: Iterable[apps_v1.ReplicaSet]) -> int:
    """Pods that the sets ask for."""
    return sum(replicas_of(rs) for rs in sets)


def available(sets: Iterable[apps_v1.ReplicaSet]) -> int:
    return sum(rs.status.available_replicas for rs in sets)


def is_known(rs: apps_v1.ReplicaSet) -> bool:
    """Whether the set's status is of what it asks for now: one that asked for fewer meanwhile has given pods up."""
    return rs.status.observed_generation >= rs.metadata.generation


def lasting(sets: Iterable[apps_v1.ReplicaSet]) -> int:
    """Available pods that stay: a set's status may still count those that it has been asked to give up."""
    return sum(min(rs.status.available_replicas, replicas_of(rs)) for rs in sets)


def active(sets: Iterable[apps_v1.ReplicaSet]) -> list[apps_v1.ReplicaSet]:
    """Those that ask for pods."""
    return [rs for rs in sets if replicas_of(rs) > 0]


def new_size(d: apps_v1.Deployment, everything: Sets, new: apps_v1.ReplicaSet) -> int:
    """The size that the newest set may have now."""
    wanted = replicas_of(d)
    if not is_rolling(d):
        return wanted
    room = wanted + max_surge(d) - asked(everything)
    if room <= 0:
        return replicas_of(new)
    return replicas_of(new) + min(room, wanted - replicas_of(new))


def old_sizes(
    d: apps_v1.Deployment,
    new: apps_v1.ReplicaSet,
    old: Sets,
    seen: Callable[[apps_v1.ReplicaSet], int] = lambda rs: rs.status.available_replicas,
) -> list[tuple[apps_v1.ReplicaSet, int]]:
    """The sizes that old sets are to shrink to now, those that change only.

    First go pods that are not available anyway, from any old set, even where none that is available may go: a rollout
    must not get stuck on a broken revision. Then available ones, oldest set first, down to the least that must stay.
    Upstream goes by whatever the sets' statuses say; here none is given up on the word of an outdated one. `seen` tells
    how many pods of a set are available as the pods themselves say: its status may not have been written since they
    became so, as when all controllers have just been started.
    """
    if asked(old) == 0 or not all(map(is_known, [*old, new])):
        return []
    least = replicas_of(d) - max_unavailable(d)
    # Pods of the new set that are not available yet may not be counted on; nor may those to come.
    may_go = asked([*old, new]) - least - (replicas_of(new) - new.status.available_replicas)
    if may_go <= 0:
        return []
    sizes = {rs.metadata.uid: replicas_of(rs) for rs in old}
    order = oldest_first(old)
    for rs in order:
        unhealthy = max(0, sizes[rs.metadata.uid] - max(rs.status.available_replicas, seen(rs)))
        taken = min(may_go, unhealthy)
        sizes[rs.metadata.uid] -= taken
        may_go -= taken
    spare = lasting([*old, new]) - least
    for rs in order:
        if spare <= 0:
            break
        taken = min(spare, sizes[rs.metadata.uid])
        sizes[rs.metadata.uid] -= taken
        spare -= taken
    return [(rs, sizes[rs.metadata.uid]) for rs in order if sizes[rs.metadata.uid] != replicas_of(rs)]
