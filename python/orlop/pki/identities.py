"""Who gets a certificate: a user name as its common name, its groups as its organizations."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

Address = IPv4Address | IPv6Address


class Identity(NamedTuple):
    """A client of the API server. The API server reads `user` from CN and `groups` from O."""

    file: str
    """The certificate's file name without its ending."""
    user: str
    groups: tuple[str, ...] = ()


ADMIN = Identity("admin", "kubernetes-admin", ("system:masters",))
SCHEDULER = Identity("scheduler", "system:kube-scheduler")
CONTROLLER_MANAGER = Identity("controller-manager", "system:kube-controller-manager")
PROXY = Identity("proxy", "system:kube-proxy")
DNS = Identity("dns", "system:node-dns")
"""The DNS server of each node."""
NETWORK_POLICY = Identity("network-policy", "system:node-network-policy")
"""What holds the pods of each node to their NetworkPolicies."""
APISERVER_KUBELET_CLIENT = Identity("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
"""What the API server shows a kubelet for logs and exec."""


FRONT_PROXY = Identity("front-proxy-client", "front-proxy-client")
"""What the API server shows extension API servers, for whom it speaks in its clients' names. It has an authority of its
own: a client's certificate must not do."""


NODE_USER_PREFIX, NODES_GROUP = "system:node:", "system:nodes"
"""What kubelets are called, and their group."""


def node(name: str) -> Identity:
    """The identity of the kubelet of node `name`, as the Node authorizer expects it."""
    return Identity(f"kubelet-client-{name}", f"{NODE_USER_PREFIX}{name}", (NODES_GROUP,))


class Names(NamedTuple):
    """What a serving certificate answers for."""

    dns: tuple[str, ...]
    addresses: tuple[Address, ...]

    @classmethod
    def of(cls, hosts: Iterable[str]) -> "Names":
        """Sorts host names from addresses; the unspecified address (0.0.0.0, ::) names nobody and is left out."""
        dns: dict[str, None] = {}
        addresses: dict[Address, None] = {}
        for host in hosts:
            try:
                address = ip_address(host)
            except ValueError:
                dns[host] = None
            else:
                if not address.is_unspecified:
                    addresses[address] = None
        return cls(tuple(dns), tuple(addresses))


def apiserver_names(hosts: Iterable[str], service_ip: str, cluster_domain: str = "cluster.local") -> Names:
    """What the API server is called: as the `kubernetes` Service, as this machine, and by `hosts`.

    `hosts` are names and addresses it is reached at (its bind address, the node's addresses); `service_ip` is the
    first address of the service range.
    """
    service = "kubernetes.default.svc"
    own = (
        "kubernetes",
        "kubernetes.default",
        service,
        f"{service}.{cluster_domain}",
        "localhost",
        socket.gethostname(),
    )
    return Names.of([*own, "127.0.0.1", "::1", service_ip, *hosts])
