"""networking.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ServiceBackendPort(ApiStruct):
    name: str = ""
    number: int = 0


class IngressServiceBackend(ApiStruct):
    name: str = _f(default_factory=str)
    port: ServiceBackendPort = _f(default_factory=lambda: ServiceBackendPort())


class IngressBackend(ApiStruct):
    service: IngressServiceBackend | None = None
    resource: core_v1.TypedLocalObjectReference | None = None


class HTTPIngressPath(ApiStruct):
    path: str = ""
    path_type: str | None = _f(default_factory=_none)
    backend: IngressBackend = _f(default_factory=lambda: IngressBackend())


class HTTPIngressRuleValue(ApiStruct):
    paths: list[HTTPIngressPath] = _f(default_factory=lambda: list())


class ParentReference(ApiStruct):
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


class IPAddressSpec(ApiStruct):
    parent_ref: ParentReference | None = None


class IPAddress(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "IPAddress")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: IPAddressSpec = _f(default_factory=lambda: IPAddressSpec())


class IPAddressList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "IPAddressList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[IPAddress] = _f(default_factory=lambda: list())


class IPBlock(ApiStruct):
    cidr: str = _f(default_factory=str)
    except_: list[str] = _f(default_factory=list)


class IngressRule(ApiStruct):
    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(ApiStruct):
    hosts: list[str] = _f(default_factory=list)
    secret_name: str = ""


class IngressSpec(ApiStruct):
    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: list[IngressTLS] = _f(default_factory=list)
    rules: list[IngressRule] = _f(default_factory=list)


class IngressPortStatus(ApiStruct):
    port: int = _f(default_factory=int)
    protocol: str = _f(default_factory=str)
    error: str | None = None


class IngressLoadBalancerIngress(ApiStruct):
    ip: str = ""
    hostname: str = ""
    ports: list[IngressPortStatus] = _f(default_factory=list)


class IngressLoadBalancerStatus(ApiStruct):
    ingress: list[IngressLoadBalancerIngress] = _f(default_factory=list)


class IngressStatus(ApiStruct):
    load_balancer: IngressLoadBalancerStatus = _f(default_factory=lambda: IngressLoadBalancerStatus())


class Ingress(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "Ingress")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: IngressSpec = _f(default_factory=lambda: IngressSpec())
    status: IngressStatus = _f(default_factory=lambda: IngressStatus())


class IngressClassParametersReference(ApiStruct):
    api_group: str | None = None
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    scope: str | None = _f(default_factory=_none)
    namespace: str | None = None


class IngressClassSpec(ApiStruct):
    controller: str = ""
    parameters: IngressClassParametersReference | None = None


class IngressClass(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "IngressClass")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: IngressClassSpec = _f(default_factory=lambda: IngressClassSpec())


class IngressClassList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "IngressClassList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[IngressClass] = _f(default_factory=lambda: list())


class IngressList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "IngressList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Ingress] = _f(default_factory=lambda: list())


class IngressRuleValue(ApiStruct):
    http: HTTPIngressRuleValue | None = None


class NetworkPolicyPeer(ApiStruct):
    pod_selector: meta_v1.LabelSelector | None = None
    namespace_selector: meta_v1.LabelSelector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyPort(ApiStruct):
    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


class NetworkPolicyEgressRule(ApiStruct):
    ports: list[NetworkPolicyPort] = _f(default_factory=list)
    to: list[NetworkPolicyPeer] = _f(default_factory=list)


class NetworkPolicyIngressRule(ApiStruct):
    ports: list[NetworkPolicyPort] = _f(default_factory=list)
    from_: list[NetworkPolicyPeer] = _f(default_factory=list)


class NetworkPolicySpec(ApiStruct):
    pod_selector: meta_v1.LabelSelector = _f(default_factory=lambda: meta_v1.LabelSelector())
    ingress: list[NetworkPolicyIngressRule] = _f(default_factory=list)
    egress: list[NetworkPolicyEgressRule] = _f(default_factory=list)
    policy_types: list[str] = _f(default_factory=list)


class NetworkPolicy(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "NetworkPolicy")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: NetworkPolicySpec = _f(default_factory=lambda: NetworkPolicySpec())


class NetworkPolicyList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "NetworkPolicyList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[NetworkPolicy] = _f(default_factory=lambda: list())


class ServiceCIDRSpec(ApiStruct):
    cidrs: list[str] = _f(default_factory=list)


class ServiceCIDRStatus(ApiStruct):
    conditions: list[meta_v1.Condition] = _f(default_factory=list)


class ServiceCIDR(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ServiceCIDR")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ServiceCIDRSpec = _f(default_factory=lambda: ServiceCIDRSpec())
    status: ServiceCIDRStatus = _f(default_factory=lambda: ServiceCIDRStatus())


class ServiceCIDRList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ServiceCIDRList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ServiceCIDR] = _f(default_factory=lambda: list())
