"""/etc/resolv.conf of a pod, by its dnsPolicy (pkg/kubelet/network/dns/dns.go)."""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from orlop.api.types import core_v1
from orlop.kubelet.runtime import values as v

MAX_NAMESERVERS = 3
"""What the C library reads."""
MAX_SEARCHES = 32
"""Kubernetes' own limit on search paths."""
CLUSTER_OPTIONS = ("ndots:5",)


def host_config(path: Path = Path("/etc/resolv.conf")) -> v.DNSConfig:
    """The node's own resolver settings; empty where there are none."""
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split("#", 1)[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = words[1:]
        elif words[0] == "options":
            options += words[1:]
    return v.DNSConfig(servers=tuple(servers[:MAX_NAMESERVERS]), searches=tuple(searches), options=tuple(options))


def node_servers(pod_cidrs: Sequence[str]) -> list[str]:
    """Where the node's own DNS listens: at the first address of each of its pod CIDRs, the pods' gateway."""
    return [str(ipaddress.ip_network(cidr).network_address + 1) for cidr in pod_cidrs]


def wants_cluster(pod: core_v1.Pod) -> bool:
    """Whether the pod's policy asks for the cluster's name servers."""
    policy = pod.spec.dns_policy
    return policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not pod.spec.host_network)


def pod_config(pod: core_v1.Pod, host: v.DNSConfig, cluster_dns: Sequence[str], domain: str) -> v.DNSConfig:
    """The pod's resolver settings, its dnsConfig added to what the policy gives."""
    policy = pod.spec.dns_policy
    servers, searches, options = list(host.servers), list(host.searches), list(host.options)
    if policy == "None":
        servers, searches, options = [], [], []
    elif wants_cluster(pod) and cluster_dns:
        namespace = pod.metadata.namespace
        servers = list(cluster_dns)
        searches = [f"{namespace}.svc.{domain}", f"svc.{domain}", domain, *host.searches]
        options = list(CLUSTER_OPTIONS)
    extra = pod.spec.dns_config
    if extra:
        servers += extra.nameservers
        searches += extra.searches
        named = {o.name for o in extra.options}
        options = [o for o in options if o.split(":")[0] not in named]
        options += [f"{o.name}:{o.value}" if o.value else o.name for o in extra.options]
    return v.DNSConfig(
        servers=tuple(dict.fromkeys(servers))[:MAX_NAMESERVERS],
        searches=tuple(dict.fromkeys(searches))[:MAX_SEARCHES],
        options=tuple(options),
    )
