"""What the parts of a load balancer agree on: who gives addresses, who bears them, and how a person asks for one."""

from orlop.api.types import core_v1

CLASS = "orlop/load-balancer"
"""`spec.loadBalancerClass` of Services that are ours by name; those without a class are ours too."""
FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
"""Upstream's: the Service stays until nothing of its load balancer is left."""
NODE = "orlop/load-balancer-node"
"""Annotation that is ours to write: the Node that bears the Service's addresses; empty while none can."""
EVERY_NODE = "*"
"""In the place of a Node's name: the addresses are the nodes' own, nothing is bound."""
ADDRESSES = "orlop/load-balancer-ips"
"""Annotation that a person writes: the addresses wanted, comma-separated, one per IP family."""
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
"""Label of Nodes that bear no addresses (upstream's)."""


def wanted(service: core_v1.Service) -> bool:
    """Whether the Service is to have addresses from us."""
    spec = service.spec
    return (
        spec.type == "LoadBalancer"
        and spec.load_balancer_class in (None, CLASS)
        and service.metadata.deletion_timestamp is None
    )


def asked(service: core_v1.Service) -> list[str]:
    """The addresses that a person asks for: those of the annotation, else `spec.loadBalancerIP`."""
    text = service.metadata.annotations.get(ADDRESSES) or service.spec.load_balancer_ip
    return [part.strip() for part in text.split(",") if part.strip()]
