"""What an API server can be told. The command line and `orlop.Cluster` fill it in."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from orlop.apiserver.audit.settings import AuditSettings
from orlop.apiserver.front.limits import STREAMS
from orlop.apiserver.front.tls import SniCertificate
from orlop.store.choose import DEFAULT, Choice


@dataclass(kw_only=True)
class Config:
    """Settings of one API server."""

    data_dir: Path
    """The cluster's folder: store, certificates, kubeconfigs."""
    bind_address: str = "127.0.0.1"
    secure_port: int | None = 0
    """0 takes a free port; None serves in-process only, without a socket."""
    advertise_address: str = ""
    """Where pods reach this server: the endpoint of the `kubernetes` Service. "" means `bind_address`."""
    store: Choice = DEFAULT
    service_cidrs: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("10.96.0.0/16"),)
    """Addresses of Services, one range per IP family, the default family's first."""
    node_ports: range = field(default_factory=lambda: range(30000, 32768))
    cluster_domain: str = "cluster.local"
    runtime_config: dict[str, str] = field(default_factory=dict)
    """Group-versions that are not stable and shall be served: `{"scheduling.k8s.io/v1beta1": "true"}`."""
    write_kubeconfig: Path | None = None
    """An admin kubeconfig written here when the server is ready."""
    tls_files: tuple[Path, Path] | None = None
    """The serving certificate and its key; None: made by the cluster's own authority, which clients then trust."""
    sni_certificates: tuple[SniCertificate, ...] = ()
    """Serving certificates for clients who ask for other names."""
    tls_only13: bool = False
    """Refuse TLS 1.2."""
    tls_cipher_suites: tuple[str, ...] = ()
    """Of TLS 1.2, by IANA's names; none: all there are."""
    http2_streams: int = STREAMS
    """Of a connection of HTTP/2 at a time."""
    client_ca_file: Path | None = None
    """Authorities of clients beside the cluster's own (PEM)."""
    service_account_issuer: str = ""
    """Who service account tokens say they are from; "" means the API's name within the cluster."""
    service_account_key_file: Path | None = None
    """The private key that signs service account tokens; None: one in `data_dir`."""
    enable_admission_plugins: frozenset[str] = frozenset()
    disable_admission_plugins: frozenset[str] = frozenset()
    token_auth_file: Path | None = None
    """Static tokens, `token,user,uid,"group1,group2"` a line."""
    audit: AuditSettings | None = None
    """What is recorded of requests, and where; None: nothing."""
    default_toleration_seconds: int = 300
    """How long pods stay on a node that is not ready or unreachable, unless they say otherwise."""
    history: tuple[str, ...] = ()
    """How much of the past is kept, `[RESOURCE=]AGE,CHANGES,SIZE` each (see orlop.store.retention)."""
    event_ttl: float = 3600.0
    """Seconds an Event stays after it was last written."""
    min_request_timeout: float = 1800.0
    """Seconds a watch lasts at least when it names no timeout; upstream draws from this to twice this."""
    bookmark_interval: float = 60.0
    """Seconds between bookmarks of a watch that wants them."""
    shutdown_timeout: float = 5.0
    """Seconds that requests under way get at the end."""
    ring: int = 65536
    """Events the hub keeps for watchers that resume."""
