"""What a policy's rule names, apart from how the kernel is told: groups of pods, ranges of addresses, ports.

Two rules that name the same have the same set in the kernel: names are digests of what is named.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from orlop.api.selectors import EVERYTHING, LabelSelector, from_struct
from orlop.api.types import networking_v1
from orlop.networkpolicy.views import PodView

PROTOCOL_NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}
LAST_PORT = 65535
Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Group:
    """Pods by their own labels and those of their namespace."""

    namespace: str | None
    """Of this namespace alone; None where `namespaces` chooses."""
    namespaces: LabelSelector
    pods: LabelSelector

    def matches(self, pod: PodView, namespace_labels: Mapping[str, str]) -> bool:
        """Whether the pod is one of them."""
        if self.namespace is not None:
            if pod.metadata.namespace != self.namespace:
                return False
        elif not self.namespaces.matches(namespace_labels):
            return False
        return self.pods.matches(pod.metadata.labels)

    def __str__(self) -> str:
        """The same for the same group, in every process."""
        where = f"in {self.namespace}" if self.namespace is not None else f"in namespaces ({self.namespaces})"
        return f"pods ({self.pods}) {where}"


@dataclass(frozen=True)
class Peers:
    """Whom a rule lets through."""

    anybody: bool
    groups: tuple[Group, ...] = ()
    networks: tuple[Network, ...] = ()
    """Disjoint, exceptions already taken out."""


@dataclass(frozen=True)
class Ports:
    """Which ports a rule lets through."""

    all: bool
    """Also what has no ports, as ICMP."""
    numbers: tuple[tuple[str, int, int], ...] = ()
    """(protocol, first, last), disjoint and in order."""
    names: tuple[tuple[str, str], ...] = ()
    """(protocol, name): the port of that name of the pod that is talked to."""


def peers(found: Sequence[networking_v1.NetworkPolicyPeer], namespace: str) -> Peers:
    """What `from` or `to` of a policy in this namespace names. Raises ValueError for what cannot be read."""
    if not found:
        return Peers(True)
    groups: dict[Group, None] = {}
    networks: list[Network] = []
    for peer in found:
        if peer.ip_block is not None:
            networks += block(peer.ip_block.cidr, peer.ip_block.except_)
            continue
        pods = EVERYTHING if peer.pod_selector is None else from_struct(peer.pod_selector)
        if peer.namespace_selector is None:
            groups[Group(namespace, EVERYTHING, pods)] = None
        else:
            groups[Group(None, from_struct(peer.namespace_selector), pods)] = None
    return Peers(False, tuple(groups), tuple(collapse(networks)))


def block(cidr: str, exceptions: Iterable[str]) -> list[Network]:
    """A range without its exceptions. Raises ValueError."""
    left: list[Network] = [ip_network(cidr, strict=False)]
    for text in exceptions:
        out = ip_network(text, strict=False)
        kept: list[Network] = []
        for network in left:
            if network.version != out.version or not network.overlaps(out):
                kept.append(network)
            elif out.prefixlen > network.prefixlen:
                kept += network.address_exclude(out)  # type: ignore[arg-type]
        left = kept
    return left


def collapse(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in the fewest ranges."""
    four = [n for n in networks if isinstance(n, IPv4Network)]
    six = [n for n in networks if isinstance(n, IPv6Network)]
    return [*collapse_addresses(four), *collapse_addresses(six)]


def ports(found: Sequence[networking_v1.NetworkPolicyPort]) -> Ports:
    """What `ports` names."""
    if not found:
        return Ports(True)
    ranges: dict[str, list[tuple[int, int]]] = {}
    named: dict[tuple[str, str], None] = {}
    for port in found:
        protocol = port.protocol or "TCP"
        if isinstance(port.port, str):
            named[protocol, port.port] = None
        elif port.port is None:
            ranges.setdefault(protocol, []).append((0, LAST_PORT))
        else:
            ranges.setdefault(protocol, []).append((port.port, port.end_port or port.port))
    numbers = tuple((p, first, last) for p in sorted(ranges) for first, last in _joined(ranges[p]))
    return Ports(False, numbers, tuple(sorted(named)))


def _joined(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Disjoint, neighbours as one."""
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def digest(*what: object) -> str:
    """Short, the same for the same."""
    return hashlib.sha256("\n".join(map(str, what)).encode()).hexdigest()[:16]
