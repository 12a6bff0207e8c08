"""Ephemeral containers: added to a pod that is there, by its subresource alone, and never changed or taken away.

The rules are those of pkg/apis/core/validation (validateEphemeralContainers, ValidatePodEphemeralContainersUpdate).
"""

import msgspec
from msgspec.structs import replace

from orlop.api.errors import FieldError, duplicate, forbidden_field
from orlop.api.types import core_v1
from orlop.apiserver.registry import containers, volumes
from orlop.apiserver.registry.podvalidation import MIRROR

NOT_SET = "cannot be set for an Ephemeral Container"
PATH = "spec.ephemeralContainers"
FORBIDDEN = (
    "ports",
    "resources",
    "resize_policy",
    "restart_policy",
    "restart_policy_rules",
    "liveness_probe",
    "readiness_probe",
    "startup_probe",
    "lifecycle",
)
"""What makes no sense for a container that nothing may rely on."""

_NONE = core_v1.EphemeralContainer()
_JSON = {field.name: field.encode_name for field in msgspec.structs.fields(core_v1.EphemeralContainer)}


def prepare(new: core_v1.Pod, old: core_v1.Pod) -> None:
    """Keeps everything as it was but for the ephemeral containers."""
    new.spec = replace(old.spec, ephemeral_containers=new.spec.ephemeral_containers)
    new.status = old.status
    given = new.metadata
    new.metadata = replace(
        old.metadata,
        resource_version=given.resource_version,
        uid=given.uid or old.metadata.uid,
        managed_fields=given.managed_fields,
    )


def validate_update(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """What is wrong with the containers, and with what became of those that were there."""
    if MIRROR in old.metadata.annotations:
        return [forbidden_field("", "static pods do not support ephemeral containers")]
    errors = validate(new.spec)
    now = {c.name: c for c in new.spec.ephemeral_containers}
    for before in old.spec.ephemeral_containers:
        if before.name not in now:
            errors.append(forbidden_field(PATH, f'existing ephemeral containers "{before.name}" may not be removed\n'))
        elif now[before.name] != before:
            errors.append(forbidden_field(PATH, f'existing ephemeral containers "{before.name}" may not be changed\n'))
    return errors


def validate(spec: core_v1.PodSpec) -> list[FieldError]:
    """What is wrong with a pod's ephemeral containers."""
    errors: list[FieldError] = []
    others = {c.name for c in (*spec.containers, *spec.init_containers)}
    taken = set(others)
    found, _ = volumes.validate(spec.volumes, "spec.volumes")
    for i, container in enumerate(spec.ephemeral_containers):
        path = f"{PATH}[{i}]"
        errors += containers.validate_common(container, path, found, spec.host_network)
        errors += containers.validate_name(container.name, f"{path}.name", set())
        if container.name in taken:
            errors.append(duplicate(f"{path}.name", container.name))
        taken.add(container.name)
        target = container.target_container_name
        if target and target not in others:
            errors.append(FieldError("FieldValueNotFound", f"{path}.targetContainerName", target, ""))
        errors += [
            forbidden_field(f"{path}.{_JSON[name]}", NOT_SET)
            for name in FORBIDDEN
            if getattr(container, name) != getattr(_NONE, name)
        ]
        for j, mount in enumerate(container.volume_mounts):
            for name, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
                if value:
                    errors.append(forbidden_field(f"{path}.volumeMounts[{j}].{name}", NOT_SET))
    return errors
