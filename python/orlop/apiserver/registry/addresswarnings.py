"""Advice on addresses and networks that are taken as they are written: apimachinery's pkg/util/validation/ip.go."""

import ipaddress

from orlop.apiserver.registry import names


def address(text: str, path: str) -> list[str]:
    """An address that is written in another form than its own."""
    if not text or not (":" in text or names.ip(text)):
        return []
    parsed = names.parse_ip(text)
    if parsed is None:
        return []
    plain = _plain(parsed)
    if names.ip(text):
        return [f'{path}: non-standard IP address "{text}" is invalid: use "{plain}"']
    if plain == text:
        return []
    return [f'{path}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{plain}")']


def cidr(text: str, path: str) -> list[str]:
    """A network that is written in another form than its own, or may be meant for one address."""
    interface = names.interface(text)
    if interface is None:
        return []
    found: list[str] = []
    host, network = _plain(interface.ip), interface.network
    shown = f"{_plain(network.network_address)}/{_length(network)}"
    if interface.ip != network.network_address:
        single = f"{host}/{128 if ':' in host else 32}"
        found.append(f'{path}: CIDR value "{text}" is ambiguous in this context (should be "{shown}" or "{single}"?)')
    written, _, length = text.partition("/")
    if names.ip(written) or str(int(length)) != length:
        found.append(f'{path}: non-standard CIDR value "{text}" is invalid: use "{shown}"')
    if not found and ":" in text and shown != text:
        found.append(f'{path}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{shown}")')
    return found


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As Go shows it, for which an IPv4-mapped address is an IPv4 one."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(address if mapped is None else mapped)


def _length(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> int:
    mapped = isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None
    return network.prefixlen - 96 if mapped else network.prefixlen
