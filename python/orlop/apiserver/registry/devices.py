"""Kinds of resource.k8s.io: pkg/apis/resource/v1/defaults.go, validation, pkg/registry/resource."""

from orlop.api.errors import FieldError, too_many
from orlop.api.types import resource_v1
from orlop.apiserver.registry import conditions, deviceclaims, devicerules as rules, deviceslices, meta
from orlop.apiserver.registry.common import immutable
from orlop.apiserver.registry.drivers import driver_name
from orlop.apiserver.registry.strategy import Strategy

MAX_RULE_CONDITIONS = 8


class ResourceClaims(Strategy):
    """Devices that pods use."""

    status_keeps_metadata = True
    returns_deleted = True

    def default(self, obj: resource_v1.ResourceClaim) -> None:
        deviceclaims.default(obj.spec.devices)

    def validate(self, obj: resource_v1.ResourceClaim) -> list[FieldError]:
        return deviceclaims.claim(obj.spec.devices, "spec.devices")

    def validate_update(self, new: resource_v1.ResourceClaim, old: resource_v1.ResourceClaim) -> list[FieldError]:
        return []  # The spec does not change: that is declared.

    def validate_status(self, new: resource_v1.ResourceClaim, old: resource_v1.ResourceClaim) -> list[FieldError]:
        return deviceclaims.status(new, old)


class ResourceClaimTemplates(Strategy):
    """Claims that are made for each pod."""

    returns_deleted = True

    def default(self, obj: resource_v1.ResourceClaimTemplate) -> None:
        deviceclaims.default(obj.spec.spec.devices)

    def validate(self, obj: resource_v1.ResourceClaimTemplate) -> list[FieldError]:
        errors = meta.validate_annotations(obj.spec.metadata.annotations, "spec.metadata.annotations")
        errors += meta.validate_labels(obj.spec.metadata.labels, "spec.metadata.labels")
        return errors + deviceclaims.claim(obj.spec.spec.devices, "spec.spec.devices")

    def validate_update(
        self, new: resource_v1.ResourceClaimTemplate, old: resource_v1.ResourceClaimTemplate
    ) -> list[FieldError]:
        return immutable(new.spec, old.spec, "spec")


class DeviceClasses(Strategy):
    """A kind of device, and how it is set up."""

    returns_deleted = True
    generation = True

    def validate(self, obj: resource_v1.DeviceClass) -> list[FieldError]:
        return self._spec(obj.spec, None)

    def validate_update(self, new: resource_v1.DeviceClass, old: resource_v1.DeviceClass) -> list[FieldError]:
        return self._spec(new.spec, old.spec)

    def _spec(self, new: resource_v1.DeviceClassSpec, old: resource_v1.DeviceClassSpec | None) -> list[FieldError]:
        errors = rules.selectors(new.selectors, "spec.selectors")
        stored = old is not None and new.config == old.config
        for i, config in enumerate(new.config):
            errors += rules.opaque(config.opaque, f"spec.config[{i}]", stored=stored)
        return errors


class ResourceSlices(Strategy):
    """Devices that a driver has to offer."""

    returns_deleted = True
    generation = True
    fields = (("spec.nodeName", "spec.nodeName"), ("spec.driver", "spec.driver"))

    def validate(self, obj: resource_v1.ResourceSlice) -> list[FieldError]:
        return deviceslices.spec(obj.spec, None)

    def validate_update(self, new: resource_v1.ResourceSlice, old: resource_v1.ResourceSlice) -> list[FieldError]:
        return deviceslices.spec(new.spec, old.spec)


class DeviceTaintRules(Strategy):
    """Taints of devices that somebody other than their driver sets."""

    status_keeps_metadata = True
    unconditional_update = False
    generation = True

    def validate(self, obj: resource_v1.DeviceTaintRule) -> list[FieldError]:
        errors: list[FieldError] = []
        chosen = obj.spec.device_selector
        if chosen is not None:
            path = "spec.deviceSelector"
            errors += driver_name(chosen.driver, f"{path}.driver") if chosen.driver is not None else []
            errors += rules.pool(chosen.pool, f"{path}.pool") if chosen.pool is not None else []
            errors += rules.label(chosen.device, f"{path}.device") if chosen.device is not None else []
        return errors + rules.taint(obj.spec.taint, "spec.taint")

    def validate_status(self, new: resource_v1.DeviceTaintRule, old: resource_v1.DeviceTaintRule) -> list[FieldError]:
        given = new.status.conditions
        errors = conditions.validate(given, "status.conditions")
        if len(given) > MAX_RULE_CONDITIONS:
            errors.append(too_many("status.conditions", len(given), MAX_RULE_CONDITIONS))
        return errors
