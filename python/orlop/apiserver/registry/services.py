"""Rules of Services: pkg/apis/core/validation's ValidateService and pkg/registry/core/service."""

from orlop.api import selectors
from orlop.api.errors import IMMUTABLE, FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names, servicewarnings
from orlop.apiserver.registry.common import not_special, subdomain
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
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
TRAFFIC_POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
ONCE = "may not change once set"
BALANCED = "may only be used when `type` is 'LoadBalancer'"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"


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
        return names.label(name)

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

    def prepare_update(self, new: core_v1.Service, old: core_v1.Service) -> None:
        _keep_addresses(new.spec, old.spec)
        if new.spec.type in EXTERNAL_TYPES and old.spec.type in EXTERNAL_TYPES:
            _keep_node_ports(new.spec, old.spec)
        if needs_health_port(new) and needs_health_port(old) and not new.spec.health_check_node_port:
            new.spec.health_check_node_port = old.spec.health_check_node_port
        _drop_dependent(new, old)

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
                errors += not_special(address, f"spec.externalIPs[{i}]")
        if spec.type not in TYPES:
            errors.append(unsupported("spec.type", spec.type, TYPES))
        errors += _node_ports(spec) + _doubled(spec) + _source_ranges(obj)
        if spec.allocate_load_balancer_node_ports is not None and spec.type != "LoadBalancer":
            errors.append(forbidden_field("spec.allocateLoadBalancerNodePorts", BALANCED))
        errors += _class(spec)
        return errors + _policies(obj)

    def before_create(self, obj: core_v1.Service) -> list[FieldError]:
        errors = super().before_create(obj)
        # Where the addresses are wrong, upstream never comes to the rest.
        return (_cluster_ips(obj.spec) if errors and obj.spec.type != "ExternalName" else []) or errors

    def validate_update(self, new: core_v1.Service, old: core_v1.Service) -> list[FieldError]:
        errors = _changed_addresses(new.spec, old.spec)
        before_class, after_class = old.spec.load_balancer_class, new.spec.load_balancer_class
        if new.spec.type == old.spec.type == "LoadBalancer" and after_class != before_class:
            errors.append(invalid_value("spec.loadBalancerClass", after_class, ONCE))
        # Upstream looks at the class once for the change and once for the object.
        errors += _class(new.spec)
        checked = needs_health_port(new) and needs_health_port(old)
        if checked and new.spec.health_check_node_port != old.spec.health_check_node_port:
            errors.append(forbidden_field("spec.healthCheckNodePort", IMMUTABLE))
        return errors + self.validate(new)

    def warnings(self, new: core_v1.Service, old: core_v1.Service | None = None) -> list[str]:
        return servicewarnings.warnings(new)

    def validate_status(self, new: core_v1.Service, old: core_v1.Service) -> list[FieldError]:
        path = "status.loadBalancer.ingress"
        ingress = new.status.load_balancer.ingress
        if ingress and new.spec.type != "LoadBalancer":
            return [forbidden_field(path, "may only be used when `spec.type` is 'LoadBalancer'")]
        return [error for i, one in enumerate(ingress) for error in _ingress(one, f"{path}[{i}]")]


def _keep_addresses(spec: core_v1.ServiceSpec, before: core_v1.ServiceSpec) -> None:
    """What a client that knows the older field alone, or none, has left out of an update."""
    if spec.type == "ExternalName" or before.type == "ExternalName":
        if spec.cluster_ip != before.cluster_ip and spec.cluster_ips == before.cluster_ips:
            spec.cluster_ips = [spec.cluster_ip] if spec.cluster_ip else []
        return
    if before.cluster_ip and spec.cluster_ip != before.cluster_ip and spec.cluster_ips == before.cluster_ips:
        spec.cluster_ips = [spec.cluster_ip] if spec.cluster_ip else []
    if not spec.cluster_ip:
        spec.cluster_ip = before.cluster_ip
    if spec.cluster_ip == before.cluster_ip and spec.cluster_ips in ([], [spec.cluster_ip]):
        spec.cluster_ips = before.cluster_ips
    if before.type == spec.type and before.ip_families and not spec.ip_families:
        spec.ip_families = before.ip_families
        spec.ip_family_policy = spec.ip_family_policy or before.ip_family_policy


def _keep_node_ports(spec: core_v1.ServiceSpec, before: core_v1.ServiceSpec) -> None:
    """A port of the same name keeps its node port where the update names none."""
    used = {p.node_port for p in before.ports if p.node_port} & {p.node_port for p in spec.ports if p.node_port}
    named = {p.name: p.node_port for p in before.ports}
    for port in spec.ports:
        kept = named.get(port.name, 0)
        if not port.node_port and kept not in used:
            port.node_port = kept


def _drop_dependent(new: core_v1.Service, old: core_v1.Service) -> None:
    """Fields that mean nothing for the type a service has changed to, where the update did not change them too."""
    spec, before = new.spec, old.spec
    if spec.type == "ExternalName" and before.type != "ExternalName":
        if spec.cluster_ip == before.cluster_ip and spec.cluster_ips in ([], [spec.cluster_ip], before.cluster_ips):
            spec.cluster_ip, spec.cluster_ips = "", []
        if spec.ip_families == before.ip_families:
            spec.ip_families = []
        if spec.ip_family_policy == before.ip_family_policy:
            spec.ip_family_policy = None
    same_ports = [p.node_port for p in spec.ports] == [p.node_port for p in before.ports]
    if spec.type not in EXTERNAL_TYPES and before.type in EXTERNAL_TYPES and same_ports:
        for port in spec.ports:
            port.node_port = 0
    same_port = spec.health_check_node_port == before.health_check_node_port
    if needs_health_port(old) and not needs_health_port(new) and same_port:
        spec.health_check_node_port = 0
    if before.type == "LoadBalancer" != spec.type:
        if spec.allocate_load_balancer_node_ports == before.allocate_load_balancer_node_ports:
            spec.allocate_load_balancer_node_ports = None
        if spec.load_balancer_class == before.load_balancer_class:
            spec.load_balancer_class = None
    same_policy = spec.external_traffic_policy == before.external_traffic_policy
    if externally_accessible(old) and not externally_accessible(new) and same_policy:
        spec.external_traffic_policy = ""


def _changed_addresses(spec: core_v1.ServiceSpec, before: core_v1.ServiceSpec) -> list[FieldError]:
    """The first address stays, the second may come and go with the policy."""
    after, earlier = spec.cluster_ips, before.cluster_ips
    if "ExternalName" in (spec.type, before.type) or (after == earlier == [HEADLESS]):
        return []
    errors: list[FieldError] = []
    if len(after) == len(earlier):
        changed = [i for i, address in enumerate(earlier) if after[i] != address]
        errors += [invalid_value(f"spec.clusterIPs[{i}]", after, ONCE) for i in changed]
    elif not after:
        errors.append(invalid_value("spec.clusterIPs[0]", None, "primary clusterIP can not be unset"))
    elif earlier and after[0] != earlier[0]:
        errors.append(invalid_value("spec.clusterIPs[0]", after, ONCE))
    as_before = (after == [HEADLESS]) == (earlier == [HEADLESS])
    if as_before and spec.ip_families and before.ip_families and spec.ip_families[0] != before.ip_families[0]:
        shown = spec.ip_families if len(spec.ip_families) == len(before.ip_families) else after
        errors.append(invalid_value("spec.ipFamilies[0]", shown, ONCE))
    return errors


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
        if port.app_protocol is not None:
            wrong = selectors.key_errors(port.app_protocol)
            errors += [invalid_value(f"{path}.appProtocol", port.app_protocol, m) for m in wrong]
    return errors


def _doubled(spec: core_v1.ServiceSpec) -> list[FieldError]:
    """Ports that stand there twice; shown as Go shows what it compares them by."""
    errors: list[FieldError] = []
    seen: set[tuple[str, int]] = set()
    for i, port in enumerate(spec.ports):
        if (port.protocol, port.port) in seen:
            key = {"Name": "", "Protocol": port.protocol, "AppProtocol": None, "Port": port.port}
            errors.append(duplicate(f"spec.ports[{i}]", {**key, "TargetPort": 0, "NodePort": 0}))
        seen.add((port.protocol, port.port))
    return errors


def _source_ranges(service: core_v1.Service) -> list[FieldError]:
    """Who may use a load balancer: the field, else the annotation that was before it."""
    spec = service.spec
    text = service.metadata.annotations.get(SOURCE_RANGES)
    if spec.load_balancer_source_ranges:
        path = "spec.LoadBalancerSourceRanges"
        ranges = [(f"{path}[{i}]", r) for i, r in enumerate(spec.load_balancer_source_ranges)]
    elif text is not None:
        path = f"metadata.annotations[{SOURCE_RANGES}]"
        ranges = [(path, r) for r in text.split(",")] if text.strip() else []
    else:
        return []
    errors = [] if spec.type == "LoadBalancer" else [forbidden_field(path, BALANCED)]
    return errors + [invalid_value(where, r.strip(), m) for where, r in ranges for m in names.cidr(r.strip())]


def _class(spec: core_v1.ServiceSpec) -> list[FieldError]:
    path, name = "spec.loadBalancerClass", spec.load_balancer_class
    if name is None:
        return []
    if spec.type != "LoadBalancer":
        return [forbidden_field(path, BALANCED)]
    return [invalid_value(path, name, m) for m in selectors.key_errors(name)]


def _ingress(ingress: core_v1.LoadBalancerIngress, path: str) -> list[FieldError]:
    """A load balancer's address in a status."""
    errors: list[FieldError] = []
    if ingress.ip:
        errors += [invalid_value(f"{path}.ip", ingress.ip, m) for m in names.ip(ingress.ip)]
    if ingress.ip_mode is None:
        if ingress.ip:
            errors.append(required(f"{path}.ipMode", "must be specified when `ip` is set"))
    elif not ingress.ip:
        errors.append(forbidden_field(f"{path}.ipMode", "may not be specified when `ip` is not set"))
    elif ingress.ip_mode not in ("Proxy", "VIP"):
        errors.append(unsupported(f"{path}.ipMode", ingress.ip_mode, ("Proxy", "VIP")))
    if ingress.hostname:
        errors += subdomain(ingress.hostname, f"{path}.hostname")
        if not names.ip(ingress.hostname):
            errors.append(invalid_value(f"{path}.hostname", ingress.hostname, "must be a DNS name, not an IP address"))
    return errors


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
    path, addresses = "spec.clusterIPs", spec.cluster_ips
    errors: list[FieldError] = []
    if spec.cluster_ip and addresses and spec.cluster_ip != addresses[0]:
        errors.append(invalid_value(path, addresses, "first value must match `clusterIP`"))
    if not spec.cluster_ip and addresses:
        errors.append(invalid_value(path, addresses, "must be empty when `clusterIP` is not specified"))
    for i, family in enumerate(spec.ip_families):
        if family not in FAMILIES:
            errors.append(unsupported(f"spec.ipFamilies[{i}]", family, FAMILIES))
        if family in spec.ip_families[:i]:
            errors.append(duplicate(f"spec.ipFamilies[{i}]", family))
    if spec.ip_family_policy is not None and spec.ip_family_policy not in FAMILY_POLICIES:
        errors.append(unsupported("spec.ipFamilyPolicy", spec.ip_family_policy, FAMILY_POLICIES))
    wrong: list[FieldError] = []
    for i, address in enumerate(addresses):
        if i == 0 and address == HEADLESS:
            if len(addresses) > 1:
                wrong.append(invalid_value(path, addresses, "'None' must be the first and only value"))
            continue
        wrong += [invalid_value(f"{path}[{i}]", address, m) for m in names.ip(address)]
    errors += wrong
    if len(addresses) > 2:
        errors.append(invalid_value(path, addresses, "may only hold up to 2 values"))
    if wrong:
        return errors
    if len(addresses) > 1 and len({family_of(a) for a in addresses}) < 2:
        errors.append(invalid_value(path, addresses, "may specify no more than one IP for each IP family"))
    for i, (address, family) in enumerate(zip(addresses, spec.ip_families, strict=False)):
        if address != HEADLESS and family in FAMILIES and family_of(address) != family:
            why = f"expected an {family} value as indicated by `ipFamilies[{i}]`"
            errors.append(invalid_value(f"{path}[{i}]", address, why))
    return errors


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
    external, internal = spec.external_traffic_policy, spec.internal_traffic_policy
    if not externally_accessible(service):
        if external:
            why = "may only be set for externally-accessible services"
            errors.append(invalid_value("spec.externalTrafficPolicy", external, why))
    elif external not in TRAFFIC_POLICIES:
        errors.append(unsupported("spec.externalTrafficPolicy", external, TRAFFIC_POLICIES))
    health = spec.health_check_node_port
    if health and not needs_health_port(service):
        why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid_value("spec.healthCheckNodePort", health, why))
    elif health:
        errors += [invalid_value("spec.healthCheckNodePort", health, m) for m in names.port_number(health)]
    if internal is None:
        if spec.type in ("NodePort", "LoadBalancer", "ClusterIP"):
            errors.append(required("spec.internalTrafficPolicy"))
    elif internal not in TRAFFIC_POLICIES:
        errors.append(unsupported("spec.internalTrafficPolicy", internal, TRAFFIC_POLICIES))
    if spec.traffic_distribution is not None and spec.traffic_distribution not in DISTRIBUTIONS:
        errors.append(unsupported("spec.trafficDistribution", spec.traffic_distribution, DISTRIBUTIONS))
    return errors
