"""What is wanted beside the virtual servers, as nftables: a constant frame, and elements for each service port."""

from collections.abc import Collection

from orlop.native import ServicePort
from orlop.nftables.ruleset import Ruleset
from orlop.proxy.backends.nftables.rules import FAMILIES, PROTOCOL_NUMBERS
from orlop.proxy.backends.sources import restricted
from orlop.proxy.config import ProxyConfig

SERVICE, NODE_PORTS = "KUBE-IPVS-SERVICE", "KUBE-IPVS-NODE-PORT"
IPS = "KUBE-IPVS-IPS"
LOOP_BACK = "KUBE-LOOP-BACK"
NEAR, NEAR_NODE_PORT = "KUBE-NEAR-IP", "KUBE-NEAR-NODE-PORT"
FAR, FAR_NODE_PORT = "KUBE-FAR-IP", "KUBE-FAR-NODE-PORT"
FIREWALL, SOURCES = "KUBE-LOAD-BALANCER-FW", "KUBE-LOAD-BALANCER-SOURCE-CIDR"
SETS = {"ClusterIP": "KUBE-CLUSTER-IP", "ExternalIP": "KUBE-EXTERNAL-IP", "LoadBalancer": "KUBE-LOAD-BALANCER"}
PROTOCOLS = {number: name for name, number in PROTOCOL_NUMBERS.items()}

BEFORE_DNAT, DNAT, SNAT = -110, -100, 100

Element = tuple[str, str]
"""(set, key)."""


def frame(family: int, config: ProxyConfig) -> Ruleset:
    """The chains and sets that are there without any Service."""
    ip = FAMILIES[family]
    address = f"ipv{family}_addr"
    key = "meta l4proto . th dport"
    full = f"{ip} daddr . {key}"
    mark = 1 << config.masquerade_bit
    cidr = config.cluster_cidr_of(family)
    chosen = config.nodeport_addresses_of(family)
    loopback = "127.0.0.0/8" if family == 4 else "::1"
    on = f"{ip} daddr != {loopback}"
    if chosen:
        cidrs = chosen[0] if len(chosen) == 1 else f"{{ {', '.join(chosen)} }}"
        on = f"{ip} daddr {cidrs}"
    node_port = f"fib daddr type local {on} {ip} daddr != @{IPS}"
    to = f"meta l4proto {{ {', '.join(map(str, PROTOCOL_NUMBERS.values()))} }} dnat {ip} to"
    if config.masquerade_all:
        cluster_ip = [f"{full} @KUBE-CLUSTER-IP goto KUBE-MARK-MASQ"]
    else:
        cluster_ip = [f"{full} @KUBE-CLUSTER-IP {ip} saddr != {cidr} goto KUBE-MARK-MASQ"] if cidr else []
    inside = [f"{ip} saddr {cidr}"] if cidr else []

    def near(key: str, near: str, far: str) -> list[str]:
        """Traffic to an address of policy Local. Two virtual servers, its own and the cluster IP's, have the two sets
        of endpoints: where the cluster IP has all of them, the cluster's own traffic goes there; where it has only this
        node's, all other traffic does."""
        translate = f"{to} {key} map @{near}"
        own = "fib saddr type local"
        return [
            *(f"{match} {translate}" for match in inside),
            f"{own} jump KUBE-MARK-MASQ",
            f"{own} {translate}",
            *(f"{match} return" for match in inside),
            f"{own} return",
            f"{to} {key} map @{far}",
        ]

    chains = {
        "filter-prerouting": [_hook("filter", "prerouting", BEFORE_DNAT), "ct state new jump KUBE-IPVS-FILTER"],
        "filter-output": [_hook("filter", "output", BEFORE_DNAT), "ct state new jump KUBE-IPVS-FILTER"],
        "nat-prerouting": [_hook("nat", "prerouting", DNAT), "jump KUBE-SERVICES"],
        "nat-output": [_hook("nat", "output", DNAT), "jump KUBE-SERVICES"],
        "nat-postrouting": [_hook("nat", "postrouting", SNAT), "jump KUBE-POSTROUTING"],
        "KUBE-IPVS-FILTER": [
            f"{full} @{FIREWALL} {full} . {ip} saddr != @{SOURCES} drop",
            f"{full} vmap @{SERVICE}",
            f"{node_port} {key} vmap @{NODE_PORTS}",
            # What is left names a port that its Service does not have. The address is local: it would reach the node.
            f"{ip} daddr @{IPS} goto KUBE-REJECT",
        ],
        # A reset, because the kernel limits the rate of ICMP errors and a refused client would then wait.
        "KUBE-REJECT": ["reject with tcp reset", "reject"],
        # No endpoint on this node: what comes from outside goes nowhere, the cluster's own to all others.
        "KUBE-LOCAL-ONLY": [*(f"{match} return" for match in inside), "fib saddr type local return", "drop"],
        "KUBE-SERVICES": [
            *cluster_ip,
            f"{full} @KUBE-EXTERNAL-IP goto KUBE-MARK-MASQ",
            f"{full} @KUBE-LOAD-BALANCER goto KUBE-MARK-MASQ",
            f"{full} @KUBE-EXTERNAL-IP-LOCAL goto KUBE-NEAR",
            f"{full} @KUBE-LOAD-BALANCER-LOCAL goto KUBE-NEAR",
            f"{node_port} goto KUBE-NODE-PORT",
        ],
        "KUBE-NODE-PORT": [
            f"{key} @KUBE-NODE-PORT goto KUBE-MARK-MASQ",
            f"{key} @KUBE-NODE-PORT-LOCAL goto KUBE-NEAR-NODE-PORT",
        ],
        "KUBE-NEAR": near(full, NEAR, FAR),
        "KUBE-NEAR-NODE-PORT": near(key, NEAR_NODE_PORT, FAR_NODE_PORT),
        "KUBE-MARK-MASQ": [f"meta mark set meta mark | {mark:#010x}"],
        "KUBE-POSTROUTING": [
            # An endpoint that reaches itself must see an answer from elsewhere.
            f"{ip} saddr . {ip} daddr @{LOOP_BACK} masquerade fully-random",
            f"meta mark & {mark:#010x} == 0x00000000 return",
            f"meta mark set meta mark ^ {mark:#010x}",
            "masquerade fully-random",
        ],
    }
    service, port = f"{address} . inet_proto . inet_service", "inet_proto . inet_service"
    sets = {
        SERVICE: f"map type {service} : verdict",
        NODE_PORTS: f"map type {port} : verdict",
        IPS: f"set type {address}",
        LOOP_BACK: f"set type {address} . {address}",
        **{map: f"map type {key} : {address} . inet_service"
           for key, maps in ((service, (NEAR, FAR)), (port, (NEAR_NODE_PORT, FAR_NODE_PORT))) for map in maps},
        FIREWALL: f"set type {service}",
        SOURCES: f"set type {service} . {address}; flags interval",
        "KUBE-NODE-PORT": f"set type {port}",
        "KUBE-NODE-PORT-LOCAL": f"set type {port}",
        "KUBE-CLUSTER-IP": f"set type {service}",
        **{f"{SETS[kind]}{local}": f"set type {service}"
           for kind in ("ExternalIP", "LoadBalancer") for local in ("", "-LOCAL")},
    }  # fmt: skip
    return Ruleset(chains=chains, sets=sets)


def _hook(type: str, hook: str, priority: int) -> str:
    return f"type {type} hook {hook} priority {priority}; policy accept;"


def shared(port: ServicePort, own: Collection[str]) -> set[Element]:
    """The elements of a service port that others may have too. `own` are the node's addresses, which are not borne by
    our device."""
    found = {(IPS, address) for kind, address, *_ in port.frontends if kind != "NodePort" and address not in own}
    return found | {(LOOP_BACK, f"{address} . {address}") for address in port.on_node}


def service_port(port: ServicePort, own: Collection[str]) -> Ruleset:
    """The elements of one service port."""
    number = PROTOCOL_NUMBERS[port.id[3]]
    rules = Ruleset(elements=dict.fromkeys(shared(port, own), ""))
    cluster_ip = next(((f"{address} . {at}", local) for kind, address, at, local in port.frontends
                       if kind == "ClusterIP"), None)  # fmt: skip
    for kind, address, at, local in port.frontends:
        node_port = kind == "NodePort"
        key = f"{number} . {at}" if node_port else f"{address} . {number} . {at}"
        rules.elements[NODE_PORTS if node_port else SERVICE, key] = _verdict(port, kind, local)
        name = "KUBE-NODE-PORT" if node_port else SETS[kind]
        if local and kind != "ClusterIP":
            name += "-LOCAL"
            if cluster_ip:
                to, has_local = cluster_ip
                maps = (FAR, FAR_NODE_PORT) if has_local else (NEAR, NEAR_NODE_PORT)
                rules.elements[maps[node_port], key] = to
        rules.elements[name, key] = ""
    for address, at, sources in restricted(port):
        key = f"{address} . {number} . {at}"
        rules.elements[FIREWALL, key] = ""
        rules.elements.update({(SOURCES, f"{key} . {source}"): "" for source in sources})
    return rules


def _verdict(port: ServicePort, kind: str, local: bool) -> str:
    if not port.any_endpoint:
        return "goto KUBE-REJECT"
    if port.local if local else port.cluster:
        return "return"
    return "goto KUBE-LOCAL-ONLY" if local and kind != "ClusterIP" else "drop"


def known(rules: Ruleset) -> list[tuple[str, str, int]]:
    """The frontends of an earlier life, as (protocol, address, port); a node port has the unspecified address."""
    found = []
    for (name, key), _ in rules.elements.items():
        parts = key.split(" . ")
        if name == SERVICE:
            found.append((PROTOCOLS[int(parts[1])], parts[0], int(parts[2])))
        elif name == NODE_PORTS:
            found += [(PROTOCOLS[int(parts[0])], any, int(parts[1])) for any in ("0.0.0.0", "::")]
    return found
