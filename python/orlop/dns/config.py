"""What a DNS server is told. Names and defaults are CoreDNS's or upstream's flags where there is one."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PORT = 53
TTL = 5
"""Seconds that clients may keep an answer about the cluster (CoreDNS's default): asking again is cheap, and what is
stale sends connections to pods that are gone."""

Pods = Literal["disabled", "insecure", "verified"]


@dataclass(frozen=True, kw_only=True)
class DnsConfig:
    """How one node's DNS works. Raises ValueError that names the flag."""

    node_name: str = ""
    """The Node on whose pod bridge to listen, where `addresses` says nothing, and whose endpoint this is."""
    addresses: tuple[str, ...] = ()
    """Where to listen instead of at the node's own ends of its pod CIDRs."""
    port: int = PORT
    cluster_domain: str = "cluster.local"
    cluster_cidrs: tuple[str, ...] = ()
    """Pods' and Services' ranges: of an address in them that is not known nobody else is asked."""
    ttl: int = TTL
    pods: Pods = "insecure"
    """`10-244-0-3.default.pod`: answered from the name itself (as in kubeadm's clusters), only where there is such a
    pod (costs a watch of all pods), or not at all."""
    resolv_conf: Path | None = Path("/etc/resolv.conf")
    """Whose name servers are asked about everything else."""
    upstreams: tuple[str, ...] = ()
    """Asked instead of those of `resolv_conf`: addresses, with a port where it is not 53 (`ADDRESS#PORT`)."""
    stub_domains: tuple[str, ...] = ()
    """`DOMAIN=ADDRESS[#PORT][,…]` each: who is asked about a domain and all below it, the longest that fits. The
    cluster's own domain is not forwarded."""
    autopath: bool = False
    """Whether a pod's search path is walked here, within its first question."""
    service_ip: str = ""
    """The address of the Service `kube-dns`, which is made where it is missing, with this server behind it. Empty: no
    Service."""
    healthz_bind_address: str = ""
    """IP:port of /health and /ready; empty for none."""
    metrics_bind_address: str = ""
    """IP:port of /metrics; empty for none."""

    def __post_init__(self) -> None:
        from orlop.dns import names
        from orlop.dns.health import host_port
        from orlop.dns.upstream import parse_server, parse_stub

        if not self.node_name and not self.addresses:
            raise ValueError("--address: Required value: give addresses to listen at, or --hostname-override")
        for flag, texts in (("--address", self.addresses), ("--service-ip", (self.service_ip,))):
            for text in filter(None, texts):
                _check(flag, text, ipaddress.ip_address)
        for text in self.cluster_cidrs:
            _check("--cluster-cidr", text, ipaddress.ip_network)
        for text in self.upstreams:
            _check("--upstream", text, parse_server)
        domains = []
        for text in self.stub_domains:
            _check("--stub-domain", text, parse_stub)
            domains.append(parse_stub(text)[0])
            if domains.count(domains[-1]) > 1:
                raise ValueError(f"--stub-domain: Duplicate value: {text!r}: name all servers of a domain at once")
        for flag, text in (
            ("--healthz-bind-address", self.healthz_bind_address),
            ("--metrics-bind-address", self.metrics_bind_address),
        ):
            if text:
                _check(flag, text, host_port)
        _check("--cluster-domain", self.cluster_domain, names.wire)
        if not 0 <= self.port <= 65535:
            raise ValueError(f"--port: Invalid value: {self.port}: must be between 0 and 65535")
        if not 0 <= self.ttl <= 3600:
            raise ValueError(f"--ttl: Invalid value: {self.ttl}: must be between 0 and 3600")


def _check(flag: str, text: str, read: object) -> None:
    try:
        read(text)  # type: ignore[operator]
    except ValueError as error:
        raise ValueError(f"{flag}: Invalid value: {text!r}: {error}") from None
