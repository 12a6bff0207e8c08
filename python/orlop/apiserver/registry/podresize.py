"""What the resize subresource of a pod may change: pkg/apis/core/validation's ValidatePodResize (KEP-1287)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orlop.api.errors import FieldError, forbidden_field, invalid_value
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, poddefaults, resources

if TYPE_CHECKING:
    from orlop.apiserver.registry.pods import Pods

MUTABLE = frozenset({"cpu", "memory"})
ONLY = "only cpu and memory resources are mutable"
SAME_CONTAINERS = "containers may not be added or removed on resize"
QOS = "Pod QOS Class may not change as a result of resizing"


def prepare(strategy: "Pods", new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """Keeps of the new pod its containers' resources and resize policies alone; says what is wrong with them."""
    strategy.carry(new, old)
    wanted = new.spec
    containers, errors = _merged(wanted.containers, old.spec.containers, "spec.containers")
    inits, more = _merged(wanted.init_containers, old.spec.init_containers, "spec.initContainers")
    errors += more
    new.spec = replace(old.spec, containers=containers, init_containers=inits)
    new.status = old.status
    poddefaults.pod(new)
    if new.spec != old.spec:
        new.metadata.generation = old.metadata.generation + 1
    for path, after, before in (
        ("spec.containers", containers, old.spec.containers),
        ("spec.initContainers", inits, old.spec.init_containers),
    ):
        for i, (container, was) in enumerate(zip(after, before, strict=False)):
            errors += _change(container, was, f"{path}[{i}]")
    if poddefaults.qos_class(new.spec) != (old.status.qos_class or poddefaults.qos_class(old.spec)):
        errors.append(invalid_value("spec", old.status.qos_class, QOS))
    return errors + meta.validate_update(new.metadata, old.metadata)


def _merged(
    new: Sequence[core_v1.Container], old: Sequence[core_v1.Container], path: str
) -> tuple[list[core_v1.Container], list[FieldError]]:
    if [c.name for c in new] != [c.name for c in old]:
        return list(old), [forbidden_field(path, SAME_CONTAINERS)]
    return [
        replace(was, resources=c.resources, resize_policy=c.resize_policy or was.resize_policy)
        for c, was in zip(new, old, strict=True)
    ], []


def _change(new: core_v1.Container, old: core_v1.Container, path: str) -> list[FieldError]:
    if new.resources == old.resources:
        return []
    errors = resources.validate_requirements(new.resources, f"{path}.resources")
    for field, after, before in (
        ("requests", new.resources.requests, old.resources.requests),
        ("limits", new.resources.limits, old.resources.limits),
    ):
        where = f"{path}.resources.{field}"
        for name in sorted(before.keys() | after.keys()):
            if after.get(name) == before.get(name):
                continue
            if name not in MUTABLE:
                errors.append(forbidden_field(where, ONLY))
            elif name not in after:
                errors.append(forbidden_field(where, f"resource {field} cannot be removed"))
    return errors
