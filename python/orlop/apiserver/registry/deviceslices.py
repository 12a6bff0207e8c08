"""What drivers say of their devices: pkg/apis/resource/validation of ResourceSlices."""

from collections.abc import Iterable
from typing import Any

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required, too_long, too_many
from orlop.api.quantity import parse, value
from orlop.api.types import resource_v1
from orlop.apiserver.registry import devicerules as rules
from orlop.apiserver.registry.common import duplicates, immutable, subdomain
from orlop.apiserver.registry.drivers import driver_name

MAX_DEVICES = 128
MAX_SPECIAL_DEVICES = 64
"""As many where any has taints or uses counters."""
MAX_TAINTS = 16
MAX_COUNTERS = 32
MAX_ATTRIBUTES = 32
MAX_VALUE = 64
MAX_VALID_VALUES = 10
NODE_WORDS = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
DEVICE_NODE_WORDS = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)
NO_NODE_WORDS = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
TRUE_WORDS = "must be either unset or set to true"
POLICY_WORDS = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'


def spec(new: resource_v1.ResourceSliceSpec, old: resource_v1.ResourceSliceSpec | None) -> list[FieldError]:
    """What is wrong with a slice; with `old` as an update of it."""
    errors = driver_name(new.driver, "spec.driver") + _pool(new.pool)
    if old is not None:
        errors += immutable(new.pool.name, old.pool.name, "spec.pool.name")
        errors += immutable(new.driver, old.driver, "spec.driver")
        errors += immutable(new.node_name, old.node_name, "spec.nodeName")
    errors += _nodes(new)
    if new.shared_counters and new.devices:
        errors.append(invalid_value("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    special = any(d.taints or d.consumes_counters for d in new.devices)
    limit = MAX_SPECIAL_DEVICES if special else MAX_DEVICES
    if len(new.devices) > limit:
        errors.append(too_many("spec.devices", len(new.devices), limit))
    else:
        before = {d.name: d for d in old.devices} if old is not None else {}
        for i, device in enumerate(new.devices):
            where = f"spec.devices[{i}]"
            errors += _device(device, before.get(device.name), where, bool(new.per_device_node_selection))
        again = duplicates(d.name for d in new.devices)
        errors += [duplicate(f"spec.devices[{i}]", new.devices[i].name) for i in again]
    for i, counters in enumerate(new.shared_counters):
        errors += _counters(counters.counters, f"spec.sharedCounters[{i}].counters")
    return errors


def _pool(pool: resource_v1.ResourcePool) -> list[FieldError]:
    errors = rules.pool(pool.name, "spec.pool.name")
    if pool.resource_slice_count <= 0:
        words = "must be greater than zero"
        errors.append(invalid_value("spec.pool.resourceSliceCount", pool.resource_slice_count, words))
    if pool.generation < 0:
        words = "must be greater than or equal to zero"
        errors.append(invalid_value("spec.pool.generation", pool.generation, words))
    return errors


def _nodes(given: resource_v1.ResourceSliceSpec) -> list[FieldError]:
    errors, named = _chosen(given, "spec", "must be either unset or set to a non-empty string")
    if given.node_selector is not None and len(given.node_selector.node_selector_terms) != 1:
        where = "spec.nodeSelector.nodeSelectorTerms"
        terms = given.node_selector.node_selector_terms
        errors.append(invalid_value(where, terms, "must have exactly one node selector term"))
    if given.per_device_node_selection is False:
        errors.append(invalid_value("spec.perDeviceNodeSelection", False, TRUE_WORDS))
    if given.per_device_node_selection:
        named.append("`perDeviceNodeSelection`")
    if not named:
        errors.append(required("spec", NODE_WORDS))
    elif len(named) > 1:
        words = f"{NODE_WORDS}, but multiple fields are set"
        errors.append(invalid_value("spec", "{" + ", ".join(named) + "}", words))
    return errors


def _chosen(
    given: resource_v1.ResourceSliceSpec | resource_v1.Device, path: str, empty: str
) -> tuple[list[FieldError], list[str]]:
    errors: list[FieldError] = []
    named = []
    if given.node_name:
        named.append("`nodeName`")
        errors += subdomain(given.node_name, f"{path}.nodeName")
    elif given.node_name is not None:
        errors.append(invalid_value(f"{path}.nodeName", "", empty))
    if given.node_selector is not None:
        named.append("`nodeSelector`")
        errors += rules.node_selector(given.node_selector, f"{path}.nodeSelector")
    if given.all_nodes:
        named.append("`allNodes`")
    elif given.all_nodes is not None:
        errors.append(invalid_value(f"{path}.allNodes", False, TRUE_WORDS))
    return errors, named


def _device(
    device: resource_v1.Device, before: resource_v1.Device | None, path: str, own_nodes: bool
) -> list[FieldError]:
    errors = rules.label(device.name, f"{path}.name")
    count = len(device.attributes) + len(device.capacity)
    if count > MAX_ATTRIBUTES:
        words = f"the total number of attributes and capacities must not exceed {MAX_ATTRIBUTES}"
        errors.append(invalid_value(path, count, words))
    for name, attribute in device.attributes.items():
        errors += rules.qualified(name, f"{path}.attributes")
        errors += _attribute(attribute, f"{path}.attributes[{name}]")
    for name, capacity in device.capacity.items():
        where = f"{path}.capacity[{name}]"
        errors += rules.qualified(name, f"{path}.capacity")
        if capacity.request_policy is not None:
            errors += _policy(capacity, f"{where}.requestPolicy", bool(device.allow_multiple_allocations))
    if before is None or before.taints != device.taints:
        if len(device.taints) > MAX_TAINTS:
            errors.append(too_many(f"{path}.taints", len(device.taints), MAX_TAINTS))
        else:
            errors += [e for i, taint in enumerate(device.taints) for e in rules.taint(taint, f"{path}.taints[{i}]")]
    for i, consumed in enumerate(device.consumes_counters):
        errors += _counters(consumed.counters, f"{path}.consumesCounters[{i}].counters")
    errors += _own_nodes(device, path, own_nodes)
    return errors + rules.binding(device.binding_conditions, device.binding_failure_conditions, path)


def _own_nodes(device: resource_v1.Device, path: str, wanted: bool) -> list[FieldError]:
    if not wanted:
        given = any(v is not None for v in (device.node_name, device.node_selector, device.all_nodes))
        return [invalid_value(path, None, NO_NODE_WORDS)] if given else []
    errors, named = _chosen(device, path, "must not be empty")
    if not named:
        errors.append(required(path, DEVICE_NODE_WORDS))
    elif len(named) > 1:
        errors.append(invalid_value(path, "{" + ", ".join(named) + "}", DEVICE_NODE_WORDS))
    return errors


def _attribute(attribute: resource_v1.DeviceAttribute, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if attribute.string is not None and len(attribute.string.encode()) > MAX_VALUE:
        errors.append(too_long(f"{path}.string", MAX_VALUE))
    version = attribute.version
    if version is not None:
        if not rules.SEMVER.fullmatch(version):
            errors.append(invalid_value(f"{path}.version", version, rules.SEMVER_WORDS))
        if len(version.encode()) > MAX_VALUE:
            errors.append(too_long(f"{path}.version", MAX_VALUE))
    return errors


def _counters(counters: dict[str, Any], path: str) -> list[FieldError]:
    if not counters:
        return [required(path)]
    if len(counters) > MAX_COUNTERS:
        return [too_many(path, len(counters), MAX_COUNTERS)]
    return [e for name in counters for e in rules.label(name, f"{path}[{name}]")]


def _policy(capacity: resource_v1.DeviceCapacity, path: str, several: bool) -> list[FieldError]:
    policy = capacity.request_policy
    assert policy is not None
    if not several:
        return [forbidden_field(path, "allowMultipleAllocations must be true")]
    if policy.valid_values and policy.valid_range is not None:
        return [forbidden_field(path, POLICY_WORDS)]
    if policy.valid_values:
        if policy.default is None:
            return [required(f"{path}.default", "required when validValues is defined")]
        return _values(policy.default, capacity.value, policy.valid_values, f"{path}.validValues")
    if policy.valid_range is not None:
        if policy.default is None:
            return [required(f"{path}.default", "required when validRange is defined")]
        return list(_range(policy.default, capacity.value, policy.valid_range, f"{path}.validRange"))
    return []


def _values(default: str, most: str, given: list[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i in range(1, len(given)):
        if parse(given[i - 1]) > parse(given[i]):
            errors.append(invalid_value(f"{path}[{i}]", given[i], "values must be sorted in ascending order"))
    looked = len(given) <= MAX_VALID_VALUES
    if not looked:
        errors.append(too_many(path, len(given), MAX_VALID_VALUES))
    else:
        for i, option in enumerate(given):
            if parse(option) > parse(most):
                words = f"option is larger than capacity value: {most}"
                errors.append(invalid_value(f"{path}[{i}]", option, words))
        for i in duplicates(value(option) for option in given):
            errors.append(duplicate(f"{path}[{i}]", str(value(given[i]))))
    if not looked or all(parse(option) != parse(default) for option in given):
        words = "default value is not valid according to the requestPolicy"
        errors.append(invalid_value(path, default, words))
    return errors


def _range(default: str, most: str, given: resource_v1.CapacityRequestPolicyRange, path: str) -> Iterable[FieldError]:
    low, high, step = given.min, given.max, given.step
    if low is None:
        yield required(f"{path}.min", "required when validRange is defined")
        return
    if parse(low) > parse(most):
        yield invalid_value(f"{path}.min", low, f"min is larger than capacity value: {most}")
    if parse(default) < parse(low):
        yield invalid_value(f"{path}.min", default, f"default is less than min: {low}")
    if high is not None:
        if parse(low) > parse(high):
            yield invalid_value(f"{path}.max", low, f"min is larger than max: {high}")
        if parse(high) > parse(most):
            yield invalid_value(f"{path}.max", high, f"max is larger than capacity value: {most}")
        if parse(default) > parse(high):
            yield invalid_value(f"{path}.default", default, f"default is more than max: {high}")
    if step is None:
        return
    if parse(low) + parse(step) > parse(most):
        total = f"{parse(low) + parse(step):f}"
        yield invalid_value(f"{path}.step", step, f"one step {total} is larger than capacity value: {most}")
    for number in (default, high):
        # A step of nothing, upstream's division by zero, is told like one that does not fit.
        if number is not None and (not value(step) or (value(number) - value(low)) % value(step)):
            words = f"value is not a multiple of a given step ({step}) from ({low})"
            yield invalid_value(f"{path}.step", number, words)
