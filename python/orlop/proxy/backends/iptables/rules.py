"""What is wanted, as rules: the frame, and the chains and rules of one service port.

Every rule is written as `iptables-save` prints it, so that what is there can be compared with it.
"""

import ipaddress

from orlop.native import ServicePort
from orlop.proxy.backends.iptables.layout import Layout, port_name
from orlop.proxy.backends.iptables.ruleset import Line, Rules
from orlop.proxy.backends.sources import restricted
from orlop.proxy.config import ProxyConfig

Backend = tuple[str, int, int]
"""(address, port, weight), as in `ServicePort`."""
STATISTIC = 1 << 31
"""xt_statistic keeps a probability as a share of this."""
ADDRESSES = {"ExternalIP": "external IP", "LoadBalancer": "loadbalancer IP"}


def frame(family: int, config: ProxyConfig, layout: Layout) -> Rules:
    """The chains, and the rules that lead to them, that are there without any Service."""
    mark = f"{1 << config.masquerade_bit:#x}"
    new = "-m conntrack --ctstate NEW "
    portals = f'-m comment --comment "kubernetes service portals" -j {layout.services}'
    external = f'-m comment --comment "kubernetes externally-visible service portals" -j {layout.external_services}'
    other = f'-m comment --comment "kubernetes cluster IPs without such a port" -j {layout.cluster_ips}'
    firewall = f'-m comment --comment "kubernetes load balancer firewall" -j {layout.firewall}'
    refuse = [f"{new}{rule}" for rule in (firewall, portals, external, other)]
    rules = Rules(
        chains={
            ("nat", layout.mark): [f"-j MARK --set-xmark {mark}/{mark}"],
            ("nat", layout.postrouting): [
                f"-m mark ! --mark {mark}/{mark} -j RETURN",
                f"-j MARK --set-xmark {mark}/0x0",
                '-m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
            ],
            ("filter", layout.forward): [
                "-m conntrack --ctstate INVALID -j DROP",
                f'-m comment --comment "kubernetes forwarding rules" -m mark --mark {mark}/{mark} -j ACCEPT',
                '-m comment --comment "kubernetes forwarding conntrack rule" '
                "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            ],
            # A reset, because the kernel limits the rate of ICMP errors and a refused client would then wait.
            ("filter", layout.reject): ["-p tcp -j REJECT --reject-with tcp-reset", f"-j {_unreachable(family)}"],
        },
        hooks={
            ("nat", "PREROUTING"): [portals],
            ("nat", "OUTPUT"): [portals],
            ("nat", "POSTROUTING"): [f'-m comment --comment "kubernetes postrouting rules" -j {layout.postrouting}'],
            ("filter", "INPUT"): refuse,
            ("filter", "FORWARD"): [
                f'-m comment --comment "kubernetes forwarding rules" -j {layout.forward}',
                *refuse,
            ],
            ("filter", "OUTPUT"): refuse,
        },
    )
    rules.tails = {chain: [] for chain in layout.common}
    note = '-m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"'
    node_ports = f"{note} -m addrtype --dst-type LOCAL -j {layout.node_ports}"
    loopback = "127.0.0.0/8" if family == 4 else "::1/128"
    chosen = config.nodeport_addresses_of(family)
    rules.tails["nat", layout.services] = (
        [f"{_match('-d', cidr)}{node_ports}" for cidr in chosen] if chosen else [f"! -d {loopback} {node_ports}"]
    )
    return rules


def shared(port: ServicePort, layout: Layout) -> set[Line]:
    """The rules of a service port that others may have too."""
    comment = '-m comment --comment "no such port"'
    return {
        ("filter", layout.cluster_ips, f"{_match('-d', address)}{comment} -j {layout.reject}")
        for kind, address, *_ in port.frontends
        if kind == "ClusterIP"
    }


def service_port(port: ServicePort, config: ProxyConfig, layout: Layout) -> Rules:
    """The chains of one service port, and its rules in the chains that all have in common."""
    rules = Rules(lines=dict.fromkeys(shared(port, layout), ""))
    name, protocol, family = port_name(port.id), port.id[3].lower(), port.id[4]
    svc, svl, ext, fw = (layout.chain(kind, port.id) for kind in ("SVC", "SVL", "EXT", "FW"))
    sources = {(address, at): cidrs for address, at, cidrs in restricted(port)}
    cluster_ips: list[tuple[str, int]] = []
    used: set[str] = set()
    for kind, address, at, is_local in port.frontends:
        internal, to = kind == "ClusterIP", "" if kind == "NodePort" else _match("-d", address)
        backends = port.local if is_local else port.cluster
        if backends or (port.any_endpoint and not internal):
            # From outside, policy Local without endpoints here still serves this node and its pods.
            if internal:
                cluster_ips.append((address, at))
                target, what = svl if is_local else svc, " cluster IP"
                used.add(target)
            else:
                target, what = ext, f" {ADDRESSES[kind]}" if to else ""
                rules.chains["nat", ext] = _external(
                    name, family, is_local, svc, svl if port.local else "", layout, config
                )
                used |= {svc, svl} if is_local and port.local else {svc}
                if kind == "LoadBalancer" and (address, at) in sources:
                    # What it does not let pass keeps the address and is dropped then.
                    target, what = fw, " loadbalancer IP"
                    comment = f'-m comment --comment "{name}{what}" -j {ext}'
                    passed = [f"{_match('-s', cidr)}{comment}" for cidr in sources[address, at]]
                    known = rules.chains.get(("nat", fw), [])
                    rules.chains["nat", fw] = known + [rule for rule in passed if rule not in known]
                    stop = _port(protocol, at, f"{name} traffic not accepted by {fw}")
                    rules.lines["filter", layout.firewall, f"{to}{stop} -j DROP"] = ""
            chain = layout.services if to else layout.node_ports
            rules.lines["nat", chain, f"{to}{_port(protocol, at, name + what)} -j {target}"] = ""
        if not backends:
            chain = layout.services if internal else layout.external_services
            local = "-m addrtype --dst-type LOCAL " if not to else ""
            what = "has no local endpoints" if port.any_endpoint else "has no endpoints"
            verdict = "DROP" if port.any_endpoint else _reject(protocol, family)
            rules.lines["filter", chain, f"{to}{_port(protocol, at, f'{name} {what}', local)} -j {verdict}"] = ""
    for chain, backends in ((svc, port.cluster), (svl, port.local)):
        if chain in used:
            rules.chains["nat", chain] = _balance(name, port, backends, cluster_ips, layout, config)
            for address, to_port, _ in backends:
                endpoint = _endpoint(address, to_port)
                sep = layout.chain("SEP", port.id, endpoint)
                remember = f"-m recent --set {_recent(sep, family)} " if port.affinity_seconds else ""
                comment = f'-m comment --comment "{name}"'
                rules.chains["nat", sep] = [
                    f"{_match('-s', address)}{comment} -j {layout.mark}",
                    f"-p {protocol} {comment} {remember}-m {protocol} -j DNAT --to-destination {endpoint}",
                ]
    return rules


def _external(
    name: str, family: int, is_local: bool, svc: str, svl: str, layout: Layout, config: ProxyConfig
) -> list[str]:
    """Traffic to an address from outside. Policy Local keeps the client's address; pods and the node itself, which
    could reach every endpoint anyway, are short-circuited to all of them."""

    def comment(what: str) -> str:
        return f'-m comment --comment "{what} for {name} external destinations"'

    if not is_local:
        return [f"{comment('masquerade traffic')} -j {layout.mark}", f"-j {svc}"]
    cidr = config.cluster_cidr_of(family)
    own = "-m addrtype --src-type LOCAL"
    return [
        *([f"{_match('-s', cidr)}{comment('pod traffic')} -j {svc}"] if cidr else []),
        f"{comment('masquerade LOCAL traffic')} {own} -j {layout.mark}",
        f"{comment('route LOCAL traffic')} {own} -j {svc}",
        *([f"-j {svl}"] if svl else []),
    ]


def _balance(
    name: str,
    port: ServicePort,
    backends: list[Backend],
    cluster_ips: list[tuple[str, int]],
    layout: Layout,
    config: ProxyConfig,
) -> list[str]:
    protocol, family = port.id[3].lower(), port.id[4]
    lines = []
    cidr = config.cluster_cidr_of(family)
    if config.masquerade_all or cidr:
        outside = "" if config.masquerade_all or not cidr else f"! -s {ipaddress.ip_network(cidr)} "
        for address, at in cluster_ips:
            to = f"{outside}{_match('-d', address)}"
            lines.append(f"{to}{_port(protocol, at, f'{name} cluster IP')} -j {layout.mark}")
    seps = [(layout.chain("SEP", port.id, _endpoint(a, p)), f"{name} -> {_endpoint(a, p)}", w) for a, p, w in backends]
    if port.affinity_seconds:
        for sep, what, _ in seps:
            recent = f"-m recent --rcheck --seconds {port.affinity_seconds} --reap {_recent(sep, family)}"
            lines.append(f'-m comment --comment "{what}" {recent} -j {sep}')
    rest = sum(weight for *_, weight in seps)
    for sep, what, weight in seps:
        if weight:
            chance = f" -m statistic --mode random --probability {_probability(weight, rest)}" if weight < rest else ""
            lines.append(f'-m comment --comment "{what}"{chance} -j {sep}')
            rest -= weight
    return lines


def _match(flag: str, address: str) -> str:
    """`-d 10.0.0.1/32 `; what matches everything is not printed."""
    network = ipaddress.ip_network(address)
    return f"{flag} {network} " if network.prefixlen else ""


def _port(protocol: str, port: int, comment: str, more: str = "") -> str:
    return f'-p {protocol} -m comment --comment "{comment}" {more}-m {protocol} --dport {port}'


def _endpoint(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _recent(name: str, family: int) -> str:
    mask = "255.255.255.255" if family == 4 else ":".join(["ffff"] * 8)
    return f"--name {name} --mask {mask} --rsource"


def _reject(protocol: str, family: int) -> str:
    return "REJECT --reject-with tcp-reset" if protocol == "tcp" else _unreachable(family)


def _unreachable(family: int) -> str:
    return f"REJECT --reject-with icmp{'' if family == 4 else '6'}-port-unreachable"


def _probability(weight: int, of: int) -> str:
    """As the kernel keeps it, rounded to a share of 2³¹, and with the digits that iptables prints."""
    return f"{(weight * STATISTIC * 2 + of) // (of * 2) / STATISTIC:.11f}"
