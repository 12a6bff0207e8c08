"""Rules of storage.k8s.io: pkg/apis/storage/v1/defaults.go, pkg/apis/storage/validation, pkg/registry/storage."""

from orlop.api.errors import IMMUTABLE, FieldError, duplicate, forbidden_field, invalid_value, required, too_long
from orlop.api.types import storage_v1
from orlop.apiserver.registry import meta, names, nodelabels, podtemplate
from orlop.apiserver.registry.common import immutable, not_negative, one_of, quantity
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

MAX_PARAMETERS = 512
MAX_PARAMETER_BYTES = 256 * 1024
MAX_DRIVER_NAME = 63
MAX_NODE_ID = 256
MAX_ATTACH_BYTES = 256 * 1024
MAX_ERROR_BYTES = 1024
FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Ephemeral", "Persistent")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")


def driver_name(name: str, path: str) -> list[FieldError]:
    """What is wrong with a CSI driver's name."""
    if not name:
        return [required(path)]
    errors: list[FieldError] = []
    if len(name) > MAX_DRIVER_NAME:
        errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {MAX_DRIVER_NAME} bytes"))
    return errors + [invalid_value(path, name, m) for m in names.subdomain(name.lower())]


def _parameters(parameters: dict[str, str], path: str, some: bool = False) -> list[FieldError]:
    if len(parameters) > MAX_PARAMETERS:
        return [too_long(path, MAX_PARAMETERS)]
    errors = [invalid_value(path, "", "field can not be empty.")] if "" in parameters else []
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > MAX_PARAMETER_BYTES:
        errors.append(too_long(path, MAX_PARAMETER_BYTES))
    if some and not parameters:
        errors.append(required(path, "must contain at least one key/value pair"))
    return errors


class StorageClasses(Strategy):
    """How volumes are made for claims of a class."""

    def default(self, obj: storage_v1.StorageClass) -> None:
        if obj.reclaim_policy is None:
            obj.reclaim_policy = "Delete"
        if obj.volume_binding_mode is None:
            obj.volume_binding_mode = "Immediate"

    def validate(self, obj: storage_v1.StorageClass) -> list[FieldError]:
        errors: list[FieldError] = []
        if not obj.provisioner:
            errors.append(required("provisioner", obj.provisioner))
        else:
            errors += [
                invalid_value("provisioner", obj.provisioner, m) for m in meta.key_errors(obj.provisioner.lower())
            ]
        errors += _parameters(obj.parameters, "parameters")
        if obj.reclaim_policy and obj.reclaim_policy not in ("Delete", "Retain"):
            errors.append(unsupported("reclaimPolicy", obj.reclaim_policy, ("Delete", "Retain")))
        errors += one_of(obj.volume_binding_mode, BINDING_MODES, "volumeBindingMode")
        for i, term in enumerate(obj.allowed_topologies):
            seen: set[str] = set()
            for j, expression in enumerate(term.match_label_expressions):
                path = f"allowedTopologies[{i}].matchLabelExpressions[{j}]"
                if not expression.values:
                    errors.append(required(f"{path}.values"))
                errors += [invalid_value(f"{path}.key", expression.key, m) for m in meta.key_errors(expression.key)]
                if expression.key in seen:
                    errors.append(duplicate(f"{path}.key", expression.key))
                seen.add(expression.key)
        return errors

    def validate_update(self, new: storage_v1.StorageClass, old: storage_v1.StorageClass) -> list[FieldError]:
        errors: list[FieldError] = []
        if new.parameters != old.parameters:
            errors.append(forbidden_field("parameters", "updates to parameters are forbidden."))
        if new.provisioner != old.provisioner:
            errors.append(forbidden_field("provisioner", "updates to provisioner are forbidden."))
        if new.reclaim_policy != old.reclaim_policy:
            errors.append(forbidden_field("reclaimPolicy", "updates to reclaimPolicy are forbidden."))
        return errors + immutable(new.volume_binding_mode, old.volume_binding_mode, "volumeBindingMode")

    def warnings(self, new: storage_v1.StorageClass, old: storage_v1.StorageClass | None = None) -> list[str]:
        return [
            f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {nodelabels.newer(expression.key)}"
            for i, term in enumerate(new.allowed_topologies)
            for j, expression in enumerate(term.match_label_expressions)
            if expression.key in nodelabels.OLD_LABELS
        ]


class VolumeAttributesClasses(Strategy):
    """What may change of a volume while it is in use."""

    def validate(self, obj: storage_v1.VolumeAttributesClass) -> list[FieldError]:
        errors: list[FieldError] = []
        if not obj.driver_name:
            errors.append(required("driverName"))
        else:
            errors += [
                invalid_value("driverName", obj.driver_name, m) for m in meta.key_errors(obj.driver_name.lower())
            ]
        return errors + _parameters(obj.parameters, "parameters", some=True)

    def validate_update(
        self, new: storage_v1.VolumeAttributesClass, old: storage_v1.VolumeAttributesClass
    ) -> list[FieldError]:
        errors: list[FieldError] = []
        if new.driver_name != old.driver_name:
            errors.append(forbidden_field("driverName", "updates to driverName are forbidden."))
        if new.parameters != old.parameters:
            errors.append(forbidden_field("parameters", "updates to parameters are forbidden."))
        return errors


class VolumeAttachments(Strategy):
    """A volume that shall be at a node."""

    def validate(self, obj: storage_v1.VolumeAttachment) -> list[FieldError]:
        spec = obj.spec
        errors = driver_name(spec.attacher, "spec.attacher")
        source = spec.source
        if (source.persistent_volume_name is None) == (source.inline_volume_spec is None):
            if source.persistent_volume_name is None:
                words = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
                errors.append(required("spec.source", words))
            else:
                words = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
                errors.append(forbidden_field("spec.source", words))
        elif source.persistent_volume_name is not None:
            if not source.persistent_volume_name:
                errors.append(required("spec.source.persistentVolumeName", "name must not be empty"))
            else:
                name = source.persistent_volume_name
                errors += [invalid_value("spec.source.persistentVolumeName", name, m) for m in names.subdomain(name)]
        errors += [invalid_value("spec.nodeName", spec.node_name, m) for m in names.subdomain(spec.node_name)]
        return errors

    def validate_update(self, new: storage_v1.VolumeAttachment, old: storage_v1.VolumeAttachment) -> list[FieldError]:
        errors = self.validate(new)
        if new.spec != old.spec:
            errors.append(invalid_value("spec", new.spec, IMMUTABLE))
        return errors

    def validate_status(self, new: storage_v1.VolumeAttachment, old: storage_v1.VolumeAttachment) -> list[FieldError]:
        errors: list[FieldError] = []
        path = "status.attachmentMetadata"
        size = 0
        for key, value in new.status.attachment_metadata.items():
            errors += [] if key else [invalid_value(path, "", "must not be empty")]
            size += len(key.encode()) + len(value.encode())
        if size > MAX_ATTACH_BYTES:
            errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {MAX_ATTACH_BYTES} bytes"))
        for name, error in (("attachError", new.status.attach_error), ("detachError", new.status.detach_error)):
            if error is not None and len(error.message.encode()) > MAX_ERROR_BYTES:
                words = f"may not be more than {MAX_ERROR_BYTES} bytes"
                errors.append(FieldError("FieldValueTooLong", f"status.{name}.message", None, words))
        return errors


class CSIDrivers(Strategy):
    """What a CSI driver can and wants."""

    def default(self, obj: storage_v1.CSIDriver) -> None:
        spec = obj.spec
        if spec.attach_required is None:
            spec.attach_required = True
        if spec.pod_info_on_mount is None:
            spec.pod_info_on_mount = False
        if spec.storage_capacity is None:
            spec.storage_capacity = False
        if spec.fs_group_policy is None:
            spec.fs_group_policy = "ReadWriteOnceWithFSType"
        if not spec.volume_lifecycle_modes:
            spec.volume_lifecycle_modes = ["Persistent"]
        if spec.requires_republish is None:
            spec.requires_republish = False
        if spec.se_linux_mount is None:
            spec.se_linux_mount = False

    def validate(self, obj: storage_v1.CSIDriver) -> list[FieldError]:
        spec = obj.spec
        errors = driver_name(obj.metadata.name, "metadata.name")
        for name, value in (
            ("attachedRequired", spec.attach_required),
            ("podInfoOnMount", spec.pod_info_on_mount),
            ("storageCapacity", spec.storage_capacity),
        ):
            if value is None:
                errors.append(required(f"spec.{name}"))
        errors += one_of(spec.fs_group_policy, FS_GROUP_POLICIES, "spec.fsGroupPolicy")
        audiences: set[str] = set()
        for i, token in enumerate(spec.token_requests):
            path = f"spec.tokenRequests[{i}]"
            if token.audience in audiences:
                errors.append(duplicate(f"{path}.audience", token.audience))
            audiences.add(token.audience)
            seconds = token.expiration_seconds
            if seconds is not None and seconds < 600:
                words = "may not specify a duration less than 10 minutes"
                errors.append(invalid_value(f"{path}.expirationSeconds", seconds, words))
            if seconds is not None and seconds > 1 << 32:
                words = "may not specify a duration larger than 2^32 seconds"
                errors.append(invalid_value(f"{path}.expirationSeconds", seconds, words))
        for mode in spec.volume_lifecycle_modes:
            if mode not in LIFECYCLE_MODES:
                errors.append(unsupported("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES))
        period = spec.node_allocatable_update_period_seconds
        if period is not None and period < 10:
            words = "must be greater than or equal to 10 seconds"
            errors.append(invalid_value("spec.nodeAllocatableUpdatePeriodSeconds", period, words))
        return errors

    def validate_update(self, new: storage_v1.CSIDriver, old: storage_v1.CSIDriver) -> list[FieldError]:
        spec, before = new.spec, old.spec
        errors = self.validate(new)
        errors += immutable(spec.attach_required, before.attach_required, "spec.attachedRequired")
        return errors + immutable(
            spec.volume_lifecycle_modes, before.volume_lifecycle_modes, "spec.volumeLifecycleModes"
        )


class CSINodes(Strategy):
    """The CSI drivers of a node."""

    def validate(self, obj: storage_v1.CSINode) -> list[FieldError]:
        errors: list[FieldError] = []
        seen: set[str] = set()
        for i, driver in enumerate(obj.spec.drivers):
            path = f"spec.drivers[{i}]"
            errors += driver_name(driver.name, f"{path}.name")
            if not driver.node_id:
                errors.append(required(f"{path}.nodeID"))
            elif len(driver.node_id) > MAX_NODE_ID:
                words = f"must be {MAX_NODE_ID} characters or less"
                errors.append(invalid_value(f"{path}.nodeID", driver.node_id, words))
            if driver.allocatable is not None:
                errors += not_negative(driver.allocatable.count, f"{path}.allocatable.count")
            keys: set[str] = set()
            for key in driver.topology_keys:
                if not key:
                    errors.append(required(f"{path}.topologyKeys", key))
                elif key in keys:
                    errors.append(duplicate(f"{path}.topologyKeys", key))
                else:
                    errors += [invalid_value(f"{path}.topologyKeys", key, m) for m in meta.key_errors(key)]
                keys.add(key)
            if driver.name in seen:
                errors.append(duplicate(f"{path}.name", driver.name))
            seen.add(driver.name)
        return errors

    def validate_update(self, new: storage_v1.CSINode, old: storage_v1.CSINode) -> list[FieldError]:
        errors = self.validate(new)
        before = {driver.name: driver for driver in old.spec.drivers}
        for driver in new.spec.drivers:
            was = before.get(driver.name)
            if was is not None and (driver.node_id, driver.topology_keys) != (was.node_id, was.topology_keys):
                errors.append(invalid_value("CSINodeDriver", driver, IMMUTABLE))
        return errors


class CSIStorageCapacities(Strategy):
    """How much a class has left at a place."""

    fields = ()

    def validate(self, obj: storage_v1.CSIStorageCapacity) -> list[FieldError]:
        name = obj.storage_class_name
        errors = [invalid_value("storageClassName", name, m) for m in names.subdomain(name)]
        if obj.node_topology is not None:
            errors += podtemplate.validate_selector(obj.node_topology, "nodeTopology")
        if obj.capacity is not None:
            errors += quantity(obj.capacity, "capacity")
        if obj.maximum_volume_size is not None:
            errors += quantity(obj.maximum_volume_size, "maximumVolumeSize")
        return errors

    def validate_update(
        self, new: storage_v1.CSIStorageCapacity, old: storage_v1.CSIStorageCapacity
    ) -> list[FieldError]:
        errors = self.validate(new)
        errors += immutable(new.node_topology, old.node_topology, "nodeTopology")
        return errors + immutable(new.storage_class_name, old.storage_class_name, "storageClassName")

    def warnings(
        self, new: storage_v1.CSIStorageCapacity, old: storage_v1.CSIStorageCapacity | None = None
    ) -> list[str]:
        return nodelabels.selector(new.node_topology, "nodeTopology")
