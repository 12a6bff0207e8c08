"""What a person can choose, under upstream's flag names with underscores."""

import ipaddress
from dataclasses import dataclass

from orlop.native import ipvs_scheduler_error

DEFAULT_SCOPE = "orlop"
MIN_SYNC_PERIOD = 0.05
"""Seconds between two programmings. Upstream waits 1 s because its sync costs that much at scale; here one changed
endpoint is one small transaction, and a lone change is programmed at once in any case."""
SYNC_PERIOD = 3600.0
"""Seconds after which the whole ruleset is compared and repaired (upstream's full sync period of nftables)."""
MASQUERADE_BIT = 14
"""The packet mark's bit for traffic to be masqueraded: upstream's."""


@dataclass(frozen=True, kw_only=True)
class ProxyConfig:
    """How the proxy works. Raises ValueError that names the flag."""

    hostname_override: str
    """The Node's name: endpoints on it are local."""
    proxy_mode: str = "nftables"
    """How services are programmed. Several, comma-separated: the first that this machine can run."""
    scope: str = DEFAULT_SCOPE
    """Marks the rules of this cluster's node, so that no other cluster's on the same machine are touched."""
    cluster_cidr: str = ""
    """The pods' CIDRs, comma-separated, one per IP family. Traffic from elsewhere to a cluster IP is masqueraded."""
    masquerade_all: bool = False
    masquerade_bit: int = MASQUERADE_BIT
    nodeport_addresses: tuple[str, ...] = ()
    """CIDRs of the node's addresses that serve node ports; empty for all but loopback."""
    ipvs_scheduler: str = "rr"
    """Modes ipvs and userspace: how new connections are spread, but for Services with the annotation
    `orlop/ipvs-scheduler`: a scheduler of the kernel and, for sh and mh, its flags: `mh,mh-port,mh-fallback`."""
    ipvs_strict_arp: bool = False
    """Mode ipvs: the node answers ARP only for addresses of the link that is asked on."""
    healthz_bind_address: str = ""
    """IP:port of /healthz and /livez (upstream's is 0.0.0.0:10256); empty for none."""
    metrics_bind_address: str = ""
    """IP:port of /metrics and /proxyMode (upstream's is 127.0.0.1:10249); empty for none."""
    min_sync_period: float = MIN_SYNC_PERIOD
    sync_period: float = SYNC_PERIOD

    def __post_init__(self) -> None:
        if wrong := ipvs_scheduler_error(self.ipvs_scheduler):
            raise ValueError(f"--ipvs-scheduler: {wrong}")
        for flag, texts in (("--cluster-cidr", self.cluster_cidrs), ("--nodeport-addresses", self.nodeport_addresses)):
            for text in texts:
                try:
                    ipaddress.ip_network(text)
                except ValueError as error:
                    raise ValueError(f"{flag}: Invalid value: {text!r}: {error}") from None
        families = [family_of(text) for text in self.cluster_cidrs]
        if len(set(families)) != len(families):
            raise ValueError(
                f"--cluster-cidr: Invalid value: {self.cluster_cidr!r}: only one CIDR allowed or a valid DualStack CIDR"
            )
        for flag, text in (
            ("--healthz-bind-address", self.healthz_bind_address),
            ("--metrics-bind-address", self.metrics_bind_address),
        ):
            if text:
                try:
                    host_port(text)
                except ValueError as error:
                    raise ValueError(f"{flag}: Invalid value: {text!r}: {error}") from None
        if not 0 <= self.masquerade_bit <= 31:
            bit = self.masquerade_bit
            raise ValueError(f"--masquerade-bit: Invalid value: {bit}: must be within the range [0, 31]")
        if self.min_sync_period < 0 or self.sync_period <= 0:
            raise ValueError("--min-sync-period and --sync-period: must be greater than or equal to 0")

    @property
    def proxy_modes(self) -> tuple[str, ...]:
        """`proxy_mode` taken apart."""
        return tuple(part.strip() for part in self.proxy_mode.split(","))

    @property
    def cluster_cidrs(self) -> tuple[str, ...]:
        """`cluster_cidr` taken apart."""
        return tuple(part.strip() for part in self.cluster_cidr.split(",") if part.strip())

    def cluster_cidr_of(self, family: int) -> str | None:
        """The pods' CIDR of IP family 4 or 6."""
        return next((str(ipaddress.ip_network(c)) for c in self.cluster_cidrs if family_of(c) == family), None)

    def nodeport_addresses_of(self, family: int) -> list[str]:
        """The chosen CIDRs of IP family 4 or 6."""
        return [str(ipaddress.ip_network(c)) for c in self.nodeport_addresses if family_of(c) == family]


def host_port(text: str) -> tuple[str, int]:
    """`IP:port` or `[IP]:port` taken apart. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be IP:port")
    ipaddress.ip_address(host)
    return host, int(port)


def family_of(text: str) -> int:
    """4 or 6: the IP family of an address or CIDR."""
    return 6 if ":" in text else 4
