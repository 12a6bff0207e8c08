"""What is wanted as rules: those of the nftables mode, with redirects to the relay's ports."""

from collections.abc import Mapping

from orlop.native import ServicePort
from orlop.nftables.ruleset import Ruleset
from orlop.proxy.backends.nftables import rules as nftables
from orlop.proxy.backends.userspace.relay import Listener, Place
from orlop.proxy.config import ProxyConfig, family_of

PORTS = "relay-ports"
LOCAL = "local"
"""The last part of a listener's id, for policy Local; else "cluster"."""


def listeners(port: ServicePort, config: ProxyConfig) -> list[Listener]:
    """The relay's listeners for a service port."""
    scheduler = port.scheduler or config.ipvs_scheduler
    return [
        Listener(listener_id(port, policy), port.id[3], port.id[4], scheduler, port.affinity_seconds, backends)
        for policy, backends in (("cluster", port.cluster), (LOCAL, port.local))
        if backends
    ]


def listener_id(port: ServicePort, policy: str) -> str:
    """`NAMESPACE/NAME/PORT/PROTOCOL/FAMILY/POLICY`."""
    return "/".join(map(str, (*port.id, policy)))


def frame(family: int, config: ProxyConfig) -> Ruleset:
    """That of the nftables mode, without what only a translation to endpoints needs."""
    rules = nftables.frame(family, config)
    del rules.sets[nftables.HAIRPIN]
    del rules.chains["nat-postrouting"], rules.chains["masquerading"]
    rules.sets[PORTS] = "set type inet_proto . inet_service"
    rules.chains["filter-input"] = [
        f"type filter hook input priority {nftables.FILTER}; policy accept;",
        # The relay's ports are for what was sent to a Service: it would hide where anything else comes from.
        f"ct state new ct status ! dnat meta l4proto . th dport @{PORTS} jump reject-chain",
    ]
    return rules


def shared(port: ServicePort) -> set[nftables.Element]:
    """The elements of a service port that others may have too."""
    return {element for element in nftables.shared(port) if element[0] != nftables.HAIRPIN}


def service_port(port: ServicePort, config: ProxyConfig, places: Mapping[str, Place]) -> Ruleset:
    """The chains and elements of one service port. A listener that the relay could not open is refused."""
    rules, _ = nftables.frontends(port, config)
    rules.elements.update(dict.fromkeys(shared(port), ""))
    base = nftables.base_of(port)
    number = nftables.PROTOCOL_NUMBERS[port.id[3]]
    for chain, policy, backends in (("service", "cluster", port.cluster), ("local", LOCAL, port.local)):
        if backends:
            place = places.get(listener_id(port, policy))
            if place:
                rules.elements[PORTS, f"{number} . {place.port}"] = ""
                rules.chains[f"{chain}-{base}"] = [f"meta l4proto {number} {_lead(place)}"]
            else:
                rules.chains[f"{chain}-{base}"] = ["drop"]
    return rules


def _lead(place: Place) -> str:
    if not place.address:
        return f"redirect to :{place.port}"
    return f"dnat to {nftables.destination(family_of(place.address), place.address, place.port)}"
