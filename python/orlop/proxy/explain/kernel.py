"""The forwarding table as it is programmed on this node, whichever mode did it, with the connections of backends."""

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orlop.native import Ipvs
from orlop.nftables import listing
from orlop.nftables.ruleset import Ruleset
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.command import Command, IptablesCommands, Nft
from orlop.proxy.backends.iptables import ruleset as iptables
from orlop.proxy.backends.iptables.layout import Layout
from orlop.proxy.backends.ipvs import rules as ipvs
from orlop.proxy.backends.nftables import rules as nftables
from orlop.proxy.backends.userspace.relay import Relay, Shown
from orlop.proxy.config import DEFAULT_SCOPE
from orlop.tasks import in_thread

PROTOCOLS = {str(number): name for name, number in nftables.PROTOCOL_NUMBERS.items()}
SHARE = re.compile(r"(?:([0-9]+)(?:-([0-9]+))? : )(?:goto (\S+?)|([0-9a-f.:]+) \. ([0-9]+))(?=,| })")
TRANSLATION = re.compile(r" dnat to \[?([0-9a-f.:]+?)]?:([0-9]+)$")
IPTABLES_FRONTEND = re.compile(
    r"(?:-d (?P<address>\S+)/\d+ )?-p (?P<protocol>\w+) .*?--comment \"(?P<comment>[^\"]*)\".*--dport (?P<port>\d+) "
    r"-j (?P<verdict>\S+)"
)
PROBABILITY = re.compile(r"--probability ([0-9.]+)")
DESTINATION = re.compile(r"--to-destination \[?([0-9a-f.:]+?)]?:([0-9]+)$")
CONNTRACK_MAX = 200_000
"""Lines of the kernel's connection table that are read; of more, counts say that they are at least so many."""


@dataclass(frozen=True)
class Target:
    """A backend as it is programmed."""

    address: str
    port: int
    share: float
    """Of new connections, 0 to 1."""
    connections: int = 0
    """That it has now through this frontend."""
    total: int | None = None
    """That it was ever given, where the mode counts it."""


@dataclass(frozen=True)
class Entry:
    """What is done with traffic to one address and port."""

    mode: str
    protocol: str
    address: str
    """Empty for a node port: any address of the node."""
    port: int
    service: str
    """NAMESPACE/NAME with the port's name where the mode tells it, else empty."""
    verdict: str
    """translate, refuse or drop."""
    targets: tuple[Target, ...] = ()
    affinity: bool = False


@dataclass
class Kernel:
    """All entries of a node, and what was looked for in vain."""

    entries: list[Entry] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    """Those of which something is programmed."""

    def find(self, protocol: str, address: str, port: int) -> Entry | None:
        """The entry of a frontend; an empty address for a node port."""
        wanted = (protocol, address, port)
        return next((e for e in self.entries if (e.protocol, e.address, e.port) == wanted), None)


async def read(prefix: Sequence[str] = (), scope: str = DEFAULT_SCOPE) -> Kernel:
    """What is programmed, here or where `prefix` (`ip netns exec NAME`) leads. Raises ProgramError."""
    kernel = Kernel()
    nft = Nft(prefix)
    suffix = "" if scope == DEFAULT_SCOPE else f"-{scope}"
    relay = Relay(scope, prefix)
    shown = await relay.show() if await relay.running() else None
    await relay.close()
    for family, ip in nftables.FAMILIES.items():
        for mode, table in (("nftables", "orlop-proxy"), ("userspace", "orlop-userspace"), ("ipvs", "orlop-ipvs")):
            try:
                text = await nft.list_table(f"{ip} {table}{suffix}")
            except Unsupported:
                text = None
            if text is None:
                continue
            rules = listing.parse(text)
            if mode == "ipvs":
                found = await in_thread(None, _ipvs, rules, prefix, family)
            else:
                found = list(_nftables(mode, rules, shown))
            _add(kernel, mode, found)
        try:
            saved = await IptablesCommands(family, prefix).save()
        except (Unsupported, ProgramError):
            continue
        layout = Layout.of(scope)
        if (chains := iptables.parse(saved, layout)).chains:
            _add(kernel, "iptables", list(_iptables(chains, layout)))
    counts = await connections(prefix)
    kernel.entries = [_counted(entry, counts) for entry in kernel.entries]
    kernel.entries.sort(key=lambda e: (e.service, e.protocol, e.address, e.port))
    return kernel


def _add(kernel: Kernel, mode: str, entries: list[Entry]) -> None:
    kernel.entries += entries
    if mode not in kernel.modes:
        kernel.modes.append(mode)


# --- connections


Counts = Counter[tuple[str, str, int, str, int]]
"""(protocol, address and port that were asked, address and port that answer)."""


async def connections(prefix: Sequence[str] = ()) -> Counts:
    """What the kernel's connection tracking has now; nothing where the program conntrack is missing."""
    counts: Counts = Counter()
    for family in ("ipv4", "ipv6"):
        try:
            _, out, _ = await Command("conntrack", "conntrack", prefix).run("-L", "-f", family)
        except Unsupported:
            return counts
        for line in out.splitlines()[:CONNTRACK_MAX]:
            words = line.split()
            if "TIME_WAIT" in words or "CLOSE" in words:
                continue
            values = [word.partition("=")[2] for word in words if "=" in word]
            # src, dst, sport, dport of the question, then of the answer.
            if len(values) >= 8 and values[2].isdigit() and values[6].isdigit():
                counts[words[0].upper(), values[1], int(values[3]), values[4], int(values[6])] += 1
    return counts


def _counted(entry: Entry, counts: Counts) -> Entry:
    if entry.mode in ("ipvs", "userspace"):
        return entry  # they know themselves
    here: Counter[tuple[str, int]] = Counter()
    for (protocol, address, port, backend, to), count in counts.items():
        if (protocol, port) == (entry.protocol, entry.port) and entry.address in ("", address):
            here[backend, to] += count
    return replace(entry, targets=tuple(replace(t, connections=here[t.address, t.port]) for t in entry.targets))


# --- modes


def _nftables(mode: str, rules: Ruleset, shown: Shown | None) -> Iterator[Entry]:
    for (map, key), verdict in rules.elements.items():
        if map not in (
            nftables.SERVICE_IPS, nftables.NODE_PORTS,
            nftables.NO_ENDPOINT_SERVICES, nftables.NO_ENDPOINT_NODE_PORTS,
        ):  # fmt: skip
            continue
        *address, protocol, port = key.split(" . ")
        chain = verdict.removeprefix("goto ")
        entry = Entry(mode, PROTOCOLS.get(protocol, protocol), address[0] if address else "", int(port), "", "drop")
        if chain == "reject-chain":
            yield replace(entry, verdict="refuse")
        elif verdict == "drop":
            yield entry
        else:
            _, _, base = chain.partition("-")
            namespace, name, _, port_name = base.split("/")
            lines = _followed(rules, chain)
            targets = tuple(_relayed(lines, shown) if mode == "userspace" else _translated(rules, lines))
            service = f"{namespace}/{name}" + (f":{port_name}" if port_name else "")
            affinity = any("@affinity-" in line for line in lines)
            yield replace(
                entry, service=service, verdict="translate" if targets else "drop", targets=targets, affinity=affinity
            )


def _followed(rules: Ruleset, chain: str) -> list[str]:
    """The rules of a service port that choose, past those for external traffic."""
    lines = rules.chains.get(chain, [])
    if chain.startswith("external-"):
        # The last that leads on is for traffic from outside.
        onward = [line.rpartition("goto ")[2] for line in lines if "goto " in line]
        return _followed(rules, onward[-1]) if onward else []
    return lines


def _translated(rules: Ruleset, lines: list[str]) -> Iterator[Target]:
    choice = next((line for line in lines if "numgen" in line), "")
    total = int(m[1]) if (m := re.search(r"mod ([0-9]+)", choice)) else 1
    found = SHARE.findall(choice)
    for first, last, chain, address, port in found:
        share = (int(last or first) - int(first) + 1) / total
        if chain:
            to = next((m for line in rules.chains.get(chain, []) if (m := TRANSLATION.search(line))), None)
            if to is None:
                continue
            address, port = to[1], to[2]
        yield Target(address, int(port), share)
    if not found:
        for line in lines:
            onward = rules.chains.get(line.rpartition("goto ")[2], []) if line.startswith("goto ") else [line]
            for each in onward:
                if match := TRANSLATION.search(each):
                    yield Target(match[1], int(match[2]), 1.0)


def _relayed(lines: list[str], shown: Shown | None) -> Iterator[Target]:
    port = next((line.rpartition(":")[2] for line in lines if "redirect to" in line or " dnat to " in line), "")
    for listener in shown.listeners if shown else ():
        if str(listener.port) == port:
            total = sum(b.weight for b in listener.backends) or 1
            for b in listener.backends:
                yield Target(b.address, b.port, b.weight / total, b.active, b.total)


def _iptables(rules: iptables.Rules, layout: Layout) -> Iterator[Entry]:
    for (table, chain), lines in rules.chains.items():
        if chain not in (layout.services, layout.node_ports, layout.external_services):
            continue
        for line in lines:
            match = IPTABLES_FRONTEND.match(line)
            if not match:
                continue
            service = match["comment"].partition(" ")[0]
            verdict = {"REJECT": "refuse", "DROP": "drop"}.get(match["verdict"], "translate")
            if (table == "nat") != (verdict == "translate"):
                continue
            targets = tuple(_seps(rules, match["verdict"], layout)) if verdict == "translate" else ()
            yield Entry(
                "iptables", match["protocol"].upper(), match["address"] or "", int(match["port"]), service,
                verdict if targets or verdict != "translate" else "drop", targets,
                any("--rcheck" in line for line in _balancing(rules, match["verdict"], layout)),
            )  # fmt: skip


def _balancing(rules: iptables.Rules, chain: str, layout: Layout) -> list[str]:
    lines = rules.chains.get(("nat", chain), [])
    if chain.startswith((f"{layout.prefix}-EXT-", f"{layout.prefix}-FW-")):
        onward = [target for line in lines if (target := line.rpartition("-j ")[2]) != layout.mark]
        return _balancing(rules, onward[-1], layout) if onward else []
    return lines


def _seps(rules: iptables.Rules, chain: str, layout: Layout) -> Iterator[Target]:
    rest = 1.0
    for line in _balancing(rules, chain, layout):
        target = line.rpartition("-j ")[2]
        if not target.startswith(f"{layout.prefix}-SEP-") or "--rcheck" in line:
            continue
        probability = float(m[1]) if (m := PROBABILITY.search(line)) else 1.0
        for each in rules.chains.get(("nat", target), []):
            if match := DESTINATION.search(each):
                yield Target(match[1], int(match[2]), round(rest * probability, 4))
        rest *= 1 - probability


def _ipvs(rules: Ruleset, prefix: Sequence[str], family: int) -> list[Entry]:
    try:
        servers = Ipvs("orlop-net", "rr", f"/run/netns/{prefix[3]}" if prefix else None).dump()
    except (LookupError, OSError):
        servers = []
    by_frontend: Mapping[tuple[str, str, int], list[Target]] = {
        s.frontend: [
            Target(address, port, weight / (sum(d[2] for d in s.destinations) or 1), active, counters[0])
            for address, port, weight, active, _, counters in s.destinations
        ]
        for s in servers
    }
    entries = []
    for (set, key), verdict in rules.elements.items():
        if set not in (ipvs.SERVICE, ipvs.NODE_PORTS):
            continue
        *address, number, port = key.split(" . ")
        protocol = PROTOCOLS.get(number, number)
        at = address[0] if address else ""
        found = [t for (p, a, on), t in by_frontend.items() if p == protocol and on == int(port)
                 and (a == at if at else ipaddress.ip_address(a).version == family)]  # fmt: skip
        kind = {"return": "translate", "drop": "drop"}.get(verdict, "refuse" if "REJECT" in verdict else "drop")
        targets = tuple(found[0]) if found else ()
        entries.append(Entry("ipvs", protocol, at, int(port), "", kind, targets))
    return entries
