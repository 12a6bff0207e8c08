"""Rules of NetworkPolicies: pkg/apis/networking/v1/defaults.go and validation."""

from collections.abc import Iterator

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import networking_v1
from orlop.apiserver.registry import addresswarnings, names, podtemplate
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

PROTOCOLS = ("TCP", "UDP", "SCTP")
MAX_TYPES = 2


class NetworkPolicies(Strategy):
    """Who may talk to whom."""

    generation = True

    def default(self, obj: networking_v1.NetworkPolicy) -> None:
        spec = obj.spec
        for ports in (*(rule.ports for rule in spec.ingress), *(rule.ports for rule in spec.egress)):
            for port in ports:
                if port.protocol is None:
                    port.protocol = "TCP"
        if not spec.policy_types:
            spec.policy_types = ["Ingress", "Egress"] if spec.egress else ["Ingress"]

    def validate(self, obj: networking_v1.NetworkPolicy) -> list[FieldError]:
        return _spec(obj.spec, frozenset())

    def validate_update(self, new: networking_v1.NetworkPolicy, old: networking_v1.NetworkPolicy) -> list[FieldError]:
        return _spec(new.spec, frozenset(_ranges(old.spec)))

    def warnings(self, new: networking_v1.NetworkPolicy, old: networking_v1.NetworkPolicy | None = None) -> list[str]:
        found: list[str] = []
        blocks = [
            *((f"spec.ingress[{i}].from", rule.from_) for i, rule in enumerate(new.spec.ingress)),
            *((f"spec.egress[{i}].to", rule.to) for i, rule in enumerate(new.spec.egress)),
        ]
        for path, peers in blocks:
            for j, peer in enumerate(peers):
                if peer.ip_block is None:
                    continue
                where = f"{path}[{j}].ipBlock"
                found += addresswarnings.cidr(peer.ip_block.cidr, f"{where}.cidr")
                for k, part in enumerate(peer.ip_block.except_):
                    found += addresswarnings.cidr(part, f"{where}.except[{k}]")
        return found


def _peers_of(spec: networking_v1.NetworkPolicySpec) -> Iterator[networking_v1.NetworkPolicyPeer]:
    for ingress in spec.ingress:
        yield from ingress.from_
    for egress in spec.egress:
        yield from egress.to


def _ranges(spec: networking_v1.NetworkPolicySpec) -> Iterator[str]:
    """Ranges of a policy as it was: they may stay, however they are written."""
    for peer in _peers_of(spec):
        if peer.ip_block is not None:
            yield from (peer.ip_block.cidr, *peer.ip_block.except_)


def _spec(spec: networking_v1.NetworkPolicySpec, known: frozenset[str]) -> list[FieldError]:
    errors = podtemplate.validate_selector(spec.pod_selector, "spec.podSelector")
    for i, ingress in enumerate(spec.ingress):
        errors += _ports(ingress.ports, f"spec.ingress[{i}].ports")
        errors += _peers(ingress.from_, f"spec.ingress[{i}].from", known)
    for i, egress in enumerate(spec.egress):
        errors += _ports(egress.ports, f"spec.egress[{i}].ports")
        errors += _peers(egress.to, f"spec.egress[{i}].to", known)
    if len(spec.policy_types) > MAX_TYPES:
        words = "may not specify more than two policyTypes"
        return [*errors, invalid_value("spec.policyTypes", spec.policy_types, words)]
    for i, type_ in enumerate(spec.policy_types):
        if type_ not in ("Ingress", "Egress"):
            errors.append(unsupported(f"spec.policyTypes[{i}]", type_, ("Ingress", "Egress")))
    return errors


def _ports(ports: list[networking_v1.NetworkPolicyPort], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, port in enumerate(ports):
        where = f"{path}[{i}]"
        if port.protocol is not None and port.protocol not in PROTOCOLS:
            errors.append(unsupported(f"{where}.protocol", port.protocol, PROTOCOLS))
        if isinstance(port.port, int):
            errors += [invalid_value(f"{where}.port", port.port, m) for m in names.port_number(port.port)]
            if port.end_port is not None:
                if port.end_port < port.port:
                    words = "must be greater than or equal to `port`"
                    errors.append(invalid_value(f"{where}.endPort", port.end_port, words))
                wrong = names.port_number(port.end_port)
                errors += [invalid_value(f"{where}.endPort", port.end_port, m) for m in wrong]
        elif isinstance(port.port, str):
            if port.end_port is not None:
                words = "may not be specified when `port` is non-numeric"
                errors.append(invalid_value(f"{where}.endPort", port.end_port, words))
            errors += [invalid_value(f"{where}.port", port.port, m) for m in names.port_name(port.port)]
        elif port.end_port is not None:
            words = "may not be specified when `port` is not specified"
            errors.append(invalid_value(f"{where}.endPort", port.end_port, words))
    return errors


def _peers(peers: list[networking_v1.NetworkPolicyPeer], path: str, known: frozenset[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, peer in enumerate(peers):
        where = f"{path}[{i}]"
        given = 0
        for name, selector in (("podSelector", peer.pod_selector), ("namespaceSelector", peer.namespace_selector)):
            if selector is not None:
                given += 1
                errors += podtemplate.validate_selector(selector, f"{where}.{name}")
        if peer.ip_block is not None:
            given += 1
            errors += _block(peer.ip_block, f"{where}.ipBlock", known)
        if not given:
            errors.append(required(where, "must specify a peer"))
        elif peer.ip_block is not None and given > 1:
            words = "may not specify both ipBlock and another peer"
            errors.append(forbidden_field(where, words))
    return errors


def _block(block: networking_v1.IPBlock, path: str, known: frozenset[str]) -> list[FieldError]:
    if not block.cidr:
        return [required(f"{path}.cidr")]
    errors = _range(block.cidr, f"{path}.cidr", known)
    whole = names.network(block.cidr)
    if whole is None:
        return errors
    for i, cidr in enumerate(block.except_):
        where = f"{path}.except[{i}]"
        errors += _range(cidr, where, known)
        part = names.network(cidr)
        if part is None:
            continue
        inside = part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]
        if not inside or part.prefixlen <= whole.prefixlen:
            errors.append(invalid_value(where, cidr, "must be a strict subset of `cidr`"))
    return errors


def _range(cidr: str, path: str, known: frozenset[str]) -> list[FieldError]:
    return [] if cidr in known else [invalid_value(path, cidr, m) for m in names.cidr(cidr)]
