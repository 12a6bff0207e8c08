"""Rules of what a container has of its pod's volumes: folders and block devices."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry.paths import local_path
from orlop.apiserver.registry.resources import unsupported

AnyContainer = core_v1.Container | core_v1.EphemeralContainer
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def validate(container: AnyContainer, path: str, found: dict[str, core_v1.Volume]) -> list[FieldError]:
    """What is wrong with the mounts. `found` are the pod's volumes that are right."""
    errors: list[FieldError] = []
    points: set[str] = set()
    devices = {d.name: d.device_path for d in container.volume_devices}
    for i, mount in enumerate(container.volume_mounts):
        where = f"{path}[{i}]"
        name, point = mount.name, mount.mount_path
        if not name:
            errors.append(required(f"{where}.name"))
        if name not in found:
            errors.append(FieldError("FieldValueNotFound", f"{where}.name", name, ""))
        if not point:
            errors.append(required(f"{where}.mountPath"))
        if point in points:
            errors.append(invalid_value(f"{where}.mountPath", point, "must be unique"))
        points.add(point)
        if devices:
            if name in devices:
                errors.append(invalid_value(f"{where}.name", name, "must not already exist in volumeDevices"))
            if point in devices.values():
                words = "must not already exist as a path in volumeDevices"
                errors.append(invalid_value(f"{where}.mountPath", point, words))
        if mount.sub_path:
            # Upstream names these four without the mount's index.
            errors += local_path(mount.sub_path, f"{path}.subPath")
        if mount.sub_path_expr:
            if mount.sub_path:
                words = "subPathExpr and subPath are mutually exclusive"
                errors.append(invalid_value(f"{where}.subPathExpr", mount.sub_path_expr, words))
            errors += local_path(mount.sub_path_expr, f"{path}.subPathExpr")
        if mount.mount_propagation is not None:
            errors += _propagation(mount.mount_propagation, container, f"{path}.mountPropagation")
        if mount.recursive_read_only is not None:
            errors += _recursive(mount, f"{path}.recursiveReadOnly")
    return errors


def _propagation(mode: str, container: AnyContainer, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if mode not in PROPAGATIONS:
        errors.append(unsupported(path, mode, PROPAGATIONS))
    privileged = container.security_context is not None and container.security_context.privileged
    if mode == "Bidirectional" and not privileged:
        words = "Bidirectional mount propagation is available only to privileged containers"
        errors.append(forbidden_field(path, words))
    return errors


def _recursive(mount: core_v1.VolumeMount, path: str) -> list[FieldError]:
    mode = mount.recursive_read_only
    if mode == "Disabled":
        return []
    if mode not in RECURSIVE:
        return [unsupported(path, mode, RECURSIVE)]
    errors: list[FieldError] = []
    if not mount.read_only:
        errors.append(forbidden_field(path, "may only be specified when readOnly is true"))
    if mount.mount_propagation not in (None, "None"):
        words = "may only be specified when mountPropagation is None or not specified"
        errors.append(forbidden_field(path, words))
    return errors


def validate_devices(container: AnyContainer, path: str, found: dict[str, core_v1.Volume]) -> list[FieldError]:
    """What is wrong with the block devices."""
    errors: list[FieldError] = []
    devices: set[str] = set()
    points: set[str] = set()
    mounted = {m.name: m.mount_path for m in container.volume_mounts}
    for i, device in enumerate(container.volume_devices):
        where = f"{path}[{i}]"
        name, point = device.name, device.device_path
        volume = found.get(name)
        if not name:
            errors.append(required(f"{where}.name"))
        if name in devices:
            errors.append(invalid_value(f"{where}.name", name, "must be unique"))
        if volume is None:
            errors.append(FieldError("FieldValueNotFound", f"{where}.name", name, ""))
        elif volume.persistent_volume_claim is None and volume.ephemeral is None:
            words = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid_value(f"{where}.name", name, words))
        if not point:
            errors.append(required(f"{where}.devicePath"))
        if point in points:
            errors.append(invalid_value(f"{where}.devicePath", point, "must be unique"))
        if ".." in point.split("/"):
            errors.append(invalid_value(f"{where}.devicePath", point, "can not contain backsteps ('..')"))
        else:
            points.add(point)
        if name in mounted:
            errors.append(invalid_value(f"{where}.name", name, "must not already exist in volumeMounts"))
        if point in mounted.values():
            words = "must not already exist as a path in volumeMounts"
            errors.append(invalid_value(f"{where}.devicePath", point, words))
        if name:
            devices.add(name)
    return errors
