"""What an update may delete and make now. Plain arithmetic over the pods by node; nothing is written here."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import NamedTuple

from orlop.api.types import apps_v1
from orlop.controllers import pods as podlib
from orlop.controllers.daemonset.placement import is_updated
from orlop.controllers.views import PodView

ByNode = Mapping[str, Sequence[PodView]]


class Step(NamedTuple):
    """Pods to delete and nodes to make pods for."""

    delete: list[PodView]
    create: list[str]


def _share(value: int | str | None, total: int) -> int:
    """A number, or a percentage of `total` rounded up; unset is 0."""
    if value is None:
        return 0
    return value if isinstance(value, int) else ceil(int(value.removesuffix("%")) * total / 100)


def fence_posts(ds: apps_v1.DaemonSet, desired: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable in nodes; not both 0, or nothing could ever move."""
    rolling = ds.spec.update_strategy.rolling_update
    if ds.spec.update_strategy.type != "RollingUpdate" or rolling is None:
        return 0, 0
    surge, unavailable = _share(rolling.max_surge, desired), _share(rolling.max_unavailable, desired)
    return surge, 1 if not surge and not unavailable and desired else unavailable


def surges(ds: apps_v1.DaemonSet) -> bool:
    """Whether an update makes the new pod before the old one goes."""
    rolling = ds.spec.update_strategy.rolling_update
    return (
        ds.spec.update_strategy.type == "RollingUpdate"
        and rolling is not None
        and rolling.max_surge not in (None, 0, "0%")
    )


def step(ds: apps_v1.DaemonSet, on: ByNode, wanted: Sequence[str], hash_: str, now: float) -> Step:
    """The next step of the rolling update. `wanted` are the nodes that are to have a pod."""
    nodes = {**on, **{name: () for name in wanted if name not in on}}
    surge, unavailable = fence_posts(ds, len(wanted))
    return _surge(ds, nodes, surge, hash_, now) if surge else _replace(ds, nodes, unavailable, hash_, now)


def _replace(ds: apps_v1.DaemonSet, on: ByNode, most: int, hash_: str, now: float) -> Step:
    """Old pods go first: those that are unavailable anyway, and of the others as many as may be missing."""
    missing = 0
    broken: list[PodView] = []
    candidates: list[PodView] = []
    for pods in on.values():
        found = _pair(ds, pods, hash_)
        if found is None or (found[0] is None) == (found[1] is None):
            missing += 1  # one is about to be made or deleted here
            continue
        new, old = found
        if old is None:
            missing += not (new is not None and _available(ds, new, now))
        elif _available(ds, old, now):
            candidates.append(old)
        else:
            broken.append(old)
            missing += 1
    return Step(broken + candidates[: max(0, most - missing)], [])


def _surge(ds: apps_v1.DaemonSet, on: ByNode, most: int, hash_: str, now: float) -> Step:
    """New pods come first, on as many nodes as may have two; the old one goes when the new one is available."""
    surging = 0
    done: list[PodView] = []
    broken: list[str] = []
    candidates: list[str] = []
    for node, pods in on.items():
        found = _pair(ds, pods, hash_)
        if found is None:
            surging += 1  # the surplus is about to be deleted here
            continue
        new, old = found
        if old is None:
            continue
        if new is None:
            (candidates if _available(ds, old, now) else broken).append(node)
        elif not _available(ds, old, now):
            done.append(old)
        else:
            surging += 1
            if _available(ds, new, now):
                done.append(old)
    return Step(done, broken + candidates[: max(0, most - surging)])


def _pair(ds: apps_v1.DaemonSet, pods: Sequence[PodView], hash_: str) -> tuple[PodView | None, PodView | None] | None:
    """The node's new and old pod; None if there are several of one sort."""
    staying = [pod for pod in pods if pod.metadata.deletion_timestamp is None]
    new = [pod for pod in staying if is_updated(ds, pod, hash_)]
    old = [pod for pod in staying if pod not in new]
    if len(new) > 1 or len(old) > 1:
        return None
    return new[0] if new else None, old[0] if old else None


def _available(ds: apps_v1.DaemonSet, pod: PodView, now: float) -> bool:
    return podlib.is_available(pod, ds.spec.min_ready_seconds, now)
