"""What the resize subresource of a pod may change: pkg/apis/core/validation's ValidatePodResize (KEP-1287)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orlop.api.errors import FieldError, forbidden_field, invalid_value
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names, poddefaults, podvalidation
from orlop.apiserver.registry.podannotations import MIRROR

if TYPE_CHECKING:
    from orlop.apiserver.registry.pods import Pods

MUTABLE = frozenset({"cpu", "memory"})
ONLY = "only cpu and memory resources are mutable"
ONLY_BEFORE = "only cpu and memory resources for init or sidecar containers are mutable"
QOS = "Pod QOS Class may not change as a result of resizing"
NO_RESTART = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"


def prepare(strategy: "Pods", new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """Keeps of the new pod its resources and resize policies alone; says what is wrong with them."""
    strategy.carry(new, old)
    wanted = new.spec
    if len(wanted.containers) == len(old.spec.containers) and len(wanted.init_containers) == len(
        old.spec.init_containers
    ):
        containers = _merged(wanted.containers, old.spec.containers)
        inits = _merged(wanted.init_containers, old.spec.init_containers)
        new.spec = replace(old.spec, containers=containers, init_containers=inits, resources=wanted.resources)
        given = new.metadata
        new.metadata = replace(
            old.metadata,
            resource_version=given.resource_version,
            uid=given.uid or old.metadata.uid,
            managed_fields=given.managed_fields,
        )
    new.status = old.status
    poddefaults.pod(new)
    if new.spec != old.spec:
        new.metadata.generation = old.metadata.generation + 1
    return validate(new, old)


def _merged(new: Sequence[core_v1.Container], old: Sequence[core_v1.Container]) -> list[core_v1.Container]:
    if [c.name for c in new] != [c.name for c in old]:
        return list(new)
    return [replace(was, resources=c.resources, resize_policy=c.resize_policy) for c, was in zip(new, old, strict=True)]


def validate(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """What is wrong with the change of a pod's resources."""
    if MIRROR in old.metadata.annotations:
        return [forbidden_field("", "static pods cannot be resized")]
    if old.spec.os is not None and old.spec.os.name == "windows":
        return [forbidden_field("", "windows pods cannot be resized")]
    errors = meta.validate_update(new.metadata, old.metadata)
    errors += meta.validate(new.metadata, True, names.subdomain)
    errors += podvalidation.validate_current(new, old)
    if poddefaults.qos_class(new.spec) != (old.status.qos_class or poddefaults.qos_class(old.spec)):
        errors.append(invalid_value("spec", new.status.qos_class, QOS))
    running = [s for s in old.status.container_statuses if s.state.running is not None]
    if running and running[0].resources is None:
        errors.append(forbidden_field("spec", "Pod running on node without support for resize"))
    errors += _whole(new.spec.resources, old.spec.resources)
    if old.status.node_allocatable_resource_claim_statuses:
        errors.append(forbidden_field("spec", "pods with node allocatable resource claims cannot be resized"))
    order = _order(new.spec.containers, old.spec.containers, "containers")
    order += _order(new.spec.init_containers, old.spec.init_containers, "initContainers")
    if order:
        return errors + order
    for json, after, before in (
        ("initContainers", new.spec.init_containers, old.spec.init_containers),
        ("containers", new.spec.containers, old.spec.containers),
    ):
        for i, (container, was) in enumerate(zip(after, before, strict=True)):
            errors += _removed(container.resources, was.resources, f"spec.{json}[{i}].resources", "resource")
    for container, was in zip(new.spec.containers, old.spec.containers, strict=True):
        if _without_resize(container, was) != was:
            errors.append(forbidden_field("spec", ONLY))
    for i, (container, was) in enumerate(zip(new.spec.init_containers, old.spec.init_containers, strict=True)):
        if _without_resize(container, was) != was:
            errors.append(forbidden_field(f"spec.initContainers[{i}]", ONLY_BEFORE))
        if container != was and container.restart_policy != "Always":
            errors += [
                forbidden_field(f"spec.initContainers[{i}]", NO_RESTART)
                for policy in container.resize_policy
                if policy.restart_policy == "RestartContainer"
            ]
    return errors


def _order(new: Sequence[core_v1.Container], old: Sequence[core_v1.Container], json: str) -> list[FieldError]:
    if len(new) != len(old):
        return [forbidden_field(f"spec.{json}", f"{json} may not be added or removed on resize")]
    return [
        forbidden_field(f"spec.{json}[{i}].name", f"{json} may not be renamed or reordered on resize")
        for i, (container, was) in enumerate(zip(new, old, strict=True))
        if container.name != was.name
    ]


def _removed(
    new: core_v1.ResourceRequirements, old: core_v1.ResourceRequirements, path: str, what: str
) -> list[FieldError]:
    errors: list[FieldError] = []
    if old.requests.keys() - new.requests.keys():
        errors.append(forbidden_field(f"{path}.requests", f"{what} requests cannot be removed"))
    if old.limits.keys() - new.limits.keys():
        errors.append(forbidden_field(f"{path}.limits", f"{what} limits cannot be removed"))
    return errors


def _whole(new: core_v1.ResourceRequirements | None, old: core_v1.ResourceRequirements | None) -> list[FieldError]:
    """Pod-level amounts (KEP-5419)."""
    if old is None or new is None:
        if old is not None and (old.requests or old.limits):
            return [forbidden_field("spec.resources", "pod-level resources cannot be removed")]
        old = old or core_v1.ResourceRequirements()
        new = new or core_v1.ResourceRequirements()
    errors = _removed(new, old, "spec.resources", "pod-level resource")
    if _kept(new, old) != old:
        errors.append(forbidden_field("spec", f"{ONLY} at pod-level"))
    return errors


def _without_resize(new: core_v1.Container, old: core_v1.Container) -> core_v1.Container:
    """The new container with the old one's cpu and memory: what then differs may not."""
    return replace(new, resources=_kept(new.resources, old.resources))


def _kept(new: core_v1.ResourceRequirements, old: core_v1.ResourceRequirements) -> core_v1.ResourceRequirements:
    def put_back(now: Mapping[str, str], was: Mapping[str, str]) -> dict[str, str]:
        other = {name: value for name, value in now.items() if name not in MUTABLE}
        return other | {name: value for name, value in was.items() if name in MUTABLE}

    return replace(new, requests=put_back(new.requests, old.requests), limits=put_back(new.limits, old.limits))
