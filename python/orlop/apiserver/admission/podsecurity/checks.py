"""The checks of pods, each in its versions, in the order in which findings are told.

As k8s.io/pod-security-admission/policy. `Check.function` looks at a pod's metadata and spec and gives what is forbidden
in it; None where nothing is.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from orlop.api.types import core_v1, meta_v1

Container = core_v1.Container | core_v1.EphemeralContainer


class Finding(NamedTuple):
    """What a check forbids in a pod."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})"


Function = Callable[[meta_v1.ObjectMeta, core_v1.PodSpec], Finding | None]


class Check(NamedTuple):
    """One check, from a minor version on, until one of the same name has a later version."""

    name: str
    since: int
    function: Function
    instead_of: str = ""
    """The check of baseline that this one, of restricted, is the stricter form of."""


def chosen(checks: Iterable[Check], minor: int) -> Iterator[Check]:
    """The checks as of a minor version: the latest that is not newer, of each name."""
    found: dict[str, Check] = {}
    for check in checks:
        if check.since <= minor and (check.name not in found or found[check.name].since < check.since):
            found[check.name] = check
    yield from found.values()


def containers(spec: core_v1.PodSpec) -> list[Container]:
    """Those of init first, then the others, ephemeral ones last."""
    return [*spec.init_containers, *spec.containers, *spec.ephemeral_containers]


def context(container: Container) -> core_v1.SecurityContext:
    """A container's own security context, an empty one where it has none."""
    return container.security_context or core_v1.SecurityContext()


def pod_context(spec: core_v1.PodSpec) -> core_v1.PodSecurityContext:
    """The pod's."""
    return spec.security_context or core_v1.PodSecurityContext()


def quoted(items: Iterable[str]) -> str:
    """`"a", "b"`"""
    return ", ".join(f'"{item}"' for item in items)


def counted(word: str, items: list[str]) -> str:
    """`container "a"`, `containers "a", "b"`"""
    return f"{word if len(items) == 1 else f'{word}s'} {quoted(items)}"


def setters(pod: bool, names: list[str]) -> str:
    """`pod and containers "a", "b"`: who set something."""
    return " and ".join([*(["pod"] if pod else []), *([counted("container", names)] if names else [])])


def own_users(spec: core_v1.PodSpec) -> bool:
    """Whether root in the pod is nobody outside (KEP-127): then some checks are relaxed."""
    return spec.host_users is False
