"""Rules of resource.k8s.io: pkg/apis/resource/v1/defaults.go, validation, pkg/registry/resource."""

from orlop.api.errors import IMMUTABLE, FieldError, duplicate, forbidden_field, invalid_value, required, too_many
from orlop.api.types import resource_v1
from orlop.apiserver.registry import meta, names
from orlop.apiserver.registry.common import duplicates, one_of, subdomain
from orlop.apiserver.registry.strategy import Strategy

MAX_REQUESTS = 32
MAX_DEVICES = 128
MAX_RESERVED = 256
MAX_DRIVER = 63
EFFECTS = ("NoExecute", "NoSchedule", "None")


def _default_claim(claim: resource_v1.DeviceClaim) -> None:
    for request in claim.requests:
        for part in (request.exactly, *request.first_available):
            if part is None:
                continue
            part.allocation_mode = part.allocation_mode or "ExactCount"
            if part.allocation_mode == "ExactCount" and not part.count:
                part.count = 1
            for toleration in part.tolerations:
                toleration.operator = toleration.operator or "Equal"


def _claim(claim: resource_v1.DeviceClaim, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(claim.requests) > MAX_REQUESTS:
        errors.append(too_many(f"{path}.requests", len(claim.requests), MAX_REQUESTS))
    for i, request in enumerate(claim.requests):
        where = f"{path}.requests[{i}]"
        errors += [invalid_value(f"{where}.name", request.name, m) for m in names.label(request.name)]
        if (request.exactly is None) == (not request.first_available):
            if request.exactly is None:
                errors.append(required(where, "exactly one of `exactly` or `firstAvailable` is required"))
            else:
                words = "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
                errors.append(invalid_value(where, request.name, words))
        elif request.exactly is not None:
            errors += _request(request.exactly, f"{where}.exactly")
        for j, sub in enumerate(request.first_available):
            inner = f"{where}.firstAvailable[{j}]"
            errors += [invalid_value(f"{inner}.name", sub.name, m) for m in names.label(sub.name)]
            errors += _request(sub, inner)
    again = duplicates(r.name for r in claim.requests)
    errors += [duplicate(f"{path}.requests[{i}].name", claim.requests[i].name) for i in again]
    known = {r.name for r in claim.requests} | {f"{r.name}/{s.name}" for r in claim.requests for s in r.first_available}
    for kind, listed in (
        ("constraints", [c.requests for c in claim.constraints]),
        ("config", [c.requests for c in claim.config]),
    ):
        for i, wanted in enumerate(listed):
            for j, name in enumerate(wanted):
                if name not in known:
                    words = "must be the name of a request in the claim or the name of a request and a subrequest "
                    words += "separated by '/'"
                    errors.append(invalid_value(f"{path}.{kind}[{i}].requests[{j}]", name, words))
    return errors


def _request(request: resource_v1.ExactDeviceRequest | resource_v1.DeviceSubRequest, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not request.device_class_name:
        errors.append(required(f"{path}.deviceClassName"))
    else:
        errors += subdomain(request.device_class_name, f"{path}.deviceClassName")
    errors += _selectors(request.selectors, f"{path}.selectors")
    if request.allocation_mode == "All":
        if request.count:
            words = f"must not be specified when allocationMode is '{request.allocation_mode}'"
            errors.append(invalid_value(f"{path}.count", request.count, words))
    elif request.allocation_mode == "ExactCount":
        if request.count <= 0:
            errors.append(invalid_value(f"{path}.count", request.count, "must be greater than zero"))
    else:
        errors += one_of(request.allocation_mode, ("All", "ExactCount"), f"{path}.allocationMode")
    return errors


def _selectors(selectors: list[resource_v1.DeviceSelector], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, selector in enumerate(selectors):
        if selector.cel is None:
            errors.append(required(f"{path}[{i}].cel"))
        elif not selector.cel.expression.strip():
            errors.append(required(f"{path}[{i}].cel.expression"))
    return errors


class ResourceClaims(Strategy):
    """Devices that pods use."""

    def default(self, obj: resource_v1.ResourceClaim) -> None:
        _default_claim(obj.spec.devices)

    def validate(self, obj: resource_v1.ResourceClaim) -> list[FieldError]:
        return _claim(obj.spec.devices, "spec.devices")

    def validate_update(self, new: resource_v1.ResourceClaim, old: resource_v1.ResourceClaim) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]

    def validate_status(self, new: resource_v1.ResourceClaim, old: resource_v1.ResourceClaim) -> list[FieldError]:
        errors: list[FieldError] = []
        status = new.status
        if len(status.reserved_for) > MAX_RESERVED:
            errors.append(too_many("status.reservedFor", len(status.reserved_for), MAX_RESERVED))
        for i in duplicates(r.uid for r in status.reserved_for):
            errors.append(duplicate(f"status.reservedFor[{i}].uid", status.reserved_for[i].uid))
        if status.reserved_for and status.allocation is None:
            words = "may not be specified when `allocated` is not set"
            errors.append(forbidden_field("status.reservedFor", words))
        before = old.status.allocation
        if before is not None and status.allocation is not None and status.allocation != before:
            errors.append(invalid_value("status.allocation", status.allocation, IMMUTABLE))
        return errors


class ResourceClaimTemplates(Strategy):
    """Claims that are made for each pod."""

    def default(self, obj: resource_v1.ResourceClaimTemplate) -> None:
        _default_claim(obj.spec.spec.devices)

    def validate(self, obj: resource_v1.ResourceClaimTemplate) -> list[FieldError]:
        return _claim(obj.spec.spec.devices, "spec.spec.devices")

    def validate_update(
        self, new: resource_v1.ResourceClaimTemplate, old: resource_v1.ResourceClaimTemplate
    ) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]


class DeviceClasses(Strategy):
    """A kind of device, and how it is set up."""

    generation = True

    def validate(self, obj: resource_v1.DeviceClass) -> list[FieldError]:
        return _selectors(obj.spec.selectors, "spec.selectors")


class ResourceSlices(Strategy):
    """Devices that a driver has to offer."""

    generation = True
    fields = (("spec.nodeName", "spec.nodeName"), ("spec.driver", "spec.driver"))

    def validate(self, obj: resource_v1.ResourceSlice) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if not spec.driver:
            errors.append(required("spec.driver"))
        elif len(spec.driver) > MAX_DRIVER:
            errors.append(
                FieldError("FieldValueTooLong", "spec.driver", None, f"may not be more than {MAX_DRIVER} bytes")
            )
        else:
            errors += subdomain(spec.driver, "spec.driver")
        if not spec.pool.name:
            errors.append(required("spec.pool.name"))
        if spec.pool.resource_slice_count <= 0:
            words = "must be greater than zero"
            errors.append(invalid_value("spec.pool.resourceSliceCount", spec.pool.resource_slice_count, words))
        if spec.pool.generation < 0:
            words = "must be greater than or equal to zero"
            errors.append(invalid_value("spec.pool.generation", spec.pool.generation, words))
        given = [
            name
            for name, value in (
                ("nodeName", spec.node_name),
                ("nodeSelector", spec.node_selector),
                ("allNodes", spec.all_nodes),
                ("perDeviceNodeSelection", spec.per_device_node_selection),
            )
            if value
        ]
        words = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        if not given:
            errors.append(required("spec", words))
        elif len(given) > 1:
            listed = "{" + ", ".join(f"`{name}`" for name in given) + "}"
            errors.append(invalid_value("spec", listed, f"{words}, but multiple fields are set"))
        if len(spec.devices) > MAX_DEVICES:
            errors.append(too_many("spec.devices", len(spec.devices), MAX_DEVICES))
        for i, device in enumerate(spec.devices):
            errors += [invalid_value(f"spec.devices[{i}].name", device.name, m) for m in names.label(device.name)]
        for i in duplicates(d.name for d in spec.devices):
            errors.append(duplicate(f"spec.devices[{i}].name", spec.devices[i].name))
        return errors

    def validate_update(self, new: resource_v1.ResourceSlice, old: resource_v1.ResourceSlice) -> list[FieldError]:
        errors = self.validate(new)
        for path, after, before in (
            ("spec.driver", new.spec.driver, old.spec.driver),
            ("spec.pool.name", new.spec.pool.name, old.spec.pool.name),
            ("spec.nodeName", new.spec.node_name, old.spec.node_name),
        ):
            if after != before:
                errors.append(invalid_value(path, after, IMMUTABLE))
        return errors


class DeviceTaintRules(Strategy):
    """Taints of devices that somebody other than their driver sets."""

    generation = True

    def validate(self, obj: resource_v1.DeviceTaintRule) -> list[FieldError]:
        taint = obj.spec.taint
        errors = [invalid_value("spec.taint.key", taint.key, m) for m in meta.key_errors(taint.key)]
        return errors + one_of(taint.effect, EFFECTS, "spec.taint.effect")
