"""What policies mean, plainly: may this connection be made? Slow, for explanations and for tests of what is enforced.

The rules are those of the API's own documentation (networking/v1 and the concept page on network policies):

* A pod that no policy of a direction selects is open in that direction.
* Else what any of those policies allows is allowed. A connection needs the sender's egress and the receiver's ingress.
* What a pod exchanges with the node that it runs on is always allowed; pods of the host's network are the node.
* Answers belong to the connection that they answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal

from orlop.api.selectors import from_struct
from orlop.api.types import networking_v1
from orlop.networkpolicy.views import PodView

Direction = Literal["Ingress", "Egress"]
Rule = networking_v1.NetworkPolicyIngressRule | networking_v1.NetworkPolicyEgressRule


@dataclass(frozen=True)
class End:
    """One end of a connection: an address, and the pod that has it, if any does."""

    address: str
    pod: PodView | None = None

    @property
    def held(self) -> PodView | None:
        """The pod, where policies may hold it."""
        return None if self.pod is None or self.pod.spec.host_network else self.pod


@dataclass(frozen=True)
class Verdict:
    """Whether it may be made."""

    allowed: bool
    direction: Direction | None = None
    """Which one refuses."""
    policies: tuple[str, ...] = ()
    """The policies (NAMESPACE/NAME) that isolate the pod there, none of which allows it."""


def verdict(
    policies: Sequence[networking_v1.NetworkPolicy],
    namespaces: Mapping[str, Mapping[str, str]],
    source: End,
    destination: End,
    protocol: str,
    port: int,
) -> Verdict:
    """What the policies say. `namespaces`: the labels of each."""
    if source.address == destination.address or _on_one_node(source, destination):
        return Verdict(True)
    for direction, subject, peer in (("Egress", source, destination), ("Ingress", destination, source)):
        if subject.held is None:
            continue
        holding = [p for p in policies if _selects(p, subject.held, direction)]
        if holding and not any(
            _allows(rule, policy.metadata.namespace, peer, destination, namespaces, protocol, port)
            for policy in holding
            for rule in (policy.spec.ingress if direction == "Ingress" else policy.spec.egress)
        ):
            names = tuple(sorted(f"{p.metadata.namespace}/{p.metadata.name}" for p in holding))
            return Verdict(False, direction, names)  # type: ignore[arg-type]
    return Verdict(True)


def _on_one_node(source: End, destination: End) -> bool:
    """Whether one is the node that the other runs on."""
    for one, other in ((source.pod, destination.pod), (destination.pod, source.pod)):
        if one is not None and one.spec.host_network and other is not None:
            return one.spec.node_name == other.spec.node_name
    return False


def _selects(policy: networking_v1.NetworkPolicy, pod: PodView, direction: str) -> bool:
    types = policy.spec.policy_types or (["Ingress", "Egress"] if policy.spec.egress else ["Ingress"])
    return (
        direction in types
        and policy.metadata.namespace == pod.metadata.namespace
        and from_struct(policy.spec.pod_selector).matches(pod.metadata.labels)
    )


def _allows(
    rule: Rule,
    namespace: str,
    peer: End,
    destination: End,
    namespaces: Mapping[str, Mapping[str, str]],
    protocol: str,
    port: int,
) -> bool:
    peers = rule.from_ if isinstance(rule, networking_v1.NetworkPolicyIngressRule) else rule.to
    return (not peers or any(_is(one, namespace, peer, namespaces) for one in peers)) and (
        not rule.ports or any(_has(one, destination.held, protocol, port) for one in rule.ports)
    )


def _is(
    peer: networking_v1.NetworkPolicyPeer, namespace: str, end: End, namespaces: Mapping[str, Mapping[str, str]]
) -> bool:
    if peer.ip_block is not None:
        address = ip_address(end.address)
        inside = [ip_network(cidr, strict=False) for cidr in (peer.ip_block.cidr, *peer.ip_block.except_)]
        return address in inside[0] and not any(address in out for out in inside[1:])
    pod = end.held
    if pod is None:
        return False
    if peer.namespace_selector is None:
        if pod.metadata.namespace != namespace:
            return False
    elif not from_struct(peer.namespace_selector).matches(namespaces.get(pod.metadata.namespace, {})):
        return False
    return peer.pod_selector is None or from_struct(peer.pod_selector).matches(pod.metadata.labels)


def _has(one: networking_v1.NetworkPolicyPort, destination: PodView | None, protocol: str, port: int) -> bool:
    if (one.protocol or "TCP") != protocol:
        return False
    if one.port is None:
        return True
    if isinstance(one.port, str):
        return destination is not None and port in destination.named_ports.get((protocol, one.port), ())
    return one.port <= port <= (one.end_port or one.port)
