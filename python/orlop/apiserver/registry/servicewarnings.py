"""Advice on Services: pkg/api/service/warnings.go."""

from orlop.api.types import core_v1
from orlop.apiserver.registry.addresswarnings import address, cidr

HINTS, MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
EXTERNAL_NAME = "ExternalName"


def warnings(service: core_v1.Service) -> list[str]:
    """What a person should know of a Service."""
    spec = service.spec
    found: list[str] = []
    if HINTS in service.metadata.annotations:
        found.append(f"annotation {HINTS} is deprecated, please use {MODE} instead")
    if spec.cluster_ip not in ("", "None"):
        for i, ip in enumerate(spec.cluster_ips):
            found += address(ip, f"spec.clusterIPs[{i}]")
    elif spec.cluster_ip == "None" and spec.type == "ClusterIP":
        if spec.load_balancer_ip:
            found.append("spec.loadBalancerIP is ignored for headless services")
        if spec.external_ips:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.session_affinity != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for i, ip in enumerate(spec.external_ips):
        found += address(ip, f"spec.externalIPs[{i}]")
    found += address(spec.load_balancer_ip, "spec.loadBalancerIP")
    for i, source in enumerate(spec.load_balancer_source_ranges):
        found += cidr(source, f"spec.loadBalancerSourceRanges[{i}]")
    if spec.type == EXTERNAL_NAME and spec.external_ips:
        found.append(f'spec.externalIPs is ignored when spec.type is "{EXTERNAL_NAME}"')
    elif spec.external_ips and spec.cluster_ip != "None":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.type != EXTERNAL_NAME and spec.external_name:
        found.append(f'spec.externalName is ignored when spec.type is not "{EXTERNAL_NAME}"')
    if spec.traffic_distribution == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found
