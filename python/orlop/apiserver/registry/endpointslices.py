"""Rules of EndpointSlices: pkg/apis/discovery/validation."""

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, duplicate, invalid_value, required, too_many
from orlop.api.types import discovery_v1
from orlop.apiserver.registry import addresswarnings, meta, names, resources
from orlop.apiserver.registry.common import not_special
from orlop.apiserver.registry.families import family_of
from orlop.apiserver.registry.strategy import Strategy

MAX_PORTS = 20_000
MAX_ENDPOINTS = 1000
MAX_ADDRESSES = 100
MAX_TOPOLOGY = 16
MAX_ZONES = 8
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CONTROLLERS = frozenset({"endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"})
"""Who writes addresses in their own form, and need not be advised."""


class EndpointSlices(Strategy):
    """Endpoints of one address type behind the same ports."""

    generation = True

    def changes_generation(self, new: discovery_v1.EndpointSlice, old: discovery_v1.EndpointSlice) -> bool:
        return (
            new.endpoints != old.endpoints
            or new.ports != old.ports
            or new.address_type != old.address_type
            or new.metadata.labels != old.metadata.labels
        )

    def default(self, obj: discovery_v1.EndpointSlice) -> None:
        for port in obj.ports:
            if port.name is None:
                port.name = ""
            if port.protocol is None:
                port.protocol = "TCP"

    def validate(self, obj: discovery_v1.EndpointSlice) -> list[FieldError]:
        return self._wrong(obj, frozenset())

    def _wrong(self, obj: discovery_v1.EndpointSlice, had: frozenset[str]) -> list[FieldError]:
        errors: list[FieldError] = []
        if not obj.address_type:
            errors.append(required("addressType"))
        elif obj.address_type not in ADDRESS_TYPES:
            errors.append(resources.unsupported("addressType", obj.address_type, ADDRESS_TYPES))
        errors += _endpoints(obj, had)
        errors += _ports(obj.ports)
        return errors

    def validate_update(self, new: discovery_v1.EndpointSlice, old: discovery_v1.EndpointSlice) -> list[FieldError]:
        errors = self._wrong(new, frozenset(a for endpoint in old.endpoints for a in endpoint.addresses))
        if new.address_type != old.address_type:
            errors.append(invalid_value("addressType", new.address_type, IMMUTABLE))
        return errors

    def warnings(self, new: discovery_v1.EndpointSlice, old: discovery_v1.EndpointSlice | None = None) -> list[str]:
        found = ["spec.addressType: FQDN endpoints are deprecated"] if new.address_type == "FQDN" else []
        if new.address_type == "FQDN" or new.metadata.labels.get(MANAGED_BY) in CONTROLLERS:
            return found
        for i, endpoint in enumerate(new.endpoints):
            for j, address in enumerate(endpoint.addresses):
                found += addresswarnings.address(address, f"endpoints[{i}].addresses[{j}]")
        return found


def _endpoints(obj: discovery_v1.EndpointSlice, had: frozenset[str]) -> list[FieldError]:
    """What is wrong with endpoints; `had` are addresses that may stay as they are written."""
    errors: list[FieldError] = []
    if len(obj.endpoints) > MAX_ENDPOINTS:
        return [too_many("endpoints", len(obj.endpoints), MAX_ENDPOINTS)]
    for i, endpoint in enumerate(obj.endpoints):
        path = f"endpoints[{i}]"
        if not endpoint.addresses:
            errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
        elif len(endpoint.addresses) > MAX_ADDRESSES:
            errors.append(too_many(f"{path}.addresses", len(endpoint.addresses), MAX_ADDRESSES))
        for j, address in enumerate(endpoint.addresses):
            where = f"{path}.addresses[{j}]"
            if obj.address_type == "FQDN":
                errors += names.full_domain(address, where)
            elif obj.address_type in ADDRESS_TYPES:
                errors += _address(address, obj.address_type, f"{path}.addresses", j, address in had)
        if endpoint.node_name is not None:
            errors += [
                invalid_value(f"{path}.nodeName", endpoint.node_name, m) for m in names.subdomain(endpoint.node_name)
            ]
        if len(endpoint.deprecated_topology) > MAX_TOPOLOGY:
            path_ = f"{path}.deprecatedTopology"
            errors.append(too_many(path_, len(endpoint.deprecated_topology), MAX_TOPOLOGY))
        errors += meta.validate_labels(endpoint.deprecated_topology, f"{path}.deprecatedTopology")
        if endpoint.hostname is not None:
            errors += [invalid_value(f"{path}.hostname", endpoint.hostname, m) for m in names.label(endpoint.hostname)]
        if endpoint.hints is not None:
            errors += _zones(endpoint.hints.for_zones, f"{path}.hints.forZones")
    return errors


def _address(address: str, family: str, path: str, index: int, had: bool) -> list[FieldError]:
    """An address of the slice's family that others can reach."""
    where = f"{path}[{index}]"
    errors = [invalid_value(where, address, m) for m in (names.ip if had else names.canonical_ip)(address)]
    if not errors and family_of(address) != family:
        errors.append(invalid_value(path, address, f"must be an {family} address"))
    return errors + not_special(address, where)


def _zones(zones: list[discovery_v1.ForZone], path: str) -> list[FieldError]:
    if len(zones) > MAX_ZONES:
        return [too_many(path, len(zones), MAX_ZONES)]
    errors: list[FieldError] = []
    for i, zone in enumerate(zones):
        where = f"{path}[{i}].name"
        if any(zone.name == other.name for other in zones[:i]):
            errors.append(duplicate(where, zone.name))
        errors += [invalid_value(where, zone.name, m) for m in selectors.value_errors(zone.name)]
    return errors


def _ports(ports: list[discovery_v1.EndpointPort]) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(ports) > MAX_PORTS:
        return [too_many("ports", len(ports), MAX_PORTS)]
    seen: set[str | None] = set()
    for i, port in enumerate(ports):
        path = f"ports[{i}]"
        if port.name:
            errors += [invalid_value(f"{path}.name", port.name, m) for m in names.label(port.name)]
        if port.name in seen:
            errors.append(duplicate(f"{path}.name", port.name))
        seen.add(port.name)
        if port.protocol not in ("TCP", "UDP", "SCTP"):
            errors.append(resources.unsupported(f"{path}.protocol", port.protocol, ("SCTP", "TCP", "UDP")))
        if port.app_protocol is not None:
            wrong = selectors.key_errors(port.app_protocol)
            errors += [invalid_value(f"{path}.appProtocol", port.app_protocol, m) for m in wrong]
    return errors
