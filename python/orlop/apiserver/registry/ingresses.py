"""Rules of Ingresses and IngressClasses: pkg/apis/networking/validation, pkg/registry/networking."""

from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, required, too_long
from orlop.api.types import networking_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import segment, subdomain
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
INVALID_SEQUENCES = ("//", "/./", "/../", "%2f", "%2F")
INVALID_SUFFIXES = ("/..", "/.")
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
MAX_CONTROLLER = 250
NO_ADDRESS = "must be a DNS name, not an IP address"


class Ingresses(Strategy):
    """Hosts and paths to services."""

    generation = True

    def validate(self, obj: networking_v1.Ingress) -> list[FieldError]:
        errors = _spec(obj.spec)
        old_class = obj.metadata.annotations.get(CLASS_ANNOTATION)
        if old_class is not None and obj.spec.ingress_class_name not in (None, old_class):
            words = "must match `ingressClassName` when both are specified"
            errors.append(invalid_value(f"annotations.{CLASS_ANNOTATION}", old_class, words))
        return errors

    def validate_update(self, new: networking_v1.Ingress, old: networking_v1.Ingress) -> list[FieldError]:
        return _spec(new.spec)

    def warnings(self, new: networking_v1.Ingress, old: networking_v1.Ingress | None = None) -> list[str]:
        if old is not None or CLASS_ANNOTATION not in new.metadata.annotations:
            return []
        return [f"annotation \"{CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]

    def validate_status(self, new: networking_v1.Ingress, old: networking_v1.Ingress) -> list[FieldError]:
        errors: list[FieldError] = []
        known = {entry.ip for entry in old.status.load_balancer.ingress}
        for i, entry in enumerate(new.status.load_balancer.ingress):
            path = f"status.loadBalancer.ingress[{i}]"
            if entry.ip and entry.ip not in known:
                errors += [invalid_value(f"{path}.ip", entry.ip, m) for m in names.ip(entry.ip)]
            if entry.hostname:
                errors += subdomain(entry.hostname, f"{path}.hostname")
                if names.is_address(entry.hostname):
                    errors.append(invalid_value(f"{path}.hostname", entry.hostname, NO_ADDRESS))
        return errors


def _spec(spec: networking_v1.IngressSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if not spec.rules and spec.default_backend is None:
        words = "either `defaultBackend` or `rules` must be specified"
        errors.append(invalid_value("spec", None, words))
    if spec.default_backend is not None:
        errors += _backend(spec.default_backend, "spec.defaultBackend")
    for i, rule in enumerate(spec.rules):
        path = f"spec.rules[{i}]"
        if rule.host:
            errors += _host(rule.host, f"{path}.host")
        if rule.http is not None:
            errors += _paths(rule.http.paths, f"{path}.http.paths")
    for i, tls in enumerate(spec.tls):
        path = f"spec.tls[{i}]"
        for j, host in enumerate(tls.hosts):
            wildcard = names.wildcard(host) if "*" in host else names.subdomain(host)
            errors += [invalid_value(f"{path}.hosts[{j}]", host, m) for m in wildcard]
        if tls.secret_name:
            errors += subdomain(tls.secret_name, f"{path}.secretName")
    if spec.ingress_class_name is not None:
        errors += subdomain(spec.ingress_class_name, "spec.ingressClassName")
    return errors


def _host(host: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if names.is_address(host):
        errors.append(invalid_value(path, host, NO_ADDRESS))
    wrong = names.wildcard(host) if "*" in host else names.subdomain(host)
    return errors + [invalid_value(path, host, m) for m in wrong]


def _paths(paths: list[networking_v1.HTTPIngressPath], path: str) -> list[FieldError]:
    if not paths:
        return [required(path)]
    errors: list[FieldError] = []
    for i, one in enumerate(paths):
        where = f"{path}[{i}]"
        if one.path_type is None:
            errors.append(required(f"{where}.pathType", "pathType must be specified"))
            continue
        if one.path_type in ("Exact", "Prefix"):
            if not one.path.startswith("/"):
                errors.append(invalid_value(f"{where}.path", one.path, "must be an absolute path"))
            for part in INVALID_SEQUENCES:
                if part in one.path:
                    errors.append(invalid_value(f"{where}.path", one.path, f"must not contain '{part}'"))
            for part in INVALID_SUFFIXES:
                if one.path.endswith(part):
                    errors.append(invalid_value(f"{where}.path", one.path, f"cannot end with '{part}'"))
        elif one.path_type == "ImplementationSpecific":
            if one.path and not one.path.startswith("/"):
                errors.append(invalid_value(f"{where}.path", one.path, "must be an absolute path"))
        else:
            errors.append(unsupported(f"{where}.pathType", one.path_type, PATH_TYPES))
        errors += _backend(one.backend, f"{where}.backend")
    return errors


def _backend(backend: networking_v1.IngressBackend, path: str) -> list[FieldError]:
    service, resource = backend.service, backend.resource
    if service is not None and resource is not None:
        return [invalid_value(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        errors: list[FieldError] = []
        if resource.api_group is not None:
            errors += subdomain(resource.api_group, f"{path}.resource.apiGroup")
        return (
            errors
            + _named(resource.kind, "kind", f"{path}.resource")
            + _named(resource.name, "name", f"{path}.resource")
        )
    if service is None:
        return [invalid_value(path, "", "resource or service backend is required")]
    errors = []
    if not service.name:
        errors.append(required(f"{path}.service.name"))
    else:
        # Services may have RFC 1123 names since 1.34 (KEP-5311).
        errors += [invalid_value(f"{path}.service.name", service.name, m) for m in names.label(service.name)]
    port = service.port
    if port.name and port.number:
        errors.append(invalid_value(path, "", "cannot set both port name & port number"))
    elif port.name:
        errors += [invalid_value(f"{path}.service.port.name", port.name, m) for m in names.port_name(port.name)]
    elif port.number:
        where = f"{path}.service.port.number"
        errors += [invalid_value(where, port.number, m) for m in names.port_number(port.number)]
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


class IngressClasses(Strategy):
    """Who serves Ingresses of a class."""

    generation = True

    def default(self, obj: networking_v1.IngressClass) -> None:
        parameters = obj.spec.parameters
        if parameters is not None and parameters.scope is None:
            parameters.scope = "Cluster"

    def validate(self, obj: networking_v1.IngressClass) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if len(spec.controller.encode()) > MAX_CONTROLLER:
            errors.append(too_long("spec.controller", MAX_CONTROLLER))
        errors += names.domain_path(spec.controller, "spec.controller")
        if spec.parameters is not None:
            errors += _class_parameters(spec.parameters, "spec.parameters")
        return errors

    def validate_update(self, new: networking_v1.IngressClass, old: networking_v1.IngressClass) -> list[FieldError]:
        changed = new.spec.controller != old.spec.controller
        errors = [invalid_value("spec.controller", new.spec.controller, IMMUTABLE)] if changed else []
        return errors + self.validate(new)


def _named(value: str, field: str, path: str) -> list[FieldError]:
    return segment(value, f"{path}.{field}") if value else [required(f"{path}.{field}", f"{field} is required")]


def _class_parameters(ref: networking_v1.IngressClassParametersReference, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if ref.api_group is not None:
        errors += subdomain(ref.api_group, f"{path}.apiGroup")
    errors += _named(ref.kind, "kind", path) + _named(ref.name, "name", path)
    if ref.scope is None:
        return [*errors, required(f"{path}.scope")]
    if ref.scope not in ("Cluster", "Namespace"):
        return [*errors, unsupported(f"{path}.scope", ref.scope, ("Cluster", "Namespace"))]
    if ref.scope == "Namespace":
        if ref.namespace is None:
            errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += [invalid_value(f"{path}.namespace", ref.namespace, m) for m in names.label(ref.namespace)]
    if ref.scope == "Cluster" and ref.namespace is not None:
        errors.append(forbidden_field(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return errors
