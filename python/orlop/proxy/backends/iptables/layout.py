"""Names of chains: upstream's, with a prefix of its own for a second cluster on one machine."""

import base64
import hashlib
from functools import cached_property

from orlop.proxy.config import DEFAULT_SCOPE

PREFIX = "KUBE"
HASH = 16
"""Characters of a hash in a chain's name, which may have 28 (XT_EXTENSION_MAXNAMELEN without its end)."""
SCOPE_HASH = 3
"""Characters that tell clusters on one machine apart: as many as the longest name leaves."""


class Layout:
    """The names under one prefix."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self.prefix = prefix
        self.services = f"{prefix}-SERVICES"
        self.external_services = f"{prefix}-EXTERNAL-SERVICES"
        self.node_ports = f"{prefix}-NODEPORTS"
        self.cluster_ips = f"{prefix}-CLUSTER-IPS"
        self.firewall = f"{prefix}-PROXY-FIREWALL"
        self.reject = f"{prefix}-REJECT"
        self.mark = f"{prefix}-MARK-MASQ"
        self.postrouting = f"{prefix}-POSTROUTING"
        self.forward = f"{prefix}-FORWARD"

    @classmethod
    def of(cls, scope: str) -> "Layout":
        """That of a cluster; the usual one needs no second name."""
        return cls(PREFIX if scope == DEFAULT_SCOPE else f"{PREFIX}{_hash(scope)[:SCOPE_HASH]}")

    @cached_property
    def common(self) -> frozenset[tuple[str, str]]:
        """Chains with rules of all Services: (table, name). The order of these rules does not matter."""
        return frozenset(
            {
                ("nat", self.services),
                ("nat", self.node_ports),
                ("filter", self.services),
                ("filter", self.external_services),
                ("filter", self.cluster_ips),
                ("filter", self.firewall),
            }
        )

    @cached_property
    def _fixed(self) -> frozenset[str]:
        return frozenset({name for _, name in self.common} | {self.reject, self.mark, self.postrouting, self.forward})

    def is_ours(self, chain: str) -> bool:
        """Whether we made this chain. Others have chains called KUBE-… too, as the kubelet."""
        kinds = tuple(f"{self.prefix}-{kind}-" for kind in ("SVC", "SVL", "EXT", "FW", "SEP"))
        return chain in self._fixed or chain.startswith(kinds)

    def chain(self, kind: str, port: tuple[str, str, str, str, int], endpoint: str = "") -> str:
        """The chain of a service port: kind SVC, SVL, EXT, FW or, with an endpoint `ADDRESS:PORT`, SEP."""
        return f"{self.prefix}-{kind}-{_hash(port_name(port) + port[3].lower() + endpoint)[:HASH]}"


def port_name(port: tuple[str, str, str, str, int]) -> str:
    """`NAMESPACE/NAME:PORT` as in upstream's comments and hashes."""
    namespace, name, port_name, _, _ = port
    return f"{namespace}/{name}:{port_name}" if port_name else f"{namespace}/{name}"


def _hash(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest()).decode()
