"""What one cluster is: kept in its folder, so that the next `orlop up` starts the same one."""

import os
import socket
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from orlop.kubelet.eviction.config import EvictionConfig

RuntimeChoice = Literal["auto", "docker", "native", "hollow"]

DEFAULT_NAME = "orlop"
DEFAULT_PORT = 6443
"""Upstream's."""
KUBELET_PORT = 10250
"""Upstream's."""


class SettingsError(ValueError):
    """Something a person asked for cannot be had; the message says what to do."""


class Settings(msgspec.Struct, kw_only=True):
    """One cluster's settings."""

    name: str = DEFAULT_NAME
    data_dir: Path
    bind_address: str = "0.0.0.0"
    advertise_address: str = "127.0.0.1"
    secure_port: int = DEFAULT_PORT
    runtime: RuntimeChoice = "auto"
    image_dir: Path | None = None
    """Where the embedded runtime finds images; None: where all clusters of this user do."""
    hollow: int = 0
    nodes: int = 1
    """Real nodes: this machine, and beside it network namespaces with a kubelet and a proxy each."""
    node_name: str = ""
    """This machine's."""
    node_cidr: str = ""
    """The nodes' own addresses on this machine, comma-separated, one range per IP family; chosen when first needed."""
    service_cidr: str = "10.96.0.0/16"
    pod_cidr: str = "10.244.0.0/16"
    load_balancer_pool: str = ""
    """Addresses of Services of type LoadBalancer, ranges, comma-separated; chosen at the first start. `nodes`: the
    nodes' own. `none`: they are somebody else's to give."""
    proxy_mode: str = "nftables"
    """How Services are programmed; several, comma-separated: the first that the machine can run."""
    stub_domains: list[str] = []
    """Whom the nodes' DNS asks about domains of their own: `DOMAIN=ADDRESS[#PORT][,…]` each."""
    runtime_config: dict[str, str] = {}
    """Which APIs are served that are not stable (upstream: --runtime-config)."""
    dns_autopath: bool = False
    """Whether the nodes' DNS walks pods' search paths for them."""
    log_format: Literal["text", "json"] = "text"
    node_monitor_grace_period: float = 50.0
    """Seconds (upstream: --node-monitor-grace-period)."""
    default_toleration_seconds: int = 300
    """For NotReady and unreachable nodes (upstream: --default-not-ready-toleration-seconds)."""
    node_lease_duration_seconds: int = 40
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    """When a container's log is rotated, and how many files are kept (upstream: KubeletConfiguration)."""
    scheduler_config: Path | None = None
    """A KubeSchedulerConfiguration for the scheduler; read anew at every start."""
    eviction: EvictionConfig = msgspec.field(default_factory=EvictionConfig)
    """When nodes evict pods, and what they reserve."""
    audit_policy_file: Path | None = None
    """A Policy of audit.k8s.io/v1: what is recorded of requests; None: nothing."""
    audit_log_path: str = ""
    """Where that is written; "": audit.log beside the other logs."""
    history: list[str] = []
    """How much of the past the store keeps: what --history said."""

    @property
    def pod_cidrs(self) -> list[str]:
        """`pod_cidr` taken apart, one per IP family."""
        return [part.strip() for part in self.pod_cidr.split(",") if part.strip()]

    @property
    def service_cidrs(self) -> list[str]:
        """`service_cidr` taken apart, one per IP family."""
        return [part.strip() for part in self.service_cidr.split(",") if part.strip()]

    @property
    def node_cidrs(self) -> list[str]:
        """`node_cidr` taken apart, one per IP family."""
        return [part.strip() for part in self.node_cidr.split(",") if part.strip()]

    @property
    def load_balancer_pools(self) -> list[str]:
        """`load_balancer_pool` taken apart; empty where nothing is to be bound."""
        if self.load_balancer_pool in ("none", "nodes"):
            return []
        return [part.strip() for part in self.load_balancer_pool.split(",") if part.strip()]

    @property
    def scope(self) -> str:
        """Marks containers, links and rules of this cluster's node, so that no other cluster's are touched."""
        return self.name

    @property
    def server(self) -> str:
        """Where clients on this machine reach the API."""
        host = "127.0.0.1" if self.bind_address in ("0.0.0.0", "127.0.0.1", "::") else self.bind_address
        return f"https://{host}:{self.secure_port}"

    @property
    def server_for_nodes(self) -> str:
        """Where clients in the network namespace of a node reach the API."""
        return f"https://{self.advertise_address}:{self.secure_port}"

    @property
    def pki(self) -> Path:
        return self.data_dir / "pki"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def state_file(self) -> Path:
        return self.data_dir / "run" / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.data_dir / "run" / "supervisor.lock"

    def kubeconfig(self, component: str) -> Path:
        """The kubeconfig file of a component, or of `admin`."""
        return self.data_dir / "kubeconfig" / f"{component}.kubeconfig"

    def service_ip(self) -> str:
        """The address of the Service `kubernetes`."""
        return str(next(ip_network(self.service_cidrs[0]).hosts()))

    def dns_ip(self) -> str:
        """The address of the Service `kube-dns`: the range's tenth, as kubeadm has it; "" in a range too small."""
        network = ip_network(self.service_cidrs[0])
        return str(network.network_address + 10) if network.num_addresses > 11 else ""

    def save(self) -> None:
        """Writes `cluster.json` into the cluster's folder."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.data_dir / "cluster.json"
        path.write_bytes(msgspec.json.format(encode(self), indent=2) + b"\n")


T = TypeVar("T")


def encode(value: Any) -> bytes:
    """Settings, or what holds some, in JSON."""
    return msgspec.json.encode(value, enc_hook=str)


def decode(data: bytes, kind: type[T]) -> T:
    """The way back. Raises msgspec.MsgspecError."""
    return msgspec.json.decode(data, type=kind, dec_hook=lambda kind, text: kind(text))


def load(data_dir: Path) -> Settings | None:
    """The settings kept in a cluster's folder; None where there is no cluster. Raises SettingsError."""
    path = data_dir / "cluster.json"
    try:
        settings = decode(path.read_bytes(), Settings)
        settings.data_dir = data_dir  # a cluster that was restored is in another place than it says
        return settings
    except FileNotFoundError:
        return None
    except PermissionError:
        raise SettingsError(f"{path} cannot be read: it belongs to another user (try sudo)") from None
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{path} is not a cluster's settings: {error}") from error


def default_data_dir(name: str) -> Path:
    """One folder per cluster: below /var/lib for root, below the user's data folder otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/orlop") / name
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "orlop" / name


def primary_address(version: int = 4) -> str:
    """This machine's address on its default route; loopback where it has none. Nothing is sent."""
    # TEST-NET-3 (RFC 5737), documentation (RFC 3849): only asks the routing table which address would be used.
    family, target = (socket.AF_INET, "203.0.113.1") if version == 4 else (socket.AF_INET6, "2001:db8::1")
    loopback = "127.0.0.1" if version == 4 else "::1"
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return loopback


def port_is_free(address: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def free_port(address: str) -> int:
    """A port nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
