"""The addresses that load balancers get: ranges, and who holds which of them."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from orlop.control.controller import Key

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Pool:
    """Ranges in the order in which they are used up; the lowest free address first."""

    def __init__(self, cidrs: Iterable[str]) -> None:
        """Raises ValueError for what is no range."""
        self.networks = [ip_network(cidr) for cidr in cidrs]
        self._holders: dict[Address, Key] = {}
        self._held: dict[Key, set[Address]] = {}
        self._from = [first(network) for network in self.networks]
        """Below it all of the network are held."""

    def has_family(self, version: int) -> bool:
        """Whether there are addresses of IPv4 (4) or IPv6 (6) at all."""
        return any(network.version == version for network in self.networks)

    def holder(self, address: str) -> Key | None:
        """Who has an address."""
        return self._holders.get(ip_address(address))

    def claim(self, key: Key, text: str) -> str:
        """Gives `key` this address. Why that cannot be, else ""."""
        try:
            address = ip_address(text)
        except ValueError:
            return f"{text!r} is no IP address"
        if not any(address in network for network in self.networks):
            return f"{text} is not in the pool {', '.join(map(str, self.networks))}"
        holder = self._holders.get(address)
        if holder not in (None, key):
            return f"{text} is held by Service {holder}"
        self._hold(key, address)
        return ""

    def take(self, key: Key, version: int, avoid: Callable[[str], bool] = lambda address: False) -> str:
        """Gives `key` the lowest free address of a family, none that `avoid` holds for; "" where there is none."""
        for i, network in enumerate(self.networks):
            if network.version != version:
                continue
            number, end = self._from[i], last(network)
            while number <= end:
                address: Address = IPv4Address(number) if version == 4 else IPv6Address(number)
                if address not in self._holders and not avoid(str(address)):
                    self._from[i] = number + 1
                    self._hold(key, address)
                    return str(address)
                number += 1
            self._from[i] = number
        return ""

    def keep(self, key: Key, addresses: Iterable[str]) -> bool:
        """Takes all of `key`'s but these back. Whether any came free."""
        kept = {ip_address(address) for address in addresses}
        gone = self._held.get(key, set()) - kept
        for address in gone:
            del self._holders[address]
            for i, network in enumerate(self.networks):
                if address in network:
                    self._from[i] = max(first(network), min(self._from[i], int(address)))
        if left := self._held.get(key, set()) - gone:
            self._held[key] = left
        else:
            self._held.pop(key, None)
        return bool(gone)

    def _hold(self, key: Key, address: Address) -> None:
        self._holders[address] = key
        self._held.setdefault(key, set()).add(address)


def first(network: Network) -> int:
    """The first address that may be given: not the network's own (IPv4), nor that of all its routers (IPv6)."""
    return int(network[0]) + (network.num_addresses > 2)


def last(network: Network) -> int:
    """The last one: not that of all its machines."""
    return int(network[-1]) - (network.version == 4 and network.num_addresses > 2)
