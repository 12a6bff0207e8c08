"""Rules of storage.k8s.io: pkg/apis/storage/v1/defaults.go, pkg/apis/storage/validation, pkg/registry/storage."""

from msgspec.structs import replace

from orlop.api import selectors
from orlop.api.errors import (
    IMMUTABLE,
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from orlop.api.types import core_v1, storage_v1
from orlop.apiserver.registry import meta, names, nodelabels, podtemplate
from orlop.apiserver.registry.common import duplicates, immutable, not_negative, one_of, quantity
from orlop.apiserver.registry.drivers import driver_name
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

MAX_PARAMETERS = 512
MAX_PARAMETER_BYTES = 256 * 1024
MAX_NODE_ID = 256
FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Persistent", "Ephemeral")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")


def _parameters(parameters: dict[str, str], path: str, some: bool = False) -> list[FieldError]:
    if len(parameters) > MAX_PARAMETERS:
        return [too_long(path, MAX_PARAMETERS)]
    errors = [invalid_value(path, "", "field can not be empty.")] if "" in parameters else []
    if sum(len(k.encode()) + len(v.encode()) for k, v in parameters.items()) > MAX_PARAMETER_BYTES:
        errors.append(too_long(path, MAX_PARAMETER_BYTES))
    if some and not parameters:
        errors.append(required(path, "must contain at least one key/value pair"))
    return errors


def _topologies(terms: list[core_v1.TopologySelectorTerm], path: str) -> list[FieldError]:
    """Where volumes of a class may be."""
    errors: list[FieldError] = []
    known: list[dict[str, set[str]]] = []
    for i, term in enumerate(terms):
        where = f"{path}[{i}].matchLabelExpressions"
        found: dict[str, set[str]] = {}
        for j, expression in enumerate(term.match_label_expressions):
            if not expression.values:
                errors.append(required(f"{where}[{j}].values"))
            again = duplicates(expression.values)
            errors += [duplicate(f"{where}[{j}].values[{k}]", expression.values[k]) for k in again]
            errors += [
                invalid_value(f"{where}[{j}].key", expression.key, m) for m in selectors.key_errors(expression.key)
            ]
            if expression.key in found:
                errors.append(duplicate(f"{where}[{j}].key", expression.key))
            found[expression.key] = set(expression.values)
        if not found or found in known:  # upstream finds one that says nothing to be like those to come
            errors.append(duplicate(where, ""))
        known.append(found)
    return errors


class StorageClasses(Strategy):
    """How volumes are made for claims of a class."""

    returns_deleted = True

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
        return errors + _topologies(obj.allowed_topologies, "allowedTopologies")

    def warnings(self, new: storage_v1.StorageClass, old: storage_v1.StorageClass | None = None) -> list[str]:
        return [
            f"allowedTopologies[{i}].matchLabelExpressions[{j}].key: {nodelabels.newer(expression.key)}"
            for i, term in enumerate(new.allowed_topologies)
            for j, expression in enumerate(term.match_label_expressions)
            if expression.key in nodelabels.OLD_LABELS
        ]


class VolumeAttributesClasses(Strategy):
    """What may change of a volume while it is in use."""

    returns_deleted = True

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
        return errors + self.validate(new)


class CSIDrivers(Strategy):
    """What a CSI driver can and wants."""

    returns_deleted = True
    unconditional_update = False

    def default(self, obj: storage_v1.CSIDriver) -> None:
        spec = obj.spec
        if spec.prevent_pod_scheduling_if_missing is None:
            spec.prevent_pod_scheduling_if_missing = False
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
        if spec.prevent_pod_scheduling_if_missing is None:
            spec.prevent_pod_scheduling_if_missing = False

    def validate(self, obj: storage_v1.CSIDriver) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        for name, value in (
            ("attachedRequired", spec.attach_required),
            ("podInfoOnMount", spec.pod_info_on_mount),
            ("storageCapacity", spec.storage_capacity),
        ):
            if value is None:
                errors.append(required(f"spec.{name}"))
        policy = spec.fs_group_policy
        if policy is not None and policy not in FS_GROUP_POLICIES:
            errors.append(unsupported("spec.fsGroupPolicy", policy, FS_GROUP_POLICIES))
        audiences: set[str] = set()
        for i, token in enumerate(spec.token_requests):
            path = f"spec.tokenRequests[{i}]"
            if token.audience in audiences:
                errors.append(duplicate(f"{path}.audience", token.audience))
                continue
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
                errors.append(not_supported("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES))
        if spec.se_linux_mount is None:
            errors.append(required("spec.seLinuxMount"))
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

    status_keeps_metadata = True
    returns_deleted = True
    unconditional_update = False

    def validate(self, obj: storage_v1.CSINode) -> list[FieldError]:
        errors: list[FieldError] = []
        seen: set[str] = set()
        for i, driver in enumerate(obj.spec.drivers):
            path = f"spec.drivers[{i}]"
            errors += driver_name(driver.name, f"{path}.name")
            if not driver.node_id:
                errors.append(required(f"{path}.nodeID"))
            if len(driver.node_id.encode()) > MAX_NODE_ID:
                words = f"must be {MAX_NODE_ID} characters or less"
                errors.append(invalid_value(f"{path}.nodeID", driver.node_id, words))
            if driver.allocatable is not None:
                errors += not_negative(driver.allocatable.count, f"{path}.allocatable.count")
            if driver.name in seen:
                errors.append(duplicate(f"{path}.name", driver.name))
            seen.add(driver.name)
            keys: set[str] = set()
            for key in driver.topology_keys:
                if not key:
                    errors.append(required(path))
                if key in keys:
                    errors.append(duplicate(path, key))
                keys.add(key)
                errors += [invalid_value(path, key, m) for m in meta.key_errors(key)]
        return errors

    def validate_update(self, new: storage_v1.CSINode, old: storage_v1.CSINode) -> list[FieldError]:
        errors = self.validate(new)
        for before in old.spec.drivers:
            for driver in new.spec.drivers:
                # How many volumes fit may change.
                if driver.name == before.name and replace(driver, allocatable=before.allocatable) != before:
                    shown = go_form(replace(driver, allocatable=None))
                    errors.append(invalid_value("spec.drivers", shown, IMMUTABLE))
        return errors


class CSIStorageCapacities(Strategy):
    """How much a class has left at a place."""

    unconditional_update = False

    def validate(self, obj: storage_v1.CSIStorageCapacity) -> list[FieldError]:
        errors: list[FieldError] = []
        if obj.node_topology is not None:
            errors += podtemplate.validate_selector(obj.node_topology, "nodeTopology")
        name = obj.storage_class_name
        errors += [invalid_value("storageClassName", name, m) for m in names.subdomain(name)]
        return errors + _capacity(obj)

    def validate_update(
        self, new: storage_v1.CSIStorageCapacity, old: storage_v1.CSIStorageCapacity
    ) -> list[FieldError]:
        errors = _capacity(new) + immutable(new.node_topology, old.node_topology, "nodeTopology")
        return errors + immutable(new.storage_class_name, old.storage_class_name, "storageClassName")

    def warnings(
        self, new: storage_v1.CSIStorageCapacity, old: storage_v1.CSIStorageCapacity | None = None
    ) -> list[str]:
        return nodelabels.selector(new.node_topology, "nodeTopology")


def _capacity(obj: storage_v1.CSIStorageCapacity) -> list[FieldError]:
    return quantity(obj.capacity, "capacity") if obj.capacity is not None else []
