"""Rules of Services: pkg/apis/core/validation's ValidateService and pkg/registry/core/service."""

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required, too_many
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names
from orlop.apiserver.registry.families import HEADLESS, family_of
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
EXTERNAL_TYPES = ("NodePort", "LoadBalancer")
AFFINITIES = ("ClientIP", "None")
AFFINITY_SECONDS = 10800
MAX_AFFINITY_SECONDS = 86400
FAMILIES = ("IPv4", "IPv6")
KUBELET_PORT = 10250
ONCE = "may not change once set"


def needs_ip(service: core_v1.Service) -> bool:
    """Whether a service has an address of its own."""
    return service.spec.type != "ExternalName" and service.spec.cluster_ip != HEADLESS


def externally_accessible(service: core_v1.Service) -> bool:
    """Whether traffic may come from outside the cluster."""
    spec = service.spec
    return spec.type in EXTERNAL_TYPES or (spec.type == "ClusterIP" and bool(spec.external_ips))


class Services(Strategy):
    """A name and an address for a set of pods. Addresses and ports come from `addresses`."""

    create_on_update = True
    returns_deleted = True
    fields = (("spec.clusterIP", "spec.clusterIP"), ("spec.type", "spec.type"))

    def name_rule(self, name: str) -> list[str]:
        return names.label_1035(name)

    def default(self, obj: core_v1.Service) -> None:
        spec = obj.spec
        if not spec.session_affinity:
            spec.session_affinity = "None"
        if spec.session_affinity == "None":
            spec.session_affinity_config = None
        elif spec.session_affinity == "ClientIP":
            config = spec.session_affinity_config
            if config is None or config.client_ip is None or config.client_ip.timeout_seconds is None:
                spec.session_affinity_config = core_v1.SessionAffinityConfig(
                    client_ip=core_v1.ClientIPConfig(timeout_seconds=AFFINITY_SECONDS)
                )
        if not spec.type:
            spec.type = "ClusterIP"
        for port in spec.ports:
            if not port.protocol:
                port.protocol = "TCP"
            if port.target_port in (0, ""):
                port.target_port = port.port
        if externally_accessible(obj) and not spec.external_traffic_policy:
            spec.external_traffic_policy = "Cluster"
        if spec.internal_traffic_policy is None and spec.type in ("NodePort", "LoadBalancer", "ClusterIP"):
            spec.internal_traffic_policy = "Cluster"
        if spec.type == "LoadBalancer":
            if spec.allocate_load_balancer_node_ports is None:
                spec.allocate_load_balancer_node_ports = True
            for ingress in obj.status.load_balancer.ingress:
                if ingress.ip and ingress.ip_mode is None:
                    ingress.ip_mode = "VIP"
        if spec.cluster_ip and not spec.cluster_ips:
            spec.cluster_ips = [spec.cluster_ip]

    def prepare_create(self, obj: core_v1.Service) -> None:
        self._drop_dependent(obj)

    def prepare_update(self, new: core_v1.Service, old: core_v1.Service) -> None:
        spec, before = new.spec, old.spec
        # Who knows the older field alone changes that one alone.
        if before.cluster_ip and spec.cluster_ip != before.cluster_ip and spec.cluster_ips == before.cluster_ips:
            spec.cluster_ips = [spec.cluster_ip] if spec.cluster_ip else []
        if needs_ip(new) and needs_ip(old):
            if not spec.cluster_ip:
                spec.cluster_ip = before.cluster_ip
            if spec.cluster_ip == before.cluster_ip and spec.cluster_ips in ([], [spec.cluster_ip]):
                spec.cluster_ips = before.cluster_ips
        elif not spec.cluster_ip and before.cluster_ip == HEADLESS and spec.type != "ExternalName":
            spec.cluster_ip, spec.cluster_ips = before.cluster_ip, before.cluster_ips
        if spec.type in EXTERNAL_TYPES and before.type in EXTERNAL_TYPES:
            ports = {(p.protocol, p.port): p.node_port for p in before.ports}
            taken = {p.node_port for p in spec.ports if p.node_port}
            for port in spec.ports:
                kept = ports.get((port.protocol, port.port), 0)
                if not port.node_port and kept not in taken:
                    port.node_port = kept
            if needs_health_port(new) and needs_health_port(old) and not spec.health_check_node_port:
                spec.health_check_node_port = before.health_check_node_port
        if spec.type not in EXTERNAL_TYPES and before.type in EXTERNAL_TYPES:
            old_ports = {p.node_port for p in before.ports}
            for port in spec.ports:
                if port.node_port in old_ports:
                    port.node_port = 0
        if spec.type == "ExternalName" and before.type != "ExternalName":
            if spec.cluster_ip == before.cluster_ip:
                spec.cluster_ip, spec.cluster_ips = "", []
            spec.ip_families, spec.ip_family_policy = [], None
        if before.type == spec.type and before.ip_families and not spec.ip_families:
            spec.ip_families, spec.ip_family_policy = (
                before.ip_families,
                spec.ip_family_policy or before.ip_family_policy,
            )
        self._drop_dependent(new)

    def _drop_dependent(self, obj: core_v1.Service) -> None:
        """Fields that mean nothing for the type a service has changed to."""
        spec = obj.spec
        if spec.type not in EXTERNAL_TYPES and not externally_accessible(obj):
            spec.external_traffic_policy = ""
        if spec.type != "LoadBalancer":
            spec.allocate_load_balancer_node_ports = None
            spec.load_balancer_class = None
        if not needs_health_port(obj):
            spec.health_check_node_port = 0

    def validate(self, obj: core_v1.Service) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        headless = spec.cluster_ip == HEADLESS
        if not spec.ports and not headless and spec.type != "ExternalName":
            errors.append(required("spec.ports"))
        if spec.type == "LoadBalancer":
            for i, port in enumerate(spec.ports):
                if port.port == KUBELET_PORT:
                    why = f"may not expose port {KUBELET_PORT} externally since it is used by kubelet"
                    errors.append(invalid_value(f"spec.ports[{i}].port", port.port, why))
        if spec.type in EXTERNAL_TYPES and headless:
            why = f"may not be set to 'None' for {spec.type} services"
            errors.append(invalid_value("spec.clusterIPs[0]", HEADLESS, why))
        if spec.type == "ExternalName":
            errors += _external_name(spec)
        errors += _ports(spec)
        errors += meta.validate_labels(spec.selector, "spec.selector")
        errors += _affinity(spec)
        if spec.type != "ExternalName":
            errors += _cluster_ips(spec)
        for i, address in enumerate(spec.external_ips):
            problems = names.ip(address)
            errors += [invalid_value(f"spec.externalIPs[{i}]", address, m) for m in problems]
            if not problems:
                errors += _not_special(address, f"spec.externalIPs[{i}]")
        if spec.type not in TYPES:
            errors.append(unsupported("spec.type", spec.type, TYPES))
        errors += _node_ports(spec)
        errors += _policies(obj)
        return errors

    def validate_update(self, new: core_v1.Service, old: core_v1.Service) -> list[FieldError]:
        errors: list[FieldError] = []
        external = "ExternalName" in (old.spec.type, new.spec.type)
        both = not external and (needs_ip(new) or needs_ip(old))
        before, after = old.spec.cluster_ips, new.spec.cluster_ips
        if both and before and after and before[0] != after[0]:
            errors.append(invalid_value("spec.clusterIPs[0]", after, ONCE))
        elif both and before and not after:
            errors.append(invalid_value("spec.clusterIPs[0]", after, "primary clusterIP can not be unset"))
        before_class, after_class = old.spec.load_balancer_class, new.spec.load_balancer_class
        stays = new.spec.type == old.spec.type == "LoadBalancer"
        if stays and before_class is not None and after_class != before_class:
            errors.append(invalid_value("spec.loadBalancerClass", after_class, ONCE))
        return errors + self.validate(new)


def needs_health_port(service: core_v1.Service) -> bool:
    """Whether load balancers ask nodes for their local endpoints."""
    return service.spec.type == "LoadBalancer" and service.spec.external_traffic_policy == "Local"


def _external_name(spec: core_v1.ServiceSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.cluster_ips:
        errors.append(forbidden_field("spec.clusterIPs", "may not be set for ExternalName services"))
    if spec.ip_families:
        errors.append(forbidden_field("spec.ipFamilies", "may not be set for ExternalName services"))
    if spec.ip_family_policy is not None:
        errors.append(forbidden_field("spec.ipFamilyPolicy", "may not be set for ExternalName services"))
    name = spec.external_name.removesuffix(".")
    if name:
        errors += [invalid_value("spec.externalName", name, m) for m in names.subdomain(name)]
    else:
        errors.append(required("spec.externalName"))
    return errors


def _ports(spec: core_v1.ServiceSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    seen_names: set[str] = set()
    seen: set[tuple[str, int]] = set()
    doubled: list[FieldError] = []
    for i, port in enumerate(spec.ports):
        path = f"spec.ports[{i}]"
        if not port.name:
            if len(spec.ports) > 1:
                errors.append(required(f"{path}.name"))
        else:
            errors += [invalid_value(f"{path}.name", port.name, m) for m in names.label(port.name)]
            if port.name in seen_names:
                errors.append(duplicate(f"{path}.name", port.name))
            seen_names.add(port.name)
        errors += [invalid_value(f"{path}.port", port.port, m) for m in names.port_number(port.port)]
        if port.protocol not in ("TCP", "UDP", "SCTP"):
            errors.append(unsupported(f"{path}.protocol", port.protocol, ("SCTP", "TCP", "UDP")))
        target = port.target_port
        wrong = names.port_number(target) if isinstance(target, int) else names.port_name(target)
        errors += [invalid_value(f"{path}.targetPort", target, m) for m in wrong]
        if port.app_protocol:
            from orlop.api.selectors import key_errors

            errors += [
                invalid_value(f"{path}.appProtocol", port.app_protocol, m) for m in key_errors(port.app_protocol)
            ]
        if (port.protocol, port.port) in seen:
            doubled.append(duplicate(path, core_v1.ServicePort(protocol=port.protocol, port=port.port)))
        seen.add((port.protocol, port.port))
    return errors + doubled


def _affinity(spec: core_v1.ServiceSpec) -> list[FieldError]:
    if spec.session_affinity not in AFFINITIES:
        return [unsupported("spec.sessionAffinity", spec.session_affinity, AFFINITIES)]
    config = spec.session_affinity_config
    if spec.session_affinity == "ClientIP":
        seconds = config.client_ip.timeout_seconds if config and config.client_ip else None
        path = "spec.sessionAffinityConfig"
        if seconds is None:
            return [required(path, "when session affinity type is ClientIP")]
        if not 0 < seconds <= MAX_AFFINITY_SECONDS:
            why = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
            return [invalid_value(f"{path}.clientIP.timeoutSeconds", seconds, why)]
    elif config is not None:
        return [forbidden_field("spec.sessionAffinityConfig", "must not be set when session affinity is None")]
    return []


def _cluster_ips(spec: core_v1.ServiceSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.cluster_ip and spec.cluster_ips and spec.cluster_ip != spec.cluster_ips[0]:
        errors.append(invalid_value("spec.clusterIPs", spec.cluster_ips, "first value must match `clusterIP`"))
    if not spec.cluster_ip and spec.cluster_ips:
        errors.append(
            invalid_value("spec.clusterIPs", spec.cluster_ips, "must be empty when `clusterIP` is not specified")
        )
    for i, family in enumerate(spec.ip_families):
        if family not in FAMILIES:
            errors.append(unsupported(f"spec.ipFamilies[{i}]", family, FAMILIES))
        elif family in spec.ip_families[:i]:
            errors.append(duplicate(f"spec.ipFamilies[{i}]", family))
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    if spec.ip_family_policy is not None and spec.ip_family_policy not in policies:
        errors.append(unsupported("spec.ipFamilyPolicy", spec.ip_family_policy, policies))
    if len(spec.ip_families) > 2:
        errors.append(too_many("spec.ipFamilies", len(spec.ip_families), 2))
    if len(spec.cluster_ips) > 2:
        errors.append(invalid_value("spec.clusterIPs", spec.cluster_ips, "may only hold up to 2 values"))
    elif HEADLESS not in spec.cluster_ips and len({family_of(ip) for ip in spec.cluster_ips}) < len(spec.cluster_ips):
        why = "may specify no more than one IP for each IP family"
        errors.append(invalid_value("spec.clusterIPs", spec.cluster_ips, why))
    for i, (address, family) in enumerate(zip(spec.cluster_ips, spec.ip_families, strict=False)):
        if address != HEADLESS and family in FAMILIES and family_of(address) != family:
            why = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
            errors.append(invalid_value(f"spec.clusterIPs[{i}]", address, why))
    for i, address in enumerate(spec.cluster_ips):
        if address == HEADLESS:
            if i:
                errors.append(
                    invalid_value(f"spec.clusterIPs[{i}]", address, "'None' must be the first and only value")
                )
            elif len(spec.cluster_ips) > 1:
                errors.append(
                    invalid_value("spec.clusterIPs", spec.cluster_ips, "'None' must be the first and only value")
                )
            continue
        errors += [invalid_value(f"spec.clusterIPs[{i}]", address, m) for m in names.ip(address)]
    return errors


def _not_special(address: str, path: str) -> list[FieldError]:
    import ipaddress

    ip = ipaddress.ip_address(address)
    if ip.is_unspecified:
        return [invalid_value(path, address, f"may not be unspecified ({address})")]
    if ip.is_loopback:
        return [invalid_value(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")]
    if ip.is_link_local:
        return [invalid_value(path, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")]
    return []


def _node_ports(spec: core_v1.ServiceSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.type == "ClusterIP":
        for i, port in enumerate(spec.ports):
            if port.node_port:
                errors.append(
                    forbidden_field(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
                )
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(spec.ports):
        if port.node_port:
            if (port.protocol, port.node_port) in seen:
                errors.append(duplicate(f"spec.ports[{i}].nodePort", port.node_port))
            seen.add((port.protocol, port.node_port))
    return errors


def _policies(service: core_v1.Service) -> list[FieldError]:
    spec = service.spec
    errors: list[FieldError] = []
    if spec.external_traffic_policy:
        if not externally_accessible(service):
            errors.append(
                invalid_value(
                    "spec.externalTrafficPolicy",
                    spec.external_traffic_policy,
                    "may only be set for externally-accessible services",
                )
            )
        if spec.external_traffic_policy not in ("Cluster", "Local"):
            errors.append(unsupported("spec.externalTrafficPolicy", spec.external_traffic_policy, ("Cluster", "Local")))
    if spec.internal_traffic_policy is None:
        if spec.type in ("NodePort", "LoadBalancer", "ClusterIP"):
            errors.append(required("spec.internalTrafficPolicy"))
    elif spec.internal_traffic_policy not in ("Cluster", "Local"):
        errors.append(unsupported("spec.internalTrafficPolicy", spec.internal_traffic_policy, ("Cluster", "Local")))
    for i, source in enumerate(spec.load_balancer_source_ranges):
        path = f"spec.loadBalancerSourceRanges[{i}]"
        if spec.type != "LoadBalancer":
            errors.append(forbidden_field(path, "may only be used when `type` is 'LoadBalancer'"))
            break
        errors += [invalid_value(path, source, m) for m in names.cidr(source.strip())]
    if spec.traffic_distribution not in (None, "PreferClose", "PreferSameZone", "PreferSameNode"):
        errors.append(
            unsupported(
                "spec.trafficDistribution",
                spec.traffic_distribution,
                ("PreferClose", "PreferSameNode", "PreferSameZone"),
            )
        )
    return errors
