"""The kernel's table: its frame, and the chains and sets of one policy, each line as `nft list` prints it.

```text
postrouting ── answers, the node itself: accept ── a pod of ours that is not known yet: drop
   │ source is a pod held in egress ──► egress/…: its policies in turn, then drop ── policy: rule holds ─┐
   ▼                                                                                                    ▼
 ingress ── destination is a pod held in ingress ──► ingress/…: its policies in turn, then drop      ingress
   ▼ accept
```
After routing, because there is what every way has in common: forwarded packets, those that IPVS sends on from the
node's own output, with the destination already translated and the source not yet masqueraded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orlop.api.selectors import LabelSelector, from_struct
from orlop.api.types import networking_v1
from orlop.networkpolicy import peers
from orlop.networkpolicy.peers import PROTOCOL_NUMBERS, Group
from orlop.nftables.ruleset import Ruleset

FAMILIES = {4: "ip", 6: "ip6"}
POSTROUTING = "postrouting"
INGRESS = "ingress"
PRIORITY = 0
"""Before source NAT (100)."""
LONGEST_NAME = 200
"""Of a chain; the kernel takes 255. Longer names of policies are cut and told apart by a digest."""
DIRECTIONS = {"Ingress": "ingress", "Egress": "egress"}


def known(family: int) -> str:
    """The set of this node's pods that are known."""
    return f"known-{family}"


def ranges(family: int) -> str:
    """The set of the node's pod CIDRs."""
    return f"ranges-{family}"


def held(direction: str, family: int) -> str:
    """The map from a pod's address to the chain that holds it."""
    return f"{DIRECTIONS[direction]}-{family}"


def itself(family: int) -> str:
    """The set of pairs of an address and itself: no policy is between a pod and itself."""
    return f"itself-{family}"


def group(one: Group, family: int) -> str:
    """The set of the addresses of a group's pods."""
    return f"pods-{peers.digest(one)}-{family}"


def named_port(protocol: str, name: str, family: int) -> str:
    """The set of (address, protocol, port) of all pods that call a port so."""
    return f"named-{peers.digest(protocol, name)}-{family}"


def frame() -> Ruleset:
    """What is there without any policy."""
    made = Ruleset()
    lines = [
        f"type filter hook postrouting priority {PRIORITY}; policy accept;",
        "ct direction reply accept",
        "ct state related accept",
        "fib saddr type local accept",
    ]
    for family, ip in FAMILIES.items():
        address = f"ipv{family}_addr"
        made.sets[ranges(family)] = f"set type {address}; flags interval"
        made.sets[known(family)] = f"set type {address}"
        made.sets[itself(family)] = f"set type {address} . {address}"
        for direction in DIRECTIONS:
            made.sets[held(direction, family)] = f"map type {address} : verdict"
        lines.append(f"{ip} saddr @{ranges(family)} {ip} saddr != @{known(family)} counter drop")
        lines.append(f"{ip} daddr @{ranges(family)} {ip} daddr != @{known(family)} counter drop")
        lines.append(f"{ip} saddr . {ip} daddr @{itself(family)} accept")
    lines += [f"{ip} saddr vmap @{held('Egress', family)}" for family, ip in FAMILIES.items()]
    made.chains[POSTROUTING] = [*lines, f"goto {INGRESS}"]
    made.chains[INGRESS] = [*(f"{ip} daddr vmap @{held('Ingress', f)}" for f, ip in FAMILIES.items()), "accept"]
    return made


@dataclass(frozen=True)
class Compiled:
    """One policy."""

    namespace: str
    selector: LabelSelector
    chains: dict[str, str]
    """By direction that it isolates in ("Ingress"), the name of its chain."""
    rules: Ruleset = field(default_factory=Ruleset)
    """Its chains, and the sets that never change: ranges and ports. Others may have the same sets."""
    groups: frozenset[Group] = frozenset()
    named: frozenset[tuple[str, str]] = frozenset()


def compile_policy(policy: networking_v1.NetworkPolicy) -> tuple[Compiled, list[str]]:
    """A policy as rules, and what of it cannot be read, in words. What cannot be read allows nothing."""
    meta, spec, wrong = policy.metadata, policy.spec, list[str]()
    types = spec.policy_types or (["Ingress", "Egress"] if spec.egress else ["Ingress"])
    rules, groups, named = Ruleset(), set[Group](), set[tuple[str, str]]()
    chains = {d: chain_name(DIRECTIONS[d], meta.namespace, meta.name) for d in DIRECTIONS if d in types}
    for direction, chain in chains.items():
        lines: dict[str, None] = {}
        found = [(r.from_, r.ports) for r in spec.ingress] if direction == "Ingress" else [
            (r.to, r.ports) for r in spec.egress
        ]  # fmt: skip
        for index, (who, what) in enumerate(found):
            try:
                whom = peers.peers(who, meta.namespace)
            except ValueError as error:
                wrong.append(f"spec.{DIRECTIONS[direction]}[{index}] is left out: {error}")
                continue
            which = peers.ports(what)
            groups.update(whom.groups)
            named.update(which.names)
            lines.update(dict.fromkeys(_lines(direction, whom, which, rules)))
        rules.chains[chain] = list(lines)
    try:
        selector = from_struct(spec.pod_selector)
    except ValueError as error:
        wrong.append(f"spec.podSelector selects nothing: {error}")
        selector = from_struct(None)
    return Compiled(meta.namespace, selector, chains, rules, frozenset(groups), frozenset(named)), wrong


def chain_name(direction: str, namespace: str, name: str) -> str:
    """Readable where it fits."""
    whole = f"{direction}/{namespace}/{name}"
    return whole if len(whole) <= LONGEST_NAME else f"{whole[:LONGEST_NAME]}-{peers.digest(whole)}"


def combination(direction: str, chains: Sequence[str]) -> tuple[str, list[str]]:
    """The chain of pods that these policies hold together: its name and its lines."""
    lines = [*(f"jump {chain}" for chain in chains), "counter drop"]
    return f"{DIRECTIONS[direction]}-of-{peers.digest(*chains)}", lines


def group_set(family: int) -> str:
    """The declaration of a group's set."""
    return f"set type ipv{family}_addr"


def named_port_set(family: int) -> str:
    """The declaration of a named port's set."""
    return f"set type ipv{family}_addr . inet_proto . inet_service"


def _lines(direction: str, whom: peers.Peers, which: peers.Ports, rules: Ruleset) -> Iterable[str]:
    verdict = "accept" if direction == "Ingress" else f"goto {INGRESS}"
    side = "saddr" if direction == "Ingress" else "daddr"
    numbered = [""] if which.all else []
    if which.numbers:
        numbered.append(f"meta l4proto . th dport @{_port_set(which, rules)}")
    if whom.anybody:
        yield from (f"{match} {verdict}".strip() for match in numbered)
    for family, ip in FAMILIES.items():
        sources = [""] if whom.anybody else [f"{ip} {side} @{group(one, family)}" for one in whom.groups]
        if networks := [n for n in whom.networks if n.version == family]:
            sources.append(f"{ip} {side} @{_block_set(family, networks, rules)}")
        names = [f"{ip} daddr . meta l4proto . th dport @{named_port(*one, family)}" for one in which.names]
        for source in sources:
            for match in (*(numbered if source else ()), *names):
                yield " ".join(part for part in (source, match, verdict) if part)


def _port_set(which: peers.Ports, rules: Ruleset) -> str:
    name = f"ports-{peers.digest(*which.numbers)}"
    rules.sets[name] = "set type inet_proto . inet_service; flags interval"
    for protocol, first, last in which.numbers:
        text = str(first) if first == last else f"{first}-{last}"
        rules.elements[name, f"{PROTOCOL_NUMBERS[protocol]} . {text}"] = ""
    return name


def _block_set(family: int, networks: Sequence[peers.Network], rules: Ruleset) -> str:
    name = f"block-{peers.digest(*networks)}-{family}"
    rules.sets[name] = f"set type ipv{family}_addr; flags interval"
    for network in networks:
        one = network.prefixlen == network.max_prefixlen
        rules.elements[name, str(network.network_address if one else network)] = ""
    return name
