"""Addresses of one pod CIDR."""

import ipaddress
from collections.abc import Iterator

from orlop.kubelet.network.base import NetworkError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_SEARCH = 1 << 16
"""Addresses looked at before a range counts as full: a /16, far above any node's number of pods."""


class Pool:
    """Gives out addresses in a circle, so that a freed one rests before another pod gets it.

    The first host address is the gateway's (the node's own side); network and broadcast addresses are left out.
    """

    def __init__(self, cidr: str) -> None:
        try:
            self.network = ipaddress.ip_network(cidr)
        except ValueError as error:
            raise NetworkError(f"invalid pod CIDR {cidr!r}: {error}") from error
        if self.network.num_addresses < 4:
            raise NetworkError(f"the pod CIDR {cidr} is too small: it needs room for a gateway and a pod")
        self.cidr = cidr
        self.gateway: Address = self.network.network_address + 1
        self.taken: set[str] = set()
        self._cursor: Iterator[Address] = self._hosts()

    def take(self) -> str:
        """An address nobody holds. Raises NetworkError when there is none."""
        for _ in range(min(self.network.num_addresses, MAX_SEARCH) + 1):
            address = next(self._cursor, None)
            if address is None:
                self._cursor = self._hosts()
            elif (text := str(address)) not in self.taken:
                self.taken.add(text)
                return text
        raise NetworkError(f"no free address left in the pod CIDR {self.cidr}")

    def claim(self, ip: str) -> bool:
        """Marks an address as held; False when it is not of this range."""
        inside = ipaddress.ip_address(ip) in self.network
        if inside:
            self.taken.add(ip)
        return inside

    def free(self, ip: str) -> None:
        """An address that is not held, or of another range, is fine."""
        self.taken.discard(ip)

    def _hosts(self) -> Iterator[Address]:
        return (host for host in self.network.hosts() if host != self.gateway and host != self.network.network_address)
