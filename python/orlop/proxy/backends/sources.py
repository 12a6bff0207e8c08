"""Who may ask a load balancer's address: `spec.loadBalancerSourceRanges`."""

import ipaddress
from collections.abc import Iterator

from orlop.native import ServicePort


def restricted(port: ServicePort) -> Iterator[tuple[str, int, list[str]]]:
    """(address, port, CIDRs) of each frontend that only some may ask. The address itself is among them: a node that
    bears it asks with it. CIDRs do not overlap; one of a single address is written as that."""
    if not port.source_ranges:
        return
    for kind, address, at, _ in port.frontends:
        if kind == "LoadBalancer":
            networks = [ipaddress.ip_network(text) for text in (*port.source_ranges, address)]
            if merged := _merged(networks):
                yield address, at, merged


def _merged(networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> list[str]:
    """Nothing where they are everything."""
    merged = list(ipaddress.collapse_addresses(networks))  # type: ignore[type-var]
    if any(not network.prefixlen for network in merged):
        return []
    return [
        str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)
        for network in merged
    ]
