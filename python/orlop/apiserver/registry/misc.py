"""Rules of kinds whose own are few."""

import re

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, not_supported, required
from orlop.api.types import coordination_v1, coordination_v1beta1, core_v1, storagemigration_v1
from orlop.apiserver.registry import addresswarnings, conditions, names
from orlop.apiserver.registry.common import immutable, not_special
from orlop.apiserver.registry.strategy import Strategy

POSITIVE = "must be greater than 0"


class Leases(Strategy):
    """Who leads, and node heartbeats."""

    create_on_update = True
    unconditional_update = False

    def prepare_create(self, obj: coordination_v1.Lease) -> None:
        # Coordinated leader election is off.
        obj.spec.strategy = obj.spec.preferred_holder = None

    def prepare_update(self, new: coordination_v1.Lease, old: coordination_v1.Lease) -> None:
        if old.spec.strategy is None and old.spec.preferred_holder is None:
            self.prepare_create(new)

    def validate(self, obj: coordination_v1.Lease) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if spec.lease_duration_seconds is not None and spec.lease_duration_seconds <= 0:
            errors.append(invalid_value("spec.leaseDurationSeconds", spec.lease_duration_seconds, POSITIVE))
        if spec.lease_transitions is not None and spec.lease_transitions < 0:
            errors.append(
                invalid_value("spec.leaseTransitions", spec.lease_transitions, "must be greater than or equal to 0")
            )
        if spec.strategy is not None:
            errors += lease_strategy(spec.strategy, "spec.strategy")
        if spec.preferred_holder and not spec.strategy:
            errors.append(forbidden_field("spec.preferredHolder", "may only be specified if `strategy` is defined"))
        return errors


def lease_strategy(value: str, path: str) -> list[FieldError]:
    """How a holder is chosen: a word of Kubernetes' own, or somebody's qualified one."""
    if "/" in value:
        return [invalid_value(f"{path}.strategy", value, m) for m in selectors.key_errors(value)]
    known = "OldestEmulationVersion"
    return [] if value == known else [not_supported(f"{path}.strategy", value, [known])]


class Endpoints(Strategy):
    """Addresses of a service, the old way."""

    create_on_update = True

    def default(self, obj: core_v1.Endpoints) -> None:
        for subset in obj.subsets:
            for port in subset.ports:
                if not port.protocol:
                    port.protocol = "TCP"

    def validate(self, obj: core_v1.Endpoints) -> list[FieldError]:
        errors: list[FieldError] = []
        for i, subset in enumerate(obj.subsets):
            path = f"subsets[{i}]"
            if not subset.addresses and not subset.not_ready_addresses:
                errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
            for field, addresses in (
                ("addresses", subset.addresses),
                ("notReadyAddresses", subset.not_ready_addresses),
            ):
                for j, address in enumerate(addresses):
                    errors += _endpoint_address(address, f"{path}.{field}[{j}]")
            for j, port in enumerate(subset.ports):
                errors += _endpoint_port(port, len(subset.ports) > 1, f"{path}.ports[{j}]")
        return errors

    def warnings(self, new: core_v1.Endpoints, old: core_v1.Endpoints | None = None) -> list[str]:
        found: list[str] = []
        if new.metadata.labels.get("endpoints.kubernetes.io/managed-by") == "endpoint-controller":
            return found
        for i, subset in enumerate(new.subsets):
            for field, addresses in (
                ("addresses", subset.addresses),
                ("notReadyAddresses", subset.not_ready_addresses),
            ):
                for j, address in enumerate(addresses):
                    found += addresswarnings.address(address.ip, f"subsets[{i}].{field}[{j}].ip")
        return found


def _endpoint_address(address: core_v1.EndpointAddress, path: str) -> list[FieldError]:
    errors = [invalid_value(f"{path}.ip", address.ip, m) for m in names.ip(address.ip)]
    if address.hostname:
        errors += [invalid_value(f"{path}.hostname", address.hostname, m) for m in names.label(address.hostname)]
    if address.node_name is not None:
        errors += [invalid_value(f"{path}.nodeName", address.node_name, m) for m in names.subdomain(address.node_name)]
    if names.IP_WORDS in names.ip(address.ip):
        errors.append(invalid_value(f"{path}.ip", address.ip, "must be a valid IP address"))
    return errors + not_special(address.ip, f"{path}.ip")


def _endpoint_port(port: core_v1.EndpointPort, named: bool, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if named and not port.name:
        errors.append(required(f"{path}.name"))
    elif port.name:
        errors += [invalid_value(f"{path}.name", port.name, m) for m in names.label(port.name)]
    errors += [invalid_value(f"{path}.port", port.port, m) for m in names.port_number(port.port)]
    if port.protocol not in ("TCP", "UDP", "SCTP"):
        errors.append(not_supported(f"{path}.protocol", port.protocol, ["SCTP", "TCP", "UDP"]))
    if port.app_protocol is not None:
        wrong = selectors.key_errors(port.app_protocol)
        errors += [invalid_value(f"{path}.appProtocol", port.app_protocol, m) for m in wrong]
    return errors


def validate_label_value(value: str, path: str) -> list[FieldError]:
    """A value that must fit a label."""
    return [invalid_value(path, value, m) for m in selectors.value_errors(value)]


class StorageVersionMigrations(Strategy):
    """A wish to have all objects of a resource stored anew."""

    status_keeps_metadata = True
    unconditional_update = False

    def validate(self, obj: storagemigration_v1.StorageVersionMigration) -> list[FieldError]:
        resource, path = obj.spec.resource, "spec.resource"
        errors: list[FieldError] = []
        if not resource.resource:
            errors.append(required(f"{path}.resource", "resource is required to be set"))
        elif wrong := names.label_1035(resource.resource):
            errors.append(invalid_value(f"{path}.resource", resource.resource, ",".join(wrong)))
        if resource.group and (wrong := names.subdomain(resource.group)):
            errors.append(invalid_value(f"{path}.group", resource.group, ",".join(wrong)))
        return errors

    def validate_update(
        self, new: storagemigration_v1.StorageVersionMigration, old: storagemigration_v1.StorageVersionMigration
    ) -> list[FieldError]:
        errors = self.validate(new)
        if new.spec != old.spec:
            shown = {"Resource": {"group": new.spec.resource.group, "resource": new.spec.resource.resource}}
            errors.append(invalid_value("spec", shown, IMMUTABLE))
        return errors

    def validate_status(
        self, new: storagemigration_v1.StorageVersionMigration, old: storagemigration_v1.StorageVersionMigration
    ) -> list[FieldError]:
        status, before, path = new.status, old.status, "status.conditions"
        errors = conditions.validate(status.conditions, path)
        if before.resource_version and status.resource_version != before.resource_version:
            errors.append(invalid_value("status.resourceVersion", status.resource_version, IMMUTABLE))
        true = {c.type for c in status.conditions if c.status == "True"}
        was = {c.type for c in before.conditions if c.status == "True"}
        for wrong, words in (
            ({"Succeeded", "Failed"} <= true, "Both success and failed conditions cannot be true at the same time"),
            ({"Succeeded", "Running"} <= true, "Running condition cannot be true when success condition is true"),
            ({"Failed", "Running"} <= true, "Running condition cannot be true when failed condition is true"),
            ("Succeeded" in was - true, "Success condition cannot be set to false once it is true"),
            ("Failed" in was - true, "Failed condition cannot be set to false once it is true"),
        ):
            if wrong:
                errors.append(invalid_value(path, status.conditions, words))
        return errors


class LeaseCandidates(Strategy):
    """Who may lead, and in which version."""

    def name_rule(self, name: str) -> list[str]:
        return names.config_key(name)

    def validate(self, obj: coordination_v1beta1.LeaseCandidate) -> list[FieldError]:
        spec = obj.spec
        errors = [] if spec.lease_name else [required("spec.leaseName")]
        emulated, binary = _version(spec.emulation_version), _version(spec.binary_version)
        for name, text, parsed in (
            ("emulationVersion", spec.emulation_version, emulated),
            ("binaryVersion", spec.binary_version, binary),
        ):
            if text and parsed is None:
                errors.append(invalid_value(f"spec.{name}", text, "must be a valid semantic version"))
        if spec.binary_version and spec.emulation_version and (binary or NO_VERSION) < (emulated or NO_VERSION):
            words = "must be greater than or equal to `emulationVersion`"
            errors.append(invalid_value("spec.binaryVersion", spec.binary_version, words))
        if not spec.strategy:
            return [*errors, required("spec.strategy")]
        if spec.strategy == "OldestEmulationVersion":
            words = "must be specified when `strategy` is 'OldestEmulationVersion'"
            errors += [] if binary else [required("spec.binaryVersion", words)]
            errors += [] if emulated else [required("spec.emulationVersion", words)]
        return errors + lease_strategy(spec.strategy, "spec.strategy")

    def validate_update(
        self, new: coordination_v1beta1.LeaseCandidate, old: coordination_v1beta1.LeaseCandidate
    ) -> list[FieldError]:
        return self.validate(new) + immutable(new.spec.lease_name, old.spec.lease_name, "spec.leaseName")


_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")
NO_VERSION = (0, 0, 0)


def _version(text: str) -> tuple[int, int, int] | None:
    """A semantic version's three numbers; None where there are none."""
    found = _SEMVER.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3]))
