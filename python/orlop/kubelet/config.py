"""What a kubelet is told when it starts. Names and defaults are upstream's flags where there is one."""

from pathlib import Path

import msgspec

from orlop.api import quantity
from orlop.kubelet.eviction.config import EvictionConfig
from orlop.kubelet.eviction.thresholds import DEFAULT_HARD, Threshold
from orlop.kubelet.runtime.values import LogLimits


class KubeletConfig(msgspec.Struct, kw_only=True):
    """One node's settings."""

    node_name: str
    root_dir: Path
    """Everything the kubelet keeps: pods, network state. Upstream: /var/lib/kubelet."""
    node_ips: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.1"])
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    taints: list[str] = msgspec.field(default_factory=list)
    """`key=value:Effect`, put on the node when it registers itself."""
    max_pods: int = 110
    cluster_dns: list[str] = msgspec.field(default_factory=list)
    node_dns: bool = False
    """The node's own DNS listens at the node's ends of its pod CIDRs: pods ask there, where `cluster_dns` is empty."""
    cluster_domain: str = "cluster.local"
    node_status_update_frequency: float = 10.0
    """Seconds between looks at the node's own state; only changes are sent."""
    node_status_report_frequency: float = 300.0
    """Seconds after which the status is sent though nothing changed."""
    node_lease_duration_seconds: int = 40
    """The Lease is renewed at a quarter of this."""
    capacity: dict[str, str] = msgspec.field(default_factory=dict)
    """Overrides of what the machine has; a hollow node has only these."""
    simulated: bool = False
    """The runtime only pretends: no volumes, no environment, no server."""
    pod_cidr: str = ""
    """Used where the cluster allocates none."""
    address: str = "0.0.0.0"
    port: int = 10250
    """The server's port; 0 picks a free one."""
    tls_cert_file: Path | None = None
    tls_private_key_file: Path | None = None
    client_ca_file: Path | None = None
    container_log_max_size: str = "10Mi"
    """A container's log is rotated when it has become as large as this (a quantity)."""
    container_log_max_files: int = 5
    """So many files are kept of a container's log, the current one included."""

    eviction: EvictionConfig = msgspec.field(default_factory=EvictionConfig)
    """When pods are evicted, and what is reserved. A simulated node has no thresholds of its own accord."""

    def thresholds(self) -> list[Threshold]:
        """The thresholds of eviction. Raises ValueError naming the flag that is wrong."""
        return self.eviction.thresholds({} if self.simulated else dict(DEFAULT_HARD))

    def log_limits(self) -> LogLimits:
        """Both, for the runtime. Raises ValueError naming the field that is wrong."""
        return log_limits(self.container_log_max_size, self.container_log_max_files)

    @property
    def local_path_dir(self) -> Path:
        """Where the directories are that are volumes of the local-path provisioner."""
        return self.root_dir / "local-path"


def log_limits(max_size: str, max_files: int) -> LogLimits:
    """What containerLogMaxSize (a quantity) and containerLogMaxFiles mean. Raises ValueError naming the wrong one."""
    try:
        size = quantity.value(max_size)
    except ValueError as error:
        raise ValueError(f"containerLogMaxSize {max_size!r}: {error}") from None
    if size <= 0:
        raise ValueError(f"containerLogMaxSize {max_size!r} must be greater than 0")
    if max_files <= 1:
        raise ValueError(f"containerLogMaxFiles {max_files} must be greater than 1")
    return LogLimits(max_size=size, max_files=max_files)
