"""What is wanted, as rules: the table's frame, and the chains and elements of one service port.

Every line is written as `nft list` prints it, so that a ruleset that is there can be compared with it.
"""

from orlop.native import ServicePort
from orlop.nftables.ruleset import Ruleset
from orlop.proxy.backends.sources import restricted
from orlop.proxy.config import ProxyConfig

Backend = tuple[str, int, int]
"""(address, port, weight), as in `ServicePort`."""

Element = tuple[str, str]
"""(set or map, key)."""

FAMILIES = {4: "ip", 6: "ip6"}
PROTOCOL_NUMBERS = {"TCP": 6, "UDP": 17, "SCTP": 132}
"""Numbers, because nft reads and prints names from /etc/protocols, which a small machine may not have."""

SERVICE_IPS = "service-ips"
NODE_PORTS = "service-nodeports"
NO_ENDPOINT_SERVICES = "no-endpoint-services"
NO_ENDPOINT_NODE_PORTS = "no-endpoint-nodeports"
CLUSTER_IPS = "cluster-ips"
FIREWALL_IPS, FIREWALL_SOURCES = "firewall-ips", "firewall-sources"
HAIRPIN = "hairpin"

BEFORE_DNAT, DNAT, AFTER_DNAT, SNAT, FILTER = -110, -100, -90, 100, 0


def frame(family: int, config: ProxyConfig) -> Ruleset:
    """The chains and maps that are there without any Service."""
    ip = FAMILIES[family]
    address = f"ipv{family}_addr"
    key = "meta l4proto . th dport"
    mark = 1 << config.masquerade_bit
    chosen = config.nodeport_addresses_of(family)
    if chosen:
        cidrs = chosen[0] if len(chosen) == 1 else f"{{ {', '.join(chosen)} }}"
        node_port = f"{ip} daddr {cidrs} fib daddr type local {key} vmap"
    else:
        loopback = "127.0.0.0/8" if family == 4 else "::1"
        node_port = f"fib daddr type local {ip} daddr != {loopback} {key} vmap"
    return Ruleset(
        chains={
            "filter-prerouting": [
                _hook("filter", "prerouting", BEFORE_DNAT),
                "ct state new jump firewall-check",
                "ct state new jump no-endpoints-check",
            ],
            "filter-output": [
                _hook("filter", "output", BEFORE_DNAT),
                "ct state new jump firewall-check",
                "ct state new jump no-endpoints-check",
            ],
            "filter-forward": [_hook("filter", "forward", FILTER), "ct state new jump cluster-ips-check"],
            "filter-output-post-dnat": [_hook("filter", "output", AFTER_DNAT), "ct state new jump cluster-ips-check"],
            "nat-prerouting": [_hook("nat", "prerouting", DNAT), "jump services"],
            "nat-output": [_hook("nat", "output", DNAT), "jump services"],
            "nat-postrouting": [
                _hook("nat", "postrouting", SNAT),
                "jump masquerading",
                # An endpoint that reaches itself must see an answer from elsewhere.
                f"ct status dnat {ip} saddr . {ip} daddr @{HAIRPIN} masquerade fully-random",
            ],
            "services": [f"{ip} daddr . {key} vmap @{SERVICE_IPS}", f"{node_port} @{NODE_PORTS}"],
            # Load balancers' addresses that only some may ask.
            "firewall-check": [
                f"{ip} daddr . {key} @{FIREWALL_IPS} {ip} daddr . {key} . {ip} saddr != @{FIREWALL_SOURCES} drop"
            ],
            "no-endpoints-check": [
                f"{ip} daddr . {key} vmap @{NO_ENDPOINT_SERVICES}",
                f"{node_port} @{NO_ENDPOINT_NODE_PORTS}",
            ],
            # What still bears a cluster IP after translation names a port that its Service does not have.
            "cluster-ips-check": [f"{ip} daddr @{CLUSTER_IPS} jump reject-chain"],
            # A reset, because the kernel limits the rate of ICMP errors and a refused client would then wait.
            "reject-chain": ["reject with tcp reset", "reject"],
            "mark-for-masquerade": [f"meta mark set meta mark | {mark:#010x}"],
            "masquerading": [
                f"meta mark & {mark:#010x} == 0x00000000 return",
                f"meta mark set meta mark ^ {mark:#010x}",
                "masquerade fully-random",
            ],
        },
        sets={
            SERVICE_IPS: f"map type {address} . inet_proto . inet_service : verdict",
            NODE_PORTS: "map type inet_proto . inet_service : verdict",
            NO_ENDPOINT_SERVICES: f"map type {address} . inet_proto . inet_service : verdict",
            NO_ENDPOINT_NODE_PORTS: "map type inet_proto . inet_service : verdict",
            CLUSTER_IPS: f"set type {address}",
            FIREWALL_IPS: f"set type {address} . inet_proto . inet_service",
            FIREWALL_SOURCES: f"set type {address} . inet_proto . inet_service . {address}; flags interval",
            HAIRPIN: f"set type {address} . {address}",
        },
    )


def _hook(type: str, hook: str, priority: int) -> str:
    return f"type {type} hook {hook} priority {priority}; policy accept;"


def shared(port: ServicePort) -> set[Element]:
    """The elements of a service port that others may have too."""
    found = {(CLUSTER_IPS, address) for kind, address, *_ in port.frontends if kind == "ClusterIP"}
    return found | {(HAIRPIN, f"{address} . {address}") for address, *_ in (*port.cluster, *port.local)}


def base_of(port: ServicePort) -> str:
    """What the names of its chains have in common."""
    namespace, name, port_name, protocol, _ = port.id
    return f"{namespace}/{name}/{protocol.lower()}/{port_name}"


def service_port(port: ServicePort, config: ProxyConfig) -> Ruleset:
    """The chains, affinity sets and elements of one service port."""
    rules, cluster_ips = frontends(port, config)
    rules.elements.update(dict.fromkeys(shared(port), ""))
    base, family, number = base_of(port), port.id[4], PROTOCOL_NUMBERS[port.id[3]]
    cluster, local = port.cluster, port.local
    for prefix, backends in (("service", cluster), ("local", local)):
        if backends:
            rules.chains[f"{prefix}-{base}"] = _balance(base, port, backends, cluster_ips, config)
    if port.affinity_seconds:
        for address, to, _ in {*cluster, *local}:
            rules.add(_endpoint(base, family, number, address, to, port.affinity_seconds))
    return rules


def frontends(port: ServicePort, config: ProxyConfig) -> tuple[Ruleset, list[tuple[str, int]]]:
    """The elements that lead to the chains of a service port, and those of external traffic; its cluster IPs and their
    ports."""
    base, family = base_of(port), port.id[4]
    number = PROTOCOL_NUMBERS[port.id[3]]
    cluster, local = port.cluster, port.local
    rules = Ruleset()
    cluster_ips: list[tuple[str, int]] = []
    for kind, address, at, is_local in port.frontends:
        if kind == "ClusterIP":
            chosen = local if is_local else cluster
            verdict = f"goto {'local' if is_local else 'service'}-{base}" if chosen else "drop"
            cluster_ips.append((address, at))
        else:
            verdict = f"goto external-{base}"
            rules.chains[f"external-{base}"] = _external(base, family, is_local, bool(local), config)
        reject = not port.any_endpoint
        # Rejected, or dropped by an internal policy, before translation; the rest is translated.
        early = reject or verdict == "drop"
        if kind == "NodePort":
            element = (NO_ENDPOINT_NODE_PORTS if early else NODE_PORTS, f"{number} . {at}")
        else:
            element = (NO_ENDPOINT_SERVICES if early else SERVICE_IPS, f"{address} . {number} . {at}")
        rules.elements[element] = "goto reject-chain" if reject else verdict
    for address, at, sources in restricted(port):
        key = f"{address} . {number} . {at}"
        rules.elements[FIREWALL_IPS, key] = ""
        rules.elements.update({(FIREWALL_SOURCES, f"{key} . {source}"): "" for source in sources})
    if not port.any_endpoint:
        rules.chains.clear()
    return rules, cluster_ips


def _external(base: str, family: int, is_local: bool, has_local: bool, config: ProxyConfig) -> list[str]:
    """Traffic to an address from outside. Policy Local keeps the client's address; pods and the node itself, which
    could reach every endpoint anyway, are short-circuited to all of them."""
    if not is_local:
        return ["jump mark-for-masquerade", f"goto service-{base}"]
    cidr = config.cluster_cidr_of(family)
    return [
        *([f"{FAMILIES[family]} saddr {cidr} goto service-{base}"] if cidr else []),
        "fib saddr type local jump mark-for-masquerade",
        f"fib saddr type local goto service-{base}",
        f"goto local-{base}" if has_local else "drop",
    ]


def _balance(
    base: str,
    port: ServicePort,
    backends: list[Backend],
    cluster_ips: list[tuple[str, int]],
    config: ProxyConfig,
) -> list[str]:
    protocol, family = port.id[3].lower(), port.id[4]
    ip = FAMILIES[family]
    lines = []
    cidr = config.cluster_cidr_of(family)
    for address, at in cluster_ips:
        match = f"{ip} daddr {address} {protocol} dport {at}"
        if config.masquerade_all:
            lines.append(f"{match} jump mark-for-masquerade")
        elif cidr:
            lines.append(f"{match} {ip} saddr != {cidr} jump mark-for-masquerade")
    total = 0
    shares = []
    for address, to, weight in backends:
        name = _endpoint_name(base, address, to)
        if port.affinity_seconds:
            lines.append(f"{ip} saddr @affinity-{name} goto endpoint-{name}")
        if weight:
            share = f"{total}-{total + weight - 1}" if weight > 1 else str(total)
            shares.append(f"{share} : " + (f"goto endpoint-{name}" if port.affinity_seconds else f"{address} . {to}"))
            total += weight
    if len(shares) > 1:
        choice = f"numgen random mod {total} "
        if port.affinity_seconds:
            choice += "vmap"
        else:
            choice = f"meta l4proto {PROTOCOL_NUMBERS[port.id[3]]} dnat {ip} to {choice}map"
        lines.append(f"{choice} {{ {', '.join(shares)} }}")
    # After a map too: a packet that is on its way through the old rules while a transaction commits finds their map
    # empty, as the kernel takes its elements out of use at once (nf_tables_api.c, nft_map_deactivate). It must not go
    # on untranslated.
    for address, to in [(address, to) for address, to, weight in backends if weight][:1]:
        if port.affinity_seconds:
            lines.append(f"goto endpoint-{_endpoint_name(base, address, to)}")
        else:
            lines.append(f"meta l4proto {PROTOCOL_NUMBERS[port.id[3]]} dnat to {destination(family, address, to)}")
    return lines


def _endpoint_name(base: str, address: str, port: int) -> str:
    return f"{base}__{address.replace(':', '.')}/{port}"


def _endpoint(base: str, family: int, protocol: int, address: str, port: int, affinity_seconds: int) -> Ruleset:
    """Session affinity: whoever is sent here is remembered, so that the next connection is sent here too."""
    ip = FAMILIES[family]
    name = _endpoint_name(base, address, port)
    to = destination(family, address, port)
    remember = f"update @affinity-{name} {{ {ip} saddr timeout {duration(affinity_seconds)} }}"
    return Ruleset(
        chains={f"endpoint-{name}": [remember, f"meta l4proto {protocol} dnat to {to}"]},
        sets={f"affinity-{name}": f"set type ipv{family}_addr; size 65535; flags dynamic,timeout"},
    )


def destination(family: int, address: str, port: int) -> str:
    """As nft prints it."""
    return f"{address}:{port}" if family == 4 else f"[{address}]:{port}"


def duration(seconds: int) -> str:
    """As nft prints it: 10800 is `3h`, 90061 is `1d1h1m1s`."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return "".join(f"{n}{unit}" for n, unit in ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")) if n)
