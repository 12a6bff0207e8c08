"""Rules of kinds whose own are few."""

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, not_supported, required
from orlop.api.types import coordination_v1, core_v1, storagemigration_v1
from orlop.apiserver.registry import addresswarnings, names
from orlop.apiserver.registry.common import not_special
from orlop.apiserver.registry.strategy import Strategy

POSITIVE = "must be greater than 0"


class Leases(Strategy):
    """Who leads, and node heartbeats."""

    create_on_update = True
    unconditional_update = False

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

    def validate(self, obj: storagemigration_v1.StorageVersionMigration) -> list[FieldError]:
        resource = obj.spec.resource
        if not resource.resource:
            return [required("spec.resource.resource", "resource is required")]
        return []

    def validate_update(
        self, new: storagemigration_v1.StorageVersionMigration, old: storagemigration_v1.StorageVersionMigration
    ) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]
