"""Claims of devices and what comes of them: pkg/apis/resource/validation of ResourceClaims."""

from collections.abc import Mapping

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required, too_many
from orlop.api.types import resource_v1
from orlop.apiserver.registry import conditions, devicerules as rules, names
from orlop.apiserver.registry.common import subdomain
from orlop.apiserver.registry.drivers import driver_name

MAX_DEVICE_CONDITIONS = 8
MAX_DEVICE_DATA = 10 * 1024
EXACTLY_ONE = "exactly one of `exactly` or `firstAvailable` is required"
NAMES_WORDS = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
INTERFACE_WORDS = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
ATTRIBUTE_WORDS = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'

Names = Mapping[str, frozenset[str]]
"""The requests of a claim, and the subrequests of each."""
Request = resource_v1.ExactDeviceRequest | resource_v1.DeviceSubRequest


def default(claim: resource_v1.DeviceClaim) -> None:
    for request in claim.requests:
        for part in (request.exactly, *request.first_available):
            if part is None:
                continue
            part.allocation_mode = part.allocation_mode or "ExactCount"
            if part.allocation_mode == "ExactCount" and not part.count:
                part.count = 1
            for toleration in part.tolerations:
                toleration.operator = toleration.operator or "Equal"


def names_of(claim: resource_v1.DeviceClaim) -> Names:
    return {r.name: frozenset(s.name for s in r.first_available) for r in claim.requests}


def claim(given: resource_v1.DeviceClaim, path: str) -> list[FieldError]:
    """What is wrong with a new claim."""
    known = names_of(given)
    errors: list[FieldError] = []
    for i, request in enumerate(given.requests):
        errors += _request(request, f"{path}.requests[{i}]")
    for i, constraint in enumerate(given.constraints):
        where = f"{path}.constraints[{i}]"
        errors += _references(constraint.requests, f"{where}.requests", known)
        if constraint.match_attribute is None and constraint.distinct_attribute is None:
            errors.append(required(where, ATTRIBUTE_WORDS))
    for i, config in enumerate(given.config):
        where = f"{path}.config[{i}]"
        errors += _references(config.requests, f"{where}.requests", known)
        errors += rules.opaque(config.opaque, where)
    return errors


def _request(request: resource_v1.DeviceRequest, path: str) -> list[FieldError]:
    errors = rules.label(request.name, f"{path}.name")
    if request.exactly is None and not request.first_available:
        return [*errors, required(path, EXACTLY_ONE)]
    if request.exactly is not None and request.first_available:
        return [*errors, invalid_value(path, None, f"{EXACTLY_ONE}, but multiple fields are set")]
    if request.exactly is not None:
        name = request.exactly.device_class_name
        at = f"{path}.exactly.deviceClassName"
        errors += subdomain(name, at) if name else [required(at)]
        return errors + _wanted(request.exactly, f"{path}.exactly")
    for i, sub in enumerate(request.first_available):
        where = f"{path}.firstAvailable[{i}]"
        errors += rules.label(sub.name, f"{where}.name") + _wanted(sub, where)
    return errors


def _wanted(request: Request, path: str) -> list[FieldError]:
    errors = rules.selectors(request.selectors, f"{path}.selectors")
    if request.allocation_mode == "All" and request.count:
        words = "must not be specified when allocationMode is 'All'"
        errors.append(invalid_value(f"{path}.count", request.count, words))
    if request.allocation_mode == "ExactCount" and request.count <= 0:
        errors.append(invalid_value(f"{path}.count", request.count, "must be greater than zero"))
    return errors + rules.tolerations(request.tolerations, f"{path}.tolerations")


def _references(given: list[str], path: str, known: Names) -> list[FieldError]:
    return [e for i, name in enumerate(given) for e in _reference(name, f"{path}[{i}]", known)]


def _reference(name: str, path: str, known: Names) -> list[FieldError]:
    segments = name.split("/")
    if len(segments) > 2:
        return [invalid_value(path, name, NAMES_WORDS)]
    errors = [e for part in segments for e in rules.label(part, path)]
    subs = known.get(segments[0])
    if subs is None or (len(segments) == 2 and segments[1] not in subs):
        errors.append(invalid_value(path, name, NAMES_WORDS))
    return errors


def status(new: resource_v1.ResourceClaim, old: resource_v1.ResourceClaim) -> list[FieldError]:
    """What is wrong with a claim's status."""
    given, before = new.status, old.status
    errors: list[FieldError] = []
    for i, consumer in enumerate(given.reserved_for):
        for field in ("resource", "name", "uid"):
            if not getattr(consumer, field):
                errors.append(required(f"status.reservedFor[{i}].{field}"))
    results = given.allocation.devices.results if given.allocation is not None else []
    allocated = {(r.driver, r.pool, r.device, r.share_id) for r in results}
    for i, device in enumerate(given.devices):
        known = (device.driver, device.pool, device.device, device.share_id) in allocated
        errors += _device(device, f"status.devices[{i}]", known)
    if given.reserved_for:
        if given.allocation is None:
            errors.append(forbidden_field("status.reservedFor", "may not be specified when `allocated` is not set"))
        elif new.metadata.deletion_timestamp and any(c not in before.reserved_for for c in given.reserved_for):
            words = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            errors.append(forbidden_field("status.reservedFor", words))
    if given.allocation is not None and before.allocation is None:
        errors += _allocation(given.allocation, names_of(new.spec.devices))
    return errors


def _allocation(given: resource_v1.AllocationResult, known: Names) -> list[FieldError]:
    errors: list[FieldError] = []
    path = "status.allocation"
    for i, result in enumerate(given.devices.results):
        where = f"{path}.devices.results[{i}]"
        errors += _reference(result.request, f"{where}.request", known)
        errors += rules.label(result.device, f"{where}.device")
        errors += rules.binding(result.binding_conditions, result.binding_failure_conditions, where)
    for i, config in enumerate(given.devices.config):
        where = f"{path}.devices.config[{i}]"
        errors += _references(config.requests, f"{where}.requests", known)
        errors += rules.opaque(config.opaque, where)
    if given.node_selector is not None:
        errors += rules.node_selector(given.node_selector, f"{path}.nodeSelector")
    return errors


def _device(device: resource_v1.AllocatedDeviceStatus, path: str, known: bool) -> list[FieldError]:
    errors = driver_name(device.driver, f"{path}.driver") + rules.pool(device.pool, f"{path}.pool")
    errors += rules.label(device.device, f"{path}.device")
    if not known:
        shown = {
            "Driver": device.driver,
            "Pool": device.pool,
            "Device": device.device,
            "ShareID": device.share_id or "",
        }
        errors.append(invalid_value(path, shown, "must be an allocated device in the claim"))
    if len(device.conditions) > MAX_DEVICE_CONDITIONS:
        errors.append(too_many(f"{path}.conditions", len(device.conditions), MAX_DEVICE_CONDITIONS))
    errors += conditions.validate(device.conditions, f"{path}.conditions")
    if device.data is not None:
        errors += rules.document(device.data, f"{path}.data", MAX_DEVICE_DATA)
    for i, address in enumerate(device.network_data.ips if device.network_data is not None else ()):
        errors += _interface(address, f"{path}.networkData.ips[{i}]")
    return errors


def _interface(address: str, path: str) -> list[FieldError]:
    read = names.interface(address)
    if read is None:
        return [invalid_value(path, address, INTERFACE_WORDS)]
    written = str(read)
    return [] if written == address else [invalid_value(path, address, f'must be in canonical form ("{written}")')]
