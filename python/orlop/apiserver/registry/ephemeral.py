"""Ephemeral containers: added to a pod that is there, by its subresource alone, and never changed or taken away.

The rules are those of pkg/apis/core/validation (validateEphemeralContainers, ValidatePodEphemeralContainersUpdate).
"""

import msgspec
from msgspec.structs import replace

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value
from orlop.api.types import core_v1
from orlop.apiserver.registry import containers, meta, names, podannotations, podvalidation
from orlop.apiserver.registry.podannotations import MIRROR
from orlop.apiserver.registry.specdiff import diff

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
    errors = meta.validate_update(new.metadata, old.metadata)
    errors += meta.validate(new.metadata, True, names.subdomain)
    errors += podvalidation.validate_current(new, old)
    errors += podannotations.validate_update(new.metadata, old.metadata)
    now = {c.name: c for c in new.spec.ephemeral_containers}
    for before in old.spec.ephemeral_containers:
        after = now.get(before.name)
        if after is None:
            errors.append(forbidden_field(PATH, f'existing ephemeral containers "{before.name}" may not be removed\n'))
        elif after != before:
            words = f'existing ephemeral containers "{before.name}" may not be changed\n{diff(before, after)}'
            errors.append(forbidden_field(PATH, words))
    return errors


def validate(spec: core_v1.PodSpec, path: str, found: dict[str, core_v1.Volume]) -> list[FieldError]:
    """What is wrong with a pod's ephemeral containers. `found` are its volumes that are right."""
    errors: list[FieldError] = []
    others = {c.name for c in (*spec.containers, *spec.init_containers)}
    taken = set(others)
    for i, container in enumerate(spec.ephemeral_containers):
        where = f"{path}[{i}]"
        errors += containers.validate_common(container, where, found, spec)
        if container.image != container.image.strip():
            errors.append(invalid_value(f"{where}.image", container.image, containers.BLANKS))
        if container.name in taken:
            errors.append(duplicate(f"{where}.name", container.name))
        taken.add(container.name)
        target = container.target_container_name
        if target and target not in others:
            errors.append(FieldError("FieldValueNotFound", f"{where}.targetContainerName", target, ""))
        errors += [
            forbidden_field(f"{where}.{_JSON[name]}", NOT_SET)
            for name in FORBIDDEN
            if getattr(container, name) != getattr(_NONE, name)
        ]
        for j, mount in enumerate(container.volume_mounts):
            for json, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
                if value:
                    errors.append(forbidden_field(f"{where}.volumeMounts[{j}].{json}", NOT_SET))
    return errors
